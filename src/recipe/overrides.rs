//! `--set a.b=c`: overrides applied to a document as if they had been written in the file.
//!
//! Elements of lists are addressed by name or by position: `train.aligned.epochs=2`,
//! `system.0.k1=1.2`. A value is read as TOML, and as bare text where that fails.

use std::sync::Arc;

use super::document::{Document, Entry, Kind, Node, parse_table};
use super::fault::{Fault, listed, nearest};
use super::place::{Place, Source};

/// Applies overrides in order; a later one wins. Faults are collected, the others still applied.
pub(super) fn apply(document: &mut Document, overrides: &[String]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for text in overrides {
        let index = document.sources.len();
        let source = Source { name: "--set".into(), text: Arc::new(text.clone()) };
        document.sources.push(source.clone());
        match parse(&source, index) {
            Ok(assignment) => {
                if let Err(fault) = assign(&mut document.root, assignment) {
                    faults.push(*fault);
                }
            }
            Err(fault) => faults.push(*fault),
        }
    }
    faults
}

/// The parts of a dotted key with their places, and the value.
struct Assignment {
    keys: Vec<(String, Place)>,
    value: Node,
}

fn parse(source: &Source, index: usize) -> Result<Assignment, Box<Fault>> {
    let text: &str = &source.text;
    let whole = Place::new(index, 0..text.len());
    let fault = |message: &str, label: &str| {
        let help = "write KEY=VALUE, for instance --set train.aligned.optimizer.learning_rate=1e-4";
        Box::new(Fault::new(whole.clone(), message, label).help(help))
    };
    let Some(equals) = position_of_equals(text) else {
        return Err(fault("an override needs a `=`", "no value is given"));
    };
    // the key alone decides how deep the path goes, so that the value may itself be a table
    let probe =
        Source { name: source.name.clone(), text: Arc::new(format!("{}=0", &text[..equals])) };
    let keys = match parse_table(&probe, index).map(|table| chain(&table)) {
        Ok(Some(keys)) => keys,
        Ok(None) => return Err(fault("not a key", "one dotted key is expected before `=`")),
        Err(faults) => {
            let label = faults.first().map_or("not a key", |_| "not a dotted key");
            return Err(fault("not a key", label));
        }
    };
    Ok(Assignment { value: value(source, index, equals, keys.len()), keys })
}

/// The first `=` outside quotes.
fn position_of_equals(text: &str) -> Option<usize> {
    let mut quote = None;
    for (offset, character) in text.char_indices() {
        match (quote, character) {
            (None, '=') => return Some(offset),
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
    }
    None
}

/// The keys of `a.b.c = 0`, or `None` when the table holds anything but one such chain.
fn chain(table: &Node) -> Option<Vec<(String, Place)>> {
    let mut keys = Vec::new();
    let mut node = table;
    while let Kind::Table(entries) = &node.kind {
        let [entry] = entries.as_slice() else { return None };
        keys.push((entry.key.clone(), entry.key_place.clone()));
        node = &entry.node;
    }
    Some(keys)
}

/// The value as TOML, else the characters behind the `=` as text.
fn value(source: &Source, index: usize, equals: usize, n_keys: usize) -> Node {
    if let Ok(mut node) = parse_table(source, index) {
        let mut depth = 0;
        while depth < n_keys {
            match node.kind {
                Kind::Table(mut entries) if entries.len() == 1 => node = entries.remove(0).node,
                other => {
                    node.kind = other;
                    break;
                }
            }
            depth += 1;
        }
        if depth == n_keys {
            return node;
        }
    }
    let raw = &source.text[equals + 1..];
    let trimmed = raw.trim();
    let start = equals + 1 + (raw.len() - raw.trim_start().len());
    Node {
        kind: Kind::Text(trimmed.to_owned()),
        place: Place::new(index, start..start + trimmed.len()),
    }
}

fn assign(root: &mut Node, assignment: Assignment) -> Result<(), Box<Fault>> {
    let mut node = root;
    let mut walked: Vec<String> = Vec::new();
    let n_keys = assignment.keys.len();
    let mut value = Some(assignment.value);
    for (depth, (key, place)) in assignment.keys.into_iter().enumerate() {
        let last = depth + 1 == n_keys;
        let described = node.describe();
        match &mut node.kind {
            Kind::Table(entries) => {
                let position = entries.iter().position(|entry| entry.key == key);
                let position = position.unwrap_or_else(|| {
                    let kind = Kind::Table(Vec::new());
                    let node = Node { kind, place: place.clone() };
                    entries.push(Entry { key: key.clone(), key_place: place.clone(), node });
                    entries.len() - 1
                });
                let entry = &mut entries[position];
                if last {
                    entry.key_place = place;
                    if let Some(value) = value.take() {
                        entry.node = value;
                    }
                    return Ok(());
                }
                node = &mut entry.node;
            }
            Kind::Array(elements) => {
                let index = element_index(elements, &key, &place, &walked)?;
                let element = &mut elements[index];
                if last {
                    if let Some(value) = value.take() {
                        *element = value;
                    }
                    return Ok(());
                }
                node = element;
            }
            _ => {
                let holder = walked.join(".");
                let message = format!("`{holder}` is no table");
                let label = format!("`{holder}` is {described}");
                return Err(Box::new(Fault::new(place, message, label)));
            }
        }
        walked.push(key);
    }
    Ok(())
}

fn element_index(
    elements: &[Node],
    key: &str,
    place: &Place,
    walked: &[String],
) -> Result<usize, Box<Fault>> {
    if let Some(index) = elements.iter().position(|element| element.text("name") == Some(key)) {
        return Ok(index);
    }
    match key.parse::<usize>() {
        Ok(index) if index < elements.len() => Ok(index),
        _ => {
            let list = walked.join(".");
            let names: Vec<&str> =
                elements.iter().filter_map(|element| element.text("name")).collect();
            let message = format!("no element of `{list}` is named `{key}`");
            let fault = Fault::new(place.clone(), message, "neither a name nor a position");
            Err(Box::new(match nearest(key, names.iter().copied()) {
                Some(name) => fault.help(format!("did you mean `{list}.{name}`?")),
                None if elements.is_empty() => fault.help(format!("`{list}` is empty")),
                None => fault.help(format!(
                    "names there: {}; positions run from 0 to {}",
                    listed(names, "`"),
                    elements.len() - 1
                )),
            }))
        }
    }
}
