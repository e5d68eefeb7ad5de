//! Where figures were made and from what, so that they can be made again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the figures were made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    /// Operating system and architecture.
    pub os: String,
    /// Model of the processor.
    pub cpu: String,
    /// Threads used.
    pub threads: u32,
    /// Model of the GPU, where one was used.
    #[serde(default)]
    pub gpu: Option<String>,
    /// Memory of the machine, in bytes.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// Version of the tool.
    #[serde(default)]
    pub version: String,
    /// Commit that the tool was built from.
    #[serde(default)]
    pub commit: Option<String>,
}

/// What identifies a file or table that the figures rest on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fingerprint {
    /// What it is, such as "test qrels" or "items.csv".
    pub name: String,
    /// Checksum of the content, with the name of the function where it is not the tool's own.
    pub checksum: String,
    /// Size in bytes; null when unknown.
    #[serde(default)]
    pub bytes: Option<u64>,
}
