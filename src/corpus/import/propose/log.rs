//! Which field of a log is what.

use std::collections::HashSet;

use super::fields::{Field, Holding, Looked};
use super::ids::{could_be_items, known as share_known, without_items};
use super::names::*;
use super::picker::{Found, Picker, is_single, oddly, seen};
use crate::error::{Error, Result};

/// What was found of a log.
pub(super) struct OfLog {
    pub(super) found: Vec<Found>,
    /// Words of events by their meaning.
    pub(super) events: Option<[Vec<String>; 5]>,
    /// The least label that means a click.
    pub(super) label: Option<f64>,
    /// Share of the log's items that are in the items file.
    pub(super) known: f64,
    pub(super) remarks: Vec<String>,
}

/// Keys that say what was chosen.
const SIGNALS: [&str; 10] =
    ["click", "cart", "order", "clicked", "carted", "ordered", "clicks", "label", "event", "means"];

/// Below this share of known items something is wrong.
const FEW_KNOWN: f64 = 0.5;

/// Finds the fields of a log.
///
/// # Errors
/// [`Error::Data`] where it names no items, or does not say what was chosen.
pub(super) fn log_of(looked: &Looked, ids: &HashSet<String>) -> Result<OfLog> {
    let mut picker = Picker::new(looked);
    let known = |field: &Field| share_known(field, ids);
    picker.pick("user", USER, is_single);
    picker.pick("session", SESSION, is_single);
    picker.pick("request", REQUEST, is_single);
    picker.pick("time", TIME, |field| matches!(field.holds, Holding::Numbers | Holding::Times));
    picker.pick("query", QUERY, is_single);
    // Lists of items, where there are any, and else an item a row: what holds ids of items is one.
    let is_lists = picker.left().any(|field| {
        field.holds == Holding::Lists && (fit(&field.name, SHOWN).is_some() || known(field) > 0.5)
    });
    let mut share = 0.0;
    if is_lists {
        let is_list = |field: &Field| field.holds == Holding::Lists;
        picker.pick("history", HISTORY, is_list);
        picker.pick("clicked", CLICKED, |field| is_list(field) && !is_flags(field, ids));
        picker.pick("carted", CARTED, |field| is_list(field) && !is_flags(field, ids));
        picker.pick("ordered", ORDERED, |field| is_list(field) && !is_flags(field, ids));
        let best = picker
            .left()
            .filter(|field| is_list(field))
            .max_by(|a, b| known(a).total_cmp(&known(b)).then(b.name.cmp(&a.name)));
        let by_name = picker
            .left()
            .filter(|field| is_list(field))
            .filter_map(|field| Some((fit(&field.name, SHOWN)?, field)))
            .min_by_key(|(fit, _)| *fit)
            .map(|(_, field)| field);
        let shown = best.filter(|field| known(field) > 0.0).or(by_name);
        if let Some(shown) = shown {
            share = known(shown);
            picker.take("shown", &[shown], with_known(shown, share));
        }
    } else {
        let best = picker
            .left()
            .filter(|field| could_be_items(field) && field.holds != Holding::Lists)
            .max_by(|a, b| known(a).total_cmp(&known(b)).then(b.name.cmp(&a.name)));
        let by_name = picker
            .left()
            .filter(|field| is_single(field))
            .filter_map(|field| Some((fit(&field.name, ITEM)?, field)))
            .min_by_key(|(fit, _)| *fit)
            .map(|(_, field)| field);
        // A name is believed unless another field knows far more items.
        let most = best.map_or(0.0, known);
        let by_name = by_name.filter(|field| 2.0 * known(field) >= most);
        let Some(item) = by_name.or(best.filter(|_| most > 0.0)) else {
            return Err(without_items(looked));
        };
        share = known(item).max(share);
        picker.take("item", &[item], with_known(item, known(item)));
    }
    let fits = |field: &Field| match is_lists {
        true => field.holds == Holding::Lists && is_flags(field, ids),
        false => matches!(field.holds, Holding::Flags | Holding::Numbers),
    };
    let numbers = |field: &Field| {
        field.holds == Holding::Numbers || field.holds == Holding::Flags || is_lists && fits(field)
    };
    let is_counted = !is_lists && counts(&mut picker);
    if !is_counted {
        let is_place = |field: &Field| numbers(field) && (is_lists || field.whole);
        picker.pick("position", POSITION, is_place);
        picker.pick("propensity", PROPENSITY, numbers);
        picker.pick("click", CLICK, fits);
        picker.pick("cart", CART, fits);
        picker.pick("order", ORDER, fits);
        picker.pick("dwell", DWELL, numbers);
    }
    let mut events = None;
    if !is_lists && !has_signal(&picker) {
        events = event(&mut picker);
    }
    let mut label = None;
    if !has_signal(&picker) {
        label = labelled(&mut picker, fits);
    }
    let mut remarks = Vec::new();
    if !has_signal(&picker) {
        let is_signal = |field: &&Field| {
            [CLICK, CART, ORDER, CLICKED, CARTED, ORDERED]
                .iter()
                .any(|usual| fit(&field.name, usual).is_some())
        };
        let signals: Vec<String> = picker.left().filter(is_signal).map(misread).collect();
        let is_page = ["position", "propensity"].iter().any(|key| has(&picker, key));
        if is_lists || is_page || !signals.is_empty() {
            return Err(without_signal(looked, &signals));
        }
        let why = "no field says what was chosen: each row is taken as a click".to_owned();
        remarks.push(format!("{why}; correct `means` where it is not so"));
        picker.found.push(Found { key: "means", fields: vec!["click".into()], why });
    }
    remarks.extend(remarks_of(&picker, share));
    if is_counted {
        let strays: Vec<Found> =
            picker.found.extract_if(.., |found| ["user", "session"].contains(&found.key)).collect();
        remarks.extend(strays.iter().map(|stray| {
            format!("counts are of a query for all users: `{}` was left out", stray.fields[0])
        }));
    }
    Ok(OfLog { found: picker.found, events, label, known: share, remarks })
}

