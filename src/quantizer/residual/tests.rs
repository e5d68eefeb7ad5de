//! Residual k-means: what its levels leave over, how evenly they are used, and that new items get the codes of old ones.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::quantizer::assign;
use crate::quantizer::kmeans::squared_distance;
use crate::quantizer::levels::{mean_squared_length, random};
use crate::quantizer::settings::{BalanceBy, Balanced};

fn settings(levels: u32, codes: u32) -> ResidualKMeansSettings {
    let text = format!("vectors = \"v\"\nlevels = {levels}\ncodes = {codes}\niterations = 25");
    toml::from_str(&text).unwrap()
}

fn made(settings: &ResidualKMeansSettings, vectors: &Vectors) -> Identifiers {
    fit(settings, vectors, "c", Seed::new(1), &Context::silent()).unwrap()
}

/// All ways to fit without a say in how many items a code gets.
fn ways() -> Vec<ResidualKMeansSettings> {
    let plain = settings(3, 8);
    vec![
        plain.clone(),
        ResidualKMeansSettings { batch: Some(200), ..plain.clone() },
        ResidualKMeansSettings { normalize: Some(true), ..plain.clone() },
        ResidualKMeansSettings { normalize: Some(true), batch: Some(200), ..plain },
    ]
}

#[test]
fn residuals_shrink_and_paths_are_unique() {
    let vectors = random(600, 12);
    for way in ways() {
        let ids = made(&way, &vectors);
        let residuals: Vec<f64> =
            ids.diagnostics.levels.iter().filter_map(|l| l.residual).collect();
        assert_eq!(residuals.len(), 3);
        let start = mean_squared_length(&vectors.data, vectors.dim);
        assert!(start > residuals[0] && residuals[0] > residuals[1] && residuals[1] > residuals[2]);
        assert!(ids.dedup, "600 items on 512 paths must collide");
        let index = ids.index().unwrap();
        for item in 0..600 {
            assert_eq!(index.find(ids.codes_of(item).unwrap()), Some(item as u32));
        }
        assert_eq!(ids, made(&way, &vectors));
    }
}

/// What is left over is the distance of a vector to the sum of its centroids, whatever was normalised.
#[test]
fn a_vector_is_the_sum_of_its_centroids_and_what_is_left_over() {
    let vectors = random(500, 7);
    for way in ways() {
        let ids = made(&way, &vectors);
        let mut left = 0.0;
        for item in 0..500 {
            let codes = ids.codes_of(item).unwrap();
            let mut sum = vec![0.0; 7];
            for (level, &code) in ids.centroids.levels.iter().zip(codes) {
                let centroid = &level[code as usize * 7..][..7];
                sum.iter_mut().zip(centroid).for_each(|(sum, x)| *sum += x);
            }
            left += f64::from(squared_distance(vectors.row(item), &sum)) / 500.0;
        }
        let told = ids.diagnostics.levels[2].residual.unwrap();
        assert!((left - told).abs() < 1e-4 * told, "{left} {told}");
    }
}

#[test]
fn assigning_the_vectors_again_gives_their_codes() {
    let vectors = random(700, 5);
    for way in ways() {
        let ids = made(&way, &vectors);
        let assigned = assign(&ids, &vectors).unwrap();
        for (item, codes) in assigned.chunks_exact(3).enumerate() {
            assert_eq!(codes, &ids.codes_of(item).unwrap()[..3]);
        }
        let told = assign(&ids, &random(3, 4)).unwrap_err().to_string();
        assert!(told.contains("vectors of 4 numbers") && told.contains("vectors of 5"), "{told}");
    }
}

/// At the first level, where no level before has left anything over, lengths make no difference.
#[test]
fn normalised_codes_look_at_directions_alone() {
    let vectors = random(400, 6);
    let mut scaled = vectors.clone();
    for (item, row) in scaled.data.to_mut().chunks_exact_mut(6).enumerate() {
        // Powers of two, so that directions stay the same to the bit.
        row.iter_mut().for_each(|x| *x *= [0.25, 1.0, 8.0][item % 3]);
    }
    let of = |normalize, vectors: &Vectors| {
        let own = ResidualKMeansSettings { normalize, ..settings(1, 12) };
        let ids = made(&own, vectors);
        (0..400).map(|item| ids.codes_of(item).unwrap()[0]).collect::<Vec<_>>()
    };
    let differ = |a: Vec<u32>, b: Vec<u32>| a.iter().zip(&b).filter(|(a, b)| a != b).count();
    assert!(differ(of(Some(true), &vectors), of(Some(true), &scaled)) <= 4);
    assert!(differ(of(None, &vectors), of(None, &scaled)) > 40);
    assert_eq!(of(Some(false), &vectors), of(None, &vectors));
}

#[test]
fn levels_may_have_codes_of_their_own_and_as_many_items_for_each() {
    let vectors = random(640, 6);
    let of = |balanced, balance_by| {
        let own = ResidualKMeansSettings {
            codes_of_levels: Some(vec![16, 4, 8]),
            balanced,
            balance_by,
            ..settings(3, 64)
        };
        made(&own, &vectors)
    };
    let free = of(None, None);
    assert_eq!(free.levels[..3], [16, 4, 8]);
    let usage = |ids: &Identifiers, level: usize| {
        let usage = &ids.diagnostics.levels[level].usage;
        (usage[0], usage[usage.len() - 1])
    };
    let all = of(Some(Balanced::All), None);
    assert_eq!([usage(&all, 0), usage(&all, 1), usage(&all, 2)], [(40, 40), (160, 160), (80, 80)]);
    assert_eq!(all, of(Some(Balanced::All), Some(BalanceBy::Capacity)));
    let last = of(Some(Balanced::Last), None);
    assert_eq!((usage(&last, 0), usage(&last, 2)), (usage(&free, 0), (80, 80)));
    // What it costs: a little of the fit.
    let left = |ids: &Identifiers| ids.diagnostics.levels[2].residual.unwrap();
    assert!(left(&all) < 1.25 * left(&free), "{} {}", left(&all), left(&free));

    let even = of(Some(Balanced::All), Some(BalanceBy::Sinkhorn));
    for (level, share) in [40.0, 160.0, 80.0].into_iter().enumerate() {
        for one in &even.diagnostics.levels[level].usage {
            let ratio = f64::from(*one) / share;
            assert!((0.8..1.2).contains(&ratio), "{ratio} of its share at level {level}");
        }
    }
    assert!(left(&even) < 1.25 * left(&free), "{} {}", left(&even), left(&free));
}

