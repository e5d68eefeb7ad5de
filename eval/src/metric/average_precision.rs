//! Average precision: the mean, over all relevant items, of the precision at their ranks. trec_eval's `map` (and `map_cut`
//! with a cutoff).

use super::JudgedList;

/// `Σ over relevant returned items of (relevant so far / rank) / |relevant|`; items that were not returned add 0.
pub(super) fn value(list: &JudgedList<'_>, cutoff: Option<u32>) -> f64 {
    if list.ideal.is_empty() {
        return 0.0;
    }
    let mut n_relevant = 0;
    let mut sum = 0.0;
    for (index, one) in list.top(cutoff).iter().enumerate() {
        if one.relevant {
            n_relevant += 1;
            sum += f64::from(n_relevant) / (index + 1) as f64;
        }
    }
    sum / list.ideal.len() as f64
}
