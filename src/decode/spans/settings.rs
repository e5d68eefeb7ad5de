//! Settings of answering in spans.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a decoder's spans become items: a beam search over the index of spans, all of whose sequences vote, each by how much
/// surer the request makes it than the texts alone do. The formulas are those of SEAL (arXiv 2204.10628).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SpanDecodeSettings {
    /// Beams kept per level and view; what is kept votes, finished or not.
    #[schemars(range(min = 1, max = 4_096))]
    pub beam: u32,
    /// Most words of a run of the query that votes like a span that was said, if a title holds it; 0 leaves runs of the query
    /// to the decoder.
    #[schemars(range(min = 0, max = 16))]
    pub query_words: u32,
    /// Items that are looked at closely: those that the spans on them sum up to most for.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub candidates: u32,
    /// Occurrences above which a span votes for items that others propose, and proposes none.
    #[schemars(range(min = 1))]
    pub frequent: u32,
    /// What is added to the occurrences of a span and to the tokens of all texts: `p(g) = (count + s) / (tokens + s)`.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub smoothing: f64,
    /// Exponent γ of the log odds ratio: `w(g) = max(0, ln odds p(g|q) − ln odds p(g))^γ`.
    #[schemars(range(min = 0.1, max = 8.0))]
    pub exponent: f64,
    /// Share that each token but the first takes off the probability of a span.
    #[schemars(range(min = 0.0, max = 0.9))]
    pub length_penalty: f64,
    /// Share β of a span's weight that goes with its tokens: those that a stronger span on the item has said count no more.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub repetition: f64,
    /// Share of an item's score that its strongest span has; the sum of all has the rest.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub strongest: f64,
    /// Likeliest first tokens that vote where no span has said them, by their log odds ratio itself.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub unigrams: u32,
    /// What their votes count.
    #[schemars(range(min = 0.0, max = 1_000.0))]
    pub unigram_weight: f64,
    /// Choose `smoothing`, `exponent`, `repetition`, `strongest` and `unigram_weight` on the validation requests; by default
    /// they are taken as given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tune: Option<SpanTuning>,
}

/// A search for the constants by which spans vote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpanTuning {
    /// Metric of lists, such as `recall@10`, that is made best on the validation requests.
    pub metric: String,
    /// Settings that are tried beside the given ones, spread over the ranges of the constants. What the decoder says is asked
    /// for once.
    #[serde(default = "default_budget")]
    #[schemars(range(min = 1, max = 10_000))]
    pub budget: u32,
}

impl Default for SpanDecodeSettings {
    fn default() -> Self {
        Self {
            beam: 15,
            query_words: 0,
            candidates: 500,
            frequent: 1_500,
            smoothing: 5.0,
            exponent: 2.0,
            length_penalty: 0.0,
            repetition: 0.8,
            strongest: 0.0,
            unigrams: 1_000,
            unigram_weight: 1.0,
            tune: None,
        }
    }
}

fn default_budget() -> u32 {
    48
}
