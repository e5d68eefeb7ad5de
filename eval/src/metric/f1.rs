//! F1: the harmonic mean of precision and recall. trec_eval's `set_F` without a cutoff.

use super::judged::JudgedList;
use super::parameters::Asked;

/// `2 P R / (P + R) = 2 |relevant in the first k| / (k + |relevant|)`, without a cutoff with the number of returned items as
/// k. Linear in the hits, so that its expectation over ties is exact.
pub(super) fn value(list: &JudgedList<'_>, asked: &Asked) -> f64 {
    let Asked { relevant_grade, cutoff, .. } = *asked;
    let places = cutoff.map_or(list.ranked.len(), |k| k as usize);
    match places + list.n_relevant(relevant_grade) {
        0 => 0.0,
        both => 2.0 * list.hits(relevant_grade, cutoff) / both as f64,
    }
}
