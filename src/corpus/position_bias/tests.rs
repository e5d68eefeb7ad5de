//! Bias told from logs of which it is known.

#![allow(clippy::unwrap_used)]

use rand::Rng;
use rand::seq::SliceRandom;

use super::super::build::build;
use super::super::kinds::CorpusSettings;
use super::super::settings::{SimulatorSettings, WorldSettings};
use super::*;
use crate::corpus::{Corpus, Level, Split};
use crate::progress::Context;
use crate::seed::Seed;

/// A log: requests, and what was shown for each.
type Log = (Vec<Request>, Vec<Vec<Impression>>);

/// The training log of a simulated shop of this exponent.
fn simulated(exponent: f64, seed: u64) -> Log {
    let folder = tempfile::tempdir().unwrap();
    let world = WorldSettings { examination_exponent: exponent, ..WorldSettings::default() };
    let settings = SimulatorSettings { requests: 30_000, world, ..SimulatorSettings::default() };
    let settings = CorpusSettings::Simulator(settings);
    build(&settings, Seed::new(seed), folder.path(), &Context::silent()).unwrap();
    let corpus = Corpus::open(folder.path()).unwrap();
    let requests = corpus.requests(Split::Train).unwrap();
    let mut pages = vec![Vec::new(); requests.len()];
    for page in corpus.impressions().unwrap() {
        let (request, page) = page.unwrap();
        pages[request as usize] = page;
    }
    (requests, pages)
}

fn without_propensities((requests, mut pages): Log) -> Log {
    pages.iter_mut().flatten().for_each(|shown| shown.propensity = None);
    (requests, pages)
}

fn told(log: &Log, by: Told) -> Result<PositionBias, Untold> {
    PositionBias::of(&log.0, &log.1, by)
}

#[test]
fn the_exponent_of_a_simulated_log_is_found_both_ways() {
    for (exponent, seed) in [(0.5, 1), (1.0, 2), (1.5, 3)] {
        let log = simulated(exponent, seed);
        let swaps = told(&log, Told::Swaps).unwrap();
        assert_eq!(told(&log, Told::Log).unwrap(), swaps);
        let log = without_propensities(log);
        let em = told(&log, Told::Em).unwrap();
        assert_eq!(told(&log, Told::Log).unwrap(), em);
        for (bias, by) in [(swaps, Told::Swaps), (em, Told::Em)] {
            let found = bias.exponent;
            assert!((found - exponent).abs() < 0.05, "{by:?}: {found} of {exponent}");
            assert!(bias.error > 0.0 && bias.error < 0.05, "{}", bias.error);
            assert_eq!((bias.told, bias.examined[0]), (Some(by), 1.0));
            for position in [2u16, 5, 10, 20] {
                let law = f64::from(position).powf(-exponent);
                let ratio = bias.at(position) / law;
                assert!((0.75..1.33).contains(&ratio), "{by:?}, {exponent}, {position}: {ratio}");
            }
        }
    }
}

/// Pages of items of known relevance in random order, each clicked by a law of its own.
fn drawn(theta: &[f64], pages: usize, seed: u64) -> Log {
    let mut rng = Seed::new(seed).rng();
    let n = theta.len() as u32;
    let mut log = (Vec::new(), Vec::new());
    for idx in 0..pages as u32 {
        let mut request = Request { split: Split::Train, ..Request::bare(idx) };
        request.ask.query = Some(format!("query {}", idx % 50));
        let mut items: Vec<u32> = (0..n).collect();
        items.shuffle(&mut rng);
        let page = (1..).zip(items).zip(theta).map(|((position, item), theta)| {
            let click = rng.random_bool(theta * (0.1 + 0.8 * f64::from(item) / f64::from(n)));
            let level = Level(u8::from(click));
            let propensity = Some(1.0 / n as f32);
            Impression { item, position, click, level, propensity, ..Impression::default() }
        });
        log.1.push(page.collect());
        log.0.push(request);
    }
    log
}

#[test]
fn no_law_is_forced_on_positions_that_were_clicked_often() {
    // The third place is a banner that everyone sees.
    let theta = [0.8, 0.4, 0.72, 0.16];
    for by in [Told::Swaps, Told::Em] {
        let bias = told(&drawn(&theta, 20_000, 4), by).unwrap();
        for (found, theta) in bias.examined.iter().zip(theta) {
            assert!((found - theta / 0.8).abs() < 0.03, "{by:?}: {:?}", bias.examined);
        }
    }
}

#[test]
fn the_order_of_the_log_changes_nothing() {
    let (requests, pages) = drawn(&[0.9, 0.5, 0.3], 400, 5);
    let mut order: Vec<usize> = (0..requests.len()).collect();
    for round in 0..3 {
        order.shuffle(&mut Seed::new(round).rng());
        let shuffled = (
            order.iter().map(|&one| requests[one].clone()).collect(),
            order.iter().map(|&one| pages[one].iter().rev().copied().collect()).collect(),
        );
        for by in [Told::Swaps, Told::Em] {
            let log = (requests.clone(), pages.clone());
            assert_eq!(told(&log, by), told(&shuffled, by));
        }
    }
}

#[test]
fn positions_that_are_never_swapped_with_others_lie_around_the_law() {
    // Places 1 and 2 are swapped with each other, and 3 with 4.
    let mut log = drawn(&[1.0, 0.5], 40_000, 6);
    let other = drawn(&[0.4, 0.3], 40_000, 7);
    for (page, below) in log.1.iter_mut().zip(other.1) {
        page.extend(below.into_iter().map(|shown| Impression {
            item: shown.item + 10,
            position: shown.position + 2,
            ..shown
        }));
    }
    let bias = told(&log, Told::Swaps).unwrap();
    let ratio = |a: usize, b: usize| bias.examined[a] / bias.examined[b];
    assert!((ratio(1, 0) - 0.5).abs() < 0.04 && (ratio(3, 2) - 0.75).abs() < 0.04, "{bias:?}");
    let law = 3f64.powf(-bias.exponent);
    assert!((0.6..1.6).contains(&(bias.examined[2] / law)), "{bias:?}");
}

#[test]
fn a_log_that_cannot_tell_says_why() {
    let why = |log: &Log, by| told(log, by).unwrap_err().0;
    let log = drawn(&[0.9, 0.5, 0.3], 400, 8);
    let none = without_propensities((log.0.clone(), log.1.clone()));
    assert!(why(&none, Told::Swaps).contains("no propensities"));
    let mut unclicked = (log.0.clone(), log.1.clone());
    unclicked.1.iter_mut().flatten().for_each(|shown| shown.level = Level(0));
    for by in [Told::Swaps, Told::Em, Told::Log] {
        assert!(why(&unclicked, by).contains("nothing that was shown for a query was clicked"));
    }
    let mut one = (log.0.clone(), log.1.clone());
    one.1.iter_mut().flatten().for_each(|shown| shown.position = 1);
    assert!(why(&one, Told::Log).contains("no item was shown at two positions"));
    let few = (log.0[..8].to_vec(), log.1[..8].to_vec());
    assert!(why(&few, Told::Em).contains("no item was shown at two positions"));
    let mut silent = (log.0.clone(), log.1.clone());
    silent.0.iter_mut().for_each(|request| request.ask.query = None);
    assert!(why(&silent, Told::Em).contains("nothing that was shown for a query was clicked"));
}

#[test]
fn a_given_law_holds_for_every_position() {
    let bias = PositionBias::fixed(0.5);
    assert_eq!((bias.at(1), bias.at(4), bias.told), (1.0, 0.5, None));
    assert_eq!(bias.at(0), 1.0);
}
