//! Settings of identifiers and of the vectors they are made from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identifier::settings::NamingSettings;
use crate::kind::{Fact, ItemValue, Need};
use crate::store::Source;

/// Residual k-means: each level quantises what the levels before it left over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResidualKMeansSettings {
    /// Name of the `[vectors.NAME]` to quantise.
    #[schemars(extend("x-key" = false))]
    pub vectors: String,
    /// Number of levels L; items that still share all codes get a further dedup token.
    #[serde(default = "default_levels")]
    #[schemars(range(min = 1, max = 8))]
    pub levels: u32,
    /// Codes per level K.
    #[serde(default = "default_codes")]
    #[schemars(range(min = 2, max = 65_536))]
    pub codes: u32,
    /// Codes of each level where they differ, such as `[4096, 1024, 512]`; takes the place of `levels` and `codes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8), inner(range(min = 2, max = 65_536)))]
    pub codes_of_levels: Option<Vec<u32>>,
    /// What of an item is its first code: a further level before all others, whose codes are the values, the most frequent
    /// first, and which the others leave over from. By default there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<FirstSettings>,
    /// Levels whose codes get equally many items; by default every item gets its nearest code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balanced: Option<Balanced>,
    /// How items are spread over the codes of balanced levels; by default `capacity`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance_by: Option<BalanceBy>,
    /// Whether each level looks at the directions of what the levels before left over, in place of the vectors: codes are
    /// chosen by cosine, and a centroid has the length that leaves least over. By default lengths count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalize: Option<bool>,
    /// Items per iteration, drawn from all (mini-batch k-means); by default each iteration looks at all items, or at a
    /// sample of 256 per code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 16_777_216))]
    pub batch: Option<u32>,
    /// Most iterations of Lloyd's algorithm per level; with `batch`, as many batches.
    #[serde(default = "default_iterations")]
    #[schemars(range(min = 1, max = 1_000))]
    pub iterations: u32,
    /// Items that the quantiser is fitted on, by default `all`; others get the codes nearest to their vectors, as items do that
    /// come later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fit: Option<FitOn>,
    /// What is made of codes before they are identifiers.
    #[serde(flatten)]
    pub naming: NamingSettings,
    /// Seed of what is drawn here; by default the recipe's. The same part with another seed is a replicate of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub seed: Option<u64>,
}

/// What of an item is its first code: one of the two.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FirstSettings {
    /// An attribute of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
    /// A level of its category path, 0 the broadest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 16))]
    pub category: Option<u32>,
}

impl FirstSettings {
    /// The one that is given.
    pub fn value(&self) -> Option<ItemValue> {
        let category = self.category.map(ItemValue::Category);
        self.attribute.clone().map(ItemValue::Attribute).or(category)
    }
}

/// Items that a quantiser is fitted on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FitOn {
    /// All items.
    #[default]
    All,
    /// Those that were chosen in training, so that all others are as cold as items that come later.
    Trained,
}

impl FitOn {
    /// Whether it is all of them.
    pub fn is_all(&self) -> bool {
        *self == Self::All
    }

    /// What a corpus must have for it.
    pub fn needs(self, kind: &str) -> Vec<Need> {
        let message = format!(
            "{kind} `{{name}}` is fitted on the items that were chosen in training, but the corpus has no feedback"
        );
        let need =
            Need::new(Fact::Feedback, message).instead("fit it on all items (fit = \"all\")");
        if self.is_all() { Vec::new() } else { vec![need] }
    }
}

/// Levels whose codes get equally many items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Balanced {
    /// The last level.
    Last,
    /// All levels.
    All,
}

impl Balanced {
    /// Whether the level at a place is one of them.
    pub fn holds(self, level: usize, levels: usize) -> bool {
        match self {
            Self::Last => level + 1 == levels,
            Self::All => true,
        }
    }
}

/// How items are spread over the codes of a balanced level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BalanceBy {
    /// No code takes more than its share: what is too much moves to the nearest code with room.
    Capacity,
    /// Optimal transport with entropy: codes get about their share, at the least sum of distances.
    Sinkhorn,
}

impl ResidualKMeansSettings {
    /// Codes of each level.
    pub fn level_codes(&self) -> Vec<u32> {
        let same = || vec![self.codes; self.levels as usize];
        self.codes_of_levels.clone().unwrap_or_else(same)
    }

    /// The same with as many codes as are given for the level that values of items are the codes of, where there is one.
    pub fn all_levels(&self, first: u32) -> Vec<u32> {
        self.first.iter().map(|_| first).chain(self.level_codes()).collect()
    }

    /// How the codes of the level at a place come to get equally many items, where they are to.
    pub fn balance(&self, level: usize) -> Option<BalanceBy> {
        let is_balanced = self.balanced?.holds(level, self.level_codes().len());
        is_balanced.then(|| self.balance_by.unwrap_or(BalanceBy::Capacity))
    }
}

/// Codes that a file names for each item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableSettings {
    /// A `.json` file, an object from item ids to lists of codes (numbers, or tokens such as `"<a_121>"`) or a list of rows
    /// with `item_id` and `codes`; or a `.jsonl` file of such rows. It names every item of the corpus, and no other.
    #[schemars(extend("x-key" = false))]
    pub path: Source,
    /// Codes of every item.
    #[serde(default = "default_levels")]
    #[schemars(range(min = 1, max = 8))]
    pub levels: u32,
    /// Codes that each level has, used or not: all codes are below it.
    #[serde(default = "default_table_codes")]
    #[schemars(range(min = 2, max = 65_536))]
    pub codes: u32,
    /// Codes of each level where they differ, such as `[4096, 1024, 512]`; takes the place of `levels` and `codes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8), inner(range(min = 2, max = 65_536)))]
    pub codes_of_levels: Option<Vec<u32>>,
    /// Name of the `[vectors.NAME]` of the items, where near codes are asked for or the ceiling of the codes is wanted; what
    /// a code stands for is then the mean of what the levels before it leave over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub vectors: Option<String>,
    /// What is made of codes before they are identifiers.
    #[serde(flatten)]
    pub naming: NamingSettings,
}

impl TableSettings {
    /// Codes of each level.
    pub fn level_codes(&self) -> Vec<u32> {
        let same = || vec![self.codes; self.levels as usize];
        self.codes_of_levels.clone().unwrap_or_else(same)
    }
}

fn default_table_codes() -> u32 {
    256
}

/// Paths of codes dealt to items at random, each to one item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RandomSettings {
    /// Number of levels L.
    #[schemars(range(min = 1, max = 8))]
    pub levels: u32,
    /// Codes per level K; K^L paths must suffice for all items.
    #[schemars(range(min = 2, max = 65_536))]
    pub codes: u32,
    /// Seed of what is drawn here; by default the recipe's. The same part with another seed is a replicate of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-key" = false))]
    pub seed: Option<u64>,
}

impl Default for RandomSettings {
    fn default() -> Self {
        Self { levels: default_levels(), codes: default_codes(), seed: None }
    }
}

fn default_levels() -> u32 {
    3
}

fn default_codes() -> u32 {
    64
}

fn default_iterations() -> u32 {
    30
}
