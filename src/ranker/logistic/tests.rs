//! The model as a whole: gradients, what is learned, what is kept.

use super::examples::Known;
use super::settings::{FeatureSettings, LogisticSettings, Reads};
use super::*;
use crate::corpus::kinds::CorpusSettings;
use crate::corpus::settings::SimulatorSettings;
use crate::corpus::testing::Shop;
use crate::corpus::{LabelRule, build};
use crate::inputs::testing::Place;
use crate::progress::Context;
use crate::seed::Seed;
use crate::train::held_out::Nobody;

/// A ranker of these features, without validation.
pub(super) fn settings(features: Vec<FeatureSettings>) -> LogisticSettings {
    let mut settings: LogisticSettings =
        serde_json::from_value(serde_json::json!({ "name": "ctr", "features": [] }))
            .expect("settings");
    settings.features = features;
    settings.course.validation = None;
    settings
}

fn feature(column: &str, reads: Reads) -> FeatureSettings {
    FeatureSettings { column: column.into(), reads, buckets: None }
}

/// What examples are made of.
struct Made {
    places: Places,
    sides: Vec<Side>,
    daily: DailyStatistics,
}

impl Made {
    fn of(corpus: &Corpus, settings: &LogisticSettings) -> Self {
        let places = Places::of(settings).expect("places");
        let sides = places.items(corpus).expect("items");
        Self { places, sides, daily: DailyStatistics::of(corpus).expect("daily") }
    }
}

fn examples<'a>(
    made: &'a Made,
    corpus: &Corpus,
    settings: &LogisticSettings,
) -> (Examples<'a>, Layout) {
    let Made { places, sides, daily } = made;
    let labels =
        corpus.labels(Split::Train, &settings.label, &places.of_showing()).expect("labels");
    let known = Known { items: sides, daily: Some(daily), rate: 0.25 };
    let requests = corpus.requests(Split::Train).expect("requests");
    let examples = Examples::new(places, &known, &requests, &labels, &Asked::default());
    let examples = examples.expect("examples");
    let mut gathering = Gathering::new(&settings.features);
    examples.gather(&mut gathering);
    (examples, gathering.finish(settings))
}

#[test]
fn the_loss_and_its_gradient_are_those_of_the_formula() {
    let shop = Shop::written();
    let mut settings = settings(vec![
        feature("item.stock", Reads::Number),
        feature("item.title", Reads::Words),
        feature("user.segment", Reads::Category),
        feature("impression.position", Reads::Category),
        feature("item.past_rate", Reads::Number),
    ]);
    let of = vec!["item.title".to_owned(), "user.segment".to_owned()];
    settings.crosses = vec![super::settings::CrossSettings { of, buckets: 5 }];
    let made = Made::of(&shop.corpus, &settings);
    let (examples, layout) = examples(&made, &shop.corpus, &settings);
    let n = layout.size();
    let values: Vec<f32> = (0..n).map(|at| ((at * 7 % 11) as f32 - 5.0) / 10.0).collect();
    let bias = Var::new(&[0.3f32], &Device::Cpu).expect("bias");
    let of = |values: &[f32]| {
        let weights = Var::from_slice(values, (n, 1), &Device::Cpu).expect("weights");
        let loss = Batch::of(&examples, &layout, 0..examples.len()).loss(&weights, &bias);
        f64::from(loss.and_then(|loss| Ok(loss.to_scalar::<f32>()?)).expect("loss"))
    };
    let by_hand: f64 = (0..examples.len())
        .map(|number| {
            let mut entries = Vec::new();
            examples.encode(number, &layout, &mut entries);
            let odds = 0.3 + entries.iter().map(|e| values[e.0 as usize] * e.1).sum::<f32>();
            let sign = if examples.is_positive(number) { -1.0 } else { 1.0 };
            f64::from(sign * odds).exp().ln_1p()
        })
        .sum();
    assert!((of(&values) - by_hand).abs() < 1e-5);
    // The gradient of a weight is the sum of (p − label) times its values.
    for weight in 0..n {
        let mut gradient = 0.0;
        for number in 0..examples.len() {
            let mut entries = Vec::new();
            examples.encode(number, &layout, &mut entries);
            let odds = 0.3 + entries.iter().map(|e| values[e.0 as usize] * e.1).sum::<f32>();
            let label = f32::from(u8::from(examples.is_positive(number)));
            let off = 1.0 / (1.0 + (-odds).exp()) - label;
            let read = entries.iter().filter(|e| e.0 as usize == weight).map(|e| e.1);
            gradient += f64::from(off * read.sum::<f32>());
        }
        let moved = |by: f32| {
            let mut moved = values.clone();
            moved[weight] += by;
            of(&moved)
        };
        let slope = (moved(5e-3) - moved(-5e-3)) / 1e-2;
        assert!((slope - gradient).abs() < 2e-3, "{weight}: {slope} {gradient}");
    }
}

