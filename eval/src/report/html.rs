//! The report as one HTML page that needs no network: it can be mailed, opened from a disk and printed. The page is the
//! template `report.html` with its style and its script; here its figures become texts.

use minijinja::Environment;
use minijinja::value::Serde;
use serde::Serialize;

use super::chart::{self, Series};
use super::model::{
    ExampleItem, ExampleReport, IdentifierReport, Report, SystemReport, TrainingReport,
};
use super::{numbers, table, words};
use crate::error::{Error, Result};

/// The page. Texts from the report are escaped; figures that are not finite appear as dashes.
pub fn html(report: &Report) -> Result<String> {
    let failed =
        |error: minijinja::Error| Error::Report { what: format!("the page failed: {error:#}") };
    let mut environment = Environment::new();
    // The name ends in `.html`, which is what turns escaping on.
    environment.add_template("report.html", include_str!("report.html")).map_err(failed)?;
    let template = environment.get_template("report.html").map_err(failed)?;
    let relevant_grade = report.evaluation.relevant_grade;
    let page = Page {
        style: include_str!("report.css"),
        script: include_str!("report.js"),
        report,
        summary: words::summary(report),
        chart: interval_chart(report),
        primary: report.evaluation.metrics.first(),
        has_ceiling: report.systems.iter().any(SystemReport::is_ceiling),
        table: table::table(report),
        marks: table::MARKS,
        confidence: numbers::percent(report.evaluation.confidence),
        level: numbers::short(1.0 - report.evaluation.confidence),
        n_comparisons: report.comparisons.len(),
        training: report.training.iter().map(training).collect(),
        identifiers: report.identifiers.iter().map(identifier).collect(),
        examples: report.examples.iter().map(|one| example(one, relevant_grade)).collect(),
        facts: table::facts(report),
        machine: table::machine(report),
    };
    template.render(Serde(&page)).map_err(failed)
}

/// What the template sees.
#[derive(Serialize)]
struct Page<'a> {
    style: &'static str,
    script: &'static str,
    report: &'a Report,
    summary: words::Summary,
    chart: String,
    primary: Option<&'a String>,
    has_ceiling: bool,
    table: table::Table,
    marks: [(&'static str, &'static str); 3],
    confidence: String,
    level: String,
    n_comparisons: usize,
    training: Vec<Training>,
    identifiers: Vec<Identifier>,
    examples: Vec<Example>,
    facts: Vec<(String, String)>,
    machine: Vec<(String, String)>,
}

#[derive(Serialize)]
struct Training {
    name: String,
    line: String,
    diverged: bool,
    charts: Vec<(String, String)>,
}

#[derive(Serialize)]
struct Identifier {
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
struct Example {
    request: String,
    text: String,
    history: Vec<String>,
    relevant: Vec<Item>,
    n_more: u64,
    systems: Vec<System>,
    found_by: String,
}

#[derive(Serialize)]
struct System {
    name: String,
    items: Vec<Item>,
    first_hit: Option<usize>,
}

#[derive(Serialize)]
struct Item {
    id: String,
    title: String,
    grade: Option<String>,
    score: Option<String>,
    relevant: bool,
}

fn interval_chart(report: &Report) -> String {
    let Some(metric) = report.evaluation.metrics.first() else {
        return String::new();
    };
    let systems = words::ordered(report);
    let rows: Vec<chart::Interval<'_>> = systems
        .iter()
        .filter_map(|system| {
            let one = system.metrics.get(metric)?;
            Some(chart::Interval {
                label: &system.name,
                value: one.value,
                low: one.low,
                high: one.high,
                baseline: report.baseline.as_deref() == Some(&system.name),
                ceiling: system.is_ceiling(),
            })
        })
        .collect();
    chart::intervals(&format!("{metric} by system, with intervals"), &rows)
}

/// The loss with every further loss in one chart, then one chart per other figure.
fn training(training: &TrainingReport) -> Training {
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
        let svg = chart::curves(&format!("{caption} of {} by step", training.name), series);
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

fn identifier(identifier: &IdentifierReport) -> Identifier {
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
        let title = format!("items per code of level {}, {used} codes used", index + 1);
        Level {
            bars: chart::usage(&title, &level.usage, level.codes),
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

fn example(example: &ExampleReport, relevant_grade: f64) -> Example {
    let relevant_ids: Vec<&str> = example.relevant.iter().map(|one| one.item.as_str()).collect();
    // The list of relevant items may be cut: the grade decides as well.
    let item = |one: &ExampleItem| Item {
        id: one.item.clone(),
        title: if one.title.is_empty() { one.item.clone() } else { one.title.clone() },
        grade: one.grade.map(numbers::short),
        score: one.score.map(numbers::short),
        relevant: relevant_ids.contains(&one.item.as_str())
            || one.grade.is_some_and(|grade| grade >= relevant_grade),
    };
    let systems: Vec<System> = example
        .systems
        .iter()
        .map(|system| {
            let items: Vec<Item> = system.items.iter().map(item).collect();
            let first_hit = items.iter().position(|one| one.relevant).map(|index| index + 1);
            System { name: system.system.clone(), items, first_hit }
        })
        .collect();
    let n_found = systems.iter().filter(|one| one.first_hit.is_some()).count();
    Example {
        request: example.request.clone(),
        text: example.text.clone(),
        history: example.history.clone(),
        n_more: example.relevant_total.saturating_sub(example.relevant.len() as u64),
        relevant: example.relevant.iter().map(item).collect(),
        found_by: format!("{n_found} of {} systems found it", systems.len()),
        systems,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::report::sample;

    /// Set `TRIEVAL_SAMPLE_REPORT` to a path to look at the page.
    #[test]
    fn the_page_is_whole_and_needs_no_network() {
        let page = html(&sample::report()).unwrap();
        if let Ok(path) = std::env::var("TRIEVAL_SAMPLE_REPORT") {
            std::fs::write(path, &page).unwrap();
        }
        for piece in [
            "aligned beats bm25 on recall@10",
            "aria-sort",
            "stroke-dasharray=\"6 4\"",
            "prefers-color-scheme: dark",
            "@media print",
            "Oak side table",
            "hourglass: level 2",
            "leave-one-out leaks time",
        ] {
            assert!(page.contains(piece), "{piece} is missing");
        }
        for bad in ["http://", "https://", "NaN", "{{", "{%", "undefined"] {
            assert!(!page.contains(bad), "{bad} is in the page");
        }
    }

    #[test]
    fn texts_are_escaped() {
        let page = html(&sample::report()).unwrap();
        for bad in ["<img src=x", "<script>alert", "colbert <v2>", "<b>without"] {
            assert!(!page.contains(bad), "{bad} is in the page");
        }
        assert!(page.contains("colbert &lt;v2&gt;"));
    }

    #[test]
    fn missing_and_infinite_figures_are_dashes() {
        let mut report = sample::report();
        report.systems[0].metrics.get_mut("recall@10").unwrap().value = f64::NAN;
        report.systems[1].metrics.get_mut("ndcg@10").unwrap().low = f64::NEG_INFINITY;
        report.comparisons[0].p_adjusted = f64::INFINITY;
        report.training[0].points[3].loss = Some(f64::NAN);
        report.identifiers[0].levels[0].gini = f64::NAN;
        let page = html(&report).unwrap();
        let body = page.split("</style>").nth(1).unwrap().split("<script>").next().unwrap();
        assert!(!body.contains("NaN") && !body.contains(">inf"));
        assert!(html(&Report::default()).unwrap().contains("No system was evaluated."));
    }
}
