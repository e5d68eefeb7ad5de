//! `recipes explain KEY`: value, origin, type and meaning of a key.
//!
//! Knows the shape of recipes and, where one is given, a loaded recipe.

use super::docs::value_text;
use super::document::{Kind, Node, Step};
use super::fault::nearest;
use super::load::LoadedRecipe;
use super::shape::{Field, Shape, recipe_fields};
use super::trainings::OWN_KEYS;
use crate::error::{Error, Result};
use crate::kind::{Family, Key, Role};

/// A place in the schema that a key path leads to, and in the recipe where there is one.
struct Hit {
    field: Field,
    /// `kind = "..."` conditions under which the key exists.
    kinds: Vec<String>,
    /// Path into the loaded recipe.
    path: Option<Vec<Step>>,
}

/// Explains a key such as `train.aligned.optimizer.learning_rate`; without a name (`train.epochs`) all
/// elements of the recipe are shown.
///
/// # Errors
/// [`Error::Usage`] with the nearest legal key when there is no such key.
pub fn explain(key: &str, loaded: Option<&LoadedRecipe>) -> Result<String> {
    let words: Vec<&str> = key.split('.').map(str::trim).collect();
    let mut hits = Vec::new();
    let root = loaded.map(|loaded| &loaded.document.root);
    let top = Shape::Table(recipe_fields().to_vec());
    let mut search = Search { hits: &mut hits, kinds: Vec::new(), path: Vec::new() };
    search.table(&top, root, loaded.is_some(), &words);
    if hits.is_empty() {
        let mut known = Vec::new();
        known_keys(&top, root, "", &mut known);
        let help = match nearest(key, known.iter().map(String::as_str)) {
            Some(near) if near == key => {
                "parts of another kind have it, and this one does not".into()
            }
            Some(near) => format!("did you mean `{near}`?"),
            None => "docs/recipes.md lists every key".into(),
        };
        return Err(Error::Usage(format!("no recipe key is called `{key}`\n  help: {help}")));
    }
    Ok(write(key, &hits, loaded))
}

struct Search<'h> {
    hits: &'h mut Vec<Hit>,
    kinds: Vec<String>,
    path: Vec<Step>,
}

