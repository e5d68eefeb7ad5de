//! Single requests as the template sees them: the first few, with what every system returned.

use serde::Serialize;

use super::cut;
use crate::report::model::{ExampleItem, ExampleReport, Report};
use crate::report::{link, numbers};

/// Requests that are readable without the script.
const STATIC_REQUESTS: usize = 12;
/// Characters of a title, of a request's text, and items of a history that the page carries.
pub(super) const TITLE_CHARS: usize = 160;
pub(super) const TEXT_CHARS: usize = 400;
pub(super) const HISTORY_ITEMS: usize = 10;

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
    link: Option<String>,
    value: String,
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

pub(super) fn requests(report: &Report) -> Vec<Request> {
    report.examples.iter().take(STATIC_REQUESTS).map(|one| request(report, one)).collect()
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
            let first_hit = items.iter().position(|one| one.relevant).map(|index| index + 1);
            let value = example.values.get(&system.system);
            System {
                name: system.system.clone(),
                link: link::run_of(report, &system.system),
                value: value.map_or_else(String::new, |&value| numbers::value(value)),
                items,
                first_hit,
            }
        })
        .collect();
    let n_found = systems.iter().filter(|one| one.first_hit.is_some()).count();
    Request {
        request: cut(&example.request, TITLE_CHARS),
        text: cut(&example.text, TEXT_CHARS),
        chosen: example.chosen.clone(),
        history: history(example),
        n_more: example.relevant_total.saturating_sub(example.relevant.len() as u64),
        relevant: example.relevant.iter().map(item).collect(),
        found_by: format!("{n_found} of {} systems found it", systems.len()),
        systems,
    }
}
