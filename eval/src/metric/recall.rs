//! Recall: the share of all relevant items that was returned among the first k. trec_eval's `recall`, and its `set_recall`
//! without a cutoff.

use super::judged::JudgedList;
use super::parameters::Asked;

/// `|relevant in the first k| / |relevant|`; 0 where nothing is relevant.
pub(super) fn value(list: &JudgedList<'_>, asked: &Asked) -> f64 {
    let Asked { relevant_grade, cutoff, .. } = *asked;
    match list.n_relevant(relevant_grade) {
        0 => 0.0,
        n_relevant => list.hits(relevant_grade, cutoff) / n_relevant as f64,
    }
}
