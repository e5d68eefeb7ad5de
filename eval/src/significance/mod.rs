//! How sure a difference is: paired bootstrap, paired randomization, Holm's correction, and the table of verdicts made of
//! them. Knows values per request, nothing of how they came about.

mod assess;
mod bootstrap;
mod holm;
mod randomization;

pub use assess::{Assessment, SignificanceOptions, assess};
pub use bootstrap::{Resamples, resample_means};
pub use holm::holm;
pub use randomization::randomization_p_value;
