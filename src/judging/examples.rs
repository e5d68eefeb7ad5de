//! A request as a report shows it, with what every system returned for it.

use std::collections::HashMap;

use trieval_eval::contest::Telling;
use trieval_eval::report::model::{ExampleItem, ExampleReport, ExampleSystem, SpanReport};
use trieval_eval::{Qrels, Run};

use super::evidence::{ShownEvidence, TitleSpan};
use crate::corpus::{Catalogue, Request};
use crate::text::visible;

/// What items and requests are called.
pub struct About<'a> {
    catalogue: &'a Catalogue,
    requests: HashMap<&'a str, &'a Request>,
}

impl<'a> About<'a> {
    /// Of a catalogue and the requests that were evaluated.
    pub fn new(catalogue: &'a Catalogue, requests: &'a [Request]) -> Self {
        let requests = requests.iter().map(|request| (request.id.as_str(), request)).collect();
        Self { catalogue, requests }
    }
}

/// What an example is shown by.
pub struct Judging<'a> {
    /// Judgments.
    pub qrels: &'a Qrels,
    /// Items from this grade on are relevant.
    pub relevant_grade: f64,
    /// Items shown per system.
    pub n_items: usize,
    /// Names, where they are known.
    pub about: Option<&'a About<'a>>,
    /// What speaks for shown items, by name of the run, where it is known.
    pub evidence: HashMap<String, ShownEvidence>,
}

/// Spans of a title as a report shows them, from its beginning on; none of a title that cannot be shown as it is.
fn spans(title: &str, told: &[TitleSpan]) -> Vec<SpanReport> {
    if visible(title) != title {
        return Vec::new();
    }
    let span = |&(start, end, worth): &TitleSpan| {
        let text = title.get(start as usize..end as usize)?;
        let blanks = text.len() - text.trim_start().len();
        let start = start + blanks as u64;
        let end = start + text.trim().len() as u64;
        (start < end).then_some(SpanReport { start, end, worth })
    };
    let mut spans: Vec<SpanReport> = told.iter().filter_map(span).collect();
    spans.sort_by_key(|span| span.start);
    spans
}

/// One request with what every run returned, and what is relevant to it.
pub fn example(one: Telling, runs: &[&Run], judging: &Judging<'_>) -> ExampleReport {
    let about = judging.about;
    let place = |id: &str| about.and_then(|about| about.catalogue.index_of(id));
    let title = |item: u32| about.map_or("", |about| about.catalogue.title(item)).to_owned();
    let judgments = judging.qrels.get(&one.request);
    let grades: HashMap<&str, f64> =
        judgments.into_iter().flat_map(|judgments| judgments.grades()).collect();
    let mut relevant: Vec<(&str, f64)> = grades
        .iter()
        .map(|(item, grade)| (*item, *grade))
        .filter(|(_, grade)| *grade >= judging.relevant_grade)
        .collect();
    // Best grade first, then in the order of the catalogue, or of the ids where there is none.
    relevant.sort_by(|a, b| {
        b.1.total_cmp(&a.1).then_with(|| (place(a.0), a.0).cmp(&(place(b.0), b.0)))
    });
    let item = |id: &str, score: Option<f32>| ExampleItem {
        item: id.to_owned(),
        title: place(id).map(title).unwrap_or_default(),
        grade: grades.get(id).copied(),
        score: score.map(f64::from),
        spans: Vec::new(),
    };
    let systems = runs.iter().map(|run| {
        let items = run.get(&one.request).into_iter().flat_map(|ranking| ranking.items());
        let evidence = judging.evidence.get(run.name());
        let item = |(id, score)| {
            let item = item(id, Some(score));
            let told = evidence.map_or(&[][..], |evidence| evidence.of(&one.request, id));
            ExampleItem { spans: spans(&item.title, told), ..item }
        };
        ExampleSystem {
            system: run.name().to_owned(),
            items: items.take(judging.n_items).map(item).collect(),
        }
    });
    let request = about.and_then(|about| about.requests.get(one.request.as_str()));
    let history = request.into_iter().flat_map(|request| &request.ask.history);
    ExampleReport {
        systems: systems.collect(),
        relevant_total: relevant.len() as u64,
        relevant: relevant.iter().take(judging.n_items).map(|(id, _)| item(id, None)).collect(),
        text: request.and_then(|request| request.ask.query.clone()).unwrap_or_default(),
        history: history.map(|&item| title(item)).collect(),
        request: one.request,
        values: one.values,
        chosen: one.why,
    }
}
