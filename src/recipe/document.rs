//! TOML text as a tree in which every key and value knows where it was written.
//!
//! Knows TOML and nothing of what recipes mean. Overrides are further sources of the same tree, so
//! that a fault in `--set` is shown like one in the file.

use std::path::PathBuf;
use std::sync::Arc;

use serde::de::IntoDeserializer;
use toml::de::{DeTable, DeValue};

use super::fault::Fault;
use super::place::{Place, Source};

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// The value; for a table with a header, the header.
    pub(super) place: Place,
}

/// What a TOML value is.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Table(Vec<Entry>),
    Array(Vec<Node>),
    Text(String),
    Integer(i64),
    Float(f64),
    Bool(bool),
    /// Dates and times; no recipe key takes one.
    Datetime(String),
    /// A number that no machine type holds, as written.
    Overflow(String),
}

/// A key of a table with its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_place: Place,
    pub(super) node: Node,
}

impl Node {
    /// The entry of a table; `None` when absent or when this is no table.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.kind {
            Kind::Table(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub(super) fn entry_mut(&mut self, key: &str) -> Option<&mut Entry> {
        match &mut self.kind {
            Kind::Table(entries) => entries.iter_mut().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The text under a key of a table.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match &self.entry(key)?.node.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What this is, with an article, for messages.
    pub(super) fn describe(&self) -> String {
        match &self.kind {
            Kind::Table(_) => "a table".into(),
            Kind::Array(_) => "a list".into(),
            Kind::Text(text) => format!("the text {}", quoted(text)),
            Kind::Integer(number) => format!("the integer {number}"),
            Kind::Float(number) => format!("the number {number}"),
            Kind::Bool(value) => format!("{value}"),
            Kind::Datetime(text) => format!("the date or time {text}"),
            Kind::Overflow(text) => format!("{}, which does not fit in 64 bits", clipped(text)),
        }
    }
}

/// Text in double quotes, escaped as TOML and cut when long.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", clipped(text).replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

fn clipped(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST).chain(std::iter::once('…')).collect()
}

/// Step of a path into a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Key of a table.
    Key(String),
    /// Element of a list.
    Index(usize),
}

/// A part that has the table of a training.
#[derive(Debug, Clone)]
pub(super) struct Lent {
    /// The part.
    pub(super) to: Vec<Step>,
    /// The training; none where there is no such training, which is a fault.
    pub(super) from: Option<Vec<Step>>,
}

/// A recipe file and its overrides, parsed.
#[derive(Debug, Clone)]
pub(super) struct Document {
    /// The file, then one per override.
    pub(super) sources: Vec<Source>,
    pub(super) root: Node,
    /// Parts that have the table of a training.
    pub(super) lent: Vec<Lent>,
    /// Folder of the file, at which its paths begin; none for a recipe that has no file, or lies in the working folder.
    pub(super) folder: Option<PathBuf>,
}

impl Document {
    /// The part at a path, where it has the table of a training.
    pub(super) fn lent(&self, path: &[Step]) -> Option<&Lent> {
        self.lent.iter().find(|lent| lent.to == path)
    }

    /// Parses the text of a recipe file; gives all syntax faults (at most one a line) when it is not TOML.
    pub(super) fn parse(name: &str, text: &str) -> Result<Self, (Vec<Source>, Vec<Fault>)> {
        let source = Source { name: name.to_owned(), text: Arc::new(text.to_owned()) };
        match parse_table(&source, 0) {
            Ok(root) => Ok(Self { sources: vec![source], root, lent: Vec::new(), folder: None }),
            Err(faults) => Err((vec![source], faults)),
        }
    }

    /// The node at a path.
    pub(super) fn node(&self, path: &[Step]) -> Option<&Node> {
        path.iter().try_fold(&self.root, |node, step| child(node, step).map(|(_, node)| node))
    }

