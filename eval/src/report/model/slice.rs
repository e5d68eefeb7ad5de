//! Figures over parts of the test requests. How requests were divided is said in words; nothing here divides them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::system::Estimate;

/// Figures over the requests of one slice.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SliceReport {
    /// What requests were divided by, such as "item exposure" or "query length".
    pub by: String,
    /// Which part, such as "head" or "1 to 2 terms".
    pub value: String,
    /// What the slice is, in words, such as "most relevant item among the 20% seen most often in training".
    #[serde(default)]
    pub meaning: String,
    /// Requests of the slice.
    pub requests: u64,
    /// Figures of the systems over these requests.
    pub systems: Vec<SliceSystem>,
}

/// One system's figures over a slice.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SliceSystem {
    /// Name of the system.
    pub name: String,
    /// Figures by metric name.
    pub metrics: BTreeMap<String, Estimate>,
}
