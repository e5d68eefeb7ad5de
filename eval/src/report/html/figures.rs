//! The charts of the page that show systems: what is drawn, and what each chart says of itself.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::report::chart::{self, Axis, Interval, Key, Name, SliceDot, SliceRow, Spot};
use crate::report::model::{Estimate, Report, SliceReport, SystemReport};
use crate::report::table::{Figure, divisions as divide};
use crate::report::words;
use crate::report::{link, numbers};

/// Most systems in the charts of slices; the tables have all.
const SLICE_SYSTEMS: usize = 5;
/// Most further metrics whose slices are shown as tables; the JSON form has all.
const SLICE_METRICS: usize = 5;

pub(super) fn intervals(report: &Report) -> String {
    let Some(metric) = report.evaluation.metrics.first() else {
        return String::new();
    };
    let rows: Vec<Interval<'_>> = words::ordered(report)
        .into_iter()
        .filter_map(|system| {
            let one = system.metrics.get(metric)?;
            Some(Interval {
                index: words::look(report, &system.name),
                label: &system.name,
                value: one.value,
                low: one.low,
                high: one.high,
                baseline: report.baseline.as_deref() == Some(&system.name),
                ceiling: system.is_ceiling(),
                link: link::run(system),
            })
        })
        .collect();
    let name = Name {
        id: "chart-outcome".to_owned(),
        title: format!("{metric} by system, with intervals"),
        description: words::summary(report).headline.to_string(),
    };
    chart::intervals(&name, &rows)
}

/// Quality against cost.
#[derive(Serialize)]
pub(super) struct Costs {
    key: String,
    charts: Vec<Chart>,
}

/// A chart and its caption.
#[derive(Serialize)]
pub(super) struct Chart {
    caption: String,
    svg: String,
}

/// The first metric against median latency and against memory, where at least two systems have them.
pub(super) fn costs(report: &Report) -> Option<Costs> {
    let metric = report.evaluation.metrics.first()?;
    let lower_is_better = words::lower_is_better(report, metric);
    let spots = |cost: &dyn Fn(&SystemReport) -> Option<f64>| -> Vec<Spot<'_>> {
        let spot = |system| spot(report, system, metric, cost(system)?);
        // What a ceiling costs says nothing: it looks its answers up.
        let rivals = words::ordered(report).into_iter().filter(|one| !one.is_ceiling());
        rivals.filter_map(spot).collect()
    };
    let mut charts = Vec::new();
    let mut add = |id: &str, against: &str, show: fn(f64) -> String, spots: Vec<Spot<'_>>| {
        let name = Name {
            id: id.to_owned(),
            title: format!("{metric} against {against}"),
            description: format!(
                "One marker per system with its interval. Cheaper systems stand further left, better ones further {}.",
                if lower_is_better { "down" } else { "up" }
            ),
        };
        let label = format!("{against}, logarithmic");
        let svg = chart::scatter(&name, &spots, &Axis { label, show, lower_is_better });
        if !svg.is_empty() {
            charts.push(Chart { caption: name.title, svg });
        }
    };
    let latency = |system: &SystemReport| system.latency_ms.map(|one| one.p50);
    add("chart-latency", "median latency", numbers::milliseconds, spots(&latency));
    let bytes = |value: f64| numbers::bytes(value as u64);
    // Size of index and model says more than the peak of the process, which holds the corpus as well.
    let size = |system: &SystemReport| system.bytes.map(|n| n as f64);
    let peak = |system: &SystemReport| system.peak_bytes.map(|n| n as f64);
    if spots(&size).len() > 1 {
        add("chart-memory", "size of index and model", bytes, spots(&size));
    } else {
        add("chart-memory", "peak memory", bytes, spots(&peak));
    }
    let rivals = words::ordered(report).into_iter().filter(|one| !one.is_ceiling());
    let names: Vec<&str> = rivals.map(|one| one.name.as_str()).collect();
    (!charts.is_empty()).then(|| Costs { key: key(report, &names), charts })
}

