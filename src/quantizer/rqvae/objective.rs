//! The loss of an RQ-VAE, and what keeps its codes in use.
//!
//! With `z = enc(x)`, `r_0 = z`, `r_(l+1) = r_l - e_l` and `e_l` the code of level `l` for `r_l`:
//!
//! `|x - dec(z + sg(Σ e - z))|² / width + Σ_l (|sg(r_l) - e_l|² + β |r_l - sg(e_l)|²) / dim`
//!
//! where `sg` stops the gradient: the decoder's passes straight through to the encoder, codes move to what chose them, and
//! `r_l` leads to the encoder alone. `together` adds a loss of items that were chosen together, where that is asked for.

use std::collections::HashSet;

use candle_core::{Device, Tensor};
use rand::seq::{SliceRandom, index};
use trieval_kernels::ops::embedding;

use super::network::Network;
use super::partners::Partners;
use super::settings::RqVaeSettings;
use super::together::Pairs;
use super::usage::{self, Usage};
use crate::error::{Error, Result};
use crate::quantizer::kmeans::{in_batch, nearest};
use crate::quantizer::levels::subtract;
use crate::seed::Seed;
use crate::train::log::StepRecord;
use crate::train::objective::{Loss, Objective};
use crate::train::sampler::Draw;

/// Items that are looked at to see which codes are used, at most, and for each code.
const PROBE: usize = 8_192;
const PROBE_PER_CODE: usize = 16;

/// Steps between two looks at the use of codes.
const LOOK_EVERY: u64 = 50;

/// Share of the training in which codes may still be scarcely used.
const EARLY: f64 = 0.25;

/// Share of the training after which no code is moved any more.
const LATE: f64 = 0.9;

/// Reconstruction of the items' vectors through codes.
pub(super) struct Reconstruction<'a> {
    network: &'a Network,
    settings: &'a RqVaeSettings,
    /// Standardised vectors, `[items, width]`.
    vectors: &'a [f32],
    width: usize,
    /// Which items were chosen together, where that counts.
    partners: Option<&'a Partners>,
    seed: Seed,
    n_steps: u64,
    /// Items that are looked at.
    probe: Vec<u32>,
    /// Levels whose scarce use was told of.
    told: HashSet<usize>,
}

/// Items of a batch.
pub(super) struct Batch {
    /// Their standardised vectors, `[items, width]`.
    x: Tensor,
    /// Those that have partners, and the standardised vectors of these.
    pairs: Option<(Pairs, Tensor)>,
}

/// The sums of a batch's losses.
struct Parts {
    loss: Tensor,
    reconstruction: f64,
    /// Sums of codes, through which the gradient passes to the encoder, `[items, dim]`.
    sums: Tensor,
}

