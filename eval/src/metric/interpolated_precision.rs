//! Interpolated precision: the highest precision at or behind the place where a share of the relevant items has been found.
//! trec_eval's `iprec_at_recall`.

use super::judged::{JudgedList, is_relevant};
use super::parameters::Asked;

/// `max over ranks y ≥ x of precision(y)`, where x is the rank of the relevant item number `⌊recall · R + 0.9⌋` (trec_eval 9);
/// 0 where so many were not returned.
pub(super) fn value(list: &JudgedList<'_>, asked: &Asked) -> f64 {
    let (relevant_grade, recall) = (asked.relevant_grade, asked.parameters.recall);
    let needed = (recall * list.n_relevant(relevant_grade) as f64 + 0.9).floor() as usize;
    let mut found = 0_usize;
    let mut best: f64 = 0.0;
    for (index, grade) in list.ranked.iter().enumerate() {
        if is_relevant(grade, relevant_grade) {
            found += 1;
            // Precision is highest at relevant items: the others need no look.
            if found >= needed {
                best = best.max(found as f64 / (index + 1) as f64);
            }
        }
    }
    best
}
