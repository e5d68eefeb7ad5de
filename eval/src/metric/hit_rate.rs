//! Hit rate: whether any relevant item is among the first k. trec_eval's `success`.

use super::judged::JudgedList;
use super::parameters::Asked;

/// 1 where a relevant item is among the first k, else 0; where the k-th place cuts a group of ties, the probability
/// `1 − C(m − r, t) / C(m, t)` that one of its r relevant items of m is among the t places taken.
pub(super) fn value(list: &JudgedList<'_>, asked: &Asked) -> f64 {
    let Asked { relevant_grade, cutoff, .. } = *asked;
    for group in list.groups(cutoff) {
        let (size, relevant) = (group.grades.len(), group.n_relevant(relevant_grade));
        if relevant > 0 {
            let others = size - relevant;
            if group.taken > others {
                return 1.0;
            }
            let missed = |place: usize| (others - place) as f64 / (size - place) as f64;
            return 1.0 - (0..group.taken).map(missed).product::<f64>();
        }
    }
    0.0
}