fn has(picker: &Picker<'_>, key: &str) -> bool {
    picker.found.iter().any(|found| found.key == key)
}

fn has_signal(picker: &Picker<'_>) -> bool {
    SIGNALS.iter().any(|key| has(picker, key))
}

/// Takes times clicked and shown, where rows are counts of an item for a query.
fn counts(picker: &mut Picker<'_>) -> bool {
    if has(picker, "request") || !has(picker, "query") {
        return false;
    }
    let is_count =
        |field: &Field| field.whole && matches!(field.holds, Holding::Numbers | Holding::Flags);
    let best = |usual: &[&str]| {
        let fitting = picker.left().filter(|field| is_count(field));
        fitting.filter_map(|field| Some((fit(&field.name, usual)?, field))).min_by_key(|one| one.0)
    };
    let Some((_, clicks)) = best(CLICKS) else { return false };
    let impressions = best(IMPRESSIONS).map(|(_, field)| field);
    if clicks.most <= 1.0 && impressions.is_none_or(|field| field.most <= 1.0) {
        return false;
    }
    picker.take("clicks", &[clicks], format!("times clicked; {}", seen(clicks)));
    if let Some(impressions) = impressions {
        let why = format!("times shown; {}", seen(impressions));
        picker.take("impressions", &[impressions], why);
    }
    true
}

/// Takes a word that says what happened.
fn event(picker: &mut Picker<'_>) -> Option<[Vec<String>; 5]> {
    let meaning = |value: &String| {
        let word = words(value);
        EVENTS.iter().position(|known| known.contains(&word.as_str()))
    };
    let event = picker
        .left()
        .filter(|field| field.holds == Holding::Texts)
        .filter(|field| field.values.iter().any(|value| meaning(value).is_some()))
        .min_by_key(|field| fit(&field.name, EVENT).unwrap_or(usize::MAX))?;
    let mut by_meaning: [Vec<String>; 5] = Default::default();
    for value in &event.values {
        by_meaning[meaning(value).unwrap_or(4)].push(value.clone());
    }
    picker.take("event", &[event], seen(event));
    Some(by_meaning)
}

