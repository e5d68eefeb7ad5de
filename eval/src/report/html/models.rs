//! Trainings, identifiers, calibration and leaks as the template sees them.

use serde::Serialize;

use super::cut;
use crate::report::chart::{self, Name, Series};
use crate::report::model::{IdentifierReport, Report, TrainingReport};
use crate::report::{link, numbers};

#[derive(Serialize)]
pub(super) struct Training {
    name: String,
    line: String,
    diverged: bool,
    /// Caption and drawing.
    charts: Vec<(String, String)>,
}

#[derive(Serialize)]
pub(super) struct Identifier {
    name: String,
    kind: String,
    facts: Vec<(String, String)>,
    levels: Vec<Level>,
    findings: Vec<String>,
}

#[derive(Serialize)]
struct Level {
    used: String,
    entropy: String,
    even: String,
    gini: String,
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

/// The loss with every further loss in one chart, then one chart per other figure.
fn training(at: usize, training: &TrainingReport) -> Training {
    let mut line = vec![format!("{} steps", numbers::count(training.steps))];
    if let Some(n) = training.parameters {
        line.push(format!("{} parameters trained", numbers::count(n)));
    }
    line.extend(training.seconds.map(numbers::seconds));
    if !training.objective.is_empty() {
        line.insert(0, training.objective.clone());
    }
    let own = training.points.iter().filter_map(|point| Some((point.step as f64, point.loss?)));
    let mut losses = vec![Series { label: "loss".to_owned(), points: own.collect() }];
    let mut others = Vec::new();
    let names: std::collections::BTreeSet<&String> =
        training.points.iter().flat_map(|point| point.extra.keys()).collect();
    for name in names {
        let points = training.points.iter();
        let points = points.filter_map(|point| Some((point.step as f64, *point.extra.get(name)?)));
        let series = Series { label: name.clone(), points: points.collect() };
        if name.ends_with("loss") { losses.push(series) } else { others.push(series) }
    }
    let mut charts = Vec::new();
    let mut add = |caption: String, series: &[Series]| {
        let name = Name {
            id: format!("chart-training-{at}-{}", charts.len()),
            title: format!("{caption} of {} by step", training.name),
            description: course(series),
        };
        let svg = chart::curves(&name, series);
        if !svg.is_empty() {
            charts.push((caption, svg));
        }
    };
    add("loss".to_owned(), &losses);
    for series in others {
        add(series.label.replace('_', " "), std::slice::from_ref(&series));
    }
    let (name, diverged) = (training.name.clone(), training.diverged);
    Training { name, line: line.join(" · "), diverged, charts }
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

pub(super) fn identifiers(report: &Report) -> Vec<Identifier> {
    report.identifiers.iter().enumerate().map(|(at, one)| identifier(at, one)).collect()
}

fn identifier(at: usize, identifier: &IdentifierReport) -> Identifier {
    let mut facts = vec![
        ("items", numbers::count(identifier.items)),
        ("different identifiers", numbers::count(identifier.distinct)),
        ("items that share theirs", numbers::percent(identifier.collision_rate)),
    ];
    facts.extend(identifier.largest_group.map(|n| ("most items under one", numbers::count(n))));
    facts.extend(identifier.index_bytes.map(|n| ("constraint index", numbers::bytes(n))));
    facts.extend(identifier.distortion.map(|value| ("distortion", numbers::short(value))));
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
            collisions: level
                .collision_rate
                .map_or_else(|| numbers::NONE.to_owned(), numbers::percent),
        }
    });
    Identifier {
        name: identifier.name.clone(),
        kind: identifier.kind.clone(),
        levels: levels.collect(),
        facts: facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        findings: identifier.findings.clone(),
    }
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
            link.as_deref(),
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
