//! The index against brute force, and what it refuses.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use rand::Rng;
use rayon::prelude::*;

use super::*;
use crate::model::decoder::normal;

const ITEMS: usize = 3_000;
const DIM: usize = 24;

/// Items around 60 centers, not of unit length.
fn clustered(seed: u64) -> Vectors {
    let seed = Seed::new(seed);
    let centers = normal(60 * DIM, 1.0, seed.purpose("centers"));
    let mut data = normal(ITEMS * DIM, 0.6, seed.purpose("items"));
    let mut rng = seed.purpose("choice").rng();
    for row in data.chunks_exact_mut(DIM) {
        let center = &centers[rng.random_range(0..60) * DIM..][..DIM];
        row.iter_mut().zip(center).for_each(|(x, c)| *x += c);
    }
    Vectors::new(DIM, data, "test").unwrap()
}

fn built(vectors: &Vectors, settings: &HnswSettings, seed: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let bytes =
        build(vectors, settings, Seed::new(seed), folder.path(), &Context::silent()).unwrap();
    let written = files(folder.path()).into_iter().map(|path| path.metadata().unwrap().len());
    assert_eq!(bytes, written.sum::<u64>());
    folder
}

fn queries(n: usize) -> Vec<Vec<f32>> {
    normal(n * DIM, 1.0, Seed::new(77)).chunks_exact(DIM).map(<[f32]>::to_vec).collect()
}

fn refused(folder: &Path, vectors: &Vectors) -> String {
    let error = HnswIndex::load(folder, vectors, 64).err().unwrap();
    assert_eq!(error.exit_code(), 2, "{error}");
    error.to_string()
}

#[test]
fn nearly_all_of_the_nearest_are_found_with_the_scores_of_exact_search() {
    let vectors = clustered(1);
    let folder = built(&vectors, &HnswSettings::default(), 5);
    let index = HnswIndex::load(folder.path(), &vectors, 64).unwrap();
    let mut found = 0;
    for query in queries(100) {
        let list = index.search(&vectors, &query, 10, &[]).unwrap();
        let right = exact(&vectors, &query, 10, &[]);
        assert_eq!(list.len(), 10);
        assert!(list.windows(2).all(|pair| pair[0].1 >= pair[1].1));
        // Item and score: bit by bit those of exact search.
        found += list.iter().filter(|one| right.contains(one)).count();
        assert!(list.iter().all(|&(item, score)| score == dot(vectors.row(item as usize), &query)));
    }
    assert!(found >= 950, "{found} of 1,000");
    let asked: Vec<Query> =
        queries(100).into_iter().map(|vector| Query { vector, exclude: Vec::new() }).collect();
    let told = compare(&index, &vectors, &asked, 10, &Context::silent()).unwrap();
    assert!((told.recall_at_10 - found as f64 / 1_000.0).abs() < 1e-9, "{told:?}, {found}");
    assert!(told.requests == 100 && told.exact_us > 0.0 && told.approximate_us > 0.0);
    assert!((told.speedup - told.exact_us / told.approximate_us).abs() < 1e-9);
}

#[test]
fn a_bad_graph_is_measured_as_one() {
    let vectors = clustered(1);
    let settings =
        HnswSettings { connectivity: 2, expansion_add: 2, expansion_search: 1, seed: None };
    let folder = built(&vectors, &settings, 5);
    let index = HnswIndex::load(folder.path(), &vectors, 1).unwrap();
    let asked: Vec<Query> =
        queries(50).into_iter().map(|vector| Query { vector, exclude: Vec::new() }).collect();
    let told = compare(&index, &vectors, &asked, 10, &Context::silent()).unwrap();
    assert!(told.recall_at_10 < 0.9, "{told:?}");
}

#[test]
fn excluded_items_never_come_back_and_lists_are_full() {
    let vectors = clustered(2);
    let folder = built(&vectors, &HnswSettings::default(), 5);
    let index = HnswIndex::load(folder.path(), &vectors, 16).unwrap();
    for query in queries(20) {
        // Exactly those that would be found.
        let mut exclude: Vec<u32> =
            exact(&vectors, &query, 200, &[]).into_iter().map(|(item, _)| item).collect();
        exclude.sort_unstable();
        let list = index.search(&vectors, &query, 50, &exclude).unwrap();
        let items: BTreeSet<u32> = list.iter().map(|(item, _)| *item).collect();
        assert_eq!(items.len(), 50);
        assert!(exclude.iter().all(|item| !items.contains(item)));
    }
    let query = &queries(1)[0];
    // All but three; more than there are; items that do not exist.
    let most: Vec<u32> = (0..ITEMS as u32 - 3).collect();
    let rest = index.search(&vectors, query, 10, &most).unwrap();
    assert_eq!(rest, exact(&vectors, query, 10, &most));
    assert_eq!(rest.len(), 3);
    let all: Vec<u32> = (0..ITEMS as u32).collect();
    assert!(index.search(&vectors, query, 10, &all).unwrap().is_empty());
    assert!(index.search(&vectors, query, 0, &[]).unwrap().is_empty());
    assert_eq!(index.search(&vectors, query, 10, &[9_999_999]).unwrap().len(), 10);
    assert_eq!(index.search(&vectors, query, usize::MAX, &[]).unwrap().len(), ITEMS);
}