#[test]
fn the_past_of_an_example_ends_before_its_day() {
    let shop = Shop::written();
    let settings = settings(vec![feature("item.past_chosen", Reads::Number)]);
    let made = Made::of(&shop.corpus, &settings);
    let (examples, layout) = examples(&made, &shop.corpus, &settings);
    let number = |at| {
        let mut entries = Vec::new();
        examples.encode(at, &layout, &mut entries);
        let super::layout::Input::Number { mean, deviation } = layout.inputs[0] else {
            panic!("a number")
        };
        entries[0].1 * deviation + mean
    };
    // Request 0 is of day 0; on day 1, item 0 was shown once and not clicked, item 1 clicked once.
    let found: Vec<f32> = (0..4).map(number).collect();
    for (found, expected) in found.iter().zip([0.0, 0.0, 0.0, 1.0]) {
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
}

/// A shop, fitted by few features.
fn fitted(folder: &std::path::Path) -> (Logistic, Corpus) {
    let shop = SimulatorSettings {
        items: 120,
        users: 30,
        requests: 900,
        days: 9,
        ..SimulatorSettings::default()
    };
    let corpus = folder.join("corpus");
    let shop = CorpusSettings::Simulator(shop);
    build(&shop, Seed::new(3), &corpus, &Context::silent()).expect("corpus");
    let mut settings = settings(vec![
        feature("request.query", Reads::Words),
        feature("item.title", Reads::Words),
        feature("item.price", Reads::Log),
        feature("impression.position", Reads::Category),
    ]);
    settings.overlaps = vec![["request.query".into(), "item.title".into()]];
    settings.course.epochs = 3.0;
    settings.course.batch = 128;
    let out = folder.join("out");
    let place = Place::new(Some(&corpus), &out, &folder.join("work"));
    let ctx = Context::silent();
    fit(&settings, Asked::default(), &place.step(Seed::new(5), &ctx), &Nobody).expect("fit");
    let corpus = Corpus::open(&corpus).expect("corpus");
    (Logistic::load(&out, 120, Asked::default()).expect("model"), corpus)
}

#[test]
fn it_learns_keeps_what_it_learned_and_scores_alike_in_every_seat() {
    let folder = tempfile::tempdir().expect("folder");
    let (model, corpus) = fitted(folder.path());
    let labels = corpus.labels(Split::Validation, &LabelRule::default(), &["position"]);
    let labels = labels.expect("labels");
    let requests = corpus.requests(Split::Validation).expect("requests");
    let (mut loss, mut blind, mut n) = (0.0, 0.0, 0.0);
    let (all, positive) = labels.counts();
    let mean = positive as f64 / all as f64;
    for (request, page) in &labels.pages {
        let request = requests.iter().find(|one| one.idx == *request).expect("a request");
        let mut slate = Slate::new(&request.ask, page.iter().map(|one| one.item).collect());
        let cells = page.iter().map(|one| one.cells[0].clone()).collect();
        slate.put("impression.position".into(), crate::ranker::slate::Column::Cells(cells));
        let outputs = model.outputs(&slate).expect("outputs");
        assert_eq!((outputs.len(), outputs[0].name.as_str()), (1, "click"));
        for (one, &p) in page.iter().zip(&outputs[0].values) {
            let of = |p: f64| -(if one.is_positive { p } else { 1.0 - p }).ln();
            (loss, blind, n) = (loss + of(f64::from(p)), blind + of(mean), n + 1.0);
        }
    }
    // Better than one who knows the mean of these very labels.
    assert!(loss / n < blind / n - 0.01, "{} {}", loss / n, blind / n);
    let ask = &requests[0].ask;
    let list = model.retrieve(ask, 10, &[3]).expect("list");
    assert!(list.len() == 10 && list.iter().all(|one| one.0 != 3));
    let slate = Slate::new(ask, list.iter().map(|one| one.0).collect());
    let scores = &model.outputs(&slate).expect("outputs")[0].values;
    assert_eq!(*scores, list.iter().map(|one| one.1).collect::<Vec<_>>());
    let again = Logistic::load(&folder.path().join("out"), 120, Asked::default()).expect("model");
    assert_eq!(again.retrieve(ask, 10, &[3]).expect("list"), list);
    let message =
        Logistic::load(&folder.path().join("out"), 121, Asked::default()).err().expect("a fault");
    assert!(message.to_string().contains("knows 120 items"), "{message}");
}

#[test]
fn labels_of_one_class_are_refused() {
    let shop = Shop::written();
    let folder = tempfile::tempdir().expect("folder");
    let mut settings = settings(vec![feature("item.stock", Reads::Number)]);
    settings.label = LabelRule { signal: "saves".into(), from: 9.0 };
    let (out, work) = (folder.path().join("out"), folder.path().join("work"));
    let place = Place::new(Some(shop.corpus.folder()), &out, &work);
    let ctx = Context::silent();
    let error = fit(&settings, Asked::default(), &place.step(Seed::new(5), &ctx), &Nobody)
        .expect_err("a fault");
    let message = error.to_string();
    assert!(
        message.contains("0 of 3 training impressions have a `saves` of 9 or more"),
        "{message}"
    );
}
