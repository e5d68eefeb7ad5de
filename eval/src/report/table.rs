//! The table of systems as texts, shared by every form of the report: rows from best to worst, marks against the baseline.

use serde::Serialize;

use super::model::{Comparison, Report, SliceReport, SystemReport, Verdict};
use super::{link, numbers, words};

/// What the marks mean, in words: mark and meaning.
pub(super) const MARKS: [(&str, &str); 3] = [
    ("▲", "significantly above the baseline"),
    ("▼", "significantly below the baseline"),
    ("○", "no difference from the baseline was shown"),
];

/// All rows.
#[derive(Debug, Serialize)]
pub(super) struct Table {
    /// The metrics, in the order of the report.
    pub(super) metrics: Vec<Column>,
    /// What running the systems costs: latency, memory, size and the operational figures that any system has.
    pub(super) costs: Vec<Column>,
    /// Best first, ceilings last.
    pub(super) rows: Vec<Row>,
}

/// One column.
#[derive(Debug, Serialize)]
pub(super) struct Column {
    pub(super) name: String,
    /// Whether less is better, so that sorting begins with the least.
    pub(super) lower: bool,
    /// Whether the terminal shows it; it has little room.
    #[serde(skip)]
    pub(super) short: bool,
}

/// One system.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) baseline: bool,
    pub(super) ceiling: bool,
    /// Address of its run.
    pub(super) link: Option<String>,
    /// One per metric.
    pub(super) cells: Vec<Cell>,
    /// One per cost.
    pub(super) costs: Vec<Figure>,
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
    /// `up` where the mark is good news, `down` where it is bad.
    pub(super) tone: &'static str,
    /// The mark and the comparison, in words.
    pub(super) explained: String,
    /// Best of its column, ceilings apart.
    pub(super) best: bool,
}

/// A figure with the number it is sorted by.
#[derive(Debug, Serialize)]
pub(super) struct Figure {
    pub(super) text: String,
    pub(super) sort: Option<f64>,
    /// Whether it should not be so, as with a rate that must be 0.
    pub(super) fault: bool,
}

impl Figure {
    /// The figure as text; a dash where it is unknown or not finite.
    pub(super) fn new(value: Option<f64>, show: impl Fn(f64) -> String) -> Self {
        let sort = value.filter(|value| value.is_finite());
        let text = sort.map_or_else(|| numbers::NONE.to_owned(), show);
        Self { text, sort, fault: false }
    }
}

impl Row {
    /// What is said behind the name of a system that is no rival; empty for one that is.
    pub(super) fn note(&self) -> &'static str {
        match (self.baseline, self.ceiling) {
            (true, _) => " (baseline)",
            (_, true) => " (ceiling)",
            (false, false) => "",
        }
    }
}

/// Builds the table.
pub(super) fn table(report: &Report) -> Table {
    let metrics = &report.evaluation.metrics;
    let best: Vec<Option<f64>> = metrics.iter().map(|metric| best_of(report, metric)).collect();
    let costs = costs(report);
    let row = |system: &SystemReport| Row {
        name: system.name.clone(),
        kind: system.kind.clone(),
        baseline: report.baseline.as_deref() == Some(&system.name),
        ceiling: system.is_ceiling(),
        link: link::run(system),
        cells: metrics
            .iter()
            .zip(&best)
            .map(|(metric, best)| cell(report, system, metric, *best))
            .collect(),
        costs: costs.iter().map(|cost| cost.figure(system)).collect(),
        unanswered: system.unanswered,
    };
    let column = |metric: &String| Column {
        name: metric.clone(),
        lower: words::lower_is_better(report, metric),
        short: true,
    };
    Table {
        metrics: metrics.iter().map(column).collect(),
        rows: words::ordered(report).into_iter().map(row).collect(),
        costs: costs.into_iter().map(Cost::column).collect(),
    }
}

/// A cost that at least one system has.
enum Cost {
    P50,
    P95,
    P99,
    Memory,
    Size,
    Operational(String),
}

impl Cost {
    fn value(&self, system: &SystemReport) -> Option<f64> {
        let latency = system.latency_ms;
        match self {
            Self::P50 => latency.map(|one| one.p50),
            Self::P95 => latency.and_then(|one| one.p95),
            Self::P99 => latency.map(|one| one.p99),
            Self::Memory => system.peak_bytes.map(|bytes| bytes as f64),
            Self::Size => system.bytes.map(|bytes| bytes as f64),
            Self::Operational(name) => system.operational.get(name).copied(),
        }
    }

