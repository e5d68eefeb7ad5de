//! Checks that every section that shows figures of a system leads to its run, and does so once: a link on each number would
//! be hundreds of stops for whoever walks the page by keyboard.

use std::collections::BTreeMap;

use super::html;
use crate::report::model::Report;
use crate::report::sample;

/// Sections that show figures of every system that is no ceiling, and whether they show the ceilings too.
const SECTIONS: [(&str, bool); 5] =
    [("outcome", true), ("figures", true), ("cost", false), ("requests", true), ("method", true)];

fn page(report: &Report) -> String {
    let page = html(report).unwrap_or_default().replace("&#x2f;", "/");
    // A chart is drawn twice, and one of both is shown.
    let mut parts = page.split("<div class=\"narrow\">");
    let first = parts.next().unwrap_or_default().to_owned();
    let shown = parts.map(|part| part.split_once("</div>").map_or(part, |(_, rest)| rest));
    first + &shown.collect::<String>()
}

/// The section of that anchor.
fn section<'a>(page: &'a str, id: &str) -> &'a str {
    let start = format!("aria-labelledby=\"{id}\"");
    let section = page.split(&start).nth(1).unwrap_or_default();
    section.split("</section>").next().unwrap_or_default()
}

/// How often a text leads to each address outside the page.
fn links(text: &str) -> BTreeMap<&str, usize> {
    let mut found = BTreeMap::new();
    for part in text.split("href=\"").skip(1) {
        let address = part.split('"').next().unwrap_or_default();
        if !address.starts_with('#') {
            *found.entry(address).or_insert(0) += 1;
        }
    }
    found
}

#[test]
fn each_section_leads_to_each_run_once() {
    let report = sample::report();
    let page = page(&report);
    let n_runs = |ceilings: bool| {
        let shown = report.systems.iter().filter(|one| ceilings || !one.is_ceiling());
        shown.filter(|one| one.run.is_some()).count()
    };
    for (id, ceilings) in SECTIONS {
        let found = links(section(&page, id));
        assert_eq!(found.len(), n_runs(ceilings), "{id}: {found:?}");
        assert!(found.values().all(|&n| n == 1), "{id}: {found:?}");
    }
    for id in ["slices", "calibration", "compare"] {
        let found = links(section(&page, id));
        assert!(found.values().all(|&n| n == 1), "{id}: {found:?}");
        // Where two systems are compared, the script names them.
        assert_eq!(found.is_empty(), id == "compare", "{id}: {found:?}");
    }
    // The summary names the winner, the baseline and the ceiling.
    let summary = page.split("aria-label=\"Summary\"").nth(1).unwrap_or_default();
    let found = links(summary.split("</section>").next().unwrap_or_default());
    assert!(found.len() >= 2 && found.values().all(|&n| n == 1), "{found:?}");
}

#[test]
fn systems_without_a_run_have_no_link() {
    let mut report = sample::report();
    report.systems.iter_mut().for_each(|system| system.run = None);
    let page = page(&report);
    for (id, _) in SECTIONS {
        assert_eq!(links(section(&page, id)).len(), 0, "{id}");
    }
}

#[test]
fn charts_with_links_are_no_images() {
    let page = page(&sample::report());
    let linked = page
        .split("<svg ")
        .skip(1)
        .filter(|chart| chart.split("</svg>").next().unwrap_or_default().contains("<a class"));
    let mut n_linked = 0;
    for chart in linked {
        // An image would hide its links from screen readers.
        assert!(chart.split('>').next().unwrap_or_default().contains("role=\"group\""));
        n_linked += 1;
    }
    assert_eq!(n_linked, 1);
}
