//! What the page's script needs to show any two systems beside each other, as compact JSON inside the page. Items are named
//! once and figures are rounded to six decimals, so that thousands of requests stay small enough to mail.

use std::collections::HashMap;

use serde::Serialize;

use super::cut;
use super::requests::{TEXT_CHARS, TITLE_CHARS, history, is_relevant, marks, title};
use crate::report::model::{Comparison, ExampleItem, ExampleReport, Report, Verdict};
use crate::report::{chart, link, numbers, words};

/// Most requests that the page carries.
const MAX_REQUESTS: usize = 2_000;
/// Most items of a list that the page carries.
const MAX_ITEMS: usize = 10;

#[derive(Serialize)]
struct Data {
    systems: Vec<System>,
    metrics: Vec<Metric>,
    /// The two systems shown first.
    first: [usize; 2],
    pairs: Vec<Pair>,
    /// Id and title of every item that is listed.
    items: Vec<(String, String)>,
    requests: Vec<Request>,
    /// Names of the tests.
    tests: Vec<String>,
    /// Requests of the report; the page may carry fewer.
    total: usize,
}

#[derive(Serialize)]
struct System {
    name: String,
    /// The class of its color; empty for a ceiling.
    look: String,
    link: Option<String>,
    /// `[metric]`: value, low, high.
    estimates: Vec<Option<[f64; 3]>>,
}

#[derive(Serialize)]
struct Metric {
    name: String,
    lower: bool,
}

/// One system against another, on every metric.
#[derive(Serialize)]
struct Pair {
    system: usize,
    against: usize,
    /// `[metric]`
    metrics: Vec<Option<Tested>>,
}

/// Difference, low, high, adjusted p, verdict (1 better, −1 worse, 0 open), wins, ties, losses, effect size, non-inferiority (0
/// not asked about, 1 shown, 2 refuted, 3 open), and test.
type Tested = (f64, f64, f64, f64, i8, u64, u64, u64, Option<f64>, u8, usize);

#[derive(Serialize)]
struct Request {
    id: String,
    text: String,
    chosen: String,
    history: Vec<String>,
    relevant: Vec<Item>,
    more: u64,
    /// `[system]`, of the first metric.
    values: Vec<Option<f64>>,
    /// `[system]`
    lists: Vec<Option<Vec<Item>>>,
}

/// Item, grade, whether it is relevant, score, and, where something is marked, the marks.
#[derive(Clone, Serialize)]
#[serde(untagged)]
enum Item {
    Plain(usize, Option<f64>, u8, Option<f64>),
    Marked(usize, Option<f64>, u8, Option<f64>, Vec<Mark>),
}

/// Start and end in the title, as a script counts (UTF-16), and what is there adds to the score.
type Mark = (usize, usize, String);

