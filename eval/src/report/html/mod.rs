//! The report as one HTML page that needs no network: it can be mailed, opened from a disk and printed. The page is the
//! template `page/report.html` with its style and its script; here its figures become texts. Without its script it is
//! complete but for sorting and choosing; its script only rearranges what it carries.

mod compare;
mod figures;
#[cfg(test)]
mod linked;
mod models;
mod requests;
#[cfg(test)]
mod style;

pub(super) use requests::{found, marks, question};

use minijinja::Environment;
use minijinja::value::Serde;
use serde::Serialize;

use super::model::{Report, SystemReport};
use super::{logged, numbers, table, words};
use crate::error::{Error, Result};

const TEMPLATES: [(&str, &str); 4] = [
    // The names end in `.html`, which is what turns escaping on.
    ("report.html", include_str!("../page/report.html")),
    ("tables.html", include_str!("../page/tables.html")),
    ("requests.html", include_str!("../page/requests.html")),
    ("models.html", include_str!("../page/models.html")),
];
const STYLE: &str = include_str!("../page/report.css");
const SCRIPT: &str = include_str!("../page/report.js");

/// The page. Texts from the report are escaped; figures that are not finite appear as dashes. Long texts are cut, and of very
/// many requests only the first are carried: the JSON form has all.
pub fn html(report: &Report) -> Result<String> {
    let failed =
        |error: minijinja::Error| Error::Report { what: format!("the page failed: {error:#}") };
    let mut environment = Environment::new();
    for (name, text) in TEMPLATES {
        environment.add_template(name, text).map_err(failed)?;
    }
    let template = environment.get_template("report.html").map_err(failed)?;
    template.render(Serde(&page(report))).map_err(failed)
}

/// What the template sees.
#[derive(Serialize)]
struct Page<'a> {
    style: &'static str,
    script: &'static str,
    data: String,
    report: &'a Report,
    sections: Vec<(&'static str, &'static str)>,
    summary: words::Summary,
    primary: Option<&'a String>,
    primary_lower: bool,
    has_ceiling: bool,
    intervals: String,
    costs: Option<figures::Costs>,
    divisions: Option<figures::Divisions>,
    table: table::Table,
    seeds: Vec<table::SeedRow>,
    pairs: Vec<table::Pair>,
    marks: [(&'static str, &'static str); 3],
    confidence: String,
    level: String,
    correction: &'a str,
    n_comparisons: usize,
    training: Vec<models::Training>,
    has_marks: bool,
    has_codes: bool,
    has_spans: bool,
    identifiers: Vec<models::Identifier>,
    reliability: Vec<models::Reliability>,
    requests: Vec<requests::Request>,
    systems_key: String,
    n_requests: String,
    leaks: Vec<models::Leak>,
    log: Option<logged::Logged>,
    facts: Vec<(String, String)>,
    machine: Vec<(String, String)>,
    fingerprints: Vec<(String, String, String)>,
    runs: Vec<(String, String, String)>,
}

fn page(report: &Report) -> Page<'_> {
    let primary = report.evaluation.metrics.first();
    let mut page = Page {
        style: STYLE,
        script: SCRIPT,
        data: compare::data(report),
        report,
        sections: Vec::new(),
        summary: words::summary(report),
        primary,
        primary_lower: primary.is_some_and(|metric| words::lower_is_better(report, metric)),
        has_ceiling: report.systems.iter().any(SystemReport::is_ceiling),
        intervals: figures::intervals(report),
        costs: figures::costs(report),
        divisions: figures::divisions(report),
        table: table::table(report),
        seeds: table::seeds(report),
        pairs: table::pairs(report),
        marks: table::MARKS,
        confidence: numbers::percent(report.evaluation.confidence),
        level: numbers::short(1.0 - report.evaluation.confidence),
        correction: words::correction(report),
        n_comparisons: report.comparisons.len(),
        training: models::trainings(report),
        has_marks: requests::has_marks(report),
        has_codes: report.identifiers.iter().any(|one| one.distinct.is_some()),
        has_spans: report.identifiers.iter().any(|one| one.distinct.is_none()),
        identifiers: models::identifiers(report),
        reliability: models::reliability(report),
        requests: requests::requests(report),
        systems_key: figures::all_systems(report),
        n_requests: numbers::count(report.examples.len() as u64),
        leaks: models::leaks(report),
        log: logged::logged(report),
        facts: table::facts(report),
        machine: table::machine(report),
        fingerprints: table::fingerprints(report),
        runs: table::runs(report),
    };
    page.sections = sections(&page);
    page
}

/// The sections that the page has, as anchor and name.
fn sections(page: &Page<'_>) -> Vec<(&'static str, &'static str)> {
    [
        ("outcome", "Outcome", !page.intervals.is_empty()),
        ("figures", "All figures", !page.table.rows.is_empty()),
        ("cost", "Quality and cost", page.costs.is_some()),
        ("slices", "Slices", page.divisions.is_some()),
        ("compare", "Two systems", page.report.systems.len() > 1),
        ("requests", "Requests", !page.requests.is_empty()),
        ("training", "Training", !page.training.is_empty()),
        ("identifiers", "Identifiers", !page.identifiers.is_empty()),
        ("calibration", "Calibration", !page.reliability.is_empty()),
        ("leaks", "Leak check", !page.leaks.is_empty()),
        ("log", "What the log says", page.log.is_some()),
        ("method", "How it was measured", true),
    ]
    .into_iter()
    .filter(|(.., shown)| *shown)
    .map(|(id, name, _)| (id, name))
    .collect()
}

