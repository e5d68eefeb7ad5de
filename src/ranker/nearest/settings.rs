//! Settings of a search for the nearest items.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::hnsw::settings::IndexSettings;

/// Nearest items under an encoder of requests and items, by inner product.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NearestSettings {
    /// Name in runs and reports.
    #[schemars(extend("x-key" = false))]
    pub name: String,
    /// Name of the `[vectors.NAME]` that encodes both: of kind two-tower, mmse, encoder or decoder.
    #[schemars(extend("x-key" = false))]
    pub vectors: String,
    /// Search an index instead of all items: faster, at the price of some of the nearest. Left out: exact search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<IndexSettings>,
}
