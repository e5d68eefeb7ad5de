//! A whole training of an RQ-VAE: what it learns, that it resumes exactly, and that new items get the codes of old ones.
#![allow(clippy::unwrap_used)]

use rand::Rng;

use super::*;
use crate::inputs::testing::Place;
use crate::quantizer::assign;

fn settings(more: &str) -> RqVaeSettings {
    let text = format!(
        "vectors = \"v\"\nlevels = 2\ncodes = 8\ndim = 4\nhidden = [16]\nepochs = 30\nbatch = 64\nrevive_steps = 20\n{more}"
    );
    toml::from_str(&text).unwrap()
}

/// Points near a curved surface of two dimensions in eight.
fn surface(items: usize) -> Vectors {
    let mut rng = Seed::new(5).rng();
    let data: Vec<f32> = (0..items)
        .flat_map(|_| {
            let (u, v): (f32, f32) = (rng.random_range(-2.0..2.0), rng.random_range(-2.0..2.0));
            let (s, c) = (u.sin(), v.cos());
            [u, v, s, c, u * v, s * c, u - v, s + c].map(|x| 3.0 * x + 10.0)
        })
        .collect();
    Vectors { dim: 8, data: data.into() }
}

struct Run {
    ids: Identifiers,
    log: String,
}

fn run(settings: &RqVaeSettings, vectors: &Vectors, ctx: &Context) -> Run {
    let root = tempfile::tempdir().unwrap();
    let [out, work] = ["out", "work"].map(|name| root.path().join(name));
    let place = Place::new(None, &out, &work);
    let ids = fit(settings, &Items::of(vectors), "c", &place.step(Seed::new(1), ctx)).unwrap();
    assert!(stored_parameters(&out).unwrap() > 8 * 16 * 2);
    let log = std::fs::read_to_string(out.join("train.jsonl")).unwrap();
    Run { ids, log }
}

fn reconstruction(log: &str, at: impl Fn(usize) -> usize) -> f64 {
    let lines: Vec<&str> = log.lines().collect();
    let record: serde_json::Value = serde_json::from_str(lines[at(lines.len())]).unwrap();
    record["reconstruction"].as_f64().unwrap()
}

#[test]
fn it_learns_its_codes_are_used_and_new_items_get_them() {
    let vectors = surface(600);
    let Run { ids, log } = run(&settings(""), &vectors, &Context::silent());
    let (first, last) = (reconstruction(&log, |_| 0), reconstruction(&log, |n| n - 1));
    assert!(last < 0.3 * first, "{first} {last}");
    assert!(log.contains("codes_used/1") && log.contains("codes_perplexity/2"), "{log}");
    assert_eq!(
        (ids.levels[..2].to_vec(), ids.centroids.dim, ids.centroids.reads()),
        (vec![8, 8], 4, 8)
    );
    let left: Vec<f64> = ids.diagnostics.levels.iter().filter_map(|one| one.residual).collect();
    assert!(left[1] < left[0], "{left:?}");
    assert!(ids.diagnostics.levels[0].usage.iter().all(|&count| count > 0));
    let assigned = assign(&ids, &vectors).unwrap();
    for (item, codes) in assigned.chunks_exact(2).enumerate() {
        assert_eq!(codes, &ids.codes_of(item).unwrap()[..2]);
    }
    assert!(
        assign(&ids, &crate::quantizer::levels::random(3, 4)).is_err(),
        "codes are of 4, vectors of 8"
    );
    // What it wrote can be read, and says the same.
    let folder = tempfile::tempdir().unwrap();
    ids.save(folder.path()).unwrap();
    let back = Identifiers::load(folder.path(), None).unwrap();
    assert_eq!(assign(&back, &vectors).unwrap(), assigned);
}

/// Items of one person come to share codes, though their vectors hardly speak of it.
#[test]
fn items_that_were_chosen_together_come_to_share_codes() {
    let mut vectors = crate::quantizer::levels::random(200, 8);
    // Persons choose within one of ten groups, which two of the eight numbers tell, with little weight.
    for (item, row) in vectors.data.to_mut().chunks_exact_mut(8).enumerate() {
        let angle = (item % 10) as f32 * 0.628;
        (row[6], row[7]) = (0.3 * angle.cos(), 0.3 * angle.sin());
    }
    let histories: Vec<Vec<u32>> = (0..400)
        .map(|user| (0..5).map(|k| (user % 10) + 10 * ((user / 10 + 3 * k) % 20)).collect())
        .collect();
    let shared = |more: &str| {
        let mut settings = settings(&format!("optimizer = {{ learning_rate = 5e-3 }}\n{more}"));
        settings.course.epochs = 120.0;
        let items = Items { histories: Some(histories.clone()), ..Items::of(&vectors) };
        let root = tempfile::tempdir().unwrap();
        let [out, work] = ["out", "work"].map(|name| root.path().join(name));
        let (place, ctx) = (Place::new(None, &out, &work), Context::silent());
        let ids = fit(&settings, &items, "c", &place.step(Seed::new(1), &ctx)).unwrap();
        let log = std::fs::read_to_string(out.join("train.jsonl")).unwrap();
        assert_eq!(log.contains("co_choice"), !more.is_empty());
        let first = |item: u32| ids.codes_of(item as usize).unwrap()[0];
        let pairs = || histories.iter().flat_map(|one| one.windows(2));
        let same = pairs().filter(|pair| first(pair[0]) == first(pair[1])).count();
        same as f64 / pairs().count() as f64
    };
    let (alone, pulled) = (shared(""), shared("co_choice = { weight = 1.0 }"));
    assert!(pulled > 1.5 * alone, "{alone} {pulled}");
    assert_eq!(pulled, shared("co_choice = { weight = 1.0 }"));
}

#[test]
fn the_same_bits_on_any_number_of_threads_and_another_seed_is_another_network() {
    let vectors = surface(200);
    let settings = settings("validation = { requests = 50, patience = 50 }");
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run(&settings, &vectors, &Context::silent()).ids)
    };
    assert_eq!(on(1), on(3));
}

#[test]
fn a_validation_by_loss_can_end_a_training_early() {
    let vectors = surface(200);
    let settings = settings(
        "validation = { every_steps = 2, requests = 50, patience = 1 }\noptimizer = { learning_rate = 0.0 }",
    );
    let log = run(&settings, &vectors, &Context::silent()).log;
    assert!(log.contains("validation/loss"), "{log}");
    assert!(
        log.lines().count() <= 6,
        "nothing gets better at a rate of 0: {}",
        log.lines().count()
    );
}

#[test]
fn balanced_levels_give_codes_about_equally_many_items() {
    let vectors = surface(640);
    let of = |more: &str| {
        let ids = run(&settings(more), &vectors, &Context::silent()).ids;
        let usage = &ids.diagnostics.levels[1].usage;
        f64::from(usage[0]) / 80.0
    };
    assert!(of("balanced = \"last\"") < 1.25);
}
