//! Requests that are held out to look at while something trains: what a training is given of them, and no more.
//!
//! Knows no metric: who measures is behind [`Judge`].

use crate::corpus::{LabelRule, Labels, Request};
use crate::error::Result;

/// Which held-out requests a training wants.
pub struct Sample<'a> {
    /// Metric of lists that decides; none where only answers are wanted.
    pub metric: Option<&'a str>,
    /// Most requests: a sample that is the same throughout.
    pub requests: u32,
    /// Only requests with a history.
    pub with_history: bool,
    /// Only requests with clicks, where the validation split has any.
    pub with_answer: bool,
}

/// Gives held-out requests of the validation split and measures what is answered.
pub trait Judge {
    /// A sample of the validation requests; `who` names the training in errors.
    ///
    /// # Errors
    /// [`crate::Error::Data`] when no request is as wanted.
    fn held_out(&self, who: &str, sample: &Sample<'_>) -> Result<Box<dyn HeldOut>>;

    /// What was shown for at most `requests` validation requests, with labels by `rule` and columns of
    /// impressions by name; empty where the corpus has no pages of them.
    ///
    /// # Errors
    /// [`crate::Error::Data`] when the corpus cannot be read.
    fn labels(
        &self,
        rule: &LabelRule,
        columns: &[&str],
        requests: u32,
    ) -> Result<(Vec<Request>, Labels)>;
}

/// Held-out requests.
pub trait HeldOut {
    /// The requests, in the order of the corpus.
    fn requests(&self) -> &[Request];

    /// Number of a request in [`HeldOut::requests`], and an item that answers it: clicks, or where the split has none at
    /// all, what is judged relevant.
    fn answers(&self) -> &[(usize, u32)];

    /// Items that must not be answered, ascending, per request.
    fn exclude(&self) -> &[Vec<u32>];

    /// Items per list that the metric looks at.
    fn depth(&self) -> usize;

    /// The metric of lists, one per request, best first.
    ///
    /// # Errors
    /// When it cannot be measured.
    fn measure(&self, lists: &[Vec<(u32, f32)>]) -> Result<f64>;
}

/// Gives nothing: for trainings of tests that are not validated.
#[cfg(test)]
pub(crate) struct Nobody;

#[cfg(test)]
impl Judge for Nobody {
    fn held_out(&self, who: &str, _sample: &Sample<'_>) -> Result<Box<dyn HeldOut>> {
        Err(crate::Error::Failed(format!("{who} has nothing that is held out")))
    }

    fn labels(
        &self,
        _rule: &LabelRule,
        _columns: &[&str],
        _requests: u32,
    ) -> Result<(Vec<Request>, Labels)> {
        Ok((Vec::new(), Labels { pages: Vec::new(), unknown: 0 }))
    }
}
