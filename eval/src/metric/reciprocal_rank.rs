//! Reciprocal rank of the first relevant item; its mean over requests is MRR. trec_eval's `recip_rank`, with an optional
//! cutoff.

use super::JudgedList;

/// `1 / rank` of the first relevant item; 0 where none is among the first `cutoff`, or none at all.
pub(super) fn value(list: &JudgedList<'_>, cutoff: Option<u32>) -> f64 {
    let first = list.top(cutoff).iter().position(|one| one.relevant);
    first.map_or(0.0, |index| 1.0 / (index + 1) as f64)
}
