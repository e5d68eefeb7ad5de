//! Document to typed recipe: every component walked and typed on its own, then checked together.
//!
//! Components are typed one by one so that a fault in one does not hide faults between others. Knows
//! the components' settings; opens no data.

mod components;
#[cfg(test)]
mod dense_tests;
mod evaluation;
#[cfg(test)]
mod identifiers_tests;
mod metrics;
mod spelling;
#[cfg(test)]
mod spelling_tests;
#[cfg(test)]
mod vectors_tests;

use serde::de::DeserializeOwned;
use trieval_eval::settings::{EvaluationSettings, ReportSettings};

use super::document::{Document, Kind, Node, Step, typed};
use super::fault::{Fault, sort};
use super::settings::Recipe;
use super::shape::{Field, Shape, recipe_fields};
use super::walk::Walker;
use crate::corpus::kinds::CorpusSettings;
use crate::model::settings::ModelSettings;
use crate::quantizer::kinds::IdentifierSettings;
use crate::ranker::kinds::SystemSettings;
use crate::trained::kinds::TrainingSettings;
use crate::vectors::kinds::VectorsSettings;

/// One component of the recipe as far as it could be read.
#[derive(Debug)]
struct Part<T> {
    /// Name of the component; `None` when it has none or is no text.
    name: Option<String>,
    path: Vec<Step>,
    value: Option<T>,
    /// Free of faults so far: only then may the absence of a key be held against it.
    intact: bool,
}

/// All components as far as they could be read.
#[derive(Debug)]
struct Parts {
    name: Option<Part<String>>,
    description: Option<Part<String>>,
    seed: Option<Part<u64>>,
    corpus: Option<Part<CorpusSettings>>,
    vectors: Vec<Part<VectorsSettings>>,
    identifier: Vec<Part<IdentifierSettings>>,
    model: Vec<Part<ModelSettings>>,
    train: Vec<Part<TrainingSettings>>,
    system: Vec<Part<SystemSettings>>,
    evaluation: Option<Part<EvaluationSettings>>,
    report: Option<Part<ReportSettings>>,
    /// No fault anywhere so far: only then may a component be called unused.
    intact: bool,
}

/// What cross checks find.
struct Checker<'d> {
    document: &'d Document,
    faults: Vec<Fault>,
}

/// The recipe of a document with remarks, or all its faults (and remarks), sorted by position.
///
/// `earlier` holds faults that were found before, in overrides and parts that have the table of a training.
pub(super) fn check(
    document: &Document,
    earlier: Vec<Fault>,
) -> Result<(Recipe, Vec<Fault>), Vec<Fault>> {
    let mut walker = Walker::new(document);
    walker.faults = earlier;
    let parts = read(document, &mut walker);
    let mut checker = Checker { document, faults: walker.faults };
    components::check(&parts, &mut checker);
    spelling::check(&parts, &mut checker);
    evaluation::check(&parts, &mut checker);
    let mut faults = checker.faults;
    sort(&mut faults);
    if faults.iter().any(|fault| !fault.is_warning()) {
        return Err(faults);
    }
    match assemble(parts) {
        Some(recipe) => Ok((recipe, faults)),
        None => {
            let message = "the recipe was accepted but cannot be assembled";
            let fault = Fault::new(document.root.place.clone(), message, "in this file");
            Err(vec![fault.help("this is a fault of trieval, not of the recipe: please report it")])
        }
    }
}

fn assemble(parts: Parts) -> Option<Recipe> {
    fn named<T>(parts: Vec<Part<T>>) -> Option<std::collections::BTreeMap<String, T>> {
        parts.into_iter().map(|part| Some((part.name?, part.value?))).collect()
    }
    fn listed<T>(parts: Vec<Part<T>>) -> Option<Vec<T>> {
        parts.into_iter().map(|part| part.value).collect()
    }
    fn optional<T>(part: Option<Part<T>>, default: T) -> Option<T> {
        part.map_or(Some(default), |part| part.value)
    }
    // absent keys take the defaults that serde would give, from the one place that states them
    let bare = serde_json::json!({"name": "", "corpus": {"kind": "simulator"}});
    let defaults: Recipe = serde_json::from_value(bare).ok()?;
    Some(Recipe {
        name: parts.name?.value?,
        description: optional(parts.description, defaults.description)?,
        seed: optional(parts.seed, defaults.seed)?,
        corpus: parts.corpus?.value?,
        vectors: named(parts.vectors)?,
        identifier: named(parts.identifier)?,
        model: named(parts.model)?,
        train: listed(parts.train)?,
        system: listed(parts.system)?,
        evaluation: optional(parts.evaluation, defaults.evaluation)?,
        report: optional(parts.report, defaults.report)?,
    })
}

