//! Settings of an index for approximate nearest neighbors.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is searched instead of all item vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum IndexSettings {
    /// A hierarchical navigable small world graph.
    Hnsw(HnswSettings),
}

/// A hierarchical navigable small world graph over item vectors (arXiv:1603.09320) by inner product. It finds most of the
/// nearest items in a small part of the time; how many and how fast is measured beside exact search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HnswSettings {
    /// Neighbors of an item on the upper levels, `M`; twice as many on the lowest.
    #[schemars(range(min = 2, max = 256))]
    pub connectivity: u32,
    /// Candidates kept while an item is inserted, `efConstruction`; at least `connectivity`. More make a better graph, and
    /// its building slower.
    #[schemars(range(min = 2, max = 65_536))]
    pub expansion_add: u32,
    /// Candidates kept while a request is searched, `ef`, where it does not ask for more items. More find more of the
    /// nearest items, and take longer.
    #[schemars(range(min = 1, max = 65_536))]
    pub expansion_search: u32,
    /// Seed of what is drawn here; by default the recipe's. The same part with another seed is a replicate of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub seed: Option<u64>,
}

impl Default for HnswSettings {
    fn default() -> Self {
        Self { connectivity: 16, expansion_add: 128, expansion_search: 128, seed: None }
    }
}
