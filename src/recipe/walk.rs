//! A document walked against the schema: unknown, missing, mistyped and out-of-range keys.
//!
//! Gives back a clean value (without the faulty optional parts) beside the faults, so that cross
//! checks can go on in the same pass. Knows shapes and texts, not what a key means.

use toml::Value;

use super::document::{Document, Entry, Kind, Node, Step, quoted};
use super::fault::{Fault, listed, nearest};
use super::shape::{Field, Shape, Variant, digits};
use crate::store::Source as PathSource;

/// Keys that have another place than in earlier versions, and that place.
const MOVED: &[(&str, &str)] = &[("learning_rate", "optimizer.learning_rate")];

/// Collects faults while walking one document.
pub(super) struct Walker<'d> {
    document: &'d Document,
    pub(super) faults: Vec<Fault>,
}

impl<'d> Walker<'d> {
    pub(super) fn new(document: &'d Document) -> Self {
        Self { document, faults: Vec::new() }
    }

    /// Whether the part at a path has the table of a training.
    pub(super) fn is_lent(&self, path: &[Step]) -> bool {
        self.document.lent(path).is_some()
    }

    /// A path as the program finds it: one that a recipe file writes begins at the file's folder, where something is
    /// there, and else at the working folder; one of the command line at the working folder.
    fn located(&self, node: &Node, text: &str) -> String {
        let is_path = !text.is_empty() && PathSource::from(text).path().is_ok();
        let folder = self.document.folder.as_ref().filter(|_| is_path && node.place.source == 0);
        let beside = folder.map(|folder| folder.join(text)).filter(|path| path.exists());
        beside.map_or_else(|| text.to_owned(), |path| path.display().to_string())
    }

    /// The clean value at `path`; `None` when it cannot be used at all.
    pub(super) fn value(
        &mut self,
        node: &Node,
        shape: &Shape,
        path: &mut Vec<Step>,
    ) -> Option<Value> {
        match (shape, &node.kind) {
            (Shape::Table(fields), Kind::Table(_)) => {
                self.keys(node, fields, path, "");
                self.fields(node, fields, path).map(Value::Table)
            }
            (Shape::Tagged { tag, variants }, Kind::Table(_)) => {
                self.tagged(node, tag, variants, path)
            }
            (Shape::Named(element), Kind::Table(entries)) => {
                let mut table = toml::Table::new();
                for entry in entries {
                    path.push(Step::Key(entry.key.clone()));
                    let value = self.value(&entry.node, element, path);
                    path.pop();
                    table.insert(entry.key.clone(), value?);
                }
                Some(Value::Table(table))
            }
            (Shape::List { item, length }, Kind::Array(elements)) => {
                self.list(node, elements, item, *length, path)
            }
            (Shape::Choice(words), Kind::Text(word)) => self.choice(node, words, word, path),
            (Shape::Text, Kind::Text(text)) => Some(Value::String(text.clone())),
            (Shape::Path, Kind::Text(text)) => Some(Value::String(self.located(node, text))),
            (Shape::Bool, Kind::Bool(value)) => Some(Value::Boolean(*value)),
            (Shape::Integer { min, max }, Kind::Integer(number)) => {
                if (min..=max).contains(&number) {
                    return Some(Value::Integer(*number));
                }
                self.out_of_range(node, shape, path);
                None
            }
            (Shape::Number { min, max }, Kind::Integer(_) | Kind::Float(_)) => {
                #[allow(clippy::cast_precision_loss)]
                let number = match node.kind {
                    Kind::Integer(number) => number as f64,
                    Kind::Float(number) => number,
                    _ => return None,
                };
                let inside = number.is_finite()
                    && min.is_none_or(|min| min <= number)
                    && max.is_none_or(|max| number <= max);
                if inside {
                    return Some(Value::Float(number));
                }
                self.out_of_range(node, shape, path);
                None
            }
            _ => {
                self.wrong_type(node, shape, path);
                None
            }
        }
    }

    /// Unknown and missing keys of a table; `kind` is said beside the table's name, and may be empty.
    pub(super) fn keys(&mut self, node: &Node, fields: &[Field], path: &[Step], kind: &str) {
        let Kind::Table(entries) = &node.kind else { return };
        for entry in entries {
            if !fields.iter().any(|field| field.key == entry.key) {
                let label = format!("no key of {}{kind}", self.table_name(path));
                let names = || fields.iter().map(|field| field.key.as_str());
                let moved = MOVED.iter().find(|(old, new)| {
                    *old == entry.key && names().any(|name| new.split('.').next() == Some(name))
                });
                let help = match nearest(&entry.key, names()) {
                    _ if moved.is_some() => {
                        format!("it is called `{}` now", moved.map_or("", |(_, new)| *new))
                    }
                    Some(name) => format!("did you mean `{name}`?"),
                    None if fields.is_empty() => "no keys are known here".into(),
                    None => format!("keys there: {}", listed(names(), "`")),
                };
                let message = format!("unknown key `{}`", entry.key);
                self.faults.push(Fault::new(entry.key_place.clone(), message, label).help(help));
            }
        }
        for field in fields.iter().filter(|field| field.required) {
            if !entries.iter().any(|entry| entry.key == field.key) {
                self.missing(node, field, path);
            }
        }
    }

