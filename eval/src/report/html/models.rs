//! Trainings, identifiers, calibration and leaks as the template sees them.

use std::collections::BTreeSet;

use serde::Serialize;

use super::cut;
use crate::report::chart::{self, Name, Series};
use crate::report::model::{
    IdentifierReport, PairReport, Report, SpansReport, TrainingPoint, TrainingReport,
};
use crate::report::{link, numbers, words};

#[derive(Serialize)]
pub(super) struct Training {
    name: String,
    line: String,
    diverged: bool,
    /// How it went, in a word; empty where that was not judged.
    verdict: &'static str,
    /// Why.
    sentences: Vec<String>,
    /// Caption and drawing.
    charts: Vec<(String, String)>,
    /// What is to be said of its pairs.
    told: Vec<String>,
    /// Some of them: query, chosen, rejected, reason, weight.
    pairs: Vec<[String; 5]>,
}

#[derive(Serialize)]
pub(super) struct Identifier {
    name: String,
    kind: String,
    facts: Vec<(String, String)>,
    levels: Vec<Level>,
    /// Drawing of all levels; may be empty.
    shape: String,
    findings: Vec<String>,
}

#[derive(Serialize)]
struct Level {
    used: String,
    entropy: String,
    even: String,
    gini: String,
    deviation: String,
    /// Of the most frequent code, and of the ten most frequent.
    top: String,
    fan_out: String,
    /// Evenness and Gini over training targets.
    targets: String,
    collisions: String,
    bars: String,
}

#[derive(Serialize)]
pub(super) struct Reliability {
    system: String,
    link: Option<String>,
    svg: String,
    /// Bin, mean prediction, share that came true, count.
    rows: Vec<(String, String, String, String)>,
}

#[derive(Serialize)]
pub(super) struct Leak {
    what: String,
    count: String,
    share: String,
    none: bool,
    examples: Vec<String>,
}

pub(super) fn trainings(report: &Report) -> Vec<Training> {
    report.training.iter().enumerate().map(|(at, one)| training(at, one)).collect()
}

fn training(at: usize, training: &TrainingReport) -> Training {
    let mut line = vec![format!("{} steps", numbers::count(training.steps))];
    if let Some(n) = training.parameters {
        line.push(format!("{} parameters trained", numbers::count(n)));
    }
    line.extend(training.seconds.map(numbers::seconds));
    if !training.objective.is_empty() {
        line.insert(0, training.objective.clone());
    }
    let mut charts = Vec::new();
    for (caption, lines) in drawn(training) {
        let name = Name {
            id: format!("chart-training-{at}-{}", charts.len()),
            title: format!("{caption} of {} by step", training.name),
            description: course(&lines),
        };
        let svg = chart::curves(&name, &lines);
        if !svg.is_empty() {
            charts.push((caption, svg));
        }
    }
    let (name, diverged) = (training.name.clone(), training.diverged);
    let health = training.health.as_ref();
    let verdict = health.map(|one| one.course.name()).unwrap_or_default();
    let sentences = health.map(|one| one.sentences.clone()).unwrap_or_default();
    let told = training.pairs.iter().flat_map(|pairs| pairs.sentences.clone()).collect();
    let pairs = training.pairs.iter().flat_map(|pairs| &pairs.sample).map(sampled).collect();
    Training { name, line: line.join(" · "), diverged, verdict, sentences, charts, told, pairs }
}

fn sampled(pair: &PairReport) -> [String; 5] {
    let query = pair.query.clone().unwrap_or_else(|| numbers::NONE.to_owned());
    let weight = numbers::short(pair.weight);
    [query, pair.chosen.clone(), pair.rejected.clone(), pair.reason.clone(), weight]
}

/// Charts by what people call them: caption, and lines by figure of the log and label.
const CHARTS: [(&str, &[(&str, &str)]); 7] = [
    (
        "Loss",
        &[
            ("loss", "training"),
            ("loss/preference", "of pairs alone"),
            ("validation_loss", "validation"),
            ("validation/loss", "validation"),
        ],
    ),
    (
        "Log-probability gained since the start (nats)",
        &[("drift/chosen", "chosen items"), ("drift/rejected", "rejected items")],
    ),
    ("Share of pairs won by the chosen item", &[("rewards/accuracies", "pairs won")]),
    ("Margin of rewards, chosen over rejected", &[("rewards/margins", "margin")]),
    ("Divergence from the start (nats)", &[("kl/first_token", "divergence")]),
    ("Probability of tokens that no item has", &[("mass/illegal", "illegal")]),
    ("Gradient norm", &[("grad_norm", "largest")]),
];
/// Figures of the log that a chart of others shows already, up to a factor or a constant.
const TOLD: [&str; 5] =
    ["logps/chosen", "logps/rejected", "rewards/chosen", "rewards/rejected", "drift/probe"];
