//! Which field of the items file holds the ids that the log names: told by name, and by what stands in both files.

use std::collections::HashSet;

use super::fields::{Field, Holding, Looked};
use super::names::*;
use crate::corpus::import::faults::Faults;
use crate::corpus::import::records::{FieldPath, Reading, Wanted, read};
use crate::error::{Error, Result};
use crate::progress::Context;

/// Item ids that a log's fields are compared with.
const COMPARED_IDS: usize = 1_000_000;

/// Fields of the items file that are compared with the log.
const CANDIDATES: usize = 6;

/// A share of known items from which on a name that fits is believed.
const BELIEVED: f64 = 0.5;

/// The field of ids, and all of them.
pub(super) struct ItemIds<'l> {
    pub(super) field: &'l Field,
    pub(super) ids: HashSet<String>,
}

/// Finds the field of item ids.
///
/// # Errors
/// [`Error::Data`] where no field could be one, or none has an id that the log names.
pub(super) fn item_ids<'l>(items: &'l Looked, log: &Looked, ctx: &Context) -> Result<ItemIds<'l>> {
    let candidates = candidates(items);
    if candidates.is_empty() {
        return Err(Error::data(&items.path, "no field has a value of its own in every row")
            .with_help("items need an id: a field that is different in every row"));
    }
    let mut found: Vec<ItemIds<'l>> =
        candidates.iter().map(|field| ItemIds { field, ids: HashSet::new() }).collect();
    read_ids(items, &mut found, ctx)?;
    let compared: Vec<&Field> = log.fields.iter().filter(|field| could_be_items(field)).collect();
    if compared.is_empty() {
        return Err(without_items(log));
    }
    let shares: Vec<f64> = found
        .iter()
        .map(|one| compared.iter().map(|field| known(field, &one.ids)).fold(0.0, f64::max))
        .collect();
    let believed = shares.iter().position(|share| *share >= BELIEVED);
    let most = (0..shares.len()).rev().max_by(|&a, &b| shares[a].total_cmp(&shares[b]));
    let chosen = believed.or(most).unwrap_or(0);
    if shares[chosen] == 0.0 {
        return Err(strangers(items, log, &found[0], &compared));
    }
    Ok(found.swap_remove(chosen))
}

/// Share of a field's values that are ids of items.
pub(super) fn known(field: &Field, ids: &HashSet<String>) -> f64 {
    let n_known = field.entries.iter().filter(|entry| ids.contains(*entry)).count();
    n_known as f64 / field.entries.len().max(1) as f64
}

/// Whether a field of a log may hold items, though numbers of users, places and times may look like ids.
pub(super) fn could_be_items(field: &Field) -> bool {
    let others = [
        USER, SESSION, REQUEST, TIME, POSITION, PROPENSITY, CLICK, CLICKS, CART, ORDER, DWELL,
        LABEL,
    ];
    let is_other = || others.iter().any(|usual| is_usual(&field.name, usual));
    match field.holds {
        Holding::Nothing | Holding::Flags | Holding::Times => false,
        Holding::Lists => !field.entries.is_empty(),
        Holding::Numbers if !field.whole => false,
        Holding::Numbers | Holding::Texts => !is_other() || is_usual(&field.name, ITEM),
    }
}

pub(super) fn without_items(log: &Looked) -> Error {
    Error::data(&log.path, "no field holds ids of the items file")
        .with_help("is it the log of these items? name the field in a recipe of your own")
}

