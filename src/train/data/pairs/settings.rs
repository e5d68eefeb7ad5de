//! Settings of how preferences are built from clicks.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How preferences are built from clicks. Chosen: a clicked item. Rejected: shown above it and not clicked, or ranked
/// high by the `init` model itself; never an item that is positive for the same query text in any request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PairSettings {
    /// Training requests whose own beams are searched for negatives.
    pub beam_requests: u32,
    /// Beam width of that search.
    #[schemars(range(min = 1, max = 4_096))]
    pub beam: u32,
    /// Most negatives drawn from the beam per request.
    #[schemars(range(min = 0, max = 4_096))]
    pub beam_negatives: u32,
    /// Most shown-above-and-not-clicked negatives per clicked item.
    #[schemars(range(min = 0, max = 1_000))]
    pub shown_negatives: u32,
    /// Weight of a rejected item that was never shown for the query.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub unshown_weight: f64,
    /// Weight of the rejected item that the `init` model takes for most like the chosen one; below the median likeness it is 1.
    /// What looks alike is the likeliest to be wanted, too. Left out: likeness is not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.01, max = 1.0))]
    pub similar_weight: Option<f64>,
    /// Weights that undo the bias of positions: a click far down counts for more, a rejected item that was hardly looked at
    /// for less. Left out: positions do not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub propensity: Option<PropensitySettings>,
    /// What a chosen item counts by the level that it reached, such as `{ ordered = 3.0 }`: names of the corpus's levels; those
    /// left out count 1, and 0 builds no pairs.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub levels: BTreeMap<String, f64>,
    /// Most chosen items of one request that share a group (an example). Left out: 1; for rad-dpo 8.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 256))]
    pub group_chosen: Option<u32>,
    /// Most rejected items of a group; further ones form groups of their own. Left out: 1, so that an example is a
    /// pair; for s-dpo, dmpo and rad-dpo 8.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 256))]
    pub group_negatives: Option<u32>,
}

impl Default for PairSettings {
    fn default() -> Self {
        Self {
            beam_requests: 4_000,
            beam: 20,
            beam_negatives: 3,
            shown_negatives: 1,
            unshown_weight: 0.5,
            similar_weight: None,
            propensity: None,
            levels: BTreeMap::new(),
            group_chosen: None,
            group_negatives: None,
        }
    }
}

/// How the bias of positions is known, and how far it is undone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PropensitySettings {
    /// What tells how likely each position is looked at.
    pub by: BiasSource,
    /// Exponent η of `position^-η` where `by = "fixed"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 10.0))]
    pub exponent: Option<f64>,
    /// Most that a click counts for its position.
    #[schemars(range(min = 1.0, max = 1_000.0))]
    pub most: f64,
}

impl Default for PropensitySettings {
    fn default() -> Self {
        Self { by: BiasSource::default(), exponent: None, most: 10.0 }
    }
}

/// What tells how likely a position is looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BiasSource {
    /// The training log: swaps where it records propensities, else the click model.
    #[default]
    Log,
    /// Items of the log whose position was drawn: those with a recorded propensity below 1.
    Swaps,
    /// A click model of the log, by expectation maximisation.
    Em,
    /// A given exponent.
    Fixed,
}
