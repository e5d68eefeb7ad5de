//! The table of systems as texts, shared by every form of the report: rows from best to worst, marks against the baseline.

use serde::Serialize;

use super::model::{Report, SystemReport, Verdict};
use super::{numbers, words};

/// What the marks mean, in words: mark and meaning.
pub(super) const MARKS: [(&str, &str); 3] = [
    ("▲", "significantly above the baseline"),
    ("▼", "significantly below the baseline"),
    ("○", "no difference from the baseline was shown"),
];

/// All rows.
#[derive(Debug, Serialize)]
pub(super) struct Table {
    /// Names of the metrics.
    pub(super) metrics: Vec<String>,
    /// Best first, ceilings last.
    pub(super) rows: Vec<Row>,
    /// Whether any system's latency is known.
    pub(super) has_latency: bool,
    /// Whether any system's memory is known.
    pub(super) has_memory: bool,
}

/// One system.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) baseline: bool,
    pub(super) ceiling: bool,
    pub(super) cells: Vec<Cell>,
    pub(super) p50: Figure,
    pub(super) p99: Figure,
    pub(super) memory: Figure,
    pub(super) unanswered: u64,
}

/// One metric of one system.
#[derive(Debug, Serialize)]
pub(super) struct Cell {
    pub(super) figure: Figure,
    /// `low to high`; empty where unknown.
    pub(super) interval: String,
    /// One of [`MARKS`]; empty for the baseline and where nothing was compared.
    pub(super) mark: &'static str,
    /// The mark and the comparison, in words.
    pub(super) explained: String,
    /// Highest of its column, ceilings apart.
    pub(super) best: bool,
}

/// A figure with the number it is sorted by.
#[derive(Debug, Serialize)]
pub(super) struct Figure {
    pub(super) text: String,
    pub(super) sort: Option<f64>,
}

impl Figure {
    fn new(value: Option<f64>, show: impl Fn(f64) -> String) -> Self {
        let sort = value.filter(|value| value.is_finite());
        Self { text: sort.map_or_else(|| numbers::NONE.to_owned(), show), sort }
    }
}

/// Builds the table.
pub(super) fn table(report: &Report) -> Table {
    let metrics = report.evaluation.metrics.clone();
    let best: Vec<Option<f64>> = metrics.iter().map(|metric| best_of(report, metric)).collect();
    let rows =
        words::ordered(report).into_iter().map(|one| row(report, one, &metrics, &best)).collect();
    Table {
        metrics,
        rows,
        has_latency: report.systems.iter().any(|one| one.latency_ms.is_some()),
        has_memory: report.systems.iter().any(|one| one.peak_bytes.is_some()),
    }
}

/// Highest mean of a metric when there is something to be higher than.
fn best_of(report: &Report, metric: &str) -> Option<f64> {
    let rivals = report.systems.iter().filter(|one| !one.is_ceiling());
    let values: Vec<f64> = rivals.filter_map(|one| words::mean(one, metric)).collect();
    if values.len() < 2 { None } else { values.into_iter().reduce(f64::max) }
}

fn row(report: &Report, system: &SystemReport, metrics: &[String], best: &[Option<f64>]) -> Row {
    let ceiling = system.is_ceiling();
    let cells = metrics
        .iter()
        .zip(best)
        .map(|(metric, best)| {
            let own = words::mean(system, metric);
            let interval = system.metrics.get(metric).map_or_else(String::new, |one| {
                format!("{} to {}", numbers::value(one.low), numbers::value(one.high))
            });
            let (mark, explained) = mark(report, system, metric);
            let best = !ceiling && own.is_some() && own == *best;
            Cell { figure: Figure::new(own, numbers::value), interval, mark, explained, best }
        })
        .collect();
    Row {
        name: system.name.clone(),
        kind: system.kind.clone(),
        baseline: report.baseline.as_deref() == Some(&system.name),
        ceiling,
        cells,
        p50: Figure::new(system.latency_ms.map(|one| one.p50), numbers::milliseconds),
        p99: Figure::new(system.latency_ms.map(|one| one.p99), numbers::milliseconds),
        memory: Figure::new(system.peak_bytes.map(|n| n as f64), |n| numbers::bytes(n as u64)),
        unanswered: system.unanswered,
    }
}

fn mark(report: &Report, system: &SystemReport, metric: &str) -> (&'static str, String) {
    let Some(one) = report.comparison(&system.name, metric) else {
        return ("", String::new());
    };
    let (mark, meaning) = match one.verdict {
        Verdict::Better => MARKS[0],
        Verdict::Worse => MARKS[1],
        Verdict::Inconclusive => MARKS[2],
    };
    let explained = format!(
        "{meaning}: {} ({} to {}), {}",
        numbers::signed(one.difference),
        numbers::signed(one.low),
        numbers::signed(one.high),
        numbers::p_value(one.p_adjusted)
    );
    (mark, explained)
}

/// Facts of the run as name and value, for every form of the report.
pub(super) fn facts(report: &Report) -> Vec<(String, String)> {
    let mut facts: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, value: String| facts.push((name.to_owned(), value));
    let counts = &report.counts;
    add("test requests", numbers::count(counts.evaluated));
    if let Some(items) = counts.items {
        add("items", numbers::count(items));
    }
    if let Some(requests) = counts.requests {
        add("requests in all", numbers::count(requests));
    }
    for (name, &value) in &counts.other {
        add(&name.replace('_', " "), numbers::count(value));
    }
    if counts.without_relevant > 0 {
        add("left out, nothing relevant", numbers::count(counts.without_relevant));
    }
    if counts.malformed_rows > 0 {
        add("malformed rows", numbers::count(counts.malformed_rows));
    }
    let evaluation = &report.evaluation;
    if let Some(split) = &evaluation.split {
        add("test split", split.clone());
    }
    add("relevant from grade", numbers::short(evaluation.relevant_grade));
    add("items ranked per request", numbers::count(u64::from(evaluation.depth)));
    add("bootstrap resamples", numbers::count(u64::from(evaluation.bootstrap)));
    if let Some(bytes) = report.index_bytes {
        add("constraint index", numbers::bytes(bytes));
    }
    add("seed", report.seed.to_string());
    facts
}

/// Where it ran, as name and value; what is unknown is left out.
pub(super) fn machine(report: &Report) -> Vec<(String, String)> {
    let machine = &report.machine;
    let threads = if machine.threads == 0 { String::new() } else { machine.threads.to_string() };
    [
        ("system", machine.os.clone()),
        ("processor", machine.cpu.clone()),
        ("threads", threads),
        ("gpu", machine.gpu.clone().unwrap_or_default()),
        ("memory", machine.memory_bytes.map_or_else(String::new, numbers::bytes)),
        ("trieval", machine.version.clone()),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}
