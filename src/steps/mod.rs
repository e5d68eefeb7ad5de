//! The steps of a plan, one file per kind of step: reads the folders of its inputs, calls the component, writes its own.
//!
//! A step is a struct of the settings that enter its key, and of means that do not ([`crate::kind::keyed`] reads which is
//! which from the type). What is not in the struct, a step cannot see: no recipe and no plan reach it.

mod ceiling;
mod corpus;
mod evaluation;
mod evidence;
mod fold;
mod identifier;
mod index;
mod model;
mod prepare;
mod prompts;
mod replicates;
mod spans;
mod system;
mod teach;
mod train;
mod vectors;

pub use ceiling::MeasureCeiling;
pub use corpus::MakeCorpus;
pub use evaluation::{
    EVALUATION_FILE, Evaluate, Evaluation, Example, Judged, LABELS_FILE, QRELS_FILE, SystemResult,
    VALUES_DIR,
};
pub use evidence::TellEvidence;
pub use fold::HoldOut;
pub use identifier::MakeIdentifier;
pub use index::PrepareSystem;
pub use model::MakeModel;
pub use prepare::PrepareTraining;
pub use prompts::RenderPrompts;
pub use replicates::EvaluateSeeds;
pub use spans::MakeSpans;
pub use system::{AnswerRequests, SystemFile};
pub use teach::Teach;
pub use train::{TrainDecoder, write_finished_board};
pub use vectors::MakeVectors;

use crate::error::Result;
use crate::inputs::StepContext;
use crate::kind::{Estimate, Sizes};
use crate::train::course::settings::TrainDevice;

/// What a step does.
pub trait Work {
    /// Does it.
    ///
    /// # Errors
    /// Whatever it meets.
    fn run(&self, step: &StepContext<'_>) -> Result<()>;

    /// Figures before anything is loaded.
    fn estimate(&self, sizes: &Sizes) -> Estimate;

    /// Whether event files of its training are asked for.
    fn tracks(&self) -> bool {
        false
    }

    /// What it computes on.
    fn device(&self) -> TrainDevice {
        TrainDevice::Cpu
    }
}
