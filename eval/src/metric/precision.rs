//! Precision: the share of the first k places that hold a relevant item. trec_eval's `P`.

use super::JudgedList;

/// `|relevant in the first k| / k`; a list shorter than k is not excused.
pub(super) fn value(list: &JudgedList<'_>, cutoff: u32) -> f64 {
    if cutoff == 0 {
        return 0.0;
    }
    list.n_relevant_in(Some(cutoff)) as f64 / f64::from(cutoff)
}
