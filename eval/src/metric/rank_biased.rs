//! Rank-biased precision: what a reader finds who goes on to the next place with probability p (Moffat & Zobel, ACM TOIS 27,
//! 2008, equation 2). Relevance is binary; trec_eval's `rbp` uses gains and another default of p.

use super::judged::{JudgedList, is_relevant};
use super::parameters::Asked;

/// `(1 − p) Σ over relevant items of p^(rank − 1)`.
pub(super) fn value(list: &JudgedList<'_>, asked: &Asked) -> f64 {
    let Asked { relevant_grade, cutoff, .. } = *asked;
    let persistence = asked.parameters.persistence;
    let gain = |grade| f64::from(u8::from(is_relevant(&Some(grade), relevant_grade)));
    // The rank fits: no list has 2^31 items.
    let discount = |rank: usize| persistence.powi((rank - 1) as i32);
    (1.0 - persistence) * list.discounted(cutoff, gain, discount)
}