/// Color and shape of these systems, each name leading to its run.
fn key(report: &Report, names: &[&str]) -> String {
    let entry = |label: &&'_ str| Key {
        index: words::look(report, label),
        label: (*label).to_owned(),
        link: link::run_of(report, label),
    };
    let entries: Vec<Key> = names.iter().map(entry).collect();
    chart::key(&entries)
}

/// The key of all systems, the ceilings too.
pub(super) fn all_systems(report: &Report) -> String {
    let names: Vec<&str> =
        words::ordered(report).into_iter().map(|one| one.name.as_str()).collect();
    key(report, &names)
}

fn spot<'a>(
    report: &Report,
    system: &'a SystemReport,
    metric: &str,
    cost: f64,
) -> Option<Spot<'a>> {
    let one = system.metrics.get(metric)?;
    Some(Spot {
        label: &system.name,
        index: words::look(report, &system.name),
        cost,
        value: one.value,
        low: one.low,
        high: one.high,
        baseline: report.baseline.as_deref() == Some(&system.name),
    })
}

/// Figures over parts of the requests.
#[derive(Serialize)]
pub(super) struct Divisions {
    key: String,
    /// How many systems the charts leave out.
    left_out: usize,
    divisions: Vec<Division>,
    /// The same divisions by further metrics: metric and tables.
    further: Vec<(String, Vec<Division>)>,
    /// Further metrics that are not shown.
    n_hidden: usize,
}

/// One division of the requests.
#[derive(Serialize)]
pub(super) struct Division {
    by: String,
    svg: String,
    /// What its slices are: one sentence for all of them, or several by name of the slice.
    meanings: Vec<(String, String)>,
    /// Value, meaning and number of requests of each slice.
    slices: Vec<(String, String, String)>,
    rows: Vec<SliceSystemRow>,
}

#[derive(Serialize)]
struct SliceSystemRow {
    name: String,
    /// Figure, interval, whether it is the best of its slice.
    cells: Vec<(Figure, String, bool)>,
}

pub(super) fn divisions(report: &Report) -> Option<Divisions> {
    let (metric, others) = report.evaluation.metrics.split_first()?;
    if report.slices.is_empty() {
        return None;
    }
    let shown = shown_systems(report);
    let estimates = || {
        let all = report.slices.iter().flat_map(|slice| &slice.systems);
        all.filter(|system| shown.contains(&system.name.as_str()))
            .filter_map(|system| system.metrics.get(metric))
    };
    let low = estimates().map(|one| one.low).fold(f64::INFINITY, f64::min);
    let high = estimates().map(|one| one.high).fold(f64::NEG_INFINITY, f64::max);
    // Means are compared by length from 0 where 0 is near.
    let low = if low > 0.0 && low < 0.5 * high { 0.0 } else { low };
    let all = divide(report);
    let divisions = all
        .iter()
        .enumerate()
        .map(|(at, (by, slices))| {
            let svg = chart::slices(
                &Name {
                    id: format!("chart-slice-{at}"),
                    title: format!("{metric} by {by}"),
                    description: format!(
                        "A band per slice, in it the means and intervals of {}.",
                        shown.join(", ")
                    ),
                },
                &rows(report, slices, metric, &shown),
                (low, high),
            );
            division(report, by, slices, metric, svg)
        })
        .collect();
    let tables = |metric: &String| {
        let tables = all.iter();
        let tables = tables.map(|(by, slices)| division(report, by, slices, metric, String::new()));
        (metric.clone(), tables.collect())
    };
    let has = |metric: &&String| {
        let mut systems = report.slices.iter().flat_map(|slice| &slice.systems);
        systems.any(|system| system.metrics.contains_key(*metric))
    };
    let further: Vec<&String> = others.iter().filter(has).collect();
    let rivals = report.systems.iter().filter(|one| !one.is_ceiling()).count();
    Some(Divisions {
        key: key(report, &shown),
        left_out: rivals.saturating_sub(shown.len()),
        divisions,
        further: further.iter().take(SLICE_METRICS).map(|&metric| tables(metric)).collect(),
        n_hidden: further.len().saturating_sub(SLICE_METRICS),
    })
}