/// The data as JSON that cannot close the element it stands in.
pub(super) fn data(report: &Report) -> String {
    let systems = words::ordered(report);
    let index: HashMap<&str, usize> =
        systems.iter().enumerate().map(|(at, system)| (system.name.as_str(), at)).collect();
    let metrics = &report.evaluation.metrics;
    let mut items = Items::default();
    let requests = report.examples.iter().take(MAX_REQUESTS);
    let requests = requests.map(|one| request(report, one, &index, &mut items)).collect();
    let mut tests = Vec::new();
    let data = Data {
        total: report.examples.len(),
        pairs: pairs(report, &index, &mut tests),
        systems: systems
            .iter()
            .map(|system| System {
                name: system.name.clone(),
                look: match system.is_ceiling() {
                    true => String::new(),
                    false => chart::color(words::look(report, &system.name)),
                },
                link: link::run(system),
                estimates: metrics
                    .iter()
                    .map(|metric| {
                        let one = system.metrics.get(metric)?;
                        let all = [one.value, one.low, one.high];
                        all.iter().all(|v| v.is_finite()).then(|| all.map(round))
                    })
                    .collect(),
            })
            .collect(),
        metrics: metrics
            .iter()
            .map(|metric| Metric {
                name: metric.clone(),
                lower: words::lower_is_better(report, metric),
            })
            .collect(),
        first: first(report, &index),
        items: items.named,
        requests,
        tests,
    };
    // Serialization of this data cannot fail: its keys are texts and its figures are finite or null.
    let text = serde_json::to_string(&data).unwrap_or_else(|_| "{}".to_owned());
    text.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

/// The winner and the baseline, or the two best.
fn first(report: &Report, index: &HashMap<&str, usize>) -> [usize; 2] {
    let base = report.baseline.as_deref().and_then(|name| index.get(name).copied());
    match base {
        Some(0) | None => [0, 1.min(report.systems.len().saturating_sub(1))],
        Some(base) => [0, base],
    }
}

fn pairs(report: &Report, index: &HashMap<&str, usize>, tests: &mut Vec<String>) -> Vec<Pair> {
    let metrics = &report.evaluation.metrics;
    let mut found: Vec<Pair> = Vec::new();
    let mut place: HashMap<(usize, usize), usize> = HashMap::new();
    for one in report.comparisons.iter().chain(&report.pairs) {
        let base = report.baseline.as_deref().unwrap_or_default();
        let against = if one.baseline.is_empty() { base } else { &one.baseline };
        let ends = (index.get(one.system.as_str()), index.get(against));
        let (Some(&system), Some(&against)) = ends else { continue };
        let Some(metric) = metrics.iter().position(|name| *name == one.metric) else { continue };
        let at = *place.entry((system, against)).or_insert_with(|| {
            found.push(Pair { system, against, metrics: vec![None; metrics.len()] });
            found.len() - 1
        });
        let cell = &mut found[at].metrics[metric];
        if cell.is_none() {
            *cell = tested(one, tests);
        }
    }
    found
}

fn tested(one: &Comparison, tests: &mut Vec<String>) -> Option<Tested> {
    let figures = [one.difference, one.low, one.high, one.p_adjusted];
    if !figures.iter().all(|value| value.is_finite()) {
        return None;
    }
    let test = tests.iter().position(|test| *test == one.test).unwrap_or_else(|| {
        tests.push(one.test.clone());
        tests.len() - 1
    });
    let verdict = match one.verdict {
        Verdict::Better => 1,
        Verdict::Worse => -1,
        Verdict::Inconclusive => 0,
    };
    let non_inferior = match (one.non_inferior, one.margin) {
        (Some(true), _) => 1,
        (Some(false), _) => 2,
        (None, Some(_)) => 3,
        (None, None) => 0,
    };
    let effect = one.effect_size.filter(|size| size.is_finite()).map(round);
    let [difference, low, high, p] = figures.map(round);
    let counts = (one.wins, one.ties, one.losses);
    Some((
        difference,
        low,
        high,
        p,
        verdict,
        counts.0,
        counts.1,
        counts.2,
        effect,
        non_inferior,
        test,
    ))
}

/// Items by number, each named once.
#[derive(Default)]
struct Items {
    named: Vec<(String, String)>,
    numbers: HashMap<(String, String), usize>,
}

impl Items {
    fn number(&mut self, item: &ExampleItem) -> usize {
        let name = (cut(&item.item, TITLE_CHARS), title(item));
        *self.numbers.entry(name.clone()).or_insert_with(|| {
            self.named.push(name);
            self.named.len() - 1
        })
    }
}

fn request(
    report: &Report,
    example: &ExampleReport,
    index: &HashMap<&str, usize>,
    items: &mut Items,
) -> Request {
    let mut listed = |list: &[ExampleItem]| -> Vec<Item> {
        list.iter()
            .take(MAX_ITEMS)
            .map(|item| {
                let relevant = u8::from(is_relevant(report, example, item));
                let figure = |value: Option<f64>| value.filter(|v| v.is_finite()).map(short);
                let (number, grade, score) =
                    (items.number(item), figure(item.grade), figure(item.score));
                let shown = title(item);
                let units = |end: usize| shown[..end].encode_utf16().count();
                let marks = marks(item, &shown).into_iter().map(|(place, worth)| {
                    (units(place.start), units(place.end), numbers::short(worth))
                });
                let marks: Vec<Mark> = marks.collect();
                match marks.is_empty() {
                    true => Item::Plain(number, grade, relevant, score),
                    false => Item::Marked(number, grade, relevant, score, marks),
                }
            })
            .collect()
    };
    let mut lists = vec![None; index.len()];
    for system in &example.systems {
        if let Some(&at) = index.get(system.system.as_str()) {
            lists[at] = Some(listed(&system.items));
        }
    }
    let mut values = vec![None; index.len()];
    for (system, &value) in &example.values {
        if let (Some(&at), true) = (index.get(system.as_str()), value.is_finite()) {
            values[at] = Some(round(value));
        }
    }
    let relevant = listed(&example.relevant);
    Request {
        id: cut(&example.request, TITLE_CHARS),
        text: cut(&example.text, TEXT_CHARS),
        chosen: cut(&example.chosen, TITLE_CHARS),
        history: history(example),
        more: example.relevant_total.saturating_sub(relevant.len() as u64),
        relevant,
        values,
        lists,
    }
}

/// Six decimals.
fn round(value: f64) -> f64 {
    let rounded = (value * 1e6).round() / 1e6;
    if rounded.is_finite() { rounded } else { value }
}

/// Four significant digits, for scores of any size.
fn short(value: f64) -> f64 {
    if value == 0.0 {
        return 0.0;
    }
    let scale = 10.0_f64.powf(3.0 - value.abs().log10().floor());
    let rounded = (value * scale).round() / scale;
    if rounded.is_finite() { rounded } else { value }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_data_holds_every_pair_and_cannot_leave_its_element() {
        let text = data(&sample::report());
        assert!(!text.contains('<'));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["first"], serde_json::json!([0, 2]));
        assert_eq!(value["systems"][0]["name"], "aligned");
        assert_eq!(value["systems"][1]["name"], "colbert <v2>");
        let pairs = value["pairs"].as_array().unwrap();
        assert_eq!(pairs.len(), 6 + 10);
        assert!(pairs.iter().all(|pair| pair["metrics"].as_array().unwrap().len() == 5));
        assert_eq!(value["requests"].as_array().unwrap().len(), 21);
        assert_eq!(value["requests"][0]["lists"][0][0][2], 1);
        // "Oak side table, oval, 45 cm"
        let marks = serde_json::json!([[4, 14, "12.3"], [16, 20, "4.94"]]);
        assert_eq!(value["requests"][0]["lists"][0][0][4], marks);
        assert_eq!(value["requests"][0]["lists"][1][0].as_array().unwrap().len(), 4);
        assert!(data(&Report::default()).contains("\"first\":[0,0]"));
    }

    #[test]
    fn scores_keep_four_digits() {
        assert_eq!(short(1_234_567.0), 1_235_000.0);
        assert_eq!(short(-0.000_123_456), -0.000_123_5);
        assert_eq!(short(0.0), 0.0);
        assert!(short(1e-310).is_finite());
    }
}
