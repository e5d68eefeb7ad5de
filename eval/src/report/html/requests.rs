//! Single requests as the template sees them: the first few, with what every system returned.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::Serialize;

use super::cut;
use crate::report::model::{ExampleItem, ExampleReport, Report, SpanReport};
use crate::report::numbers;

/// Requests that are readable without the script.
const STATIC_REQUESTS: usize = 12;
/// Characters of a title, of a request's text, and items of a history that the page carries.
pub(super) const TITLE_CHARS: usize = 160;
pub(super) const TEXT_CHARS: usize = 400;
pub(super) const HISTORY_ITEMS: usize = 10;
/// Share of what an item's strongest span is worth below which a span is not marked.
const LEAST_SHARE: f64 = 0.01;

#[derive(Serialize)]
pub(super) struct Request {
    request: String,
    text: String,
    chosen: String,
    history: Vec<String>,
    relevant: Vec<Item>,
    n_more: u64,
    systems: Vec<System>,
    found_by: String,
}

#[derive(Serialize)]
struct System {
    name: String,
    value: String,
    items: Vec<Item>,
    /// Where the first relevant item stands in what is shown.
    found: String,
}

#[derive(Serialize)]
struct Item {
    id: String,
    title: String,
    /// The title in pieces, where some of it is marked.
    pieces: Vec<Piece>,
    grade: Option<String>,
    score: Option<String>,
    relevant: bool,
}

#[derive(Serialize)]
struct Piece {
    text: String,
    /// What it adds to the score; empty of what is not marked.
    worth: String,
}

/// Whether titles are marked by what earned items their places.
pub(super) fn has_marks(report: &Report) -> bool {
    let systems = report.examples.iter().flat_map(|one| &one.systems);
    systems.flat_map(|one| &one.items).any(|item| !item.spans.is_empty())
}

/// Spans of an item that can be marked in its title as it is shown, in their order, with what they are worth; none of
/// those that tell nothing beside the strongest.
pub(in crate::report) fn marks(item: &ExampleItem, shown: &str) -> Vec<(Range<usize>, f64)> {
    let strongest = item.spans.iter().map(|span| span.worth).fold(0.0, f64::max);
    let mut from = 0;
    let mark = |span: &SpanReport| {
        if span.worth < LEAST_SHARE * strongest {
            return None;
        }
        let place = usize::try_from(span.start).ok()?..usize::try_from(span.end).ok()?;
        let text = shown.get(place.clone())?;
        // Behind a cut, a title is not what is shown of it.
        let is_whole = item.title.get(place.clone()) == Some(text) && !text.is_empty();
        if place.start < from || !is_whole {
            return None;
        }
        from = place.end;
        Some((place, span.worth))
    };
    item.spans.iter().filter_map(mark).collect()
}

fn pieces(item: &ExampleItem, shown: &str) -> Vec<Piece> {
    let marks = marks(item, shown);
    if marks.is_empty() {
        return Vec::new();
    }
    let plain = |text: &str| Piece { text: text.to_owned(), worth: String::new() };
    let (mut pieces, mut from) = (Vec::new(), 0);
    for (place, worth) in marks {
        pieces.push(plain(&shown[from..place.start]));
        let text = shown[place.clone()].to_owned();
        pieces.push(Piece { text, worth: numbers::short(worth) });
        from = place.end;
    }
    pieces.push(plain(&shown[from..]));
    pieces
}

pub(super) fn requests(report: &Report) -> Vec<Request> {
    let mut asked = BTreeSet::new();
    let fresh = report.examples.iter().filter(|one| asked.insert(question(one)));
    fresh.take(STATIC_REQUESTS).map(|one| request(report, one)).collect()
}

/// What is asked, the same for every request of one query: its text, else its history, else its name.
pub(in crate::report) fn question(example: &ExampleReport) -> (&str, &[String]) {
    let text = match example.text.is_empty() && example.history.is_empty() {
        true => &example.request,
        false => &example.text,
    };
    (text, &example.history)
}

/// Where the first relevant item stands in a list of so many items that are shown; more may have been returned.
pub(in crate::report) fn found(first: Option<usize>, n_shown: usize) -> String {
    match (first, n_shown) {
        (Some(place), _) => format!("found at {}", place + 1),
        (None, 0) => "no answer".to_owned(),
        (None, 1) => "not relevant: the one shown".to_owned(),
        (None, n) => format!("none relevant in the {n} shown"),
    }
}

/// Whether an item of a list counts as relevant. The list of relevant items may be cut: the grade decides as well.
pub(super) fn is_relevant(report: &Report, example: &ExampleReport, item: &ExampleItem) -> bool {
    item.grade.is_some_and(|grade| grade >= report.evaluation.relevant_grade)
        || example.relevant.iter().any(|one| one.item == item.item)
}

/// What stands for an item: its title, or its id where it has none.
pub(super) fn title(item: &ExampleItem) -> String {
    cut(if item.title.trim().is_empty() { &item.item } else { &item.title }, TITLE_CHARS)
}

/// The last items of a history, cut.
pub(super) fn history(example: &ExampleReport) -> Vec<String> {
    let from = example.history.len().saturating_sub(HISTORY_ITEMS);
    example.history[from..].iter().map(|one| cut(one, TITLE_CHARS)).collect()
}

fn request(report: &Report, example: &ExampleReport) -> Request {
    let item = |one: &ExampleItem| Item {
        id: cut(&one.item, TITLE_CHARS),
        pieces: pieces(one, &title(one)),
        title: title(one),
        grade: one.grade.map(numbers::short),
        score: one.score.map(numbers::score),
        relevant: is_relevant(report, example, one),
    };
    let systems: Vec<System> = example
        .systems
        .iter()
        .map(|system| {
            let items: Vec<Item> = system.items.iter().map(item).collect();
            let first = items.iter().position(|one| one.relevant);
            let value = example.values.get(&system.system);
            System {
                name: system.system.clone(),
                value: value.map_or_else(String::new, |&value| numbers::value(value)),
                found: found(first, items.len()),
                items,
            }
        })
        .collect();
    let n_found = systems.iter().filter(|one| one.items.iter().any(|item| item.relevant)).count();
    let n_shown = systems.iter().map(|one| one.items.len()).max().unwrap_or(0);
    Request {
        request: cut(&example.request, TITLE_CHARS),
        text: cut(&example.text, TEXT_CHARS),
        chosen: example.chosen.clone(),
        history: history(example),
        n_more: example.relevant_total.saturating_sub(example.relevant.len() as u64),
        relevant: example.relevant.iter().map(item).collect(),
        found_by: match n_shown {
            0 | 1 => format!("{n_found} of {} systems found it first", systems.len()),
            n => format!("{n_found} of {} systems found it in the first {n}", systems.len()),
        },
        systems,
    }
}