impl Search<'_> {
    /// Looks for `words` inside a value; `real` says whether the path so far exists in the recipe.
    fn table(&mut self, shape: &Shape, node: Option<&Node>, real: bool, words: &[&str]) {
        let Some((word, rest)) = words.split_first() else { return };
        match shape {
            Shape::Table(fields) => self.fields(fields, node, real, word, rest),
            Shape::Tagged { tag, variants } => {
                let given = node.and_then(|node| node.text(tag));
                if *word == tag && rest.is_empty() {
                    let choices = variants.iter();
                    let choices = choices.map(|each| (each.name.clone(), each.meaning.clone()));
                    let field = Field {
                        key: tag.clone(),
                        meaning: "Decides which further keys the table has.".into(),
                        required: !variants.iter().any(|each| each.is_default),
                        default: variants
                            .iter()
                            .find(|each| each.is_default)
                            .map_or(serde_json::Value::Null, |each| each.name.clone().into()),
                        shape: Shape::Choice(choices.collect()),
                    };
                    self.field(&field, node, real, rest);
                    return;
                }
                for variant in variants {
                    if given.is_none_or(|given| given == variant.name) {
                        self.kinds.push(format!("{tag} = \"{}\"", variant.name));
                        self.fields(&variant.fields, node, real, word, rest);
                        self.kinds.pop();
                    }
                }
            }
            Shape::Named(element) => self.named(element, node, real, words),
            Shape::List { item, .. } => self.listed(item, node, real, words),
            _ => {}
        }
    }

    fn fields(
        &mut self,
        fields: &[Field],
        node: Option<&Node>,
        real: bool,
        word: &str,
        rest: &[&str],
    ) {
        if let Some(field) = fields.iter().find(|field| field.key == word) {
            self.field(field, node, real, rest);
        }
    }

    fn field(&mut self, field: &Field, node: Option<&Node>, real: bool, rest: &[&str]) {
        self.path.push(Step::Key(field.key.clone()));
        if rest.is_empty() {
            let path = real.then(|| self.path.clone());
            self.hits.push(Hit { field: field.clone(), kinds: self.kinds.clone(), path });
        } else {
            let inner = node.and_then(|node| node.entry(&field.key)).map(|entry| &entry.node);
            self.table(&field.shape, inner, real, rest);
        }
        self.path.pop();
    }

    /// One name is followed; anything else is looked for in all elements.
    fn named(&mut self, element: &Shape, node: Option<&Node>, real: bool, words: &[&str]) {
        let entries = match node.map(|node| &node.kind) {
            Some(Kind::Table(entries)) => entries.as_slice(),
            _ => &[],
        };
        let words = without_placeholder(words);
        let chosen = entries.iter().position(|entry| Some(&entry.key.as_str()) == words.first());
        let before = self.hits.len();
        for (index, entry) in entries.iter().enumerate() {
            if chosen.is_none_or(|chosen| chosen == index) {
                let step = Step::Key(entry.key.clone());
                self.element(element, &entry.node, step, real, words, chosen.is_some());
            }
        }
        if self.hits.len() == before && chosen.is_none() {
            self.anywhere(element, words, entries.is_empty());
        }
    }

    fn listed(&mut self, item: &Shape, node: Option<&Node>, real: bool, words: &[&str]) {
        let elements = match node.map(|node| &node.kind) {
            Some(Kind::Array(elements)) => elements.as_slice(),
            _ => &[],
        };
        let words = without_placeholder(words);
        let word = words.first().copied().unwrap_or_default();
        let chosen = elements
            .iter()
            .position(|element| element.text("name") == Some(word))
            .or_else(|| word.parse().ok().filter(|index: &usize| *index < elements.len()));
        let before = self.hits.len();
        for (index, element) in elements.iter().enumerate() {
            if chosen.is_none_or(|chosen| chosen == index) {
                self.element(item, element, Step::Index(index), real, words, chosen.is_some());
            }
        }
        if self.hits.len() == before && chosen.is_none() {
            self.anywhere(item, words, elements.is_empty());
        }
    }

    fn element(
        &mut self,
        shape: &Shape,
        node: &Node,
        step: Step,
        real: bool,
        words: &[&str],
        named: bool,
    ) {
        let words = if named { &words[1..] } else { words };
        self.path.push(step);
        if words.is_empty() {
            let field = Field {
                key: String::new(),
                meaning: "One element, with these keys.".into(),
                required: false,
                default: serde_json::Value::Null,
                shape: shape.clone(),
            };
            let path = real.then(|| self.path.clone());
            self.hits.push(Hit { field, kinds: self.kinds.clone(), path });
        } else {
            self.table(shape, Some(node), real, words);
        }
        self.path.pop();
    }

    /// Elements that the recipe does not hold: the key itself, or any name before it.
    fn anywhere(&mut self, shape: &Shape, words: &[&str], any_name: bool) {
        let before = self.hits.len();
        self.table(shape, None, false, words);
        if self.hits.len() == before && any_name && words.len() > 1 {
            self.table(shape, None, false, &words[1..]);
        }
    }
}

/// `NAME` stands for every name, as it does in the reference.
fn without_placeholder<'w, 'k>(words: &'w [&'k str]) -> &'w [&'k str] {
    match words {
        ["NAME", rest @ ..] if !rest.is_empty() => rest,
        words => words,
    }
}

