//! Binary preference: how many judged, not relevant items stand above each relevant one. Items without judgment, and items
//! of negative grade (pooled, never judged), are passed over. trec_eval's `bpref` (Buckley & Voorhees, SIGIR 2004).

use super::judged::JudgedList;
use super::parameters::Asked;

/// `1/R Σ over relevant returned items of 1 − min(n, R) / min(N, R)`, with n the not relevant items above it and N all of
/// them; 0 where nothing is relevant.
pub(super) fn value(list: &JudgedList<'_>, asked: &Asked) -> f64 {
    let relevant_grade = asked.relevant_grade;
    let n_relevant = list.n_relevant(relevant_grade);
    if n_relevant == 0 {
        return 0.0;
    }
    let n_judged = list.ideal.partition_point(|&grade| grade >= relevant_grade.min(0.0));
    let most = (n_judged - n_relevant).min(n_relevant);
    let mut above: usize = 0;
    let mut sum = 0.0;
    for &grade in list.ranked.iter().flatten() {
        if grade >= relevant_grade {
            sum += match above {
                0 => 1.0,
                above => 1.0 - above.min(n_relevant) as f64 / most as f64,
            };
        } else if grade >= 0.0 {
            above += 1;
        }
    }
    sum / n_relevant as f64
}
