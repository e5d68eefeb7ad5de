//! Settings of contrastive trainings, of whatever encodes requests and items: what is compared with what.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where positives and negatives come from, and the losses over them: those of MMSE (arXiv 2303.11009). The positives of the
/// other requests of a step are negatives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
// It is flattened into others, which excludes `deny_unknown_fields`; the schema refuses unknown keys all the same.
pub struct Contrast {
    /// Which signals say how far a shown item got.
    pub levels: MmseLevels,
    /// Most ordered items drawn per request.
    #[schemars(range(min = 0, max = 1_000))]
    pub ordered: u32,
    /// Most clicked items drawn per request.
    #[schemars(range(min = 0, max = 1_000))]
    pub clicked: u32,
    /// Most items drawn per request that were shown and neither clicked nor ordered.
    #[schemars(range(min = 0, max = 1_000))]
    pub shown: u32,
    /// Uniformly drawn items per step, shared by the batch; 0 leaves in-batch negatives alone.
    #[schemars(range(min = 0, max = 65_536))]
    pub uniform: u32,
    /// Treat ordered items as clicked ones.
    pub order_as_click: bool,
    /// Weight of an ordered item in the retrieval loss, whose mean is over the positives of a batch; that of a clicked one is 1.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub ordered_weight: f64,
    /// Weight of the retrieval loss; 0 leaves it out.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub retrieval: f64,
    /// Weight λ of the ranking loss; 0 leaves it out.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub ranking: f64,
    /// Which ranking loss.
    pub ranking_loss: RankingLoss,
    /// Temperature of the retrieval loss.
    #[schemars(range(min = 0.001, max = 10.0))]
    pub temperature: f64,
    /// Temperature of the ranking loss.
    #[schemars(range(min = 0.001, max = 10.0))]
    pub ranking_temperature: f64,
    /// Subtract the logarithm of an item's probability to be in the batch from its score in the retrieval loss.
    pub log_q: bool,
    /// Share of examples that are random title substrings asking for their item.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub pseudo_requests: f64,
    /// Items of a history whose text stands for a request without text, newest last.
    #[schemars(range(min = 1, max = 1_000))]
    pub history_items: u32,
}

impl Default for Contrast {
    fn default() -> Self {
        Self {
            levels: MmseLevels::Impressions {},
            ordered: 1,
            clicked: 2,
            shown: 4,
            uniform: 512,
            order_as_click: false,
            ordered_weight: 2.0,
            retrieval: 1.0,
            ranking: 0.1,
            ranking_loss: RankingLoss::Pairwise,
            temperature: 0.07,
            ranking_temperature: 0.1,
            log_q: true,
            pseudo_requests: 0.3,
            history_items: 5,
        }
    }
}

/// Positives drawn per request, at most.
pub(super) struct Places {
    pub(super) ordered: usize,
    pub(super) clicked: usize,
}

impl Contrast {
    /// How many are drawn; where orders count as clicks, the places of both are for clicks.
    pub(super) fn places(&self) -> Places {
        let (ordered, clicked) = (self.ordered as usize, self.clicked as usize);
        match self.order_as_click {
            true => Places { ordered: 0, clicked: ordered + clicked },
            false => Places { ordered, clicked },
        }
    }
}

/// Which signals say how far a shown item got.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "by", rename_all = "kebab-case", deny_unknown_fields)]
pub enum MmseLevels {
    /// Orders and clicks (or what was put into the cart) of impressions.
    Impressions {},
    /// Grades of judged pairs, which stand in for behavior.
    Grades {
        /// Lowest grade that counts as ordered.
        ordered: f64,
        /// Lowest grade that counts as clicked; lower ones count as shown.
        clicked: f64,
    },
}

/// How items of one request are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RankingLoss {
    /// Every pair of items of different levels, by a logistic loss.
    Pairwise,
    /// As pairwise, each pair weighted by what swapping it changes in NDCG (LambdaRank).
    Lambda,
    /// Ordered over all others, clicked and better over all others, shown over random, random items among the others of each
    /// (arXiv 2305.13647).
    Listwise,
}