fn known_keys(shape: &Shape, node: Option<&Node>, prefix: &str, known: &mut Vec<String>) {
    match shape {
        Shape::Table(_) | Shape::Tagged { .. } => {
            for field in shape.all_fields() {
                let path = if prefix.is_empty() {
                    field.key.clone()
                } else {
                    format!("{prefix}.{}", field.key)
                };
                known.push(path.clone());
                let inner = node.and_then(|node| node.entry(&field.key)).map(|entry| &entry.node);
                known_keys(&field.shape, inner, &path, known);
            }
        }
        Shape::Named(element) | Shape::List { item: element, .. } => {
            known_keys(element, None, prefix, known);
            let names: Vec<(&str, &Node)> = match node.map(|node| &node.kind) {
                Some(Kind::Table(entries)) => {
                    entries.iter().map(|entry| (entry.key.as_str(), &entry.node)).collect()
                }
                Some(Kind::Array(elements)) => elements
                    .iter()
                    .filter_map(|element| Some((element.text("name")?, element)))
                    .collect(),
                _ => Vec::new(),
            };
            for (name, inner) in names {
                known_keys(element, Some(inner), &format!("{prefix}.{name}"), known);
            }
        }
        _ => {}
    }
}

fn write(key: &str, hits: &[Hit], loaded: Option<&LoadedRecipe>) -> String {
    let mut text = format!("{key}\n");
    let mut said: Vec<(&Field, &[String])> = Vec::new();
    for hit in hits {
        if !said.iter().any(|(field, kinds)| **field == hit.field && *kinds == hit.kinds) {
            said.push((&hit.field, &hit.kinds));
        }
    }
    for (field, kinds) in said {
        about(&mut text, field, kinds);
        let Some(loaded) = loaded else { continue };
        let same = |hit: &&Hit| hit.field == *field && hit.kinds == kinds;
        let mut label = "value";
        for path in hits.iter().filter(same).filter_map(|hit| hit.path.as_ref()) {
            text.push_str(&format!("  {label:8} {}\n", value_line(loaded, path)));
            label = "";
            for line in references(loaded, path) {
                text.push_str(&format!("  {:8} {line}\n", "names"));
            }
        }
    }
    text
}

fn about(text: &mut String, field: &Field, kinds: &[String]) {
    text.push_str(&format!("  {}\n", field.meaning));
    if !kinds.is_empty() {
        text.push_str(&format!("  {:8} {}\n", "only", kinds.join(", ")));
    }
    text.push_str(&format!("  {:8} {}\n", "type", field.shape.describe()));
    if let Shape::Choice(words) = &field.shape {
        for (word, meaning) in words.iter().filter(|(_, meaning)| !meaning.is_empty()) {
            text.push_str(&format!("  {:8} \"{word}\": {meaning}\n", ""));
        }
    }
    let mut keys: Vec<&str> = Vec::new();
    let shape = match &field.shape {
        Shape::Named(element) | Shape::List { item: element, .. } => element,
        shape => shape,
    };
    for inner in shape.all_fields() {
        if !keys.contains(&inner.key.as_str()) {
            keys.push(&inner.key);
        }
    }
    if !keys.is_empty() {
        text.push_str(&format!("  {:8} {}\n", "keys", keys.join(", ")));
    } else if field.required {
        text.push_str(&format!("  {:8} none: the key is required\n", "default"));
    } else if field.default.is_null() {
        text.push_str(&format!("  {:8} not given\n", "default"));
    } else {
        text.push_str(&format!("  {:8} {}\n", "default", value_text(&field.default)));
    }
}

/// `train.aligned.epochs = 1.0   (recipes/quickstart.toml:40)`.
fn value_line(loaded: &LoadedRecipe, path: &[Step]) -> String {
    // A part that has the table of a training: the training says it.
    let lent = path.get(..2).and_then(|part| loaded.document.lent(part));
    let own = |step: &Step| matches!(step, Step::Key(key) if OWN_KEYS.contains(&key.as_str()));
    let path = match (lent.and_then(|lent| lent.from.clone()), path.get(2)) {
        (Some(training), Some(key)) if !own(key) => &[&training, &path[2..]].concat(),
        _ => path,
    };
    let origin = loaded.origin(path);
    let name = loaded.document.dotted(path);
    if let Some(start) = inherited(loaded, path) {
        return format!("{name} is that of training `{start}`");
    }
    let value = toml::Value::try_from(&loaded.recipe).ok();
    let value = value.as_ref().and_then(|root| {
        path.iter().try_fold(root, |value, step| match step {
            Step::Key(key) => value.get(key),
            Step::Index(index) => value.get(index),
        })
    });
    match value {
        Some(toml::Value::Table(_)) => format!("{name} ({origin})"),
        Some(value) => format!("{name} = {value} ({origin})"),
        None => format!("{name} is not given"),
    }
}

