//! What is learned: the trait of whatever the engine trains, and what a decoder can be trained for, one file or
//! folder per objective.

mod batch;
pub mod contrastive;
pub mod distillation;
pub mod mixed;
pub mod preference;
pub mod supervised;

use candle_core::Tensor;

pub use batch::{Row, TargetBatch};

use super::log::StepRecord;
use super::rows::Gradient;
use super::sampler::Draw;
use crate::error::Result;
use crate::model::Parameters;

/// What is learnt: draws (or generates) batches and scores them.
pub trait Objective {
    /// A micro-batch, ready for the model.
    type Batch;

    /// Number of examples in one epoch.
    fn n_examples(&self) -> u64;

    /// Length of an example in tokens, for grouping.
    fn length(&self, example: u64) -> u32;

    /// Builds a micro-batch, or generates it with the weights as they are: all micro-batches of a step are drawn before
    /// any of them moves a weight. All randomness comes from each draw's global index.
    ///
    /// # Errors
    /// When an example cannot be made.
    fn draw(&self, draws: &[Draw]) -> Result<Self::Batch>;

    /// What the loss of a step is divided by: target tokens or pairs.
    fn weight(&self, batch: &Self::Batch) -> f64;

    /// Input tokens, padding excluded, for the rate that is shown.
    fn tokens(&self, batch: &Self::Batch) -> u64;

    /// The *summed* loss of a micro-batch, a differentiable scalar, and summed metrics.
    ///
    /// # Errors
    /// When a tensor operation fails.
    fn loss(&self, batch: &Self::Batch) -> Result<Loss>;

    /// Whether it begins with weights that were trained for the same end, so that it is worth knowing how good they are.
    fn begins_trained(&self) -> bool {
        false
    }

    /// Changes the gradients of a whole step, summed over all processes, before they are clipped: where parameters are
    /// a stack of particles, each in its own slice, the direction of one takes the others into account here.
    ///
    /// # Errors
    /// When a tensor operation fails.
    fn couple(&self, _parameters: &Parameters, _gradients: &mut [Gradient]) -> Result<()> {
        Ok(())
    }

    /// Moves parameters after a step by other means than their gradient, where a gradient cannot: a code that no example
    /// chooses has none. `step` counts from 1 to `n_steps`. Must depend on the weights and the step alone, so that a resumed
    /// training does the same.
    ///
    /// # Errors
    /// When a tensor operation fails.
    fn settle(&self, _step: u64, _n_steps: u64) -> Result<()> {
        Ok(())
    }

    /// Further figures of a finished step, measured on the weights it left, for instance on a fixed probe; `step` counts
    /// from 1 to `n_steps`. Must depend on the weights alone, so that a resumed training measures the same.
    ///
    /// # Errors
    /// When a tensor operation fails.
    fn measure(&self, _step: u64, _n_steps: u64) -> Result<Vec<(&'static str, f64)>> {
        Ok(Vec::new())
    }

    /// What a drawn example is, in words, for messages about it.
    fn describe(&self, draw: &Draw) -> String {
        format!("example {}", draw.example)
    }

    /// Looks at a finished step and may say something worrying in plain words. A resumed training shows
    /// the steps before again.
    fn remark(&mut self, _record: &StepRecord) -> Option<String> {
        None
    }
}

/// Summed loss of a micro-batch.
pub struct Loss {
    /// Differentiable scalar.
    pub sum: Tensor,
    /// Further values, summed like the loss and divided like it.
    pub metrics: Vec<(&'static str, f64)>,
}
