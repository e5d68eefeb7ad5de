//! Where a value stands in a row: a field, or a field of a field (`user.id`), through lists as well
//! (`results.item` of a list of results is the list of their items).

use std::fmt;

use super::value::Value;

/// A field by name; points lead into nested objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::corpus::import) struct FieldPath(String);

impl FieldPath {
    /// From the text of a recipe.
    pub(in crate::corpus::import) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// What of the path is left behind a key of a row; none where the key does not lead to it. A key
    /// that holds points itself is taken as it is.
    pub(super) fn behind<'p>(&'p self, key: &str) -> Option<&'p str> {
        behind(&self.0, key)
    }

    /// The path as a recipe writes it.
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn behind<'p>(path: &'p str, key: &str) -> Option<&'p str> {
    let rest = path.strip_prefix(key)?;
    if rest.is_empty() { Some("") } else { rest.strip_prefix('.') }
}

/// The value at a path below a value: of a list, the list of those of its entries.
pub(super) fn below<'a>(value: Value<'a>, rest: &str) -> Value<'a> {
    if rest.is_empty() {
        return value;
    }
    match value {
        Value::Map(fields) => fields
            .into_iter()
            .find_map(|(key, value)| Some(below(value, behind(rest, &key)?)))
            .unwrap_or_default(),
        Value::List(entries) => {
            Value::List(entries.into_iter().map(|entry| below(entry, rest)).collect())
        }
        _ => Value::Absent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value<'_> {
        Value::Text(text.into())
    }

    #[test]
    fn paths_lead_through_objects_and_lists_and_keys_with_points() {
        let entry = |id| Value::Map(vec![("item".into(), text(id)), ("a.b".into(), text("c"))]);
        let row = Value::Map(vec![("results".into(), Value::List(vec![entry("x"), entry("y")]))]);
        let of = |path| below(row.clone(), path);
        assert_eq!(of("results.item"), Value::List(vec![text("x"), text("y")]));
        assert_eq!(of("results.a.b"), Value::List(vec![text("c"), text("c")]));
        assert_eq!(of("result"), Value::Absent);
        assert_eq!(FieldPath::new("a.b.c").behind("a.b"), Some("c"));
        assert_eq!(FieldPath::new("a.b").behind("a."), None);
        assert_eq!(FieldPath::new("ab").behind("a"), None);
    }
}
