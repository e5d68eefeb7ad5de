//! Product quantization: parts and their order, what a rotation is worth, and that codes are the nearest there are.
#![allow(clippy::unwrap_used)]

use rand::Rng;

use super::*;
use crate::identifier::settings::{Collisions, NamingSettings};
use crate::quantizer::assign;
use crate::quantizer::kmeans::squared_distance;
use crate::quantizer::levels::random;

fn settings(parts: u32, codes: u32, rotation: bool) -> ProductSettings {
    let naming = Default::default();
    ProductSettings {
        vectors: "v".into(),
        parts,
        codes,
        iterations: 20,
        rotation,
        fit: Default::default(),
        naming,
        seed: None,
    }
}

fn made(settings: &ProductSettings, vectors: &Vectors) -> Identifiers {
    fit(settings, vectors, "c", Seed::new(1), &Context::silent()).unwrap()
}

/// Clumps along directions that no axis is.
fn clumps(items: usize, dim: usize) -> Vectors {
    let mut rng = Seed::new(5).rng();
    let directions = random(4, dim).data;
    let data: Vec<f32> = (0..items)
        .flat_map(|_| {
            let amounts: Vec<f32> = (0..4).map(|_| rng.random_range(-3.0f32..3.0)).collect();
            let noise: Vec<f32> = (0..dim).map(|_| rng.random_range(-0.1f32..0.1)).collect();
            let along = |at: usize| -> f32 {
                amounts
                    .iter()
                    .enumerate()
                    .map(|(i, amount)| amount * directions[i * dim + at])
                    .sum()
            };
            noise.into_iter().enumerate().map(|(at, x)| x + along(at)).collect::<Vec<_>>()
        })
        .collect();
    Vectors { dim, data: data.into() }
}

fn sum_of(ids: &Identifiers, codes: &[u32]) -> Vec<f32> {
    let dim = ids.centroids.dim;
    let mut sum = vec![0.0; dim];
    for (level, &code) in ids.centroids.levels.iter().zip(codes) {
        sum.iter_mut().zip(&level[code as usize * dim..]).for_each(|(sum, x)| *sum += x);
    }
    sum
}

fn left(ids: &Identifiers) -> Vec<f64> {
    ids.diagnostics.levels.iter().filter_map(|level| level.residual).collect()
}

#[test]
fn numbers_that_do_not_divide_are_spread_over_the_first_parts() {
    assert_eq!(ranges(10, 4), [0..3, 3..6, 6..8, 8..10]);
    assert_eq!(ranges(3, 3), [0..1, 1..2, 2..3]);
    let vectors = random(300, 7);
    let ids = made(&settings(3, 8, true), &vectors);
    assert_eq!(ids.levels[..3], [8, 8, 8]);
    assert_eq!(ids.centroids.dim, 7);
}

/// Of all sums of a centroid of each level, that of an item's codes is the nearest.
#[test]
fn codes_are_the_nearest_of_all_paths() {
    let vectors = random(200, 5);
    for rotation in [false, true] {
        let ids = made(&settings(3, 4, rotation), &vectors);
        let assigned = assign(&ids, &vectors).unwrap();
        for item in 0..200 {
            let codes = &ids.codes_of(item).unwrap()[..3];
            assert_eq!(codes, &assigned[item * 3..][..3]);
            let distance =
                |codes: &[u32]| squared_distance(vectors.row(item), &sum_of(&ids, codes));
            let paths = (0..64u32).map(|path| [path / 16, path / 4 % 4, path % 4]);
            let least = paths.map(|path| distance(&path)).fold(f32::INFINITY, f32::min);
            assert!(distance(codes) <= least + 1e-5, "item {item}");
        }
    }
}

