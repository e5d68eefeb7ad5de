//! What is checked of a `tokenizer.json` before and after it is built: patterns that would cost time or memory, drawn
//! tokens, ids that are not those of the file, settings of `tokenizer_config.json` that say otherwise.

use serde_json::{Map, Value};

/// Most bytes of all patterns; those of real tokenizers have 500.
const MOST_PATTERN_BYTES: usize = 16 << 10;
/// Most that the counts of a pattern's repetitions may multiply to: each multiplies what is compiled.
const MOST_REPEATS: u64 = 10_000;
/// How much longer replacements may make a text, all of them together.
const MOST_GROWTH: u64 = 1_000;

/// What is wrong with the parts of a tokenizer, before any is built.
pub(super) fn fault(tokenizer: &Value) -> Option<String> {
    let dropout = &tokenizer["model"]["dropout"];
    if dropout.as_f64().is_some_and(|dropout| dropout != 0.0) {
        return Some(format!("model.dropout is {dropout}: tokens would be drawn at random"));
    }
    let mut parts = Parts { pattern_bytes: 0, growth: 1 };
    ["normalizer", "pre_tokenizer", "decoder"]
        .iter()
        .find_map(|part| parts.fault(part, &tokenizer[part]))
}

/// What was seen of the parts so far.
struct Parts {
    pattern_bytes: usize,
    growth: u64,
}

impl Parts {
    /// JSON nests 128 deep at most, so that this may recurse.
    fn fault(&mut self, place: &str, part: &Value) -> Option<String> {
        match part {
            Value::Array(parts) => parts.iter().find_map(|part| self.fault(place, part)),
            Value::Object(fields) => self
                .regex(place, fields)
                .or_else(|| if place == "normalizer" { self.growth(fields) } else { None })
                .or_else(|| fields.values().find_map(|part| self.fault(place, part))),
            _ => None,
        }
    }

    fn regex(&mut self, place: &str, fields: &Map<String, Value>) -> Option<String> {
        let regex = fields.get("Regex")?.as_str()?;
        self.pattern_bytes += regex.len();
        if self.pattern_bytes > MOST_PATTERN_BYTES {
            return Some(format!(
                "{place}: its patterns have more than {MOST_PATTERN_BYTES} bytes, which would take long to build"
            ));
        }
        if repeats(regex) > MOST_REPEATS {
            return Some(format!(
                "{place}: the counts of a pattern multiply to more than {MOST_REPEATS} repetitions, which would take long to build"
            ));
        }
        None
    }

    fn growth(&mut self, fields: &Map<String, Value>) -> Option<String> {
        let length = |value: &Value| value.as_str().map_or(1, |text| text.len().max(1)) as u64;
        let kind = fields.get("type")?.as_str()?;
        let by = match kind {
            "Replace" => {
                let pattern = fields.get("pattern").and_then(|pattern| pattern.get("String"));
                length(fields.get("content")?) / pattern.map_or(1, length)
            }
            "Prepend" => length(fields.get("prepend")?),
            _ => 1,
        };
        self.growth = self.growth.saturating_mul(by.max(1));
        (self.growth > MOST_GROWTH)
            .then(|| format!("normalizer: makes texts more than {MOST_GROWTH} times longer"))
    }
}

/// The product of all counts in braces: an upper bound of how often a part of the pattern is repeated.
fn repeats(regex: &str) -> u64 {
    let mut product = 1u64;
    for part in regex.split('{').skip(1) {
        let Some((counts, _)) = part.split_once('}') else { continue };
        let counts = counts.split(',').map(|count| count.trim().parse::<u64>());
        // Anything else is a name, as in `\p{L}`.
        let Some(most) = counts.filter_map(|count| count.ok()).max() else { continue };
        product = product.saturating_mul(most.max(1));
    }
    product
}

/// The first key of `tokenizer_config.json` that says something else than `tokenizer.json`.
pub(super) fn contradiction(
    config: &Map<String, Value>,
    tokenizer: &Value,
    framed: [(&str, bool); 2],
) -> Option<String> {
    let class = config.get("tokenizer_class").and_then(Value::as_str).unwrap_or_default();
    let of_bert = class.starts_with("Bert") && tokenizer["normalizer"]["type"] == "BertNormalizer";
    let part = |part: &str, key: &str| tokenizer[part].get(key).and_then(Value::as_bool);
    let normalized = |key: &str| part("normalizer", key).filter(|_| of_bert);
    let pairs = [
        ("do_lower_case", normalized("lowercase")),
        ("strip_accents", normalized("strip_accents")),
        ("tokenize_chinese_chars", normalized("handle_chinese_chars")),
        ("add_prefix_space", part("pre_tokenizer", "add_prefix_space")),
    ];
    let framed = framed.map(|(key, does)| (key, Some(does)));
    pairs.into_iter().chain(framed).find_map(|(key, does)| {
        let (stated, does) = (config.get(key)?.as_bool()?, does?);
        (stated != does)
            .then(|| format!("{key} is {stated}, but what tokenizer.json does is {does}"))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patterns_that_cost_much_are_found_before_they_are_built() {
        let told = |regex: &str| {
            let split = json!({"type": "Split", "pattern": {"Regex": regex}});
            fault(&json!({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [split]}}))
        };
        assert_eq!(told(super::super::files::QWEN_WORDS), None);
        assert_eq!(told(r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"), None);
        let deep = told("((a{1000}){1000}){1000}").unwrap();
        assert!(deep.contains("pre_tokenizer: the counts of a pattern multiply"), "{deep}");
        let long = told(&"(?=a)b|".repeat(10_000)).unwrap();
        assert!(long.contains("more than 16384 bytes"), "{long}");
        let grows =
            json!({"type": "Replace", "pattern": {"String": "a"}, "content": "a".repeat(100)});
        let normalizer = json!({"type": "Sequence", "normalizers": [grows, grows]});
        let told = fault(&json!({ "normalizer": normalizer })).unwrap();
        assert!(told.contains("more than 1000 times longer"), "{told}");
        let told = fault(&json!({"model": {"dropout": 0.1}})).unwrap();
        assert!(told.contains("model.dropout is 0.1: tokens would be drawn"), "{told}");
    }
}
