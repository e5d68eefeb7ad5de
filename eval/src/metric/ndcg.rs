//! Normalized discounted cumulative gain. trec_eval's `ndcg` and `ndcg_cut` where the gain is linear and every positive
//! grade is relevant. Grades below the threshold of relevance gain 0, in the list and in the ideal alike (trec_eval's
//! threshold does not reach its ndcg: `ndcg(rel=1)` is that figure under any threshold).

use super::judged::JudgedList;
use super::parameters::{Asked, Gain};

/// `DCG of the first k / DCG of the best possible first k`, with `DCG = Σ gain(grade) / log2(rank + 1)`; 0 where no ideal
/// gain is positive. Negative grades gain nothing.
pub(super) fn value(list: &JudgedList<'_>, asked: &Asked) -> f64 {
    let Asked { relevant_grade, cutoff, .. } = *asked;
    let gained = |grade: f64| match asked.parameters.gain {
        _ if grade < relevant_grade || grade <= 0.0 => 0.0,
        Gain::Linear => grade,
        Gain::Exponential => grade.exp2() - 1.0,
    };
    let discount = |rank: usize| 1.0 / ((rank + 1) as f64).log2();
    let length = list.n_relevant(relevant_grade);
    let length = cutoff.map_or(length, |k| length.min(k as usize));
    let ideal: f64 =
        (1..).zip(&list.ideal[..length]).map(|(rank, &grade)| gained(grade) * discount(rank)).sum();
    if ideal <= 0.0 {
        return 0.0;
    }
    list.discounted(cutoff, gained, discount) / ideal
}
