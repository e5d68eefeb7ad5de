//! Diagnostics of identifiers: how many items share one, and how evenly each level uses its codes.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Diagnostics of one identifier.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IdentifierReport {
    /// Name in the recipe.
    pub name: String,
    /// Kind, such as `residual-k-means` or `spans`.
    pub kind: String,
    /// Items that have an identifier.
    pub items: u64,
    /// Items that its codes were fitted on, where the others got the codes nearest to their vectors; null where that is all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fitted: Option<u64>,
    /// Different identifiers before any remedy for collisions; null for spans, which give no item a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distinct: Option<u64>,
    /// Share of items whose identifier is also another item's, before any remedy; in [0, 1]. Null for spans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collision_rate: Option<f64>,
    /// Most items under one identifier.
    #[serde(default)]
    pub largest_group: Option<u64>,
    /// Bytes of its constraint index; of spans, of those of all models together.
    #[serde(default)]
    pub index_bytes: Option<u64>,
    /// Mean squared distance between a vector and its reconstruction.
    #[serde(default)]
    pub distortion: Option<f64>,
    /// Different identifiers over all that the codes could form, before any remedy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_density: Option<f64>,
    /// How often items that were chosen together share codes; null where nothing was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub together: Option<TogetherReport>,
    /// What was made of the codes; null where a level numbers the items of a path and nothing else was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<OutcomeReport>,
    /// One entry per level, first level first; empty for identifiers without levels.
    #[serde(default)]
    pub levels: Vec<LevelReport>,
    /// What there is of spans, one entry for each model that says them; empty for codes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<SpansReport>,
    /// What a search through its codes finds at most; null where they are not made from vectors that requests can be compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<CeilingReport>,
    /// What the diagnostics show, such as "hourglass: level 2 uses 14 of 64 codes".
    #[serde(default)]
    pub findings: Vec<String>,
}

/// Spans of the items' texts in the tokens of one model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpansReport {
    /// Name of the model in the recipe.
    pub model: String,
    /// Ways to say an item: `spans` (any span of the title), `title` (the title from its beginning), or the name of a
    /// further field (from its beginning).
    pub views: Vec<String>,
    /// Most tokens of a span.
    pub longest: u64,
    /// Items of which a text becomes a token.
    pub items: u64,
    /// Items of which none does: no span finds them.
    pub silent: u64,
    /// Texts that become a token or more.
    pub texts: u64,
    /// Their tokens.
    pub tokens: u64,
    /// Bytes of the index of all spans.
    pub index_bytes: u64,
}

impl SpansReport {
    /// Bytes of the index per token; none without tokens.
    pub fn bytes_per_token(&self) -> Option<f64> {
        (self.tokens > 0).then(|| self.index_bytes as f64 / self.tokens as f64)
    }

    /// The ways to say an item, in words.
    pub fn views_in_words(&self) -> String {
        let words = |view: &String| match view.as_str() {
            "spans" => "any span of the title".to_owned(),
            "title" => "the title from its beginning".to_owned(),
            field => format!("{field} from its beginning"),
        };
        let words: Vec<String> = self.views.iter().map(words).collect();
        words.join("; ")
    }
}

/// Shares of pairs of items whose first codes are the same, by level.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TogetherReport {
    /// Pairs of different items that one person chose near each other in training.
    pub pairs: u64,
    /// Share of these whose codes are the same up to and including each level.
    pub shared: Vec<f64>,
    /// The same of pairs of the same items, put together by chance.
    pub by_chance: Vec<f64>,
}

/// What was made of codes before they were identifiers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutcomeReport {
    /// What tells items apart that share a path: `dedup`, `nearest`, `matching`, `sinkhorn` or `shared`.
    pub collisions: String,
    /// Codes of the second level that were removed; null where none were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<u64>,
    /// Share of items whose path is also another item's once tokens were removed, before items were told apart: one minus
    /// paths over items.
    pub collision_rate: f64,
    /// Items that got another last code.
    pub moved: u64,
    /// Different identifiers in the end.
    pub leaves: u64,
    /// Most items that one identifier names.
    pub most_items_per_leaf: u64,
    /// Mean squared distance between a vector and its reconstruction in the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distortion: Option<f64>,
}

/// What search finds on validation requests, before any decoder is trained.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CeilingReport {
    /// The metric, such as `recall@10`.
    pub metric: String,
    /// Beams of the search through the codes.
    pub beam: u32,
    /// Validation requests.
    pub requests: u64,
    /// Of the exact search over the vectors.
    pub exact: f64,
    /// Of the search through the codes.
    pub codes: f64,
    /// Of that search, with the items found in the order of their vectors.
    pub ranked: f64,
}

impl CeilingReport {
    /// Whether search through the codes loses more than a tenth of what exact search finds.
    pub fn is_low(&self) -> bool {
        self.codes < 0.9 * self.exact
    }
}

impl fmt::Display for CeilingReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { metric, beam, requests, exact, codes, ranked } = self;
        write!(
            f,
            "{metric} of {requests} validation requests: {exact:.3} by exact search over the vectors, {codes:.3} through the codes with {beam} beams, {ranked:.3} with the items found in the order of their vectors"
        )
    }
}

/// Use of the codes of one level by training targets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TargetsReport {
    /// Entropy divided by log2 of the codes; 1 is even use.
    pub normalized_entropy: f64,
    /// Gini coefficient of the counts; 0 is even use.
    pub gini: f64,
    /// Share of targets with the most frequent code.
    pub top_1_share: f64,
    /// Share of targets with one of the ten most frequent codes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_10_share: Option<f64>,
    /// Codes that at least one target uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<u64>,
    /// Standard deviation of targets per code, unused codes included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deviation: Option<f64>,
}

/// Use of the codes of one level.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LevelReport {
    /// Codes that the level has.
    pub codes: u64,
    /// Codes that at least one item uses.
    pub used: u64,
    /// Entropy of the code distribution, in bits.
    pub entropy_bits: f64,
    /// The same divided by log2 of `codes`; 1 is even use.
    pub normalized_entropy: f64,
    /// Gini coefficient of the counts; 0 is even use.
    pub gini: f64,
    /// Standard deviation of items per code, unused codes included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deviation: Option<f64>,
    /// Share of items with the most frequent code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_1_share: Option<f64>,
    /// Share of items with one of the ten most frequent codes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_10_share: Option<f64>,
    /// Different prefixes up to and including this level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefixes: Option<u64>,
    /// Different codes that follow a prefix, on average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fan_out: Option<f64>,
    /// Share of items whose prefix up to and including this level is also another item's; in [0, 1].
    #[serde(default)]
    pub collision_rate: Option<f64>,
    /// Evenness and Gini coefficient where every item counts as often as it was a training target: what a decoder sees.
    /// Null where nothing was chosen in training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<TargetsReport>,
    /// Items per code, any order, unused codes included or not.
    #[serde(default)]
    pub usage: Vec<u64>,
}
