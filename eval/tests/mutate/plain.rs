//! Plain readers of a few lines, which the readers of the library are held against. They know nothing of speed.

use std::collections::BTreeMap;

use trieval_eval::{Judgments, Qrels, Ranking, Run};

use crate::harness::Row;

/// request → item → bits of the number.
pub type Table = BTreeMap<String, BTreeMap<String, u64>>;

/// The run as a table; its lists must be in evaluated order.
pub fn run_table(run: &Run) -> Table {
    let one = |ranking: Ranking<'_>| {
        let list: Vec<(&str, f32)> = ranking.items().collect();
        let in_order = |pair: &[(&str, f32)]| {
            pair[0].1 > pair[1].1 || (pair[0].1 == pair[1].1 && pair[0].0 > pair[1].0)
        };
        assert!(list.windows(2).all(in_order), "{list:?} is out of order");
        let items = list.iter().map(|&(item, score)| (item.to_owned(), bits(f64::from(score))));
        (ranking.request().to_owned(), items.collect())
    };
    run.rankings().map(one).collect()
}

pub fn qrels_table(qrels: &Qrels) -> Table {
    let one = |judgments: Judgments<'_>| {
        let items = judgments.grades().map(|(item, grade)| (item.to_owned(), bits(grade)));
        (judgments.request().to_owned(), items.collect())
    };
    qrels.judgments().map(one).collect()
}

/// Bits of a number, both zeros alike.
fn bits(value: f64) -> u64 {
    if value == 0.0 { 0 } else { value.to_bits() }
}

/// The score that a text stands for, rounded as it is kept.
fn score(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|value| !value.is_nan()).map(|value| f64::from(value as f32))
}

fn grade(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}

pub fn plain_run(bytes: &[u8]) -> Option<Table> {
    plain(bytes, 6, 4, score)
}

pub fn plain_qrels(bytes: &[u8]) -> Option<Table> {
    plain(bytes, 4, 3, grade)
}

/// The rows as a Parquet file holds them: what is no number there is null, which no reader accepts.
pub fn table_of(rows: &[Row], is_run: bool) -> Option<Table> {
    let mut table = Table::new();
    for (request, item, number) in rows {
        let value = if is_run { score(number) } else { grade(number) };
        let items = table.entry(request.clone()).or_default();
        if items.insert(item.clone(), bits(value?)).is_some() {
            return None;
        }
    }
    Some(table)
}

/// Lines of `n_fields`; request first, item third, the number at `place`; no pair twice.
fn plain(
    bytes: &[u8],
    n_fields: usize,
    place: usize,
    number: impl Fn(&str) -> Option<f64>,
) -> Option<Table> {
    let text = std::str::from_utf8(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)).ok()?;
    let mut table = Table::new();
    for line in text.split('\n') {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        if fields.is_empty() {
            continue;
        }
        if fields.len() != n_fields {
            return None;
        }
        let value = bits(number(fields[place])?);
        let items = table.entry(fields[0].to_owned()).or_default();
        if items.insert(fields[2].to_owned(), value).is_some() {
            return None;
        }
    }
    Some(table)
}
