//! R-precision: precision after as many places as there are relevant items. trec_eval's `Rprec`.

use super::judged::JudgedList;

/// `|relevant in the first R| / R` with `R = |relevant|`; 0 where nothing is relevant.
pub(super) fn value(list: &JudgedList<'_>, relevant_grade: f64) -> f64 {
    let n_relevant = list.n_relevant(relevant_grade);
    match u32::try_from(n_relevant) {
        Ok(0) => 0.0,
        cutoff => list.hits(relevant_grade, cutoff.ok()) / n_relevant as f64,
    }
}