#[test]
fn every_part_leaves_less_over_and_the_first_takes_most() {
    let vectors = clumps(800, 12);
    for rotation in [false, true] {
        let ids = made(&settings(4, 8, rotation), &vectors);
        let all = [vec![mean_squared_length(&vectors.data, 12)], left(&ids)].concat();
        assert_eq!(all.len(), 5);
        assert!(all.windows(2).all(|pair| pair[1] < pair[0]), "{all:?}");
        // Means differ little from zero here, so that what a part separates is what it takes away.
        let taken: Vec<f64> = all.windows(2).map(|pair| pair[0] - pair[1]).collect();
        assert!(taken.windows(2).all(|pair| pair[1] < 1.05 * pair[0]), "{taken:?}");
        let told = left(&ids)[3];
        let error: f64 = (0..800)
            .map(|item| {
                let sum = sum_of(&ids, &ids.codes_of(item).unwrap()[..4]);
                f64::from(squared_distance(vectors.row(item), &sum)) / 800.0
            })
            .sum();
        assert!((error - told).abs() < 1e-3 * told, "{error} {told}");
    }
}

#[test]
fn a_learned_rotation_leaves_less_over_than_none() {
    let vectors = clumps(1_000, 16);
    let of = |rotation| left(&made(&settings(4, 16, rotation), &vectors))[3];
    assert!(of(true) < 0.6 * of(false), "{} {}", of(true), of(false));
}

#[test]
fn without_a_rotation_a_part_speaks_of_its_own_numbers() {
    let mut vectors = random(300, 6);
    // The last part varies most.
    vectors
        .data
        .to_mut()
        .chunks_exact_mut(6)
        .for_each(|row| row[4..].iter_mut().for_each(|x| *x *= 9.0));
    let ids = made(&settings(3, 4, false), &vectors);
    for centroid in ids.centroids.levels[0].chunks_exact(6) {
        assert!(centroid[..4].iter().all(|&x| x == 0.0) && centroid[4..].iter().any(|&x| x != 0.0));
    }
}

#[test]
fn the_number_of_threads_changes_nothing_and_the_seed_matters() {
    let vectors = clumps(700, 9);
    let on = |threads: usize, seed| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let settings = settings(3, 8, true);
        pool.install(|| fit(&settings, &vectors, "c", Seed::new(seed), &Context::silent()).unwrap())
    };
    assert_eq!(on(1, 4), on(3, 4));
    assert_ne!(on(1, 4).codes, on(1, 5).codes);
}

#[test]
fn many_parts_of_many_codes_are_paths_like_any_other() {
    let vectors = random(400, 24);
    let ids = made(&settings(24, 256, true), &vectors);
    assert_eq!((ids.n_levels(), ids.dedup), (24, false));
    let index = ids.index().unwrap();
    assert_eq!(index.find(ids.codes_of(7).unwrap()), Some(7));
}

/// Items of one vector, and directions in which no item differs.
#[test]
fn vectors_that_fill_no_space_are_quantised_all_the_same() {
    let rows: Vec<f32> = (0..60).flat_map(|item| [(item % 3) as f32, 0.0, 0.0, 5.0]).collect();
    let ids = made(&settings(2, 4, true), &Vectors { dim: 4, data: rows.into() });
    assert!(left(&ids)[1] < 1e-6, "{:?}", left(&ids));
    assert!(ids.dedup);
}

#[test]
fn items_of_one_path_get_near_free_codes_where_that_is_asked() {
    let vectors = random(300, 6);
    let of = |collisions| {
        let naming = NamingSettings { collisions, ..NamingSettings::default() };
        let settings = ProductSettings { naming, ..settings(2, 32, true) };
        fit(&settings, &vectors, "c", Seed::new(1), &Context::silent()).unwrap()
    };
    let numbered = of(None);
    assert!(numbered.dedup, "300 items on 1,024 paths must collide");
    let near = of(Some(Collisions::Nearest));
    assert_eq!(near.levels, [32, 32]);
    let index = near.index().unwrap();
    for item in 0..300 {
        assert_eq!(index.find(near.codes_of(item).unwrap()), Some(item as u32));
    }
}
