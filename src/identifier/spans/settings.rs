//! Settings of spans as identifiers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::View;

/// Spans of item texts: a span names all items that hold it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpanSettings {
    /// Most tokens of a span.
    #[serde(default = "default_tokens")]
    #[schemars(range(min = 1, max = 64))]
    pub tokens: u32,
    /// Whether the title from its beginning is asked for, too, beside spans from anywhere in it.
    #[serde(default = "default_title")]
    pub title: bool,
    /// Further fields of an item that are asked for from their beginning, each on its own: `category` (the words of the whole
    /// path), or the name of an attribute, such as `brand`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub fields: Vec<String>,
    /// Whether upper and lower case are one: texts and queries are lower-cased before they become tokens. A model that begins
    /// from scratch knows no upper case anyway.
    #[serde(default = "default_fold")]
    pub fold_case: bool,
    /// How the index tells the items of a span.
    #[serde(default)]
    pub index: IndexBuild,
    /// How spans are chosen to train on.
    #[serde(default)]
    pub sample: SpanSample,
}

/// How the index of spans tells the items of a span.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IndexBuild {
    /// By a walk to the end of the text: near the size of the packed tokens.
    Compact,
    /// From a list: about twice as large, a hundred times as fast.
    #[default]
    Fast,
}

/// Spans of an item's title that a request is trained to say: drawn without repetition, anew each time the example comes,
/// with weights `exp(overlap · D + informative · I)`. `D` is the Dice coefficient of the tokens of span and query, `I` is
/// `1 − ln(1 + count) / ln(1 + tokens)` of all titles: near 1 for a span of one title, 0 for one that is everywhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SpanSample {
    /// Spans of an example, which share its prompt; a view other than spans of the title adds one of its own.
    #[schemars(range(min = 1, max = 64))]
    pub spans: u32,
    /// What it counts that a span has tokens of the query.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub overlap: f64,
    /// What it counts that a span is rare.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub informative: f64,
}

impl Default for SpanSample {
    fn default() -> Self {
        Self { spans: 4, overlap: 4.0, informative: 2.0 }
    }
}

impl SpanSettings {
    /// What can be asked for, in the order of the mode tokens.
    pub fn views(&self) -> Vec<View> {
        let title = self.title.then_some(View::Title);
        let fields = self.fields.iter().cloned().map(View::Field);
        [View::Spans].into_iter().chain(title).chain(fields).collect()
    }
}

fn default_tokens() -> u32 {
    10
}

fn default_title() -> bool {
    true
}

fn default_fold() -> bool {
    true
}
