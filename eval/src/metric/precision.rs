//! Precision: the share of the first k places that hold a relevant item. trec_eval's `P`, and its `set_P` without a cutoff.

use super::judged::JudgedList;
use super::parameters::Asked;

/// `|relevant in the first k| / k`; a list shorter than k is not excused. Without a cutoff the share of the returned items.
pub(super) fn value(list: &JudgedList<'_>, asked: &Asked) -> f64 {
    let Asked { relevant_grade, cutoff, .. } = *asked;
    match cutoff.map_or(list.ranked.len(), |k| k as usize) {
        0 => 0.0,
        places => list.hits(relevant_grade, cutoff) / places as f64,
    }
}
