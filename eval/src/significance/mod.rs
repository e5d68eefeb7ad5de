//! How sure a difference is: paired bootstrap over requests and seeds, randomization, t and signed-rank tests,
//! non-inferiority, corrections for many comparisons, and the table of verdicts made of them. Knows values per request and
//! pooled figures, nothing of how they came about.

mod assess;
mod bootstrap;
mod contenders;
mod correction;
mod distributions;
mod margin;
mod options;
mod paired;
mod randomization;
mod sums;

pub use assess::{
    Assessment, WITH_BASELINE, assess, assess_pairs, assess_seeds, correct, few_requests,
};
pub use bootstrap::{Resamples, bootstrap_p_value, interval, resample};
pub use contenders::{SeedDraws, SeedGroup};
pub use correction::{benjamini_hochberg, holm};
pub use distributions::{normal_two_sided, student_two_sided};
pub use margin::{NonInferiority, non_inferiority};
pub use options::{Correction, SignificanceOptions, Test};
pub use paired::{Wins, cohens_d, count_wins, t_p_value, wilcoxon_p_value};
pub use randomization::{randomization_p_value, randomization_p_values};
