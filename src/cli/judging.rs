//! From what was typed about judging and testing to the rules of a contest.

use trieval_eval::significance::SignificanceOptions;
use trieval_eval::{Catalogue, Options};

use super::args::JudgingArgs;
use crate::error::{Error, Result};

impl JudgingArgs {
    /// How lists are judged.
    pub(super) fn options<'a>(&self, catalogue: Option<&'a Catalogue>) -> Options<'a> {
        Options {
            relevant_grade: self.relevant_grade.unwrap_or(1.0),
            ties: self.ties,
            missing: self.missing,
            catalogue,
        }
    }

    /// How differences are tested.
    pub(super) fn significance(&self) -> SignificanceOptions {
        SignificanceOptions {
            resamples: self.bootstrap,
            confidence: self.confidence,
            seed: self.seed,
            test: self.test,
            correction: self.correction,
            margin: self.margin,
        }
    }

    /// Index of the baseline among these systems.
    ///
    /// # Errors
    /// [`Error::Usage`] when it is none of them.
    pub(super) fn baseline(&self, names: &[&str]) -> Result<usize> {
        let Some(baseline) = &self.baseline else { return Ok(0) };
        names.iter().position(|name| name == baseline).ok_or_else(|| {
            Error::Usage(format!(
                "--baseline must name one of {}, not {baseline}",
                names.join(", ")
            ))
        })
    }
}
