//! Expected reciprocal rank: the reciprocal of the place where a reader stops who is satisfied by an item of grade g with
//! probability `(2^g − 1) / 2^max` (Chapelle, Metzler, Zhang & Grinspan, CIKM 2009, equations 4 and 7).

use super::judged::JudgedList;
use super::parameters::Asked;

/// `Σ 1/rank · P(stops there)`. Grades below the threshold, and items without judgment, satisfy nobody; no grade may be above
/// `highest`. In a group of ties the expected probability of passing j of its m items is the mean product of `1 − P` over
/// all j-subsets: `O(m j)`.
pub(super) fn value(list: &JudgedList<'_>, asked: &Asked) -> f64 {
    let Asked { relevant_grade, cutoff, highest, .. } = *asked;
    let mut sum = 0.0;
    let mut reached = 1.0;
    let mut passed = Vec::new();
    for group in list.groups(cutoff) {
        // `[j]`: mean over the j-subsets of the items seen so far of the probability that all are passed.
        passed.clear();
        passed.resize(group.grades.len() + 1, 0.0);
        passed[0] = 1.0;
        for (seen, grade) in (1..).zip(group.grades) {
            let pass = 1.0 - satisfaction(*grade, relevant_grade, highest);
            for taken in (1..=seen).rev() {
                let share = taken as f64 / seen as f64;
                passed[taken] = passed[taken] * (1.0 - share) + passed[taken - 1] * pass * share;
            }
        }
        for place in 1..=group.taken {
            let stops = reached * (passed[place - 1] - passed[place]);
            sum += stops / (group.start + place) as f64;
        }
        reached *= passed[group.grades.len()];
    }
    sum
}

/// `(2^grade − 1) / 2^highest`, written so that large grades do not overflow.
fn satisfaction(grade: Option<f64>, relevant_grade: f64, highest: f64) -> f64 {
    match grade {
        Some(grade) if grade >= relevant_grade && grade > 0.0 => {
            (1.0 - (-grade).exp2()) * (grade - highest).exp2()
        }
        _ => 0.0,
    }
}
