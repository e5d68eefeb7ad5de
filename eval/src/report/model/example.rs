//! Single requests with what every system returned, so that a reader can judge the figures by eye.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One request with what every system returned.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExampleReport {
    /// Id of the request.
    pub request: String,
    /// Query text; empty where the request is only a history.
    #[serde(default)]
    pub text: String,
    /// Titles of the last items that the user met, oldest first.
    #[serde(default)]
    pub history: Vec<String>,
    /// Relevant items, best grade first; may be cut.
    pub relevant: Vec<ExampleItem>,
    /// Number of relevant items in all.
    pub relevant_total: u64,
    /// Top of every system's list, in the order of `systems`.
    pub systems: Vec<ExampleSystem>,
    /// Value of the first metric by name of system.
    #[serde(default)]
    pub values: BTreeMap<String, f64>,
    /// Why this request is shown, such as "picked at random" or "largest win of aligned over bm25".
    #[serde(default)]
    pub chosen: String,
}

/// The top of one system's list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExampleSystem {
    /// Name of the system.
    pub system: String,
    /// Best first.
    pub items: Vec<ExampleItem>,
}

/// A span of a title that speaks for its item.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SpanReport {
    /// Its first byte in the title (UTF-8).
    pub start: u64,
    /// One past its last.
    pub end: u64,
    /// What it adds to the item's score.
    pub worth: f64,
}

/// One item of an example.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExampleItem {
    /// Id of the item.
    pub item: String,
    /// Its title; may be empty.
    #[serde(default)]
    pub title: String,
    /// Its grade for the request; null when it was not judged.
    #[serde(default)]
    pub grade: Option<f64>,
    /// The system's score; null among the relevant items.
    #[serde(default)]
    pub score: Option<f64>,
    /// Spans of the title that earned it its place, from the beginning of the title on, without overlap; empty where the
    /// system does not say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<SpanReport>,
}
