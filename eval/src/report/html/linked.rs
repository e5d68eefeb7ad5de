//! Checks that figures of the page lead to the run they come from: the page is walked, and what reads as a figure outside a
//! link is a fault.

use super::html;
use crate::report::model::Report;
use crate::report::sample;

/// Elements without a closing tag.
const EMPTY: [&str; 7] = ["meta", "link", "line", "circle", "polygon", "path", "polyline"];

/// Texts of the page with the tags they stand in, outermost first; each tag with its attributes.
fn texts(page: &str) -> Vec<(Vec<&str>, &str)> {
    let mut found = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        let text = rest[..start].trim();
        if !text.is_empty() {
            found.push((open.clone(), text));
        }
        let end = start + rest[start..].find('>').unwrap_or(rest.len() - start - 1);
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        let name = tag.trim_start_matches('/').split([' ', '\n']).next().unwrap_or_default();
        if tag.starts_with('!') || tag.ends_with('/') || EMPTY.contains(&name) {
            continue;
        }
        if tag.starts_with('/') {
            while let Some(last) = open.pop() {
                if last.split([' ', '\n']).next() == Some(name) {
                    break;
                }
            }
            continue;
        }
        open.push(tag);
        // What these hold is no markup.
        if matches!(name, "style" | "script")
            && let Some(close) = rest.find(&format!("</{name}>"))
        {
            rest = &rest[close..];
        }
    }
    found
}

/// Whether a text holds a figure: a number with decimals, a percentage, or a count of a sentence.
fn is_figure(text: &str) -> bool {
    let characters: Vec<char> = text.chars().collect();
    characters
        .windows(3)
        .any(|three| three[0].is_ascii_digit() && three[1] == '.' && three[2].is_ascii_digit())
        || characters.windows(2).any(|two| two[0].is_ascii_digit() && two[1] == '%')
}

/// Figures that stand in no link, with the section they stand in.
fn loose(page: &str) -> Vec<String> {
    let linked = |tag: &&str| tag.starts_with("a ") && tag.contains("href=");
    // Scales of axes, names of charts and what a pointer is told: none of them is a figure of its own.
    let scale = |tag: &&str| {
        [
            "title",
            "desc",
            "caption",
            "figcaption",
            "style",
            "script",
            "summary",
            "button",
            "dt",
            "dd",
            "th",
            "pre",
        ]
        .iter()
        .any(|name| tag.split(' ').next() == Some(name))
            || ["class=\"tick\"", "class=\"hidden\"", "class=\"lead\"", "class=\"legend\""]
                .iter()
                .any(|class| tag.contains(class))
    };
    let mut loose = Vec::new();
    for (tags, text) in texts(page) {
        let section = tags.iter().find_map(|tag| tag.strip_prefix("section ")).unwrap_or_default();
        let of_runs = [
            "Summary",
            "outcome",
            "figures",
            "cost",
            "slices",
            "compare",
            "requests",
            "calibration",
        ]
        .iter()
        .any(|name| section.contains(&format!("\"{name}\"")));
        if of_runs && is_figure(text) && !tags.iter().any(|tag| linked(tag) || scale(tag)) {
            loose.push(format!("{section}: {text} in {}", tags.last().unwrap_or(&"")));
        }
    }
    loose
}

fn page(report: &Report) -> String {
    html(report).unwrap_or_default().replace("&#x2f;", "/")
}

#[test]
fn every_figure_leads_to_its_run() {
    let mut report = sample::report();
    let page_of_all = page(&report);
    assert_eq!(loose(&page_of_all), Vec::<String>::new());
    // The walk sees figures: hundreds of them, of every section.
    let linked = texts(&page_of_all);
    let linked = linked.iter().filter(|(tags, text)| {
        is_figure(text) && tags.iter().any(|tag| tag.starts_with("a ") && tag.contains("/run.tsv"))
    });
    assert!(linked.count() > 400);
    // Counts of the summary as well.
    for count in ["1,784 test requests", "ahead on 452 requests, equal on 944 and behind on 388"] {
        let links = texts(&page_of_all);
        let (tags, _) = links.iter().find(|(_, text)| *text == count).cloned().unwrap_or_default();
        assert!(tags.last().is_some_and(|tag| tag.starts_with("a ")), "{count} has no link");
    }
    // A system whose run is not known has figures without a link, and the walk finds them in every section.
    report.systems.iter_mut().for_each(|system| system.run = None);
    let found = loose(&page(&report)).join("\n");
    for section in
        ["Summary", "outcome", "figures", "cost", "slices", "compare", "requests", "calibration"]
    {
        // The markers of cost charts carry no text but their title.
        let has = found.contains(&format!("\"{section}\""));
        assert!(has || section == "cost", "{section} in\n{found}");
    }
}

#[test]
fn marks_of_charts_lead_to_their_runs() {
    let page = page(&sample::report());
    for (marks, wanted) in [
        // Seven systems, five with a latency and a size, each drawn for wide and for narrow windows.
        ("<a class=\"row ", 2 * 7),
        ("<a class=\"spot\" ", 2 * 2 * 4),
        ("<a class=\"spot base\" ", 2 * 2),
        ("<a class=\"spot-small\" ", 2 * 10 * 5),
        ("<a class=\"bin\" ", 2 * 10),
    ] {
        assert_eq!(page.matches(marks).count(), wanted, "{marks}");
    }
    assert!(!page.contains("<g class=\"row") && !page.contains("<g class=\"spot"));
    // The keyboard reaches each system's run from every chart: from its marks, or from the key where marks are many.
    let name = "<title>aligned: 0.447 (0.436 to 0.459)</title>";
    assert_eq!(page.matches(&format!("href=\"./steps/system.aligned/run.tsv\">{name}")).count(), 2);
    let slices = page.split("id=\"slices\"").nth(1).unwrap_or_default();
    let key = slices.split("</ul>").next().unwrap_or_default();
    assert_eq!(key.matches("<a class=\"quiet\" href=\"./").count(), 5);
    // An image would hide its links from screen readers.
    for chart in page.split("<svg ").skip(1).filter(|chart| chart.contains("<a class")) {
        let (head, body) = chart.split_once('>').unwrap_or_default();
        let body = body.split("</svg>").next().unwrap_or_default();
        assert!(!body.contains("<a class") || head.contains("role=\"group\""), "{head}");
    }
}