/// Vectors in two groups, with a value for each; one in seven items has none.
fn grouped(items: usize) -> (Vectors, Vec<Option<String>>) {
    let mut vectors = random(items, 5);
    let values = (0..items).map(|item| {
        let value = ["rug", "lamps", "cupboard"][item % 11 % 3];
        (item % 7 != 3).then(|| value.to_owned())
    });
    let values: Vec<Option<String>> = values.collect();
    for (row, value) in vectors.data.to_mut().chunks_exact_mut(5).zip(&values) {
        row[0] += value.as_ref().map_or(24.0, |value| 2.0 * value.len() as f32);
    }
    (vectors, values)
}

#[test]
fn first_codes_may_be_values_of_items() {
    let (vectors, values) = grouped(400);
    let text = "vectors = \"v\"\nlevels = 2\ncodes = 6\nfirst = { attribute = \"kind\" }";
    for way in ["", "\nnormalize = true", "\nbalanced = \"last\""] {
        let settings: ResidualKMeansSettings = toml::from_str(&format!("{text}{way}")).unwrap();
        let items = Items { values: Some(values.clone()), ..Items::of(&vectors) };
        let ids = fit_items(&settings, &items, "c", Seed::new(1), &Context::silent()).unwrap();
        let first = ids.centroids.first.clone().unwrap();
        // The most frequent first, and items without a value last.
        let count = |value: &Option<String>| values.iter().filter(|one| *one == value).count();
        assert_eq!((first.values.len(), first.values[3].clone()), (4, None));
        assert!(first.values[..3].windows(2).all(|pair| count(&pair[0]) >= count(&pair[1])));
        assert_eq!(ids.levels[..3], [4, 6, 6]);
        for (item, value) in values.iter().enumerate() {
            assert_eq!(ids.codes_of(item).unwrap()[0], first.code(value.as_deref()).unwrap());
        }
        // A code is the mean of its items, from which the others leave over.
        for code in 0..4 {
            let is_own = |&item: &usize| ids.codes_of(item).unwrap()[0] == code;
            let of_code: Vec<usize> = (0..400).filter(is_own).collect();
            for at in 0..5 {
                let mean =
                    of_code.iter().map(|&item| f64::from(vectors.row(item)[at])).sum::<f64>();
                let mean = mean / of_code.len() as f64;
                assert!(
                    (f64::from(ids.centroids.levels[0][code as usize * 5 + at]) - mean).abs()
                        < 1e-5
                );
            }
        }
        let left: Vec<f64> = ids.diagnostics.levels.iter().filter_map(|one| one.residual).collect();
        assert!(left.len() == 3 && left[0] > left[1] && left[1] > left[2], "{left:?}");
        // Known first codes are taken, others are the nearest.
        let codes: Vec<Option<u32>> =
            (0..400).map(|item| ids.codes_of(item).map(|path| path[0])).collect();
        let assigned = crate::quantizer::assign_from(&ids, &vectors, &codes).unwrap();
        if way != "\nbalanced = \"last\"" {
            assert_eq!(assigned, ids.made().unwrap());
        }
        if ids.centroids.compared == Compared::Distance {
            // The groups lie apart.
            let nearest = assign(&ids, &vectors).unwrap();
            let mut pairs = nearest.chunks_exact(3).zip(assigned.chunks_exact(3));
            assert!(pairs.all(|(a, b)| a[0] == b[0]));
        }
        // It is written, and read again.
        let folder = tempfile::tempdir().unwrap();
        ids.save(folder.path()).unwrap();
        assert_eq!(Identifiers::load(folder.path(), None).unwrap(), ids);
    }
}

#[test]
fn more_values_than_codes_are_refused() {
    let of = crate::kind::ItemValue::Attribute("serial".into());
    let values: Vec<Option<String>> = (0..65_537).map(|item| Some(format!("s{item}"))).collect();
    let told = first::codes(of.clone(), &values).err().unwrap().to_string();
    assert!(told.contains("65537 different values of attribute `serial`"), "{told}");
    // All are as frequent: the order is that of their names.
    let most = first::codes(of, &values[1..]).unwrap().first;
    assert_eq!(most.values.len(), 65_536);
    assert!(most.values.is_sorted());
}

#[test]
fn equal_vectors_are_told_apart_by_the_dedup_level() {
    let vectors = Vectors::new(1, vec![1.0, 5.0, 1.0, 1.0], "test").unwrap();
    let ids = made(&settings(1, 2), &vectors);
    assert_eq!(ids.levels, [2, 3]);
    let last = |item: usize| ids.codes_of(item).unwrap()[1];
    assert_eq!([last(0), last(1), last(2), last(3)], [0, 0, 1, 2]);
    assert_eq!(ids.diagnostics.collision_rate, 0.5);
}
