//! R-precision: precision after as many places as there are relevant items. trec_eval's `Rprec`.

use super::judged::JudgedList;
use super::parameters::Asked;

/// `|relevant in the first R| / R` with `R = |relevant|`; 0 where nothing is relevant.
pub(super) fn value(list: &JudgedList<'_>, asked: &Asked) -> f64 {
    let relevant_grade = asked.relevant_grade;
    let n_relevant = list.n_relevant(relevant_grade);
    match u32::try_from(n_relevant) {
        Ok(0) => 0.0,
        cutoff => list.hits(relevant_grade, cutoff.ok()) / n_relevant as f64,
    }
}