    fn figure(&self, system: &SystemReport) -> Figure {
        let value = self.value(system);
        match self {
            Self::P50 | Self::P95 | Self::P99 => Figure::new(value, numbers::milliseconds),
            Self::Memory | Self::Size => Figure::new(value, |bytes| numbers::bytes(bytes as u64)),
            Self::Operational(name) => Figure {
                fault: MUST_BE_ZERO.contains(&name.as_str()) && value.is_some_and(|v| v > 0.0),
                ..Figure::new(value, |value| numbers::operational(name, value))
            },
        }
    }

    fn column(self) -> Column {
        let short = matches!(self, Self::P50 | Self::P99 | Self::Memory);
        let (name, lower) = match self {
            Self::P50 => ("p50".to_owned(), true),
            Self::P95 => ("p95".to_owned(), true),
            Self::P99 => ("p99".to_owned(), true),
            Self::Memory => ("memory".to_owned(), true),
            Self::Size => ("size".to_owned(), true),
            Self::Operational(name) => {
                (numbers::operational_name(&name), !HIGHER_IS_BETTER.contains(&name.as_str()))
            }
        };
        Column { name, lower, short }
    }
}

/// Operational figures of which more is better.
const HIGHER_IS_BETTER: [&str; 4] = ["qps", "qps_batch", "index_recall_at_10", "index_speedup"];

/// Rates of lists that hold what cannot be shown, or the same twice.
const MUST_BE_ZERO: [&str; 2] = ["invalid_rate", "duplicate_rate"];

fn costs(report: &Report) -> Vec<Cost> {
    let names: std::collections::BTreeSet<&String> =
        report.systems.iter().flat_map(|system| system.operational.keys()).collect();
    let known = [Cost::P50, Cost::P95, Cost::P99, Cost::Memory, Cost::Size];
    let further = names.into_iter().map(|name| Cost::Operational(name.clone()));
    let has = |cost: &Cost| report.systems.iter().any(|system| cost.value(system).is_some());
    known.into_iter().chain(further).filter(has).collect()
}

/// Best mean of a metric when there is something to be better than.
fn best_of(report: &Report, metric: &str) -> Option<f64> {
    let rivals = report.systems.iter().filter(|one| !one.is_ceiling());
    let values: Vec<f64> = rivals.filter_map(|one| words::mean(one, metric)).collect();
    if values.len() < 2 {
        return None;
    }
    let lower = words::lower_is_better(report, metric);
    values.into_iter().reduce(if lower { f64::min } else { f64::max })
}

fn cell(report: &Report, system: &SystemReport, metric: &str, best: Option<f64>) -> Cell {
    let own = words::mean(system, metric);
    let interval = system.metrics.get(metric).map_or_else(String::new, |one| {
        format!("{} to {}", numbers::value(one.low), numbers::value(one.high))
    });
    let comparison = report.comparison(&system.name, metric);
    let (mark, meaning) = comparison.map_or(("", ""), mark);
    let explained =
        comparison.map_or_else(String::new, |one| format!("{meaning}: {}", explained(one)));
    let tone = match comparison.map(|one| one.verdict) {
        Some(Verdict::Better) => "up",
        Some(Verdict::Worse) => "down",
        _ => "",
    };
    let best = !system.is_ceiling() && own.is_some() && own == best;
    Cell { figure: Figure::new(own, numbers::value), interval, mark, tone, explained, best }
}

/// The mark of a comparison and what it means.
pub(super) fn mark(one: &Comparison) -> (&'static str, &'static str) {
    match one.significant {
        true if one.difference > 0.0 => MARKS[0],
        true => MARKS[1],
        false => MARKS[2],
    }
}

/// Difference, interval and p value of a comparison, in words.
fn explained(one: &Comparison) -> String {
    format!(
        "{} ({} to {}), {}",
        numbers::signed(one.difference),
        numbers::signed(one.low),
        numbers::signed(one.high),
        numbers::p_value(one.p_adjusted)
    )
}

/// One training of a system that was given with several seeds.
#[derive(Debug, Serialize)]
pub(super) struct SeedRow {
    pub(super) system: String,
    /// The seed, or the training's number where it is not known.
    pub(super) seed: String,
    /// One per metric.
    pub(super) figures: Vec<Figure>,
}