/// Fields that could hold ids, the likely ones first: called so, and different in every row.
fn candidates(items: &Looked) -> Vec<&Field> {
    let mut ranked: Vec<((bool, bool, usize), &Field)> = Vec::new();
    for field in &items.fields {
        if matches!(field.holds, Holding::Lists | Holding::Nothing | Holding::Flags) {
            continue;
        }
        // Prices are different in many rows, too.
        let is_fraction = field.holds == Holding::Numbers && !field.whole;
        if is_fraction || is_usual(&field.name, PRICE) {
            continue;
        }
        let n_repeats = n_repeats(field);
        let place = fit(&field.name, ITEM);
        let is_own = n_repeats == 0 && field.empty == 0.0;
        if is_own || 2 * n_repeats < field.entries.len() {
            ranked.push(((place.is_none(), !is_own, place.unwrap_or(0)), field));
        }
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().take(CANDIDATES).map(|(_, field)| field).collect()
}

/// Values that stand before.
pub(super) fn n_repeats(field: &Field) -> usize {
    let different: HashSet<&String> = field.entries.iter().collect();
    field.entries.len() - different.len()
}

/// Reads all ids of the candidates.
fn read_ids(items: &Looked, found: &mut [ItemIds<'_>], ctx: &Context) -> Result<()> {
    let path = |one: &ItemIds<'_>| (FieldPath::new(&one.field.name), "corpus.items.id".into());
    let wanted = Wanted { fields: found.iter().map(path).collect(), rest: false };
    let (mut faults, mut n_rows) = (Faults::default(), 0);
    let reading = Reading::default();
    let outcome = read(&items.files, &reading, &wanted, (&mut faults, 1.0), ctx, &mut |record| {
        for (one, value) in found.iter_mut().zip(&record.values) {
            if let Ok(Some(id)) = value.id() {
                one.ids.insert(id.to_owned());
            }
        }
        n_rows += 1;
        if n_rows < COMPARED_IDS { Ok(Ok(())) } else { Err(Error::Broken) }
    });
    if n_rows < COMPARED_IDS { outcome } else { Ok(()) }
}

/// Said where the log names none of the items.
fn strangers(items: &Looked, log: &Looked, ids: &ItemIds<'_>, compared: &[&Field]) -> Error {
    let by_name = |field: &&&Field| {
        let names = [ITEM, SHOWN, CLICKED];
        names.iter().filter_map(|usual| fit(&field.name, usual)).min().unwrap_or(usize::MAX)
    };
    let likely = compared.iter().min_by_key(by_name).unwrap_or(&compared[0]);
    let some = |field: &Field| {
        let mut some: Vec<&str> = Vec::new();
        for entry in &field.entries {
            if some.len() < 3 && !some.contains(&entry.as_str()) {
                some.push(entry);
            }
        }
        format!("`{}`", some.join("`, `"))
    };
    let message = format!(
        "no field holds ids of the items file: `{}` is the likely one and has {}, and `{}` of {} has {}",
        likely.name,
        some(likely),
        ids.field.name,
        items.path.display(),
        some(ids.field)
    );
    let help = difference(ids.field, likely).unwrap_or(
        "give items and log of one shop, with the same ids in both; where later rows do match, name the fields in a \
         recipe of your own (docs/your-own-shop.md)",
    );
    Error::data(&log.path, message).with_help(help)
}

/// What sets the ids of two files apart, where it is a matter of spelling.
fn difference(items: &Field, log: &Field) -> Option<&'static str> {
    type Plain = fn(&str) -> String;
    let ways: [(Plain, &'static str); 4] = [
        (
            |id| id.strip_suffix(".0").unwrap_or(id).to_owned(),
            "one of the files has its ids as floats (with `.0` behind them): write them as whole numbers",
        ),
        (
            |id| id.trim_start_matches('0').to_owned(),
            "one of the files lost the zeros at the start of its ids: write them as text",
        ),
        (
            |id| id.to_lowercase(),
            "the files differ in upper and lower case: write ids alike in both",
        ),
        (
            |id| id.chars().filter(char::is_ascii_digit).collect(),
            "the ids differ in what stands around their digits: write them alike in both",
        ),
    ];
    let is_it = |plain: &Plain| {
        let ids: HashSet<String> = items.entries.iter().map(|id| plain(id)).collect();
        let same = |id: &&String| !plain(id).is_empty() && ids.contains(&plain(id));
        log.entries.iter().filter(same).count() * 2 > log.entries.len()
    };
    ways.into_iter().find(|(plain, _)| is_it(plain)).map(|(_, help)| help)
}