/// Takes a number that says how far an item got; the least that means a click.
fn labelled(picker: &mut Picker<'_>, fits: impl Fn(&Field) -> bool) -> Option<f64> {
    let label = picker.pick("label", LABEL, fits)?;
    // Of stars, the upper ones; of grades and flags, all.
    let is_small = !label.most.is_finite() || label.whole && label.most <= 3.0;
    Some(if is_small { 1.0 } else { (80.0 * label.most).round() / 100.0 })
}

/// What a field holds that should be a signal.
fn misread(field: &Field) -> String {
    let values: Vec<&str> = field.values.iter().take(3).map(String::as_str).collect();
    match field.holds {
        Holding::Nothing => format!("`{}` is empty", field.name),
        Holding::Texts => format!("`{}` holds `{}`", field.name, values.join("`, `")),
        holds => format!("`{}` holds {}, such as {}", field.name, holds.name(), field.example),
    }
}

fn without_signal(looked: &Looked, signals: &[String]) -> Error {
    const WHAT: &str = "clicked, carted or ordered";
    if !signals.is_empty() {
        let message = format!("no field was understood as what was {WHAT}: {}", signals.join(", "));
        return Error::data(&looked.path, message).with_help(
            "write flags as 0 and 1, true and false, or yes and no; lists as ids of items; or name the field in a recipe \
             of your own (docs/your-own-shop.md)",
        );
    }
    let names: Vec<&str> = looked.fields.iter().map(|field| field.name.as_str()).collect();
    Error::data(&looked.path, format!("no field says what was {WHAT}")).with_help(format!(
        "its fields are {}; name the one that does in a recipe of your own (docs/your-own-shop.md)",
        names.join(", ")
    ))
}

/// What should be known of the guesses.
fn remarks_of(picker: &Picker<'_>, share: f64) -> Vec<String> {
    let mut remarks = Vec::new();
    if share < FEW_KNOWN {
        remarks.push(format!(
            "only {:.1} % of the items in the log's first rows are in the items file: are both of one shop, and are the \
             ids the right fields?",
            100.0 * share
        ));
    }
    if !has(picker, "time") {
        let is_time = |field: &&Field| fit(&field.name, TIME).is_some();
        remarks.extend(picker.left().filter(is_time).filter_map(untimely));
    }
    let numbers = [POSITION, PROPENSITY, CLICK, CLICKS, CART, ORDER, DWELL, LABEL, IMPRESSIONS];
    let is_number = |field: &&Field| numbers.iter().any(|usual| fit(&field.name, usual).is_some());
    remarks.extend(picker.left().filter(is_number).filter_map(oddly));
    if !has(picker, "query") {
        remarks.push(
            "no field of the log looks like a query: where there is one, name it as `query` of [[corpus.log]]".into(),
        );
        if !has(picker, "user") && !has(picker, "history") {
            remarks.push(
                "no field of the log looks like a user: where there is one, name it as `user` of [[corpus.log]]".into(),
            );
        }
    }
    remarks
}

/// What is said of a field called like a time whose times are not understood.
fn untimely(field: &Field) -> Option<String> {
    let is_odd = |text: &&String| {
        text.parse::<f64>().is_err() && crate::corpus::import::seconds_of(text).is_none()
    };
    let text = field.entries.iter().find(is_odd)?;
    Some(format!(
        "`{}` is called like a time, and `{text}` in it is not understood: write 2026-10-01T12:30:00Z, or a number of \
         seconds since 1970; without it the split is not by time",
        field.name
    ))
}

fn with_known(field: &Field, known: f64) -> String {
    format!("{}; {:.1} % are in the items file", seen(field), 100.0 * known)
}

/// Whether a list holds flags or numbers and no ids.
fn is_flags(field: &Field, ids: &HashSet<String>) -> bool {
    let is_number =
        |entry: &String| entry.parse::<f64>().is_ok() || entry == "true" || entry == "false";
    let n_ids = field.entries.iter().filter(|entry| ids.contains(*entry)).count();
    !field.entries.is_empty()
        && field.entries.iter().all(is_number)
        && 2 * n_ids < field.entries.len()
}
