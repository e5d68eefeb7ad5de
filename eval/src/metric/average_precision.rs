//! Average precision: the mean, over all relevant items, of the precision at their ranks. trec_eval's `map` (and `map_cut`
//! with a cutoff).

use super::judged::JudgedList;
use super::parameters::Asked;

/// `Σ over relevant returned items of (relevant so far / rank) / |relevant|`; items that were not returned add 0. A place j
/// of a group of m ties with r relevant items holds one with probability `r / m`, and then `(j − 1)(r − 1) / (m − 1)`
/// relevant items of the group are expected before it.
pub(super) fn value(list: &JudgedList<'_>, asked: &Asked) -> f64 {
    let Asked { relevant_grade, cutoff, .. } = *asked;
    let n_relevant = list.n_relevant(relevant_grade);
    if n_relevant == 0 {
        return 0.0;
    }
    let mut before = 0;
    let mut sum = 0.0;
    for group in list.groups(cutoff) {
        let (size, relevant) = (group.grades.len(), group.n_relevant(relevant_grade));
        if relevant > 0 {
            let share = relevant as f64 / size as f64;
            let rise = (relevant - 1) as f64 / size.saturating_sub(1).max(1) as f64;
            for place in 0..group.taken {
                let so_far = (before + 1) as f64 + place as f64 * rise;
                sum += share * so_far / (group.start + place + 1) as f64;
            }
            before += relevant;
        }
    }
    sum / n_relevant as f64
}