    /// The clean values of the known keys; `None` when a required one is missing or cannot be used.
    fn fields(
        &mut self,
        node: &Node,
        fields: &[Field],
        path: &mut Vec<Step>,
    ) -> Option<toml::Table> {
        let mut table = toml::Table::new();
        let mut usable = true;
        for field in fields {
            let Some(entry) = node.entry(&field.key) else {
                usable &= !field.required;
                continue;
            };
            path.push(Step::Key(field.key.clone()));
            let value = self.value(&entry.node, &field.shape, path);
            path.pop();
            match value {
                Some(value) => {
                    table.insert(field.key.clone(), value);
                }
                None => usable &= !field.required,
            }
        }
        usable.then_some(table)
    }

    fn tagged(
        &mut self,
        node: &Node,
        tag: &str,
        variants: &[Variant],
        path: &mut Vec<Step>,
    ) -> Option<Value> {
        let words: Vec<(String, String)> = variants
            .iter()
            .map(|variant| (variant.name.clone(), variant.meaning.clone()))
            .collect();
        let Some(entry) = node.entry(tag) else {
            let field = Field {
                key: tag.to_owned(),
                meaning: String::new(),
                required: true,
                default: serde_json::Value::Null,
                shape: Shape::Choice(words),
            };
            self.missing(node, &field, path);
            self.keys_of_no_kind(node, tag, variants, path);
            return None;
        };
        path.push(Step::Key(tag.to_owned()));
        let word = self.value(&entry.node, &Shape::Choice(words), path);
        path.pop();
        let chosen = variants
            .iter()
            .find(|variant| word.as_ref().and_then(Value::as_str) == Some(variant.name.as_str()));
        let Some(chosen) = chosen else {
            self.keys_of_no_kind(node, tag, variants, path);
            return None;
        };
        self.keys_of_kind(node, tag, chosen, variants, path);
        let mut table = self.fields(node, &chosen.fields, path)?;
        table.insert(tag.to_owned(), Value::String(chosen.name.clone()));
        Some(Value::Table(table))
    }

    /// Keys of a tagged table whose kind is known: those of other kinds are named as such.
    fn keys_of_kind(
        &mut self,
        node: &Node,
        tag: &str,
        chosen: &Variant,
        variants: &[Variant],
        path: &[Step],
    ) {
        let Kind::Table(entries) = &node.kind else { return };
        let kind = format!("{tag} = \"{}\"", chosen.name);
        let mut rest: Vec<Entry> = Vec::new();
        for entry in entries.iter().filter(|entry| entry.key != tag) {
            let known =
                |variant: &&Variant| variant.fields.iter().any(|field| field.key == entry.key);
            let others: Vec<String> = variants
                .iter()
                .filter(known)
                .map(|variant| format!("{tag} = \"{}\"", variant.name))
                .collect();
            if known(&chosen) || others.is_empty() {
                rest.push(entry.clone());
                continue;
            }
            let message = format!("key `{}` is not used by {kind}", entry.key);
            let label = format!("it belongs to {}", others.join(" and "));
            let fault = Fault::new(entry.key_place.clone(), message, label);
            let names = chosen.fields.iter().map(|field| field.key.as_str());
            self.faults.push(match nearest(&entry.key, names) {
                Some(name) => fault.help(format!("did you mean `{name}`?")),
                None => fault.help(format!("remove it, or change `{tag}`")),
            });
        }
        let rest = Node { kind: Kind::Table(rest), place: node.place.clone() };
        self.keys(&rest, &chosen.fields, path, &format!(" with {kind}"));
    }

    /// Keys of a tagged table whose kind is missing or misspelt: refused only if no kind knows them.
    fn keys_of_no_kind(&mut self, node: &Node, tag: &str, variants: &[Variant], path: &[Step]) {
        let Kind::Table(entries) = &node.kind else { return };
        let mut fields: Vec<Field> = Vec::new();
        for field in variants.iter().flat_map(|variant| &variant.fields) {
            if fields.iter().all(|known| known.key != field.key) {
                fields.push(Field { required: false, ..field.clone() });
            }
        }
        let rest: Vec<Entry> = entries.iter().filter(|entry| entry.key != tag).cloned().collect();
        let rest = Node { kind: Kind::Table(rest), place: node.place.clone() };
        self.keys(&rest, &fields, path, &format!(" with any {tag}"));
    }

