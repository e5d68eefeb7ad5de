//! Trainings in a document: their kind where none is given, and the parts that have the table of one.
//!
//! `train = "NAME"` in a part stands for the keys of that `[[train]]`. They are put into the part's table
//! with the places where they were written, so that checks and explanations speak of the training.

use super::document::{Document, Entry, Kind, Lent, Node, Step, quoted};
use super::fault::{Fault, listed, nearest};
use crate::kind::{Family, TABLE};
use crate::trained::kinds::{DEFAULT, TABLES};

/// The objective of an alignment.
const ALIGNMENT: &str = "preference";
/// What an alignment has where a recipe says nothing: measured in docs/alignment.md.
const ALIGNMENT_RATE: f64 = 2e-5;
const ALIGNMENT_LOOKS: f64 = 0.25;
const ALIGNMENT_METRIC: &str = "recall@10";
const ALIGNMENT_REQUESTS: i64 = 1_000;

/// Keys of a part that has the table of a training.
pub(super) const OWN_KEYS: [&str; 3] = ["kind", "name", TABLE];

/// Gives every training a kind, and the parts that name a training its keys.
pub(super) fn apply(document: &mut Document) -> Vec<Fault> {
    let mut faults = Vec::new();
    let trainings = trainings(&mut document.root);
    let mut lent = Vec::new();
    for (family, key) in [(Family::Vectors, "vectors"), (Family::System, "system")] {
        let all = document.root.entry_mut(key).map(|entry| &mut entry.node.kind);
        let parts: Vec<(Step, &mut Node)> = match all {
            Some(Kind::Table(entries)) => {
                let entries = entries.iter_mut();
                entries.map(|entry| (Step::Key(entry.key.clone()), &mut entry.node)).collect()
            }
            Some(Kind::Array(elements)) => {
                elements.iter_mut().enumerate().map(|(at, node)| (Step::Index(at), node)).collect()
            }
            _ => Vec::new(),
        };
        for (step, node) in parts {
            let kind = node.text("kind").unwrap_or_default().to_owned();
            if !TABLES.contains(&(family, kind.as_str())) {
                continue;
            }
            let Some(name) = node.text(TABLE).map(str::to_owned) else { continue };
            let from = lend(node, &kind, &name, &trainings, &mut faults);
            lent.push(Lent { to: vec![Step::Key(key.into()), step], from });
        }
    }
    document.lent = lent;
    faults
}

/// The tables of `[[train]]`, each of a kind.
fn trainings(root: &mut Node) -> Vec<Node> {
    let Some(Kind::Array(all)) = root.entry_mut("train").map(|entry| &mut entry.node.kind) else {
        return Vec::new();
    };
    for node in all.iter_mut() {
        let place = node.place.clone();
        let has_kind = node.entry("kind").is_some();
        if let Kind::Table(entries) = &mut node.kind
            && !has_kind
        {
            let kind = Node { kind: Kind::Text(DEFAULT.into()), place: place.clone() };
            entries.push(Entry { key: "kind".into(), key_place: place, node: kind });
        }
        align(node);
    }
    all.clone()
}

/// Gives an alignment what it does where a recipe says nothing: it begins with weights that are good already, so that it
/// learns slowly, looks at the validation requests, and keeps what it began with where nothing better comes.
fn align(training: &mut Node) {
    let place = training.place.clone();
    let is_alignment = training.text("kind") == Some(DEFAULT)
        && training.entry("objective").and_then(|one| one.node.text("kind")) == Some(ALIGNMENT);
    let Kind::Table(entries) = &mut training.kind else { return };
    if !is_alignment {
        return;
    }
    let entry = |key: &str, kind: Kind| Entry {
        key: key.into(),
        key_place: place.clone(),
        node: Node { kind, place: place.clone() },
    };
    let rate = || entry("learning_rate", Kind::Float(ALIGNMENT_RATE));
    match entries.iter_mut().find(|one| one.key == "optimizer") {
        None => entries.push(entry("optimizer", Kind::Table(vec![rate()]))),
        Some(Entry { node: Node { kind: Kind::Table(keys), .. }, .. })
            if keys.iter().all(|one| one.key != "learning_rate") =>
        {
            keys.push(rate());
        }
        Some(_) => {}
    }
    if entries.iter().all(|one| one.key != "validation") {
        let keys = vec![
            entry("every_epochs", Kind::Float(ALIGNMENT_LOOKS)),
            entry("metric", Kind::Text(ALIGNMENT_METRIC.into())),
            entry("requests", Kind::Integer(ALIGNMENT_REQUESTS)),
            entry("if_possible", Kind::Bool(true)),
        ];
        entries.push(entry("validation", Kind::Table(keys)));
    }
}

/// Puts the keys of a training into a part of the same kind; where the training is, if it is there.
fn lend(
    part: &mut Node,
    kind: &str,
    name: &str,
    trainings: &[Node],
    faults: &mut Vec<Fault>,
) -> Option<Vec<Step>> {
    let value = part.entry(TABLE).map_or_else(|| part.place.clone(), |one| one.node.place.clone());
    let Some(at) = trainings.iter().position(|training| training.text("name") == Some(name)) else {
        let names = || trainings.iter().filter_map(|training| training.text("name"));
        let header = format!("[[train]] with name = \"{name}\" and kind = \"{kind}\"");
        let help = match nearest(name, names()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None if names().next().is_none() => format!("define it: {header}"),
            None => format!("defined are {}; or define it: {header}", listed(names(), "\"")),
        };
        let message = format!("there is no training {}", quoted(name));
        faults.push(Fault::new(value, message, "no such name").help(help));
        return None;
    };
    let training = &trainings[at];
    let other = training.text("kind").unwrap_or_default();
    if other != kind {
        let message = format!("training `{name}` is of kind = \"{other}\", not \"{kind}\"");
        let help = format!("name a [[train]] of kind = \"{kind}\"");
        faults.push(Fault::new(value, message, "another kind").help(help));
        return None;
    }
    let (Kind::Table(own), Kind::Table(keys)) = (&mut part.kind, &training.kind) else {
        return None;
    };
    let is_own = |entry: &&Entry| OWN_KEYS.contains(&entry.key.as_str());
    for entry in own.iter().filter(|entry| !is_own(entry)) {
        let message = format!("`{}` stands beside `{TABLE}`", entry.key);
        let label = format!("training `{name}` says it");
        let help = format!("change it in [[train]] `{name}`, or leave `{TABLE}` out");
        faults.push(Fault::new(entry.key_place.clone(), message, label).help(help));
    }
    own.retain(|entry| is_own(&entry));
    own.extend(keys.iter().filter(|entry| !is_own(entry)).cloned());
    Some(vec![Step::Key("train".into()), Step::Index(at)])
}