impl<'a> Reconstruction<'a> {
    pub(super) fn new(
        network: &'a Network,
        settings: &'a RqVaeSettings,
        (vectors, width): (&'a [f32], usize),
        n_steps: u64,
        seed: Seed,
    ) -> Self {
        let most = PROBE.max(PROBE_PER_CODE * settings.codes as usize);
        let probe = some(vectors.len() / width, most, seed.purpose("probe"));
        let told = HashSet::new();
        let partners = None;
        Self { network, settings, vectors, width, partners, seed, n_steps, probe, told }
    }

    /// The same, where items are pulled together that were chosen together.
    pub(super) fn with(self, partners: Option<&'a Partners>) -> Self {
        Self { partners, ..self }
    }

    fn rows(&self, items: impl Iterator<Item = u32>) -> Result<Tensor> {
        let rows: Vec<f32> = items
            .flat_map(|item| &self.vectors[item as usize * self.width..][..self.width])
            .copied()
            .collect();
        let shape = (rows.len() / self.width, self.width);
        Ok(Tensor::from_vec(rows, shape, &Device::Cpu)?)
    }

    /// Mean squared error of the numbers of `items`, each by its nearest codes.
    pub(super) fn error(&self, items: &[u32]) -> Result<f64> {
        let mut sum = 0.0;
        for chunk in items.chunks(self.settings.course.batch as usize) {
            sum += self.parts(&self.rows(chunk.iter().copied())?, false)?.reconstruction;
        }
        Ok(sum / items.len().max(1) as f64)
    }

    /// The sum of the losses of standardised vectors `[n, width]`.
    fn parts(&self, x: &Tensor, balances: bool) -> Result<Parts> {
        let dim = self.network.dim;
        let z = self.network.encode(x)?;
        let n = x.dim(0)?;
        let constant = |values: &[f32]| Tensor::from_slice(values, (n, dim), &Device::Cpu);
        // All that is chosen is constant to the gradient.
        let start: Vec<f32> = z.flatten_all()?.to_vec1()?;
        let mut left = start.clone();
        let mut codes_loss = Tensor::zeros((), candle_core::DType::F32, &Device::Cpu)?;
        for level in 0..self.network.levels {
            let values = self.network.code_values(level)?;
            let chosen = match balances && self.settings.is_balanced(level) {
                true => in_batch(&left, dim, &values),
                false => nearest(&left, dim, &values),
            };
            let target = constant(&left)?;
            let ids = Tensor::from_slice(&chosen, n, &Device::Cpu)?;
            let codes = embedding(&ids, self.network.codes(level)?)?;
            let pulled = (target - codes)?.sqr()?.sum_all()?;
            let mut after = left.clone();
            subtract(&mut after, dim, &values, &chosen);
            // z less all codes up to this one.
            let sum: Vec<f32> = start.iter().zip(&after).map(|(z, rest)| z - rest).collect();
            let held = (&z - constant(&sum)?)?.sqr()?.sum_all()?;
            let of_level = (pulled + (held * self.settings.commitment)?)?;
            codes_loss = (codes_loss + of_level)?;
            left = after;
        }
        let straight: Vec<f32> = left.iter().map(|rest| -rest).collect();
        let sums = (&z + constant(&straight)?)?;
        let back = self.network.decode(&sums)?;
        let reconstruction = ((back - x)?.sqr()?.sum_all()? / self.width as f64)?;
        let value = f64::from(reconstruction.to_scalar::<f32>()?);
        let loss = (reconstruction + (codes_loss / dim as f64)?)?;
        Ok(Parts { loss, reconstruction: value, sums })
    }

    /// The sums of the codes nearest to vectors, through which the gradient passes to the encoder.
    fn sums(&self, x: &Tensor) -> Result<Tensor> {
        let (z, dim) = (self.network.encode(x)?, self.network.dim);
        let mut left: Vec<f32> = z.flatten_all()?.to_vec1()?;
        for level in 0..self.network.levels {
            let values = self.network.code_values(level)?;
            let chosen = nearest(&left, dim, &values);
            subtract(&mut left, dim, &values, &chosen);
        }
        let straight: Vec<f32> = left.iter().map(|rest| -rest).collect();
        Ok((&z + Tensor::from_vec(straight, z.shape(), &Device::Cpu)?)?)
    }

    /// A partner for each item that has some, drawn by the key of the item's draw.
    fn pairs(&self, draws: &[Draw]) -> Result<Option<(Pairs, Tensor)>> {
        let Some(partners) = self.partners else { return Ok(None) };
        let mut pairs = Pairs { rows: Vec::new(), items: Vec::new(), partners: Vec::new() };
        let seed = self.seed.purpose("partner");
        for (row, draw) in (0..).zip(draws) {
            let item = draw.example as u32;
            if let Some(partner) = partners.draw(item, seed.index(draw.global)) {
                pairs.rows.push(row);
                pairs.items.push(item);
                pairs.partners.push(partner);
            }
        }
        // One alone has nobody to be told from.
        if pairs.items.len() < 2 {
            return Ok(None);
        }
        let x = self.rows(pairs.partners.iter().copied())?;
        Ok(Some((pairs, x)))
    }

    /// The loss of items that were chosen together, and none where nothing of the batch was.
    fn together(&self, batch: &Batch, sums: &Tensor) -> Result<Option<Tensor>> {
        let known = self.partners.zip(self.settings.co_choice.as_ref()).zip(batch.pairs.as_ref());
        let Some(((partners, settings), (pairs, x))) = known else { return Ok(None) };
        let rows = Tensor::from_slice(&pairs.rows, pairs.rows.len(), &Device::Cpu)?;
        let own = sums.index_select(&rows, 0)?;
        let loss = pairs.loss((&own, &self.sums(x)?), partners, settings.temperature)?;
        Ok(Some(loss))
    }

    /// What some items are to each level, `[n, dim]` before it, and the codes they choose there.
    fn choices(&self, items: &[u32]) -> Result<Vec<(Vec<f32>, Vec<u32>)>> {
        let z = self.network.encode(&self.rows(items.iter().copied())?)?;
        let mut left: Vec<f32> = z.flatten_all()?.to_vec1()?;
        (0..self.network.levels)
            .map(|level| {
                let values = self.network.code_values(level)?;
                let chosen = nearest(&left, self.network.dim, &values);
                let before = left.clone();
                subtract(&mut left, self.network.dim, &values, &chosen);
                Ok((before, chosen))
            })
            .collect()
    }

    /// Moves codes that none of some items chooses to what other items are at their level.
    fn revive(&self, step: u64) -> Result<()> {
        let seed = self.seed.purpose("revival").index(step);
        let most = PROBE.max(PROBE_PER_CODE * self.settings.codes as usize);
        let mut items = some(self.vectors.len() / self.width, most, seed);
        items.shuffle(&mut seed.purpose("order").rng());
        let dim = self.network.dim;
        for (level, (before, chosen)) in self.choices(&items)?.into_iter().enumerate() {
            let used: HashSet<u32> = chosen.into_iter().collect();
            let mut values = self.network.code_values(level)?;
            let idle =
                values.chunks_exact_mut(dim).zip(0u32..).filter(|(_, code)| !used.contains(code));
            let mut idle = idle.map(|(code, _)| code).zip(before.chunks_exact(dim)).peekable();
            if idle.peek().is_some() {
                idle.for_each(|(code, row)| code.copy_from_slice(row));
                self.network.set_codes(level, values)?;
            }
        }
        Ok(())
    }
}

/// A sample of numbers below `n`, ascending: all of them where there are no more than `most`.
pub(super) fn some(n: usize, most: usize, seed: Seed) -> Vec<u32> {
    let mut rows = index::sample(&mut seed.rng(), n, most.min(n)).into_vec();
    rows.sort_unstable();
    rows.into_iter().map(|row| row as u32).collect()
}

impl Objective for Reconstruction<'_> {
    type Batch = Batch;

