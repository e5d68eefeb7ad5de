//! Normalized discounted cumulative gain. trec_eval's `ndcg` and `ndcg_cut` where the gain is linear and every positive
//! grade is relevant. Grades below the threshold of relevance gain 0, in the list and in the ideal alike (trec_eval's
//! threshold does not reach its ndcg).

use super::{Gain, JudgedList};

/// `DCG of the first k / DCG of the best possible first k`, with `DCG = Σ gain(grade) / log2(rank + 1)`; 0 where no ideal
/// gain is positive.
pub(super) fn value(list: &JudgedList<'_>, cutoff: Option<u32>, gain: Gain) -> f64 {
    let length = cutoff.map_or(list.ideal.len(), |k| list.ideal.len().min(k as usize));
    let ideal = discounted(list.ideal[..length].iter().copied(), gain);
    if ideal <= 0.0 {
        return 0.0;
    }
    let found = discounted(list.top(cutoff).iter().map(|one| one.grade), gain);
    found / ideal
}

fn discounted(grades: impl Iterator<Item = f64>, gain: Gain) -> f64 {
    let mut sum = 0.0;
    for (index, grade) in grades.enumerate() {
        if grade > 0.0 {
            let gained = match gain {
                Gain::Linear => grade,
                Gain::Exponential => grade.exp2() - 1.0,
            };
            sum += gained / ((index + 2) as f64).log2();
        }
    }
    sum
}