/// The best systems and the baseline, best first.
fn shown_systems(report: &Report) -> Vec<&str> {
    let base = report.baseline.as_deref().unwrap_or_default();
    let rivals: Vec<&str> = words::ordered(report)
        .into_iter()
        .filter(|one| !one.is_ceiling())
        .map(|one| one.name.as_str())
        .collect();
    let baseline_at = rivals.iter().position(|name| *name == base);
    let places = match baseline_at {
        Some(at) if at >= SLICE_SYSTEMS => SLICE_SYSTEMS - 1,
        _ => SLICE_SYSTEMS,
    };
    let late = baseline_at.filter(|&at| at >= SLICE_SYSTEMS).map(|at| rivals[at]);
    rivals.iter().copied().take(places).chain(late).collect()
}

fn rows<'a>(
    report: &Report,
    slices: &[&'a SliceReport],
    metric: &str,
    shown: &[&'a str],
) -> Vec<SliceRow<'a>> {
    let row = |slice: &&'a SliceReport| SliceRow {
        label: &slice.value,
        side: numbers::counted(slice.requests, "request"),
        dots: shown
            .iter()
            .filter_map(|name| {
                let one = estimate(slice, name, metric)?;
                let (value, low, high) = (one.value, one.low, one.high);
                let index = words::look(report, name);
                Some(SliceDot { index, label: name, value, low, high })
            })
            .collect(),
    };
    slices.iter().map(row).collect()
}

fn estimate(slice: &SliceReport, system: &str, metric: &str) -> Option<Estimate> {
    let system = slice.systems.iter().find(|one| one.name == system)?;
    system.metrics.get(metric).copied()
}

fn division(
    report: &Report,
    by: &str,
    slices: &[&SliceReport],
    metric: &str,
    svg: String,
) -> Division {
    let lower = words::lower_is_better(report, metric);
    let best = |slice: &SliceReport| {
        let rivals = report.systems.iter().filter(|one| !one.is_ceiling());
        let values = rivals.filter_map(|one| Some(estimate(slice, &one.name, metric)?.value));
        values.filter(|value| value.is_finite()).reduce(if lower { f64::min } else { f64::max })
    };
    let best: Vec<Option<f64>> = slices.iter().map(|slice| best(slice)).collect();
    let row = |system: &SystemReport| SliceSystemRow {
        name: system.name.clone(),
        cells: slices
            .iter()
            .zip(&best)
            .map(|(slice, best)| {
                let one = estimate(slice, &system.name, metric);
                let value = one.map(|one| one.value).filter(|value| value.is_finite());
                let interval = one.map_or_else(String::new, |one| {
                    format!("{} to {}", numbers::value(one.low), numbers::value(one.high))
                });
                let is_best = !system.is_ceiling() && value.is_some() && value == *best;
                (Figure::new(value, numbers::value), interval, is_best)
            })
            .collect(),
    };
    Division {
        by: by.to_owned(),
        svg,
        meanings: meanings(slices),
        slices: slices
            .iter()
            .map(|one| {
                (one.value.clone(), one.meaning.clone(), numbers::counted(one.requests, "request"))
            })
            .collect(),
        rows: words::ordered(report).into_iter().map(row).collect(),
    }
}

