//! What a recipe may look like: the JSON Schema of [`Recipe`] compiled into a small model.
//!
//! The walk, `explain` and the reference all read this one model, so they cannot disagree. It
//! knows schemas, not texts.

use std::sync::OnceLock;

use serde_json::Value as Json;

use super::settings::Recipe;
use crate::kind::TABLE;
use crate::text::grouped;
use crate::trained::kinds::DEFAULT;

/// What a value may be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    /// A table with fixed keys.
    Table(Vec<Field>),
    /// A table whose further keys depend on the value of one key.
    Tagged {
        /// The deciding key, for instance `kind`.
        tag: String,
        variants: Vec<Variant>,
    },
    /// A table with free names.
    Named(Box<Shape>),
    /// A list; with bounds when its length is fixed.
    List {
        item: Box<Shape>,
        length: Option<usize>,
    },
    Integer {
        min: i64,
        max: i64,
    },
    Number {
        min: Option<f64>,
        max: Option<f64>,
    },
    Text,
    /// A path of this machine, or a reference to a hub.
    Path,
    Bool,
    /// One of a few words, each with its meaning.
    Choice(Vec<(String, String)>),
}

/// One legal value of a deciding key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Variant {
    pub(super) name: String,
    pub(super) meaning: String,
    /// Whether it is meant where the deciding key is not given.
    pub(super) is_default: bool,
    /// Without the deciding key itself.
    pub(super) fields: Vec<Field>,
}

/// A key of a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    pub(super) key: String,
    pub(super) meaning: String,
    pub(super) required: bool,
    /// `null` where the key may be left out and then means nothing.
    pub(super) default: Json,
    pub(super) shape: Shape,
}

