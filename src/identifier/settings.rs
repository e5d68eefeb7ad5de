//! Settings of what is made of codes before they are identifiers: removed tokens, and items that share a path.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is made of an item's codes before they are its identifier.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NamingSettings {
    /// What tells items apart that share all codes; by default `dedup`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collisions: Option<Collisions>,
    /// Tokens of the second level that identifiers lose, where a few of them carry most items; by default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove: Option<Remove>,
    /// How identifiers that lost a token are compared with those that did not; by default `skip`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<Length>,
    /// Codes of the dedup level that no item has yet, so that the vocabulary of a model can name new items
    /// (`trieval ids assign`); by default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_536))]
    pub spare: Option<u32>,
}

/// What tells items apart that share all codes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Collisions {
    /// A further level, which numbers them.
    #[default]
    Dedup,
    /// The item nearest to its last code keeps it; each other gets the nearest last code that is free, the nearest of
    /// them first.
    Nearest,
    /// Last codes of their own for all items of a prefix, so that the squared distances sum to the least.
    Matching,
    /// Last codes by Sinkhorn's algorithm among the items that collide (as LC-Rec does it), in at most 20 rounds; a further
    /// level numbers those that collide still.
    Sinkhorn,
    /// Nothing: an identifier names all its items, those chosen most often in training first.
    Shared,
}

impl Collisions {
    /// As recipes spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dedup => "dedup",
            Self::Nearest => "nearest",
            Self::Matching => "matching",
            Self::Sinkhorn => "sinkhorn",
            Self::Shared => "shared",
        }
    }
}

/// Tokens of the second level that identifiers lose.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Remove {
    /// All of them.
    SecondLevel,
    /// The most frequent ones.
    Top {
        /// So many.
        #[schemars(range(min = 1, max = 65_536))]
        codes: u32,
    },
    /// The fewest that together carry a share of the items.
    TopShare {
        /// The share.
        #[schemars(range(min = 0.001, max = 1.0))]
        share: f64,
    },
}

/// How identifiers of different length are compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Length {
    /// A token of its own stands for what was removed: it is trained and scored, so that all are of one length.
    #[default]
    Skip,
    /// The removed token is not spelled; scores are sums, which favor the shorter.
    Sum,
    /// The removed token is not spelled; scores are means over the tokens that are.
    Mean,
}

impl NamingSettings {
    /// What tells items apart.
    pub fn collisions(&self) -> Collisions {
        self.collisions.unwrap_or_default()
    }

    /// How identifiers of different length are compared.
    pub fn length(&self) -> Length {
        self.length.unwrap_or_default()
    }

    /// Whether some identifiers are spelled with fewer tokens than others.
    pub fn varies_in_length(&self) -> bool {
        self.remove.is_some() && self.length() != Length::Skip
    }

    /// Whether codes become identifiers as if none of this were given.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a further level may number the items that share a path.
    pub fn may_number(&self) -> bool {
        matches!(self.collisions(), Collisions::Dedup | Collisions::Sinkhorn)
    }

    /// Codes per level of identifiers whose codes are made with `levels`.
    pub fn spelled(&self, mut levels: Vec<u32>) -> Vec<u32> {
        match self.remove {
            Some(Remove::SecondLevel) if levels.len() > 1 => {
                levels.remove(1);
            }
            Some(Remove::Top { .. } | Remove::TopShare { .. }) if levels.len() > 1 => {
                levels[1] += 1;
            }
            _ => {}
        }
        levels
    }
}
