//! Takes fields away as they find their place, and says what was seen of them.

use super::fields::{Field, Holding, Looked};
use super::names::fit;

/// A field that was found, under the key that it is proposed for.
#[derive(Debug, Clone)]
pub struct Found {
    /// Key of the table, such as `title`.
    pub key: &'static str,
    /// Names of fields: one, or several where the key takes a list.
    pub fields: Vec<String>,
    /// Why, in a few words.
    pub why: String,
}

/// Takes fields away as they find their place.
pub(super) struct Picker<'l> {
    pub(super) looked: &'l Looked,
    taken: Vec<&'l str>,
    pub(super) found: Vec<Found>,
}

impl<'l> Picker<'l> {
    pub(super) fn new(looked: &'l Looked) -> Self {
        Self { looked, taken: Vec::new(), found: Vec::new() }
    }

    pub(super) fn left(&self) -> impl Iterator<Item = &'l Field> {
        let taken = self.taken.clone();
        self.looked.fields.iter().filter(move |field| !taken.contains(&field.name.as_str()))
    }

    pub(super) fn take(&mut self, key: &'static str, fields: &[&'l Field], why: String) {
        if fields.is_empty() {
            return;
        }
        self.taken.extend(fields.iter().map(|field| field.name.as_str()));
        let fields = fields.iter().map(|field| field.name.clone()).collect();
        self.found.push(Found { key, fields, why });
    }

    /// The field whose name fits best, of those that hold what is wanted.
    pub(super) fn pick(
        &mut self,
        key: &'static str,
        usual: &[&str],
        holds: impl Fn(&Field) -> bool,
    ) -> Option<&'l Field> {
        let fitting = self.left().filter(|field| holds(field));
        let best = fitting
            .filter_map(|field| Some((fit(&field.name, usual)?, field)))
            .min_by_key(|(fit, _)| *fit)?
            .1;
        self.take(key, &[best], seen(best));
        Some(best)
    }
}

/// What was seen of a field, for a comment.
pub(super) fn seen(field: &Field) -> String {
    let Field { holds, empty, example, .. } = field;
    let empty = match *empty {
        empty if empty > 0.0 => format!(", {:.1} % empty", 100.0 * empty),
        _ => String::new(),
    };
    format!("{}{empty}, such as {example}", holds.name())
}

pub(super) fn is_single(field: &Field) -> bool {
    !matches!(field.holds, Holding::Lists | Holding::Nothing)
}

/// What is said of a field of numbers in which something else stands.
pub(super) fn oddly(field: &Field) -> Option<String> {
    let (n_odd, text) = field.odd.as_ref()?;
    let name = &field.name;
    Some(format!(
        "`{name}` holds numbers, but for {n_odd} of its first values, such as `{text}`: it was left out; repair them, \
         or name the field in the recipe"
    ))
}