    fn list(
        &mut self,
        node: &Node,
        elements: &[Node],
        item: &Shape,
        length: Option<usize>,
        path: &mut Vec<Step>,
    ) -> Option<Value> {
        if let Some(length) = length.filter(|length| *length != elements.len()) {
            let message = format!(
                "`{}` must hold {length} values, got {}",
                self.document.dotted(path),
                elements.len()
            );
            let label = format!("{} here", elements.len());
            self.faults.push(Fault::new(node.place.clone(), message, label));
            return None;
        }
        let mut values = Vec::with_capacity(elements.len());
        let mut usable = true;
        for (index, element) in elements.iter().enumerate() {
            path.push(Step::Index(index));
            match self.value(element, item, path) {
                Some(value) => values.push(value),
                None => usable = false,
            }
            path.pop();
        }
        usable.then_some(Value::Array(values))
    }

    fn choice(
        &mut self,
        node: &Node,
        words: &[(String, String)],
        word: &str,
        path: &[Step],
    ) -> Option<Value> {
        if words.iter().any(|(legal, _)| legal == word) {
            return Some(Value::String(word.to_owned()));
        }
        let legal = || words.iter().map(|(legal, _)| legal.as_str());
        let key = self.document.dotted(path);
        let message = format!("`{key}` cannot be {}", quoted(word));
        let label = format!("expected one of {}", listed(legal(), "\""));
        let fault = Fault::new(node.place.clone(), message, label);
        self.faults.push(match nearest(word, legal()) {
            Some(name) => fault.help(format!("did you mean \"{name}\"?")),
            None => fault,
        });
        None
    }

    fn missing(&mut self, node: &Node, field: &Field, path: &[Step]) {
        let table = self.table_name(path);
        let message = format!("missing key `{}` in {table}", field.key);
        let label = format!("needs `{}`", field.key);
        let help = missing_help(&self.document.dotted(path), &field.key).unwrap_or_else(|| {
            let about = match &field.shape {
                Shape::Choice(words) if field.meaning.is_empty() => {
                    format!("one of {}", listed(words.iter().map(|(word, _)| word.as_str()), "\""))
                }
                shape => shape.describe(),
            };
            let about = format!("`{}` is {about}. {}", field.key, field.meaning);
            about.trim_end().trim_end_matches('.').to_owned()
        });
        self.faults.push(Fault::new(node.place.clone(), message, label).help(help));
    }

    fn out_of_range(&mut self, node: &Node, shape: &Shape, path: &[Step]) {
        let key = self.document.dotted(path);
        let given = match &node.kind {
            Kind::Integer(number) => digits(*number),
            Kind::Float(number) => number.to_string(),
            _ => node.describe(),
        };
        let message = format!("`{key}` is out of range: {given}");
        let label = format!("expected {}", shape.describe());
        self.faults.push(Fault::new(node.place.clone(), message, label));
    }

    fn wrong_type(&mut self, node: &Node, shape: &Shape, path: &[Step]) {
        let key = self.document.dotted(path);
        let message = format!("`{key}` has the wrong type");
        let label = format!("expected {}, got {}", shape.describe(), node.describe());
        let fault = Fault::new(node.place.clone(), message, label);
        let help = match (shape, &node.kind) {
            (Shape::Integer { .. }, Kind::Float(number)) if number.fract() == 0.0 => {
                Some(format!("write {number:.0}, without a decimal point"))
            }
            (Shape::Integer { .. } | Shape::Number { .. } | Shape::Bool, Kind::Text(text))
                if text.parse::<f64>().is_ok() || text == "true" || text == "false" =>
            {
                Some(format!("write {text}, without quotes"))
            }
            (
                Shape::Text | Shape::Path | Shape::Choice(_),
                Kind::Integer(_) | Kind::Float(_) | Kind::Bool(_),
            ) => Some("put it in double quotes".into()),
            (Shape::List { item, .. }, Kind::Table(_))
                if matches!(**item, Shape::Table(_) | Shape::Tagged { .. }) =>
            {
                Some(format!("write [[{key}]]: every element of the list has a header of its own"))
            }
            (Shape::List { item, .. }, Kind::Text(_)) if **item == Shape::Text => {
                Some("put it in square brackets".into())
            }
            (Shape::Named(_), Kind::Array(_)) => {
                Some(format!("write [{key}.NAME] with a name of your choice"))
            }
            _ => None,
        };
        self.faults.push(match help {
            Some(help) => fault.help(help),
            None => fault,
        });
    }

    fn table_name(&self, path: &[Step]) -> String {
        if path.is_empty() {
            return "the recipe's top level".into();
        }
        format!("`{}`", self.document.dotted(path))
    }
}

/// Special advice for keys that a shipped recipe leaves to its user.
fn missing_help(table: &str, key: &str) -> Option<String> {
    (table == "corpus" && key == "path").then(|| {
        "data are not shipped: pass `--set corpus.path=DIR` with the folder that holds the files".into()
    })
}