impl Shape {
    /// The type in words, with its range, for messages and the reference.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Table(_) | Self::Tagged { .. } => "table".into(),
            Self::Named(_) => "tables by name".into(),
            Self::List { item, length: None } => format!("list of {}", item.plural()),
            Self::List { item, length: Some(length) } => {
                format!("list of {length} {}", item.plural())
            }
            Self::Integer { min, max } => {
                let top = i64::from(u32::MAX);
                match (*min, *max) {
                    (i64::MIN, _) => "integer".into(),
                    (min, max) if max >= top => format!("integer, at least {}", digits(min)),
                    (min, max) => format!("integer, {} to {}", digits(min), digits(max)),
                }
            }
            Self::Number { min: Some(min), max: Some(max) } => format!("number, {min} to {max}"),
            Self::Number { min: Some(min), max: None } => format!("number, at least {min}"),
            Self::Number { min: None, max: Some(max) } => format!("number, at most {max}"),
            Self::Number { min: None, max: None } => "number".into(),
            Self::Text => "text".into(),
            Self::Path => "path".into(),
            Self::Bool => "true or false".into(),
            Self::Choice(words) => {
                let words: Vec<String> =
                    words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
                words.join(" or ")
            }
        }
    }

    fn plural(&self) -> String {
        match self {
            Self::Integer { .. } => "integers".into(),
            Self::Number { .. } => "numbers".into(),
            Self::Text => "texts".into(),
            Self::Path => "paths".into(),
            Self::Table(_) | Self::Tagged { .. } | Self::Named(_) => "tables".into(),
            other => other.describe(),
        }
    }

    /// The fields of a table; of all kinds together where there are several.
    pub(super) fn all_fields(&self) -> Vec<&Field> {
        match self {
            Self::Table(fields) => fields.iter().collect(),
            Self::Tagged { variants, .. } => {
                variants.iter().flat_map(|variant| &variant.fields).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// An integer with thousands separated, as in `100,000`.
pub(super) fn digits(number: i64) -> String {
    let text = grouped(number.unsigned_abs());
    if number < 0 { format!("-{text}") } else { text }
}

/// The JSON Schema of a recipe (draft 2020-12).
pub(super) fn schema() -> Json {
    let mut schema = schemars::schema_for!(Recipe).to_value();
    let variants = schema.pointer_mut("/$defs/TrainingSettings/oneOf");
    for variant in variants.and_then(Json::as_array_mut).into_iter().flatten() {
        let is_default = variant["properties"]["kind"]["const"] == DEFAULT;
        // A training cannot have the table of another.
        if let Some(properties) = variant["properties"].as_object_mut() {
            properties.shift_remove(TABLE);
        }
        if let Some(required) = variant["required"].as_array_mut().filter(|_| is_default) {
            // The loader gives a training its kind.
            required.retain(|key| key != "kind");
        }
    }
    schema
}

/// The shape of a whole recipe.
pub(super) fn recipe_fields() -> &'static [Field] {
    static FIELDS: OnceLock<Vec<Field>> = OnceLock::new();
    FIELDS.get_or_init(|| {
        let schema = schema();
        fields(&schema, &schema, None)
    })
}

fn fields(schema: &Json, root: &Json, leave_out: Option<&str>) -> Vec<Field> {
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Json::as_array)
        .map(|keys| keys.iter().filter_map(Json::as_str).collect())
        .unwrap_or_default();
    let Some(properties) = schema.get("properties").and_then(Json::as_object) else {
        return Vec::new();
    };
    properties
        .iter()
        .filter(|(key, _)| Some(key.as_str()) != leave_out)
        .map(|(key, property)| Field {
            key: key.clone(),
            meaning: meaning(property),
            required: required.contains(&key.as_str()),
            default: property.get("default").cloned().unwrap_or(Json::Null),
            shape: shape(property, root),
        })
        .collect()
}

fn meaning(schema: &Json) -> String {
    let text = schema.get("description").and_then(Json::as_str).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn shape(schema: &Json, root: &Json) -> Shape {
    if let Some(target) = schema.get("$ref").and_then(Json::as_str) {
        let target = target.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return target.map_or(Shape::Text, |target| shape(target, root));
    }
    if let Some(options) = schema.get("anyOf").and_then(Json::as_array) {
        let given = options.iter().find(|option| option.get("type") != Some(&Json::from("null")));
        return given.map_or(Shape::Text, |given| shape(given, root));
    }
    if let Some(options) = schema.get("oneOf").and_then(Json::as_array) {
        return one_of(options, root);
    }
    if let Some(words) = schema.get("enum").and_then(Json::as_array) {
        let words = words.iter().filter_map(Json::as_str);
        return Shape::Choice(words.map(|word| (word.to_owned(), String::new())).collect());
    }
    match type_name(schema) {
        "object" => match schema.get("additionalProperties") {
            Some(element @ Json::Object(_)) => Shape::Named(Box::new(shape(element, root))),
            _ => Shape::Table(fields(schema, root, None)),
        },
        "array" => {
            let item = schema.get("items").map_or(Shape::Text, |item| shape(item, root));
            let bound = |key| schema.get(key).and_then(Json::as_u64);
            let length = bound("minItems").filter(|length| bound("maxItems") == Some(*length));
            let length = length.and_then(|length| usize::try_from(length).ok());
            Shape::List { item: Box::new(item), length }
        }
        "integer" => integer(schema),
        "number" => {
            let bound = |key| schema.get(key).and_then(Json::as_f64);
            Shape::Number { min: bound("minimum"), max: bound("maximum") }
        }
        "boolean" => Shape::Bool,
        _ if schema.get("format") == Some(&Json::from("path")) => Shape::Path,
        _ => Shape::Text,
    }
}

/// The type of a schema; of the two types of an optional value, the one that is not null.
fn type_name(schema: &Json) -> &str {
    match schema.get("type") {
        Some(Json::String(name)) => name,
        Some(Json::Array(names)) => {
            names.iter().filter_map(Json::as_str).find(|name| *name != "null").unwrap_or("string")
        }
        _ => "string",
    }
}

fn integer(schema: &Json) -> Shape {
    let (low, high) = match schema.get("format").and_then(Json::as_str) {
        Some("uint8") => (0, i64::from(u8::MAX)),
        Some("uint16") => (0, i64::from(u16::MAX)),
        Some("uint32") => (0, i64::from(u32::MAX)),
        Some("uint64" | "uint") => (0, i64::MAX),
        Some("int32") => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    };
    #[allow(clippy::cast_possible_truncation)]
    let bound = |key| {
        let bound = schema.get(key)?;
        bound.as_i64().or_else(|| bound.as_f64().map(|bound| bound as i64))
    };
    Shape::Integer {
        min: bound("minimum").map_or(low, |min| min.max(low)),
        max: bound("maximum").map_or(high, |max| max.min(high)),
    }
}

fn one_of(options: &[Json], root: &Json) -> Shape {
    let words: Vec<(String, String)> = options
        .iter()
        .filter_map(|option| Some((option.get("const")?.as_str()?.to_owned(), meaning(option))))
        .collect();
    if words.len() == options.len() {
        return Shape::Choice(words);
    }
    let constant = |option: &Json| -> Option<(String, String)> {
        let properties = option.get("properties")?.as_object()?;
        properties.iter().find_map(|(key, property)| {
            Some((key.clone(), property.get("const")?.as_str()?.to_owned()))
        })
    };
    let tag = options.first().and_then(constant).map_or_else(|| "kind".into(), |(tag, _)| tag);
    let variants = options
        .iter()
        .filter_map(|option| {
            let (_, name) = constant(option)?;
            let fields = fields(option, root, Some(&tag));
            let required = option.get("required").and_then(Json::as_array);
            let is_default = !required.is_some_and(|keys| keys.iter().any(|key| *key == tag));
            Some(Variant { name, meaning: meaning(option), is_default, fields })
        })
        .collect();
    Shape::Tagged { tag, variants }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn field<'f>(fields: &'f [Field], key: &str) -> &'f Field {
        fields.iter().find(|field| field.key == key).unwrap()
    }

    #[test]
    fn every_schema_construct_in_use_is_understood() {
        let fields = recipe_fields();
        assert!(field(fields, "name").required);
        let Shape::Tagged { tag, variants } = &field(fields, "corpus").shape else { panic!() };
        assert_eq!(tag, "kind");
        let names: Vec<&str> = variants.iter().map(|variant| variant.name.as_str()).collect();
        assert_eq!(names, ["simulator", "judged-pairs", "sequences", "log"]);
        let clicks = field(&variants[1].fields, "clicks");
        assert!(matches!(clicks.shape, Shape::Table(_)) && !clicks.required);
        assert_eq!(
            field(&variants[0].fields, "items").shape,
            Shape::Integer { min: 1, max: 100_000_000 }
        );

        let Shape::List { item: train, length: None } = &field(fields, "train").shape else {
            panic!()
        };
        let Shape::Tagged { variants, .. } = train.as_ref() else { panic!() };
        assert_eq!(variants[0].name, "decoder");
        let objective = &field(&variants[0].fields, "objective").shape;
        let Shape::Tagged { variants, .. } = objective else { panic!() };
        let words = field(&variants[0].fields, "pseudo_words");
        assert!(matches!(words.shape, Shape::List { length: Some(2), .. }));
        assert_eq!(words.default, serde_json::json!([1, 5]));
    }

    #[test]
    fn types_read_well() {
        assert_eq!(Shape::Integer { min: 1, max: 100_000 }.describe(), "integer, 1 to 100,000");
        assert_eq!(Shape::Integer { min: 0, max: i64::MAX }.describe(), "integer, at least 0");
        assert_eq!(Shape::Number { min: Some(0.0), max: Some(1.0) }.describe(), "number, 0 to 1");
        let list = Shape::List { item: Box::new(Shape::Text), length: None };
        assert_eq!(list.describe(), "list of texts");
    }
}