    /// Where the value at a path was written, or the closest thing around it that was written.
    pub(super) fn place(&self, path: &[Step]) -> Place {
        let mut node = &self.root;
        for step in path {
            match child(node, step) {
                Some((_, next)) => node = next,
                None => break,
            }
        }
        node.place.clone()
    }

    /// Where the last key of a path was written, or the closest thing around it.
    pub(super) fn key_place(&self, path: &[Step]) -> Place {
        let parent = path.split_last().and_then(|(last, rest)| Some((last, self.node(rest)?)));
        match parent {
            Some((Step::Key(key), parent)) => {
                parent.entry(key).map_or_else(|| self.place(path), |entry| entry.key_place.clone())
            }
            _ => self.place(path),
        }
    }

    /// The path as users write it: names in the place of list positions.
    pub(super) fn dotted(&self, path: &[Step]) -> String {
        let mut text = String::new();
        let mut node = Some(&self.root);
        for step in path {
            let next = node.and_then(|node| child(node, step)).map(|(_, node)| node);
            let word = match step {
                Step::Key(key) => key.clone(),
                Step::Index(index) => next
                    .and_then(|element| element.text("name"))
                    .map_or_else(|| index.to_string(), str::to_owned),
            };
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(&word);
            node = next;
        }
        text
    }
}

fn child<'n>(node: &'n Node, step: &Step) -> Option<(Option<&'n Place>, &'n Node)> {
    match (step, &node.kind) {
        (Step::Key(key), Kind::Table(_)) => {
            node.entry(key).map(|entry| (Some(&entry.key_place), &entry.node))
        }
        (Step::Index(index), Kind::Array(elements)) => {
            elements.get(*index).map(|node| (None, node))
        }
        _ => None,
    }
}

/// Parses one source into a table, or all its syntax faults, at most one a line.
pub(super) fn parse_table(source: &Source, index: usize) -> Result<Node, Vec<Fault>> {
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    if errors.is_empty() {
        let kind = Kind::Table(entries(table.get_ref(), index));
        return Ok(Node { kind, place: Place::new(index, 0..0) });
    }
    let mut seen_lines = Vec::new();
    let mut faults = Vec::new();
    for error in errors {
        let span = error.span().unwrap_or_default();
        let line = source.line(span.start);
        if seen_lines.contains(&line) {
            continue;
        }
        seen_lines.push(line);
        let fault = Fault::new(Place::new(index, span), "not valid TOML", error.message());
        faults.push(if error.message().starts_with("duplicate key") {
            fault.help("a key or a table can be given only once; [[name]] starts a further element of a list")
        } else {
            fault
        });
    }
    Err(faults)
}

fn entries(table: &DeTable<'_>, source: usize) -> Vec<Entry> {
    table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            key_place: Place::new(source, key.span()),
            node: node(value.get_ref(), Place::new(source, value.span()), source),
        })
        .collect()
}

fn node(value: &DeValue<'_>, place: Place, source: usize) -> Node {
    let kind = match value {
        DeValue::String(text) => Kind::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Kind::Overflow(number.to_string()), Kind::Integer),
        DeValue::Float(number) => match number.as_str().parse::<f64>() {
            Ok(parsed) if parsed.is_finite() || number.as_str().contains(['i', 'n']) => {
                Kind::Float(parsed)
            }
            _ => Kind::Overflow(number.to_string()),
        },
        DeValue::Boolean(value) => Kind::Bool(*value),
        DeValue::Datetime(value) => Kind::Datetime(value.to_string()),
        DeValue::Array(elements) => Kind::Array(
            elements
                .iter()
                .map(|element| node(element.get_ref(), Place::new(source, element.span()), source))
                .collect(),
        ),
        DeValue::Table(table) => Kind::Table(entries(table, source)),
    };
    Node { kind, place }
}

/// Deserializes a checked value into typed settings.
pub(super) fn typed<T: serde::de::DeserializeOwned>(
    value: toml::Value,
) -> Result<T, toml::de::Error> {
    T::deserialize(value.into_deserializer())
}
