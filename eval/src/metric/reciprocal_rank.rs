//! Reciprocal rank of the first relevant item; its mean over requests is MRR. trec_eval's `recip_rank`, with an optional
//! cutoff.

use super::judged::JudgedList;
use super::parameters::Asked;

/// `1 / rank` of the first relevant item; 0 where none is among the first `cutoff`, or none at all. In a group of m ties
/// with r relevant items the first of them stands at place j with probability `p_1 = r / m`,
/// `p_{j+1} = p_j (m − r − j + 1) / (m − j)`.
pub(super) fn value(list: &JudgedList<'_>, asked: &Asked) -> f64 {
    let Asked { relevant_grade, cutoff, .. } = *asked;
    for group in list.groups(cutoff) {
        let (size, relevant) = (group.grades.len(), group.n_relevant(relevant_grade));
        if relevant > 0 {
            let others = size - relevant;
            let mut probability = relevant as f64 / size as f64;
            let mut sum = 0.0;
            for place in 1..=group.taken.min(others + 1) {
                sum += probability / (group.start + place) as f64;
                if place <= others {
                    probability *= (others - place + 1) as f64 / (size - place) as f64;
                }
            }
            return sum;
        }
    }
    0.0
}