#[test]
fn equal_items_and_single_ones_make_full_lists() {
    for items in [1, 2, 500] {
        let vectors = Vectors::new(DIM, vec![0.5; items * DIM], "test").unwrap();
        let folder = built(&vectors, &HnswSettings::default(), 5);
        let index = HnswIndex::load(folder.path(), &vectors, 4).unwrap();
        let list = index.search(&vectors, &[1.0; DIM], 1_000, &[0]).unwrap();
        assert_eq!(list.len(), items - 1);
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let vectors = clustered(3);
    let read = |seed: u64| {
        let folder = built(&vectors, &HnswSettings::default(), seed);
        [INDEX_FILE, DESCRIPTION_FILE].map(|name| std::fs::read(folder.path().join(name)).unwrap())
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    let (one, again, other) = (read(5), pool.install(|| read(5)), read(6));
    assert!(one == again);
    assert!(one != other);
}

#[test]
fn any_number_of_threads_finds_what_one_finds() {
    let vectors = clustered(4);
    let folder = built(&vectors, &HnswSettings::default(), 5);
    let two = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let eight = rayon::ThreadPoolBuilder::new().num_threads(8).build().unwrap();
    // Room for two, asked by eight.
    let index = two.install(|| HnswIndex::load(folder.path(), &vectors, 64).unwrap());
    let queries = queries(200);
    let search = |query: &Vec<f32>| index.search(&vectors, query, 10, &[1, 2, 3]).unwrap();
    let alone: Vec<_> = queries.iter().map(search).collect();
    let together: Vec<_> = eight.install(|| queries.par_iter().map(search).collect());
    assert!(alone == together);
}

#[test]
fn other_vectors_are_refused_by_their_hash() {
    let vectors = clustered(5);
    let folder = built(&vectors, &HnswSettings::default(), 5);
    let mut data = vectors.data.to_vec();
    data[7] += 1.0;
    let other = Vectors::new(DIM, data, "other").unwrap();
    let text = refused(folder.path(), &other);
    for part in ["built for other vectors", &vectors.hash(), &other.hash(), "run the recipe again"]
    {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
    let fewer = Vectors::new(DIM, vectors.data[DIM..].to_vec(), "fewer").unwrap();
    assert!(refused(folder.path(), &fewer).contains("got 2999 of 24"));
}

#[test]
fn a_query_of_another_dimension_is_an_error() {
    let vectors = clustered(5);
    let folder = built(&vectors, &HnswSettings::default(), 5);
    let index = HnswIndex::load(folder.path(), &vectors, 64).unwrap();
    let error = index.search(&vectors, &[1.0; DIM + 1], 10, &[]).unwrap_err();
    assert!(error.to_string().contains("nearest-neighbor index"), "{error}");
}

#[test]
fn damaged_files_are_refused() {
    let vectors = clustered(6);
    let folder = built(&vectors, &HnswSettings::default(), 5);
    let path = folder.path().join(INDEX_FILE);
    let good = std::fs::read(&path).unwrap();
    // A new file each time: one that is mapped is never written to.
    let put = |bytes: &[u8]| {
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
    };
    for length in [0, 1, 100, good.len() / 2, good.len() - 1] {
        put(&good[..length]);
        let text = refused(folder.path(), &vectors);
        assert!(text.contains("truncated") || text.contains("empty"), "{text}");
    }
    for at in [0, 4, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 8;
        put(&bad);
        assert!(refused(folder.path(), &vectors).contains("altered"), "byte {at}");
    }
    put(&good);
    assert!(HnswIndex::load(folder.path(), &vectors, 64).is_ok());
    let sidecar = folder.path().join(DESCRIPTION_FILE);
    let text = std::fs::read_to_string(&sidecar).unwrap();
    for (from, to, says) in [
        ("\"format\": 1", "\"format\": 2", "has format version 2, expected 1"),
        ("inner-product", "euclidean", "describes hnsw by euclidean"),
        ("{", "", "not the description of an index"),
    ] {
        assert!(text.contains(from), "{text}");
        std::fs::write(&sidecar, text.replacen(from, to, 1)).unwrap();
        let told = refused(folder.path(), &vectors);
        assert!(told.contains(says), "{told}");
    }
    std::fs::remove_file(&sidecar).unwrap();
    assert!(refused(folder.path(), &vectors).contains(DESCRIPTION_FILE));
}

#[test]
fn an_interrupted_build_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let ctx = Context::new(true, stop);
    let settings = HnswSettings::default();
    let outcome = build(&clustered(1), &settings, Seed::new(5), folder.path(), &ctx);
    assert!(matches!(outcome, Err(Error::Interrupted)));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