/// Prefix of figures of validation.
const VALIDATION: &str = "validation/";

/// The charts of a training that have figures: those that decide first, then those that are known, then any other.
fn drawn(training: &TrainingReport) -> Vec<(String, Vec<Series>)> {
    let points = |name: &str| -> Vec<(f64, f64)> {
        let value = |point: &TrainingPoint| match name {
            "loss" => point.loss,
            _ => point.extra.get(name).copied(),
        };
        let points = training.points.iter();
        points.filter_map(|point| Some((point.step as f64, value(point)?))).collect()
    };
    let known: BTreeSet<&str> = CHARTS
        .iter()
        .flat_map(|(_, lines)| lines.iter().map(|(name, _)| *name))
        .chain(TOLD)
        .collect();
    let names: BTreeSet<&str> = training
        .points
        .iter()
        .flat_map(|point| point.extra.keys().map(String::as_str))
        .filter(|name| !known.contains(name))
        .collect();
    let further = |name: &&str| match name.strip_prefix(VALIDATION) {
        Some(metric) => (format!("{metric} on the validation requests"), metric.to_owned()),
        None => (name.replace('_', " "), name.replace('_', " ")),
    };
    let (validated, others): (Vec<&str>, Vec<&str>) =
        names.into_iter().partition(|name| name.starts_with(VALIDATION));
    let single = |name: &&str| {
        let (caption, label) = further(name);
        (caption, vec![Series { label, points: points(name) }])
    };
    let of_table = |(caption, lines): &(&str, &[(&str, &str)])| {
        let lines = lines
            .iter()
            .map(|(name, label)| Series { label: (*label).to_owned(), points: points(name) });
        let lines: Vec<Series> = lines.filter(|one| !one.points.is_empty()).collect();
        ((*caption).to_owned(), lines)
    };
    let mut charts: Vec<(String, Vec<Series>)> = CHARTS.iter().map(of_table).collect();
    charts.splice(1..1, validated.iter().map(single));
    charts.extend(others.iter().map(single));
    charts.retain(|(_, lines)| !lines.is_empty());
    charts
}

/// From where to where each line runs, in words.
fn course(series: &[Series]) -> String {
    let line = |one: &Series| {
        let mut finite = one.points.iter().filter(|point| point.1.is_finite());
        let first = finite.next()?;
        let last = finite.next_back().unwrap_or(first);
        let label = one.label.replace('_', " ");
        Some(format!("{label} from {} to {}", numbers::short(first.1), numbers::short(last.1)))
    };
    let lines: Vec<String> = series.iter().filter_map(line).collect();
    lines.join("; ")
}

fn known(value: Option<f64>, text: fn(f64) -> String) -> String {
    value.map_or_else(|| numbers::NONE.to_owned(), text)
}

pub(super) fn identifiers(report: &Report) -> Vec<Identifier> {
    report.identifiers.iter().enumerate().map(|(at, one)| identifier(at, one)).collect()
}

