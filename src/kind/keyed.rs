//! Which settings enter a step's key: all but those that their types mark as names, places or means.
//!
//! A field with `#[schemars(extend("x-key" = false))]` changes no result by itself: the name of a component, a reference
//! to one (whose own key enters), the path of a file (whose content enters), a seed (which enters on its own), or a means
//! such as a memory limit. The mark stands beside the field, so that no list of names has to be kept elsewhere.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// The mark of a field that stays out of keys.
const MARK: &str = "x-key";

/// Settings without the fields that are marked to stay out of keys.
pub fn keyed<T: Serialize + JsonSchema>(settings: &T) -> Value {
    let schema = schemars::schema_for!(T).to_value();
    // Settings were read from a recipe, so they can be written.
    let mut value = serde_json::to_value(settings).unwrap_or_default();
    strip(&mut value, &schema, &schema);
    value
}

fn strip(value: &mut Value, schema: &Value, root: &Value) {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str)
        && let Some(target) = target.strip_prefix('#').and_then(|pointer| root.pointer(pointer))
    {
        strip(value, target, root);
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        let options = schema.get(key).and_then(Value::as_array).into_iter().flatten();
        for option in options {
            if fits(value, option) {
                strip(value, option, root);
            }
        }
    }
    if let (Some(properties), Some(fields)) =
        (schema.get("properties").and_then(Value::as_object), value.as_object_mut())
    {
        let is_marked = |name: &str| {
            properties.get(name).and_then(|one| one.get(MARK)) == Some(&Value::Bool(false))
        };
        // The rest keeps its order, which enters the key.
        fields.retain(|name, _| !is_marked(name));
        for (name, property) in properties {
            if let Some(field) = fields.get_mut(name) {
                strip(field, property, root);
            }
        }
    }
    if let (Some(items), Some(elements)) = (schema.get("items"), value.as_array_mut()) {
        for element in elements {
            strip(element, items, root);
        }
    }
}

/// Whether the fixed words of a variant (its `kind`) are those of the value.
fn fits(value: &Value, option: &Value) -> bool {
    let properties = option.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten().all(|(name, property)| {
        property.get("const").is_none_or(|word| value.get(name) == Some(word))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Serialize, JsonSchema)]
    struct Inner {
        #[schemars(extend("x-key" = false))]
        path: String,
        rows: u32,
    }

    #[derive(Serialize, JsonSchema)]
    #[serde(tag = "kind", rename_all = "kebab-case")]
    enum Kind {
        File(Inner),
        Drawn {
            #[schemars(extend("x-key" = false))]
            seed: Option<u64>,
            path: String,
        },
    }

    #[derive(Serialize, JsonSchema)]
    struct Outer {
        #[schemars(extend("x-key" = false))]
        name: String,
        parts: Vec<Kind>,
        text: Option<Inner>,
    }

    #[test]
    fn marked_fields_are_left_out_at_any_depth_and_in_their_own_variant_only() {
        let inner = |path: &str| Inner { path: path.into(), rows: 3 };
        let outer = Outer {
            name: "a".into(),
            parts: vec![Kind::File(inner("x")), Kind::Drawn { seed: Some(1), path: "kept".into() }],
            text: Some(inner("y")),
        };
        let expected = json!({
            "parts": [{"kind": "file", "rows": 3}, {"kind": "drawn", "path": "kept"}],
            "text": {"rows": 3},
        });
        assert_eq!(keyed(&outer), expected);
        assert_eq!(keyed(&outer).to_string(), expected.to_string(), "the order enters the key");
        assert_eq!(keyed(&Outer { text: None, ..outer })["text"], Value::Null);
    }
}