/// Figures of the single trainings, systems in the order of the table; their means stand there.
pub(super) fn seeds(report: &Report) -> Vec<SeedRow> {
    let of_system = |system: &SystemReport| {
        let n_seeds = system.seed_values.values().map(Vec::len).max().unwrap_or(0);
        let row = |at: usize| SeedRow {
            system: system.name.clone(),
            seed: system.seeds.get(at).map_or_else(|| format!("no. {}", at + 1), u64::to_string),
            figures: report
                .evaluation
                .metrics
                .iter()
                .map(|metric| system.seed_values.get(metric)?.get(at).copied())
                .map(|value| Figure::new(value, numbers::value))
                .collect(),
        };
        (0..n_seeds).map(row).collect::<Vec<_>>()
    };
    words::ordered(report).into_iter().flat_map(of_system).collect()
}

/// One compared pair on the first metric.
#[derive(Debug, Serialize)]
pub(super) struct Pair {
    pub(super) system: String,
    pub(super) baseline: String,
    /// Address of the system's run, where its figures lead.
    pub(super) link: Option<String>,
    /// Address of the other's run.
    pub(super) baseline_link: Option<String>,
    pub(super) difference: Figure,
    pub(super) interval: String,
    pub(super) p_value: Figure,
    pub(super) mark: &'static str,
    /// Requests won, tied and lost; empty where they were not counted.
    pub(super) requests: String,
    /// Cohen's d of the paired differences.
    pub(super) effect: Figure,
    /// Whether non-inferiority was shown; empty where it was not tested.
    pub(super) non_inferior: &'static str,
    pub(super) test: String,
}

/// Every compared pair on the first metric: those with the baseline first, then the others in the order of the report.
pub(super) fn pairs(report: &Report) -> Vec<Pair> {
    let Some(metric) = report.evaluation.metrics.first() else {
        return Vec::new();
    };
    let all = report.comparisons.iter().chain(&report.pairs);
    let mut seen = std::collections::BTreeSet::new();
    all.filter(|one| one.metric == *metric)
        .map(|one| {
            let base = report.baseline.as_deref().unwrap_or_default();
            let baseline = if one.baseline.is_empty() { base } else { &one.baseline };
            let requests = if one.wins + one.ties + one.losses == 0 {
                String::new()
            } else {
                let [wins, ties, losses] = [one.wins, one.ties, one.losses].map(numbers::count);
                format!("{wins} / {ties} / {losses}")
            };
            Pair {
                system: one.system.clone(),
                baseline: baseline.to_owned(),
                link: link::run_of(report, &one.system),
                baseline_link: link::run_of(report, baseline),
                difference: Figure::new(Some(one.difference), numbers::signed),
                interval: format!("{} to {}", numbers::signed(one.low), numbers::signed(one.high)),
                p_value: Figure::new(Some(one.p_adjusted), numbers::p_value),
                mark: mark(one).0,
                requests,
                effect: Figure::new(one.effect_size, numbers::signed),
                non_inferior: match (one.non_inferior, one.margin) {
                    (Some(true), _) => "shown",
                    (Some(false), _) => "refuted",
                    (None, Some(_)) => "not shown",
                    (None, None) => "",
                },
                test: one.test.clone(),
            }
        })
        .filter(|one| seen.insert((one.system.clone(), one.baseline.clone())))
        .collect()
}

/// What the requests that figures rest on are called.
const TEST_REQUESTS: &str = "test requests";