fn read(document: &Document, walker: &mut Walker<'_>) -> Parts {
    let fields = recipe_fields();
    walker.keys(&document.root, fields, &[], "");
    let mut parts = Parts {
        name: single(document, walker, fields, "name"),
        description: single(document, walker, fields, "description"),
        seed: single(document, walker, fields, "seed"),
        corpus: single(document, walker, fields, "corpus"),
        vectors: named(document, walker, fields, "vectors"),
        identifier: named(document, walker, fields, "identifier"),
        model: named(document, walker, fields, "model"),
        train: listed(document, walker, fields, "train"),
        system: listed(document, walker, fields, "system"),
        evaluation: single(document, walker, fields, "evaluation"),
        report: single(document, walker, fields, "report"),
        intact: false,
    };
    parts.intact = walker.faults.is_empty();
    parts
}

fn single<T: DeserializeOwned>(
    document: &Document,
    walker: &mut Walker<'_>,
    fields: &[Field],
    key: &str,
) -> Option<Part<T>> {
    let node = &document.root.entry(key)?.node;
    let field = fields.iter().find(|field| field.key == key)?;
    Some(part(walker, node, &field.shape, vec![Step::Key(key.to_owned())], None))
}

fn named<T: DeserializeOwned>(
    document: &Document,
    walker: &mut Walker<'_>,
    fields: &[Field],
    key: &str,
) -> Vec<Part<T>> {
    let Some(node) = document.root.entry(key).map(|entry| &entry.node) else { return Vec::new() };
    let Some(field) = fields.iter().find(|field| field.key == key) else { return Vec::new() };
    let path = vec![Step::Key(key.to_owned())];
    match (&field.shape, &node.kind) {
        (Shape::Named(element), Kind::Table(entries)) => entries
            .iter()
            .map(|entry| {
                let path = [path.clone(), vec![Step::Key(entry.key.clone())]].concat();
                part(walker, &entry.node, element, path, Some(entry.key.clone()))
            })
            .collect(),
        _ => {
            // no table at all: one fault about the whole
            walker.value(node, &field.shape, &mut path.clone());
            Vec::new()
        }
    }
}

fn listed<T: DeserializeOwned>(
    document: &Document,
    walker: &mut Walker<'_>,
    fields: &[Field],
    key: &str,
) -> Vec<Part<T>> {
    let Some(node) = document.root.entry(key).map(|entry| &entry.node) else { return Vec::new() };
    let Some(field) = fields.iter().find(|field| field.key == key) else { return Vec::new() };
    let path = vec![Step::Key(key.to_owned())];
    match (&field.shape, &node.kind) {
        (Shape::List { item, .. }, Kind::Array(elements)) => elements
            .iter()
            .enumerate()
            .map(|(index, element)| {
                let path = [path.clone(), vec![Step::Index(index)]].concat();
                let name = element.text("name").map(str::to_owned);
                part(walker, element, item, path, name)
            })
            .collect(),
        _ => {
            walker.value(node, &field.shape, &mut path.clone());
            Vec::new()
        }
    }
}

fn part<T: DeserializeOwned>(
    walker: &mut Walker<'_>,
    node: &Node,
    shape: &Shape,
    mut path: Vec<Step>,
    name: Option<String>,
) -> Part<T> {
    let n_before = walker.faults.len();
    let value = walker.value(node, shape, &mut path);
    let value = value.and_then(|value| match typed::<T>(value) {
        Ok(value) => Some(value),
        Err(cause) => {
            let label = cause.message().to_owned();
            walker.faults.push(Fault::new(node.place.clone(), "this part cannot be read", label));
            None
        }
    });
    let intact = walker.faults.len() == n_before;
    if walker.is_lent(&path) {
        // They are the training's, of which they are told.
        walker.faults.truncate(n_before);
    }
    Part { name, path, value, intact }
}

impl<T> Part<T> {
    /// Path of a key inside this component.
    fn at(&self, keys: &[&str]) -> Vec<Step> {
        let mut path = self.path.clone();
        path.extend(keys.iter().map(|key| Step::Key((*key).to_owned())));
        path
    }
}

impl Checker<'_> {
    /// A fault about the value at a path.
    fn fault(&mut self, path: &[Step], message: impl Into<String>, label: &str, help: &str) {
        let fault = Fault::new(self.document.place(path), message, label);
        self.faults.push(if help.is_empty() { fault } else { fault.help(help) });
    }

    /// What is allowed and yet worth a word about the value at a path.
    fn remark(&mut self, path: &[Step], message: impl Into<String>, label: &str, help: &str) {
        let remark = Fault::new(self.document.place(path), message, label);
        self.faults.push(remark.help(help).warning());
    }

    /// A fault about a key, whatever its value.
    fn key_fault(&mut self, path: &[Step], message: impl Into<String>, label: &str, help: &str) {
        let fault = Fault::new(self.document.key_place(path), message, label);
        self.faults.push(if help.is_empty() { fault } else { fault.help(help) });
    }
}
