//! What a search through the codes of items finds, before a decoder learns to write them.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;
use trieval_eval::report::model::CeilingReport;

use super::Work;
use crate::corpus::Split;
use crate::error::Result;
use crate::identifier::Identifiers;
use crate::inputs::StepContext;
use crate::judging::ceiling::{CEILING_FILE, HistoryMean, measure};
use crate::judging::held_out::ValidationJudge;
use crate::kind::{Estimate, Role, Sizes};
use crate::store::write_json;
use crate::train::held_out::{Judge, Sample};
use crate::vectors::kinds::VectorsSettings;
use crate::vectors::{Encoded, read_of};

/// Validation requests that are searched for, at most.
const REQUESTS: u32 = 1_000;

/// Measures the ceiling of an identifier.
#[derive(Serialize, JsonSchema)]
pub struct MeasureCeiling {
    /// What the codes were made from, which encodes requests; all of it is in the key of its step.
    #[serde(skip)]
    pub vectors: VectorsSettings,
    /// Beams of the search through the codes.
    pub beam: u32,
    /// The metric of lists.
    pub metric: String,
    /// Items from this grade on are relevant.
    pub relevant_grade: f64,
    /// Name of the identifier in messages.
    #[serde(skip)]
    pub identifier: String,
}

impl Work for MeasureCeiling {
    fn run(&self, step: &StepContext<'_>) -> Result<()> {
        let corpus = step.inputs.corpus()?;
        let judged = corpus.judgements(Split::Validation)?.into_iter();
        let relevant = judged.filter(|(_, _, grade)| f64::from(*grade) >= self.relevant_grade);
        let relevant: BTreeSet<u32> = relevant.map(|(request, ..)| request).collect();
        let mut known = corpus.requests(Split::Validation)?.into_iter().filter(|request| {
            relevant.contains(&request.idx) && (self.encodes() || !request.ask.history.is_empty())
        });
        let ceiling = match known.next() {
            Some(_) => Some(self.measure(step)?),
            None => {
                let lacks = if self.encodes() { "" } else { "a history and " };
                let message = "no validation request has";
                step.ctx.say(format!("{message} {lacks}a relevant item: the ceiling is not known"));
                None
            }
        };
        write_json(&step.out.join(CEILING_FILE), &ceiling)?;
        Ok(())
    }

    fn estimate(&self, sizes: &Sizes) -> Estimate {
        Estimate::default().figure("beam", self.beam.to_string()).count("items", "", sizes.items)
    }
}

impl MeasureCeiling {
    /// Whether requests are encoded; otherwise their histories stand for them.
    fn encodes(&self) -> bool {
        self.vectors.it().abilities().encodes_requests
    }

    fn measure(&self, step: &StepContext<'_>) -> Result<CeilingReport> {
        let catalogue = step.inputs.catalogue()?;
        let folder = step.inputs.folder(Role::Vectors)?;
        let items = match self.encodes() {
            true => self.vectors.it().open(folder, catalogue)?,
            false => Encoded::new(HistoryMean, read_of(folder, catalogue)?),
        };
        let folder = step.inputs.folder(Role::Identifier(0))?;
        let identifiers = Identifiers::load(folder, Some(&catalogue.hash))?;
        let judge = ValidationJudge {
            inputs: step.inputs,
            seed: step.seed,
            relevant_grade: self.relevant_grade,
        };
        let sample = Sample {
            metric: Some(&self.metric),
            requests: REQUESTS,
            with_history: !self.encodes(),
            with_answer: false,
        };
        let held_out = judge.held_out(step.name, &sample)?;
        let ceiling = measure(&items, &identifiers, &*held_out, &self.metric, self.beam)?;
        if ceiling.is_low() {
            let name = &self.identifier;
            step.ctx.warn(format!(
                "the codes of identifier {name} lose more than a tenth of what its vectors find: {ceiling}; raise \
                 identifier.{name}.codes or .levels, or the beam, or order what a decoder finds by the vectors (system.ranking)"
            ));
        } else {
            step.ctx.say(ceiling.to_string());
        }
        Ok(ceiling)
    }
}