/// What slices are, by name; once without a name where they differ only in what their names say.
fn meanings(slices: &[&SliceReport]) -> Vec<(String, String)> {
    let bare = |slice: &&SliceReport| {
        let ending = format!(": {}", slice.value);
        slice.meaning.strip_suffix(&ending).map(str::to_owned)
    };
    let shared: Option<BTreeSet<String>> = slices.iter().map(bare).collect();
    if let Some(shared) = shared.filter(|shared| shared.len() == 1) {
        return shared.into_iter().map(|meaning| (String::new(), meaning)).collect();
    }
    let told = slices.iter().filter(|one| !one.meaning.is_empty());
    told.map(|one| (one.value.clone(), one.meaning.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn slices_show_the_best_and_always_the_baseline() {
        let mut report = sample::report();
        assert_eq!(
            shown_systems(&report),
            ["aligned", "colbert <v2>", "bm25", "supervised", "two-tower"]
        );
        report.baseline = Some("popularity".to_owned());
        assert_eq!(
            shown_systems(&report),
            ["aligned", "colbert <v2>", "bm25", "supervised", "popularity"]
        );
        report.baseline = None;
        assert_eq!(shown_systems(&report).len(), 5);
    }

    #[test]
    fn slices_are_explained_once_where_one_sentence_does() {
        let slice = |value: &str, meaning: &str| SliceReport {
            value: value.to_owned(),
            meaning: meaning.to_owned(),
            ..SliceReport::default()
        };
        let alike = [slice("0", "words: 0"), slice("1 to 2", "words: 1 to 2")];
        let own = [slice("head", "most seen"), slice("tail", "least seen"), slice("rest", "")];
        let of = |slices: &[SliceReport]| meanings(&slices.iter().collect::<Vec<_>>());
        let pair = |name: &str, meaning: &str| (name.to_owned(), meaning.to_owned());
        assert_eq!(of(&alike), [pair("", "words")]);
        assert_eq!(of(&own), [pair("head", "most seen"), pair("tail", "least seen")]);
    }

    #[test]
    fn a_system_looks_alike_in_every_chart() {
        let report = sample::report();
        let mark = |name: &str| format!("dot s{}\"", words::look(&report, name));
        let outcome = intervals(&report);
        let spots = costs(&report).map(|costs| costs.charts).unwrap_or_default();
        let slices = divisions(&report).map(|all| all.divisions).unwrap_or_default();
        for name in ["aligned", "bm25", "supervised", "two-tower"] {
            for (chart, group) in [
                (&outcome, "<a class=\"row"),
                (&spots[0].svg, "<g class=\"spot"),
                (&slices[0].svg, "<g class=\"spot-small"),
            ] {
                let own = chart.split(group).filter(|group| {
                    let title = group.split("<title>").nth(1).unwrap_or_default();
                    title.starts_with(&format!("{name}:")) || title.contains(&format!(", {name}:"))
                });
                let own: Vec<&str> = own.collect();
                assert!(!own.is_empty(), "{name} is not in {group}");
                assert!(own.iter().all(|one| one.contains(&mark(name))), "{name}: {}", own[0]);
            }
        }
        let looks: BTreeSet<usize> = report
            .systems
            .iter()
            .filter(|one| !one.is_ceiling())
            .map(|one| words::look(&report, &one.name))
            .collect();
        assert_eq!(looks.len(), report.systems.iter().filter(|one| !one.is_ceiling()).count());
    }

    #[test]
    fn cost_charts_need_two_systems_with_a_cost() {
        let mut report = sample::report();
        assert_eq!(costs(&report).map(|costs| costs.charts.len()), Some(2));
        for system in &mut report.systems {
            system.bytes = None;
        }
        let captions = |report: &Report| -> Vec<String> {
            let charts = costs(report).map(|costs| costs.charts).unwrap_or_default();
            charts.into_iter().map(|chart| chart.caption).collect()
        };
        assert_eq!(
            captions(&report),
            ["recall@10 against median latency", "recall@10 against peak memory"]
        );
        for system in &mut report.systems {
            (system.latency_ms, system.peak_bytes) = (None, None);
        }
        assert!(costs(&report).is_none());
    }
}