fn identifier(at: usize, identifier: &IdentifierReport) -> Identifier {
    let mut facts = vec![("items", numbers::count(identifier.items))];
    facts.extend(identifier.fitted.map(|n| ("items that codes were fitted on", numbers::count(n))));
    facts.extend(identifier.distinct.map(|n| ("different identifiers", numbers::count(n))));
    let share = identifier.collision_rate.map(numbers::percent);
    facts.extend(share.map(|share| ("items that find theirs taken", share)));
    facts.extend(identifier.largest_group.map(|n| ("most items under one", numbers::count(n))));
    // A density of 2e-6 reads better as one in half a million.
    let density = identifier.path_density.filter(|&density| density > 0.0 && density.is_finite());
    let one_in = |density: f64| format!("one in {}", numbers::count((1.0 / density) as u64));
    facts.extend(density.map(|density| ("possible paths taken", one_in(density))));
    if let Some(outcome) = &identifier.outcome {
        facts.push(("told apart by", outcome.collisions.clone()));
        let removed = |n: u64| ("codes removed from level 2", numbers::count(n));
        facts.extend(outcome.removed.map(removed));
        if outcome.moved > 0 {
            facts.push(("items moved to another code", numbers::count(outcome.moved)));
        }
        facts.push(("identifiers in the end", numbers::count(outcome.leaves)));
        facts.push(("most items under one then", numbers::count(outcome.most_items_per_leaf)));
    }
    let index = identifier.index_bytes.filter(|_| identifier.spans.is_empty());
    facts.extend(index.map(|n| ("constraint index", numbers::bytes(n))));
    facts.extend(identifier.distortion.map(|value| ("distortion", numbers::short(value))));
    if let Some(one) = &identifier.together {
        let levels = (1..).zip(one.shared.iter().zip(&one.by_chance));
        let levels = levels.map(|(level, (shared, chance))| {
            let [shared, chance] = [shared, chance].map(|share| numbers::percent(*share));
            format!("to level {level} {shared} (by chance {chance})")
        });
        let levels: Vec<String> = levels.collect();
        facts.push(("items chosen together share codes", levels.join("; ")));
    }
    if let Some(one) = &identifier.ceiling {
        let value = |value: f64| format!("{} {}", one.metric, numbers::value(value));
        facts.push(("exact search over its vectors", value(one.exact)));
        facts.push(("search through its codes", value(one.codes)));
        facts.push(("the same, ordered by vectors", value(one.ranked)));
    }
    let mut facts: Vec<(String, String)> =
        facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    for one in &identifier.spans {
        // Where several models say them, each fact names its own.
        let of =
            if identifier.spans.len() > 1 { format!(" of {}", one.model) } else { String::new() };
        facts.extend(spans(one).into_iter().map(|(name, value)| (format!("{name}{of}"), value)));
    }
    let levels = identifier.levels.iter().enumerate().map(|(index, level)| {
        let used = format!("{} of {}", numbers::count(level.used), numbers::count(level.codes));
        let name = Name {
            id: format!("chart-codes-{at}-{index}"),
            title: format!("items per code of level {}, highest first", index + 1),
            description: format!(
                "{used} codes are used; evenness {}.",
                numbers::percent(level.normalized_entropy)
            ),
        };
        Level {
            bars: chart::usage(&name, &level.usage, level.codes),
            used,
            entropy: format!("{} bits", numbers::short(level.entropy_bits)),
            even: numbers::percent(level.normalized_entropy),
            gini: numbers::short(level.gini),
            deviation: known(level.deviation, numbers::short),
            top: match (level.top_1_share, level.top_10_share) {
                (Some(one), Some(ten)) => {
                    format!("{}, {}", numbers::percent(one), numbers::percent(ten))
                }
                _ => numbers::NONE.to_owned(),
            },
            fan_out: known(level.fan_out, numbers::short),
            targets: level.targets.map_or_else(
                || numbers::NONE.to_owned(),
                |one| {
                    let even = numbers::percent(one.normalized_entropy);
                    format!("{even}, {}", numbers::short(one.gini))
                },
            ),
            collisions: known(level.collision_rate, numbers::percent),
        }
    });
    Identifier {
        name: identifier.name.clone(),
        kind: identifier.kind.clone(),
        shape: chart::hourglass(
            &Name {
                id: format!("chart-shape-{at}"),
                title: format!("shape of {}", identifier.name),
                description: "One bar per level, as wide as its codes are used evenly: full width is perfectly even."
                    .to_owned(),
            },
            &identifier.levels,
        ),
        levels: levels.collect(),
        facts,
        findings: identifier.findings.clone(),
    }
}

/// What there is of spans in the tokens of a model.
fn spans(one: &SpansReport) -> Vec<(&'static str, String)> {
    let per_token =
        one.bytes_per_token().map(|n| format!(", {} bytes per token", numbers::short(n)));
    let index = format!("{}{}", numbers::bytes(one.index_bytes), per_token.unwrap_or_default());
    vec![
        ("texts", numbers::count(one.texts)),
        ("tokens of texts", numbers::count(one.tokens)),
        ("items without a token", numbers::count(one.silent)),
        ("most tokens of a span", numbers::count(one.longest)),
        ("index of all spans", index),
        ("what is said", one.views_in_words()),
    ]
}

pub(super) fn reliability(report: &Report) -> Vec<Reliability> {
    let one = |(at, one): (usize, &crate::report::model::ReliabilityReport)| {
        let link = link::run_of(report, &one.system);
        Reliability {
        system: one.system.clone(),
        svg: chart::reliability(
            &Name {
                id: format!("chart-reliability-{at}"),
                title: format!("reliability of {}", one.system),
                description: "Share that came true by mean prediction; the dashed diagonal is perfect calibration."
                    .to_owned(),
            },
            &one.bins,
            words::look(report, &one.system),
        ),
        rows: one
            .bins
            .iter()
            .map(|bin| {
                (
                    format!("{} to {}", numbers::short(bin.low), numbers::short(bin.high)),
                    numbers::value(bin.mean_prediction),
                    numbers::value(bin.share_positive),
                    numbers::count(bin.count),
                )
            })
            .collect(),
        link,
    }
    };
    report.reliability.iter().enumerate().map(one).collect()
}

pub(super) fn leaks(report: &Report) -> Vec<Leak> {
    let leak = |one: &crate::report::model::LeakReport| Leak {
        what: one.what.clone(),
        count: numbers::count(one.count),
        share: numbers::percent(one.share),
        none: one.count == 0,
        examples: one.examples.iter().take(5).map(|text| cut(text, 120)).collect(),
    };
    report.leaks.iter().map(leak).collect()
}
