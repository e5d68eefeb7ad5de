//! Rates by hand, what is refused, and what the file holds.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use super::counts::{Counts, Fault};
use super::settings::ClickRateSettings;
use super::*;
use crate::corpus::testing::Shop;
use crate::corpus::{LabelRule, Labelled, Labels};
use crate::kind::{Fact, Kind};
use crate::ranker::kinds::{Predicts, SystemKind};
use crate::store::{Packer, SealKind};

fn rule(signal: &str, from: f64) -> LabelRule {
    LabelRule { signal: signal.into(), from }
}

fn settings(keys: &str) -> ClickRateSettings {
    toml::from_str(&format!("name = \"rate\"\n{keys}")).unwrap()
}

/// Labels of one page per list of `(item, whether it is positive)`.
fn labels(pages: &[&[(u32, bool)]]) -> Labels {
    let one = |&(item, is_positive): &(u32, bool)| Labelled { item, is_positive, cells: vec![] };
    let page = |page: &&[(u32, bool)]| page.iter().map(one).collect();
    Labels { pages: (0..).zip(pages.iter().map(page)).collect(), unknown: 0 }
}

/// Of five items: 0 was shown three times and positive once, 1 once and positive, 3 four times
/// and never positive; 2 and 4 were not shown.
fn counts() -> Counts {
    let pages: [&[(u32, bool)]; 4] = [
        &[(0, true), (3, false), (1, true)],
        &[(3, false), (0, false)],
        &[(3, false)],
        &[(0, false), (3, false)],
    ];
    Counts::of(&labels(&pages), 5).unwrap()
}

#[test]
fn a_rate_is_that_of_the_item_and_of_the_mean() {
    // 2 of 8 are positive.
    let expected = [(1.0 + 0.5) / 5.0, (1.0 + 0.5) / 3.0, 0.25, 0.5 / 6.0, 0.25];
    assert_eq!(counts().rates(2.0), expected.map(|rate: f64| rate as f32));
    let expected = [(1.0 + 25.0) / 103.0, 26.0 / 101.0, 0.25, 25.0 / 104.0, 0.25];
    assert_eq!(counts().rates(100.0), expected.map(|rate: f64| rate as f32));
    // A prior says more of an item the less it was shown.
    let distance = |prior| (counts().rates(prior)[1] - 0.25).abs();
    assert!(distance(1.0) > distance(20.0) && distance(20.0) > distance(1e6));
}

#[test]
fn rates_are_counted_by_the_signal() {
    let shop = Shop::written();
    let rates = |rule: &LabelRule| Counts::read(&shop.corpus, rule).unwrap().rates(1.0);
    // Each item was shown to both training requests and clicked by one; validation and test pages
    // show item 1 without a click.
    assert_eq!(rates(&LabelRule::default()), [0.5, 0.5]);
    // Item 1 was saved by request 0, and nobody recorded whether by request 1: 1 of 3.
    let expected = [(1.0 / 3.0) / 3.0, (1.0 + 1.0 / 3.0) / 2.0];
    assert_eq!(rates(&rule("saves", 2.0)), expected.map(|rate: f64| rate as f32));
    // All that request 0 was shown is of a session that came to something; request 1 has none.
    let bought = Counts::read(&shop.corpus, &rule("session.bought", 1.0)).unwrap_err();
    let message = bought.to_string();
    assert!(message.contains("is 1 or more for every impression of training"), "{message}");
}

#[test]
fn without_a_label_or_a_positive_one_there_is_no_rate() {
    let shop = Shop::written();
    let message = Counts::read(&shop.corpus, &rule("saves", 7.0)).unwrap_err().to_string();
    assert!(message.contains("`saves` is 7 or more for no impression of training"), "{message}");
    assert!(message.contains("help: lower `label.from`"), "{message}");
    assert_eq!(Counts::of(&labels(&[&[(0, false)]]), 1), Err(Fault::NoPositive));
    let unknown = Labels { pages: vec![], unknown: 3 };
    let fault = Counts::of(&unknown, 1).unwrap_err();
    let message = fault.in_corpus(Path::new("shop"), &rule("saves", 1.0)).to_string();
    assert!(message.contains("`saves` was recorded for no impression"), "{message}");
    assert!(message.contains("help: name another signal"), "{message}");
    assert!(Counts::read(&shop.corpus, &rule("saved", 1.0)).is_err());
}

