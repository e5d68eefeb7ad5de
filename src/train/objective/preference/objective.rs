//! The objective: groups drawn, scored by the decoder, compared by the loss.

use candle_core::{Device, Tensor};

use super::group::{Group, GroupData, Layout};
use super::losses::{LossTerms, batch_loss};
use super::probe::Probe;
use super::watch::Watch;
use crate::error::{Error, Result};
use crate::model::decoder::Decoder;
use crate::train::log::StepRecord;
use crate::train::objective::TargetBatch;
use crate::train::objective::{Loss, Objective};
use crate::train::sampler::Draw;
use crate::train::settings::PreferenceSettings;

/// The objective.
pub struct Preference<'a> {
    decoder: &'a Decoder,
    data: GroupData<'a>,
    terms: LossTerms,
    /// Scores of all answers, and where those of each group begin; none for a loss without reference.
    reference: Option<(Vec<f32>, Vec<usize>)>,
    probe: Option<Probe>,
    probe_steps: u64,
    watch: Watch,
}

/// A micro-batch of groups.
pub struct GroupBatch {
    rows: TargetBatch,
    layout: Layout,
    /// `[answers]`.
    reference: Option<Vec<f32>>,
}

impl<'a> Preference<'a> {
    /// `reference` holds one score per answer of `data`, where the loss needs it; `probe`, if any, has looked at the
    /// decoder as it was at the start.
    ///
    /// # Errors
    /// [`Error::Failed`] when reference scores are missing or are those of other groups.
    pub fn new(
        decoder: &'a Decoder,
        data: GroupData<'a>,
        reference: Option<Vec<f32>>,
        settings: &PreferenceSettings,
        probe: Option<Probe>,
    ) -> Result<Self> {
        let terms = LossTerms::new(settings);
        let n_answers = data.n_answers();
        let reference = match reference {
            Some(scores) if scores.len() != n_answers => {
                return Err(Error::Failed(format!(
                    "{} reference scores do not fit {n_answers} answers",
                    scores.len()
                )));
            }
            None if terms.loss.needs_reference() => {
                let loss = terms.loss.name();
                return Err(Error::Failed(format!("the {loss} loss needs reference scores")));
            }
            Some(scores) => {
                let starts = data.groups.iter().scan(0, |next, group| {
                    let start = *next;
                    *next += group.n_answers();
                    Some(start)
                });
                let starts = starts.collect();
                Some((scores, starts))
            }
            None => None,
        };
        let watch = Watch::new(&terms, probe.as_ref().map(Probe::start_illegal));
        let probe_steps = u64::from(settings.probe_steps.max(1));
        Ok(Self { decoder, data, terms, reference, probe, probe_steps, watch })
    }
}

impl Objective for Preference<'_> {
    type Batch = GroupBatch;

    fn n_examples(&self) -> u64 {
        self.data.groups.len() as u64
    }

    fn begins_trained(&self) -> bool {
        true
    }

    fn length(&self, example: u64) -> u32 {
        self.data.prompts.length(self.data.groups[example as usize].prompt)
    }

    fn draw(&self, draws: &[Draw]) -> Result<GroupBatch> {
        let groups: Vec<&Group> =
            draws.iter().map(|draw| &self.data.groups[draw.example as usize]).collect();
        let reference = self.reference.as_ref().map(|(scores, starts)| {
            let parts = draws.iter().zip(&groups).flat_map(|(draw, group)| {
                &scores[starts[draw.example as usize]..][..group.n_answers()]
            });
            parts.copied().collect()
        });
        let rows = self.data.batch(&groups)?;
        Ok(GroupBatch { rows, layout: self.data.layout(&groups), reference })
    }

    fn weight(&self, batch: &GroupBatch) -> f64 {
        self.terms.weights(&batch.layout).iter().sum()
    }

    fn tokens(&self, batch: &GroupBatch) -> u64 {
        batch.rows.n_tokens()
    }

    fn loss(&self, batch: &GroupBatch) -> Result<Loss> {
        let policy = self.data.token_log_probs(&batch.rows, self.decoder)?;
        let reference = batch.reference.as_deref();
        let reference = reference.map(|scores| Tensor::new(scores, &Device::Cpu)).transpose()?;
        let loss = batch_loss(&self.terms, &batch.layout, &policy, reference.as_ref())?;
        Ok(Loss { sum: loss.sum, metrics: loss.figures })
    }

    fn measure(&self, step: u64, n_steps: u64) -> Result<Vec<(&'static str, f64)>> {
        match &self.probe {
            Some(probe) if step.is_multiple_of(self.probe_steps) || step == n_steps => {
                probe.look(self.decoder)
            }
            _ => Ok(Vec::new()),
        }
    }

    fn describe(&self, draw: &Draw) -> String {
        let Group { prompt, chosen, rejected, .. } = &self.data.groups[draw.example as usize];
        let first = chosen.first().map(|one| one.answer.to_string()).unwrap_or_default();
        format!(
            "group {} (training request {prompt}: {} chosen, the first item {first}, over {} rejected)",
            draw.example,
            chosen.len(),
            rejected.len()
        )
    }

    fn remark(&mut self, record: &StepRecord) -> Option<String> {
        self.watch.observe(record)
    }
}