    fn n_examples(&self) -> u64 {
        (self.vectors.len() / self.width) as u64
    }

    fn length(&self, _example: u64) -> u32 {
        0
    }

    fn draw(&self, draws: &[Draw]) -> Result<Batch> {
        let x = self.rows(draws.iter().map(|draw| draw.example as u32))?;
        Ok(Batch { x, pairs: self.pairs(draws)? })
    }

    fn weight(&self, batch: &Batch) -> f64 {
        batch.x.dims()[0] as f64
    }

    fn tokens(&self, batch: &Batch) -> u64 {
        batch.x.dims()[0] as u64
    }

    fn loss(&self, batch: &Batch) -> Result<Loss> {
        let Parts { loss, reconstruction, sums } = self.parts(&batch.x, true)?;
        let mut metrics = vec![("reconstruction", reconstruction)];
        let Some(settings) = &self.settings.co_choice else {
            return Ok(Loss { sum: loss, metrics });
        };
        let together = self.together(batch, &sums)?;
        let value = together.as_ref().map(Tensor::to_scalar::<f32>).transpose()?;
        metrics.push(("co_choice", value.map_or(0.0, f64::from)));
        let sum = match together {
            Some(together) => (loss + (together * settings.weight)?)?,
            None => loss,
        };
        Ok(Loss { sum, metrics })
    }

    fn settle(&self, step: u64, n_steps: u64) -> Result<()> {
        let every = u64::from(self.settings.revive_steps);
        let is_due =
            every > 0 && step.is_multiple_of(every) && step as f64 <= LATE * n_steps as f64;
        if is_due { self.revive(step) } else { Ok(()) }
    }

    fn measure(&self, step: u64, n_steps: u64) -> Result<Vec<(&'static str, f64)>> {
        if !step.is_multiple_of(LOOK_EVERY) && step != n_steps {
            return Ok(Vec::new());
        }
        let mut figures = Vec::new();
        for (level, (_, chosen)) in self.choices(&self.probe)?.into_iter().enumerate() {
            let usage = Usage::of(&chosen, self.settings.codes as usize);
            if usage.is_collapsed() && step as f64 >= EARLY * n_steps as f64 {
                return Err(Error::Failed(usage.collapse(level, step)));
            }
            figures.extend(usage.figures(level));
        }
        Ok(figures)
    }

    fn describe(&self, draw: &Draw) -> String {
        format!("item {} (from 0)", draw.example)
    }

    fn remark(&mut self, record: &StepRecord) -> Option<String> {
        if (record.step as f64) < EARLY * self.n_steps as f64 {
            return None;
        }
        let all = (self.settings.codes as usize).min(self.probe.len());
        let (level, told) = (0..self.network.levels)
            .filter(|level| !self.told.contains(level))
            .find_map(|level| Some((level, usage::remark(&record.metrics, level, all)?)))?;
        self.told.insert(level);
        Some(told)
    }
}

#[cfg(test)]
#[path = "objective_tests.rs"]
mod tests;