/// The parts that the value at a path names, with their kinds and places.
fn references(loaded: &LoadedRecipe, path: &[Step]) -> Vec<String> {
    let recipe = &loaded.recipe;
    let key_of = |step: &Step| match step {
        Step::Key(name) => Key::Name(name.clone()),
        Step::Index(place) => Key::Place(*place),
    };
    let mut named: Vec<(Family, &str)> = Vec::new();
    if let ([Step::Key(table), Step::Key(key)], Some(baseline)) =
        (path, recipe.evaluation.baseline.as_deref())
        && (table.as_str(), key.as_str()) == ("evaluation", "baseline")
    {
        named.push((Family::System, baseline));
    }
    if let Some(it) = part(loaded, path) {
        let rest: Vec<Key> = path.iter().skip(2).map(key_of).collect();
        let uses = it.uses().into_iter().filter(|one| one.key.starts_with(&rest));
        named.extend(uses.filter(|_| !rest.is_empty()).map(|one| (one.family, one.name)));
    }
    named.into_iter().filter_map(|(family, name)| reference(loaded, family, name)).collect()
}

/// A part by its name, as in `[model.decoder], kind "scratch" (tiny.toml:30)`.
fn reference(loaded: &LoadedRecipe, family: Family, name: &str) -> Option<String> {
    let recipe = &loaded.recipe;
    let listed = |table: &str, place: usize| vec![Step::Key(table.into()), Step::Index(place)];
    let keyed = |table: &str| vec![Step::Key(table.into()), Step::Key(name.into())];
    let (kind, path) = match family {
        Family::Vectors => (recipe.vectors.get(name)?.kind(), keyed("vectors")),
        Family::Identifier => (recipe.identifier.get(name)?.kind(), keyed("identifier")),
        Family::Model => (recipe.model.get(name)?.kind(), keyed("model")),
        Family::Train => {
            let place = recipe.train.iter().position(|one| one.name() == name)?;
            (recipe.train[place].kind(), listed("train", place))
        }
        Family::System => {
            let place = recipe.system.iter().position(|one| one.name() == name)?;
            (recipe.system[place].kind(), listed("system", place))
        }
    };
    let origin = loaded.origin(&path);
    Some(format!("{}, kind \"{kind}\" ({origin})", family.header(name)))
}

/// The part that a path leads into.
fn part<'l>(loaded: &'l LoadedRecipe, path: &[Step]) -> Option<&'l dyn crate::kind::Kind> {
    let [Step::Key(list), part, ..] = path else { return None };
    let recipe = &loaded.recipe;
    Some(match (list.as_str(), part) {
        ("vectors", Step::Key(name)) => recipe.vectors.get(name)?.it(),
        ("identifier", Step::Key(name)) => recipe.identifier.get(name)?.it(),
        ("model", Step::Key(name)) => recipe.model.get(name)?.it(),
        ("train", Step::Index(place)) => recipe.train.get(*place)?.it(),
        ("system", Step::Index(place)) => recipe.system.get(*place)?.it(),
        _ => return None,
    })
}

/// The training that a part has a key from, where it starts from that one's weights.
fn inherited<'l>(loaded: &'l LoadedRecipe, path: &[Step]) -> Option<&'l str> {
    let [_, _, Step::Key(key), ..] = path else { return None };
    let it = part(loaded, path)?;
    let start = it.uses().into_iter().find(|one| one.role == Role::Start)?;
    it.inherited().contains(&key.as_str()).then_some(start.name)
}