/// The text, or its beginning with an ellipsis where it is longer.
fn cut(text: &str, n_chars: usize) -> String {
    match text.char_indices().nth(n_chars) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::report::sample;

    /// Set `TRIEVAL_SAMPLE_REPORT` to a folder to look at the pages.
    #[test]
    fn the_page_is_whole_and_needs_no_network() {
        let page = html(&sample::report()).unwrap();
        if let Ok(folder) = std::env::var("TRIEVAL_SAMPLE_REPORT") {
            let folder = std::path::Path::new(&folder);
            std::fs::write(folder.join("sample.html"), &page).unwrap();
            std::fs::write(folder.join("huge.html"), html(&sample::huge()).unwrap()).unwrap();
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
            "recall@10 against median latency",
            "by item exposure",
            "never shown in training",
            "test requests whose query text occurs in training",
            "blake3:5d1f8c0a77b2e946",
            "of 1,602 requests",
            "effective rows",
            "4626671c0ffee",
            "values.parquet",
            "href=\"./steps/system.aligned/run.tsv\"",
            "href=\"./runs/colbert%20%3Cv2%3E.tsv.gz\"",
            "must be 0",
            "default-src 'none'",
            "largest win of aligned over bm25",
        ] {
            assert!(page.replace("&#x2f;", "/").contains(piece), "{piece} is missing");
        }
        for bad in ["http://", "https://", "NaN", "{{", "{%", "undefined"] {
            assert!(!page.contains(bad), "{bad} is in the page");
        }
    }

    #[test]
    fn seeds_have_a_table_where_there_are_any() {
        let mut report = sample::report();
        assert!(!html(&report).unwrap().contains("By seed"));
        sample::train_twice(&mut report);
        let page = html(&report).unwrap();
        assert!(page.contains("<h3>By seed</h3>") && page.contains("0.457"), "{page}");
    }

    #[test]
    fn texts_are_escaped() {
        let page = html(&sample::report()).unwrap();
        for bad in ["<img src=x", "<script>alert", "colbert <v2>", "<b>without", "<svg onload"] {
            assert!(!page.contains(bad), "{bad} is in the page");
        }
        assert!(page.contains("colbert &lt;v2&gt;"));
    }

    #[test]
    fn headings_are_in_order_and_anchors_and_ids_are_single() {
        let page = html(&sample::report()).unwrap();
        let levels: Vec<u8> = page
            .match_indices("<h")
            .filter_map(|(at, _)| page.as_bytes().get(at + 2))
            .filter(|byte| byte.is_ascii_digit())
            .map(|byte| byte - b'0')
            .collect();
        assert_eq!(levels.iter().filter(|&&level| level == 1).count(), 1);
        assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
        let values = |name: &str| -> Vec<String> {
            let start = format!(" {name}=\"");
            let parts = page.split(&start).skip(1);
            parts.map(|part| part.split('"').next().unwrap().to_owned()).collect()
        };
        let ids = values("id");
        let single: std::collections::BTreeSet<&String> = ids.iter().collect();
        assert_eq!(single.len(), ids.len());
        let anchors = values("href");
        let anchors: Vec<&str> = anchors.iter().filter_map(|one| one.strip_prefix('#')).collect();
        // The way past the head, every section, and one figure of the summary that belongs to no single run.
        assert_eq!(anchors.len(), 14);
        for anchor in anchors {
            assert!(ids.iter().any(|id| id == anchor), "{anchor} leads nowhere");
        }
        let named = values("aria-labelledby");
        assert!(named.iter().flat_map(|one| one.split(' ')).all(|id| ids.iter().any(|i| i == id)));
    }

    #[test]
    fn missing_and_infinite_figures_are_dashes() {
        let mut report = sample::report();
        report.systems[0].metrics.get_mut("recall@10").unwrap().value = f64::NAN;
        report.systems[1].metrics.get_mut("ndcg@10").unwrap().low = f64::NEG_INFINITY;
        report.systems[2].latency_ms.as_mut().unwrap().p50 = f64::NAN;
        report.comparisons[0].p_adjusted = f64::INFINITY;
        report.pairs[0].difference = f64::NAN;
        report.training[0].points[3].loss = Some(f64::NAN);
        report.identifiers[0].levels[0].gini = f64::NAN;
        report.slices[0].systems[1].metrics.get_mut("recall@10").unwrap().high = f64::NAN;
        report.reliability[0].bins[0].share_positive = f64::NAN;
        report.leaks[0].share = f64::NAN;
        let log = &mut report.log.as_mut().unwrap().systems[0];
        (log.unshown_share, log.policies[0].value.high) = (Some(f64::NAN), f64::INFINITY);
        report.examples[0].values.values_mut().for_each(|one| *one = f64::NAN);
        let page = html(&report).unwrap();
        let body = page.split("</style>").nth(1).unwrap().split("<script>").next().unwrap();
        assert!(!body.contains("NaN") && !body.contains(">inf") && !body.contains("\"inf"));
        assert!(html(&Report::default()).unwrap().contains("No system was evaluated."));
    }

    /// 30 systems, 40 metrics, every pair tested on every metric, 2,000 requests: 10.5 MB, most of it lists and tests.
    #[test]
    fn a_huge_report_stays_a_page() {
        let report = sample::huge();
        let page = html(&report).unwrap();
        let megabytes = page.len() as f64 / 1e6;
        assert!((2.0..12.0).contains(&megabytes), "the page has {megabytes} MB");
        assert_eq!(page.matches("<script").count(), 2);
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(!page.contains(&"very long title ".repeat(12)), "a long title is not cut");
        for bad in ["<img src=x", "<script>alert", "<!-- <script>"] {
            assert!(!page.contains(bad), "{bad} is in the page");
        }
        assert!(page.contains("&quot;&#x27;&gt;") || page.contains("&quot;&#39;&gt;"));
    }
}
