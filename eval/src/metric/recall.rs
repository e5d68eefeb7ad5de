//! Recall: the share of all relevant items that was returned among the first k. trec_eval's `recall`.

use super::JudgedList;

/// `|relevant in the first k| / |relevant|`.
pub(super) fn value(list: &JudgedList<'_>, cutoff: Option<u32>) -> f64 {
    if list.ideal.is_empty() {
        return 0.0;
    }
    list.n_relevant_in(cutoff) as f64 / list.ideal.len() as f64
}