/// Facts of the run as name and value, for every form of the report.
pub(super) fn facts(report: &Report) -> Vec<(String, String)> {
    let mut facts: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, value: String| facts.push((name.to_owned(), value));
    let counts = &report.counts;
    let named = |name: &str| name.replace('_', " ");
    let in_test = counts.other.iter().find(|(name, _)| named(name) == TEST_REQUESTS);
    // Where all of them were evaluated, one figure says so.
    let some = in_test.is_some_and(|(_, &value)| value != counts.evaluated);
    add(if some { "requests evaluated" } else { TEST_REQUESTS }, numbers::count(counts.evaluated));
    if let Some(items) = counts.items {
        add("items", numbers::count(items));
    }
    if let Some(requests) = counts.requests {
        add("requests in all", numbers::count(requests));
    }
    for (name, &value) in &counts.other {
        if some || named(name) != TEST_REQUESTS {
            add(&named(name), numbers::count(value));
        }
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
    let margin = report.comparisons.iter().chain(&report.pairs).find_map(|one| one.margin);
    if let Some(margin) = margin {
        add("margin of non-inferiority", numbers::short(margin));
    }
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
        ("commit", machine.commit.clone().unwrap_or_default()),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// What the figures rest on: name, checksum, size.
pub(super) fn fingerprints(report: &Report) -> Vec<(String, String, String)> {
    let size = |bytes: Option<u64>| bytes.map_or_else(|| numbers::NONE.to_owned(), numbers::bytes);
    let all = report.fingerprints.iter();
    all.map(|one| (one.name.clone(), one.checksum.clone(), size(one.bytes))).collect()
}

/// The run that each system's figures come from: system, path, address.
pub(super) fn runs(report: &Report) -> Vec<(String, String, String)> {
    let run = |system: &SystemReport| {
        Some((system.name.clone(), system.run.clone()?, link::run(system)?))
    };
    report.systems.iter().filter_map(run).collect()
}

/// Divisions of the requests: each with its slices, in the order of the report.
pub(super) fn divisions(report: &Report) -> Vec<(&str, Vec<&SliceReport>)> {
    let mut divisions: Vec<(&str, Vec<&SliceReport>)> = Vec::new();
    for slice in &report.slices {
        match divisions.iter_mut().find(|(by, _)| *by == slice.by) {
            Some((_, slices)) => slices.push(slice),
            None => divisions.push((&slice.by, vec![slice])),
        }
    }
    divisions
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn best_follows_the_direction_of_the_metric() {
        let mut report = sample::report();
        let best = |report: &Report| {
            let table = table(report);
            let rows = table.rows.iter().filter(|row| row.cells[0].best);
            rows.map(|row| row.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(best(&report), ["aligned"]);
        sample::turn(&mut report);
        assert_eq!(best(&report), ["popularity"]);
        let table = table(&report);
        let aligned = table.rows.iter().find(|row| row.name == "aligned").unwrap();
        assert_eq!((aligned.cells[0].mark, aligned.cells[0].tone), ("▲", "down"));
    }

    #[test]
    fn no_fact_is_told_twice() {
        let mut report = sample::report();
        report.counts.evaluated = 1_733;
        report.counts.other.insert("test_requests".into(), 1_733);
        let told = |report: &Report| {
            let facts = facts(report).into_iter();
            let of =
                facts.filter(|(name, _)| name.contains("test req") || name.contains("evaluated"));
            of.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>()
        };
        assert_eq!(told(&report), ["test requests 1,733"]);
        report.counts.evaluated = 100;
        assert_eq!(told(&report), ["requests evaluated 100", "test requests 1,733"]);
    }

    #[test]
    fn costs_are_those_that_some_system_has() {
        let table = table(&sample::report());
        let names: Vec<&str> = table.costs.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "p50",
                "p95",
                "p99",
                "memory",
                "size",
                "build time",
                "bytes per item",
                "duplicates",
                "invalid",
                "requests/s"
            ]
        );
        let supervised = table.rows.iter().find(|row| row.name == "supervised").unwrap();
        assert!(supervised.costs[7].fault && !supervised.costs[8].fault);
        assert!(super::table(&Report::default()).costs.is_empty());
    }

    #[test]
    fn every_seed_has_a_row_in_the_order_of_the_systems() {
        let mut report = sample::report();
        assert!(seeds(&report).is_empty());
        sample::train_twice(&mut report);
        let rows = seeds(&report);
        let names: Vec<(&str, &str)> =
            rows.iter().map(|row| (row.system.as_str(), row.seed.as_str())).collect();
        assert_eq!(
            names,
            [
                ("aligned", "17"),
                ("aligned", "18"),
                ("supervised", "no. 1"),
                ("supervised", "no. 2")
            ]
        );
        let texts: Vec<&str> = rows[1].figures.iter().map(|one| one.text.as_str()).collect();
        // Only the first metric has a value for every seed.
        assert_eq!((texts[0], texts[1], texts.len()), ("0.457", numbers::NONE, 5));
    }

    #[test]
    fn a_pair_is_listed_once_and_found_from_both_sides() {
        let report = sample::report();
        let pairs = pairs(&report);
        assert_eq!(pairs.len(), 6 + 10);
        assert_eq!((pairs[0].system.as_str(), pairs[0].baseline.as_str()), ("popularity", "bm25"));
        let there = report.between("aligned", "two-tower", "recall@10").unwrap();
        let back = report.between("two-tower", "aligned", "recall@10").unwrap();
        assert!((there.difference + back.difference).abs() < 1e-15);
        assert_eq!((there.wins, there.low), (back.losses, -back.high));
        assert_eq!((back.system.as_str(), back.baseline.as_str()), ("two-tower", "aligned"));
        let against = report.between("bm25", "aligned", "recall@10").unwrap();
        assert_eq!((against.verdict, against.baseline.as_str()), (Verdict::Worse, "aligned"));
    }
}