#[test]
fn the_best_rates_come_first_and_given_items_are_scored() {
    let ranker = ClickRate::new(&counts(), 2.0, "click");
    let ask = Ask::default();
    let items = |depth, exclude: &[u32]| -> Vec<u32> {
        let ranked = ranker.retrieve(&ask, depth, exclude).unwrap();
        ranked.into_iter().map(|(item, _)| item).collect()
    };
    // Equal rates by item.
    assert_eq!(items(9, &[]), [1, 0, 2, 4, 3]);
    assert_eq!(items(2, &[0, 1]), [2, 4]);
    let rank = ranker.as_rank().unwrap();
    let outputs = rank.outputs(&Slate::new(&ask, vec![4, 3, 1])).unwrap();
    let values = vec![0.25, 0.5 / 6.0, 0.5];
    assert_eq!(outputs, [Output { name: "click".into(), values, variance: None }]);
}

#[test]
fn counts_read_back_and_damaged_ones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let counts = counts();
    counts.write(folder.path()).unwrap();
    assert_eq!(Counts::open(folder.path(), 5).unwrap(), counts);
    let refused = |n_items, says: &str| {
        let message = Counts::open(folder.path(), n_items).unwrap_err().to_string();
        assert!(message.contains(says), "{message}");
    };
    refused(6, "expected 6 items, got 5");
    let file = Counts::file(folder.path());
    let whole = std::fs::read(&file).unwrap();
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for damaged in [&whole[..whole.len() - 1], &flipped] {
        std::fs::write(&file, damaged).unwrap();
        assert!(Counts::open(folder.path(), 5).is_err());
    }
    let sealed = |shown: &[u32], positives: &[u32], more: bool| {
        let mut table = Packer::default();
        table.number(2);
        table.numbers(shown);
        table.numbers(positives);
        if more {
            table.number(0);
        }
        table.write(&file, SealKind { kind: "rates", version: 1 }).unwrap();
    };
    sealed(&[3, 1], &[1, 1], false);
    assert!(Counts::open(folder.path(), 2).is_ok());
    sealed(&[3, 1], &[1, 1], true);
    refused(2, "behind the last table");
    sealed(&[3], &[1, 1], false);
    refused(2, "not of all items");
    sealed(&[3, 1], &[1, 2], false);
    refused(2, "more impressions are positive");
    sealed(&[3, 1], &[0, 0], false);
    refused(2, "or none is");
    std::fs::remove_file(&file).unwrap();
    refused(2, "cannot be read");
}

#[test]
fn it_says_what_it_needs_and_what_its_scores_are() {
    let plain = settings("");
    assert_eq!((plain.prior, &plain.label), (20.0, &rule("click", 1.0)));
    let facts = |settings: &ClickRateSettings| -> Vec<Fact> {
        settings.needs().into_iter().map(|need| need.fact).collect()
    };
    assert_eq!(facts(&plain), [Fact::Impressions, Fact::Signal("click".into())]);
    let saves = settings("label = { signal = \"saves\" }\nprior = 3");
    assert_eq!(facts(&saves), [Fact::Impressions, Fact::Signal("saves".into())]);
    assert!(saves.abilities().ranks);
    assert_eq!(saves.predicts(), Predicts::Probabilities);
    // The index holds counts alone: it is that of any prior.
    let index = |settings: &ClickRateSettings| settings.prepared().unwrap().settings;
    assert_eq!(index(&plain), index(&settings("prior = 3")));
    assert_ne!(index(&plain), index(&saves));
    assert_ne!(index(&plain), index(&settings("label = { from = 0.5 }")));
}
