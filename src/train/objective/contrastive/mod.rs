//! Towers that learn from all stages of a cascade at once: a batch of requests with items of four sources, all of them
//! encoded once, a retrieval loss over all items and a ranking loss within a request (MMSE, arXiv 2303.11009).
//!
//! `feedback` says how far items got, `losses` are functions of scores, [`Towers`] what learns.

mod checks;
pub mod feedback;
mod losses;
pub mod settings;

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use rand::Rng;
use rand::seq::SliceRandom;

use super::{Loss, Objective};
use crate::corpus::Catalogue;
use crate::error::Result;
use crate::seed::Seed;
use crate::train::data::pseudo::{WORDS, pseudo_request};
use crate::train::sampler::Draw;
use feedback::{Example, Feedback, Reached};
use losses::{Pair, Positive, global, lambdas, pairwise};
use settings::{Contrast, RankingLoss};

/// The objective.
pub struct Contrastive<'a, T: Towers> {
    towers: &'a T,
    catalogue: &'a Catalogue,
    feedback: Feedback,
    settings: &'a Contrast,
    readings: &'a Readings<T::Reading>,
    seed: Seed,
}

/// What encodes requests and items into one space.
pub trait Towers {
    /// A text, as far as it does not change while the model trains.
    type Reading;

    /// What of a request's text can be done once and for all.
    ///
    /// # Errors
    /// When the tokenizer refuses the text, or an encoder fails.
    fn read_query(&self, text: &str) -> Result<Self::Reading>;

    /// Tokens of a text, for the rate that is shown.
    fn tokens(reading: &Self::Reading) -> u64;

    /// Vectors of requests, `[requests, dim]`.
    ///
    /// # Errors
    /// When a tensor operation fails.
    fn queries(&self, readings: &[&Self::Reading]) -> Result<Tensor>;

    /// Vectors of items, `[items, dim]`; `items` are the rows of `readings` in the catalogue.
    ///
    /// # Errors
    /// When a tensor operation fails.
    fn items(&self, readings: &[&Self::Reading], items: &[u32]) -> Result<Tensor>;

    /// Whether a training step drops something.
    fn drops(&self) -> bool {
        false
    }

    /// As [`Towers::queries`], in a training step that drops by a key per text.
    ///
    /// # Errors
    /// As [`Towers::queries`].
    fn queries_in_training(&self, readings: &[&Self::Reading], _keys: &[u64]) -> Result<Tensor> {
        self.queries(readings)
    }

    /// As [`Towers::items`], in a training step that drops by a key per text.
    ///
    /// # Errors
    /// As [`Towers::items`].
    fn items_in_training(
        &self,
        readings: &[&Self::Reading],
        items: &[u32],
        _keys: &[u64],
    ) -> Result<Tensor> {
        self.items(readings, items)
    }
}

/// What of the texts does not change while the model trains.
pub struct Readings<R> {
    /// Of every training request, `[examples]`.
    pub queries: Vec<R>,
    /// `[items]`.
    pub items: Vec<R>,
}

/// One drawn request.
struct Row<R> {
    /// None where the request's text is known beforehand.
    reading: Option<R>,
    example: usize,
    /// Items with the level they reached, best first.
    items: Vec<(u32, Reached)>,
}

/// A batch.
pub struct Batch<R> {
    rows: Vec<Row<R>>,
    /// All items to encode, ascending: the columns.
    pub(crate) items: Vec<u32>,
    /// Columns that may be negatives of other requests: positives of any request, and the uniform ones.
    pub(crate) pool: Vec<bool>,
    /// Columns drawn uniformly.
    uniform: Vec<bool>,
    /// From what dropout draws, where something is dropped.
    keys: Option<Keys>,
}

/// One key per text.
struct Keys {
    rows: Vec<u64>,
    items: Vec<u64>,
}

impl<'a, T: Towers> Contrastive<'a, T> {
    /// Requests with their feedback, `readings` of the same requests and of all items.
    pub fn new(
        towers: &'a T,
        catalogue: &'a Catalogue,
        feedback: Feedback,
        readings: &'a Readings<T::Reading>,
        settings: &'a Contrast,
        seed: Seed,
    ) -> Self {
        Self { towers, catalogue, feedback, settings, readings, seed: seed.purpose("draws") }
    }

    fn row(&self, draw: &Draw) -> Result<Row<T::Reading>> {
        let mut rng = self.seed.index(draw.global).rng();
        let example = draw.example as usize;
        if rng.random_bool(self.settings.pseudo_requests) {
            let item = rng.random_range(0..self.catalogue.len() as u32);
            if let Some(text) = pseudo_request(self.catalogue.title(item), WORDS, &mut rng) {
                let reading = Some(self.towers.read_query(&text)?);
                return Ok(Row { reading, example, items: vec![(item, Reached::Clicked)] });
            }
        }
        let Example { ordered, clicked, shown, .. } = &self.feedback.examples[example];
        let places = self.settings.places();
        let mut items = Vec::new();
        let mut take = |from: &[u32], n: usize, level: Reached| {
            let mut from = from.to_vec();
            let (chosen, _) = from.partial_shuffle(&mut rng, n);
            items.extend(chosen.iter().map(|item| (*item, level)));
        };
        take(ordered, places.ordered, Reached::Ordered);
        take(clicked, places.clicked, Reached::Clicked);
        take(shown, self.settings.shown as usize, Reached::Shown);
        Ok(Row { reading: None, example, items })
    }

    fn reading<'r>(&'r self, row: &'r Row<T::Reading>) -> &'r T::Reading {
        row.reading.as_ref().unwrap_or(&self.readings.queries[row.example])
    }

    /// Whether an item is positive for a row's text, drawn or not.
    fn is_positive(&self, row: &Row<T::Reading>, item: u32) -> bool {
        let drawn = |(other, level): &(u32, Reached)| *other == item && *level > Reached::Shown;
        if row.items.iter().any(drawn) {
            return true;
        }
        let query = self.feedback.examples[row.example].query as usize;
        row.reading.is_none() && self.feedback.positives[query].binary_search(&item).is_ok()
    }

    /// `ln Q` of every column: how likely that item is in a batch's pool, where it has one column however often it is drawn.
    /// With `B` rows, `R` uniform items of `N`, `p` the share of pseudo-requests and `d` how often an example brings the
    /// item, `Q = 1 − (1 − (1 − p) d − p / N)^B (1 − 1 / N)^R`.
    pub(crate) fn log_q(&self, batch: &Batch<T::Reading>) -> Vec<f32> {
        let (rows, uniform) = (batch.rows.len() as f64, f64::from(self.settings.uniform));
        let (n, pseudo) = (self.catalogue.len() as f64, self.settings.pseudo_requests);
        let never_uniform = (1.0 - 1.0 / n).powf(uniform);
        let of = |item: &u32| {
            let drawn = f64::from(self.feedback.drawn[*item as usize]);
            let by_a_row = ((1.0 - pseudo) * drawn + pseudo / n).min(1.0);
            let never = (1.0 - by_a_row).powf(rows) * never_uniform;
            (1.0 - never).max(1e-12).ln() as f32
        };
        batch.items.iter().map(of).collect()
    }

    fn retrieval_loss(&self, scores: &Tensor, batch: &Batch<T::Reading>) -> Result<Option<Tensor>> {
        let weight = |level: Reached| match level {
            Reached::Ordered => self.settings.ordered_weight as f32,
            Reached::Clicked => 1.0,
            Reached::Shown => 0.0,
        };
        let mut positives = Vec::new();
        for (row, drawn) in batch.rows.iter().enumerate() {
            let own = drawn.items.iter().filter(|(_, level)| weight(*level) > 0.0);
            positives.extend(own.map(|(item, level)| Positive {
                row: row as u32,
                column: batch.column(*item),
                weight: weight(*level),
            }));
        }
        // The mean over the batch, so that an order counts `ordered_weight` times a click of whatever request.
        let total: f32 = positives.iter().map(|one| one.weight).sum();
        if positives.is_empty() {
            return Ok(None);
        }
        let scale = batch.rows.len() as f32 / total;
        positives.iter_mut().for_each(|one| one.weight *= scale);
        let mut logits = (scores / self.settings.temperature)?;
        if self.settings.log_q {
            let log_q = Tensor::from_vec(self.log_q(batch), (1, batch.items.len()), &Device::Cpu)?;
            logits = logits.broadcast_sub(&log_q)?;
        }
        let is_negative = |row: usize, column: usize| {
            batch.pool[column] && !self.is_positive(&batch.rows[row], batch.items[column])
        };
        global(&logits, is_negative, &positives).map(Some)
    }

    fn ranking_loss(&self, scores: &Tensor, batch: &Batch<T::Reading>) -> Result<Option<Tensor>> {
        if self.settings.ranking_loss == RankingLoss::Listwise {
            return self.listwise_loss(scores, batch);
        }
        let values = match self.settings.ranking_loss {
            RankingLoss::Lambda => scores.detach().to_vec2::<f32>()?,
            _ => Vec::new(),
        };
        let mut pairs = Vec::new();
        let mut owners = 0;
        for (row, drawn) in batch.rows.iter().enumerate() {
            let columns: Vec<u32> =
                drawn.items.iter().map(|(item, _)| batch.column(*item)).collect();
            let levels: Vec<u32> = drawn.items.iter().map(|(_, level)| *level as u32 + 1).collect();
            let own: Vec<f32> = match values.get(row) {
                Some(values) => columns.iter().map(|column| values[*column as usize]).collect(),
                None => vec![0.0; columns.len()],
            };
            let weighted = lambdas(&own, &levels);
            owners += usize::from(!weighted.is_empty());
            pairs.extend(weighted.into_iter().map(|(better, worse, lambda)| Pair {
                row: row as u32,
                better: columns[better],
                worse: columns[worse],
                weight: if values.is_empty() { 1.0 } else { lambda },
            }));
        }
        if pairs.is_empty() {
            return Ok(None);
        }
        // The mean over pairs, or of NDCG's changes over requests that have any: rows without pairs do not thin it.
        let parts = if values.is_empty() { pairs.len() } else { owners };
        let scale = batch.rows.len() as f32 / parts as f32;
        pairs.iter_mut().for_each(|pair| pair.weight *= scale);
        pairwise(scores, &pairs, self.settings.ranking_temperature).map(Some)
    }

    /// Three nested tasks per request: ordered, at least clicked, at least shown; each against the other items of the
    /// request and the uniform ones.
    fn listwise_loss(&self, scores: &Tensor, batch: &Batch<T::Reading>) -> Result<Option<Tensor>> {
        let mut owners = Vec::new();
        let mut positives = Vec::new();
        let mut negatives: Vec<Vec<bool>> = Vec::new();
        let mut requests = 0;
        for (row, drawn) in batch.rows.iter().enumerate() {
            let before = owners.len();
            let mut sampled = batch.uniform.clone();
            for (column, sampled) in sampled.iter_mut().enumerate() {
                *sampled = *sampled && !self.is_positive(drawn, batch.items[column]);
            }
            for least in [Reached::Ordered, Reached::Clicked, Reached::Shown] {
                let mut seen = sampled.clone();
                let (above, below): (Vec<_>, Vec<_>) =
                    drawn.items.iter().partition(|(_, level)| *level >= least);
                below.iter().for_each(|(item, _)| seen[batch.column(*item) as usize] = true);
                above.iter().for_each(|(item, _)| seen[batch.column(*item) as usize] = false);
                if above.is_empty() || !seen.contains(&true) {
                    continue;
                }
                let task = owners.len() as u32;
                let weight = 1.0 / above.len() as f32;
                positives.extend(above.iter().map(|(item, _)| Positive {
                    row: task,
                    column: batch.column(*item),
                    weight,
                }));
                owners.push(row as u32);
                negatives.push(seen);
            }
            requests += usize::from(owners.len() > before);
        }
        if owners.is_empty() {
            return Ok(None);
        }
        let scale = batch.rows.len() as f32 / requests as f32;
        positives.iter_mut().for_each(|one| one.weight *= scale);
        let tasks = scores.index_select(&Tensor::new(owners, &Device::Cpu)?, 0)?;
        let logits = (tasks / self.settings.ranking_temperature)?;
        global(&logits, |task, column| negatives[task][column], &positives).map(Some)
    }
}

impl<R> Batch<R> {
    /// Column of an item of the batch.
    fn column(&self, item: u32) -> u32 {
        // Every item of a row is among the columns.
        self.items.binary_search(&item).unwrap_or(0) as u32
    }
}

impl<T: Towers> Objective for Contrastive<'_, T> {
    type Batch = Batch<T::Reading>;

    fn n_examples(&self) -> u64 {
        self.feedback.examples.len() as u64
    }

    fn length(&self, _example: u64) -> u32 {
        // Batches must stay random: negatives of similar length would be a hint.
        0
    }

    fn draw(&self, draws: &[Draw]) -> Result<Self::Batch> {
        let rows: Vec<Row<T::Reading>> =
            draws.iter().map(|draw| self.row(draw)).collect::<Result<_>>()?;
        // One set for the whole batch: a contrastive loss is a matter of its batch in any case.
        let first = draws.first().map_or(0, |draw| draw.global);
        let mut rng = self.seed.purpose("uniform").index(first).rng();
        let n_items = self.catalogue.len() as u32;
        // Item to (may be a negative of others, was drawn uniformly).
        let mut all: BTreeMap<u32, (bool, bool)> = BTreeMap::new();
        for (item, level) in rows.iter().flat_map(|row| &row.items) {
            all.entry(*item).or_default().0 |= *level > Reached::Shown;
        }
        for _ in 0..self.settings.uniform {
            *all.entry(rng.random_range(0..n_items)).or_default() = (true, true);
        }
        let (pool, uniform) = all.values().copied().unzip();
        let items: Vec<u32> = all.into_keys().collect();
        let keys = self.towers.drops().then(|| {
            // An item is encoded once, whichever rows brought it: its key is that of the batch.
            let of_items = self.seed.purpose("item-dropout").index(first);
            let row = |draw: &Draw| self.seed.purpose("dropout").index(draw.global).to_u64();
            let item = |item: &u32| of_items.index(u64::from(*item)).to_u64();
            Keys { rows: draws.iter().map(row).collect(), items: items.iter().map(item).collect() }
        });
        Ok(Batch { rows, items, pool, uniform, keys })
    }

    fn weight(&self, batch: &Batch<T::Reading>) -> f64 {
        batch.rows.len() as f64
    }

    fn tokens(&self, batch: &Batch<T::Reading>) -> u64 {
        let items = batch.items.iter().map(|item| T::tokens(&self.readings.items[*item as usize]));
        let rows = batch.rows.iter().map(|row| T::tokens(self.reading(row)));
        items.sum::<u64>() + rows.sum::<u64>()
    }

    fn loss(&self, batch: &Batch<T::Reading>) -> Result<Loss> {
        let queries: Vec<&T::Reading> = batch.rows.iter().map(|row| self.reading(row)).collect();
        let items: Vec<&T::Reading> =
            batch.items.iter().map(|item| &self.readings.items[*item as usize]).collect();
        let (queries, items) = match &batch.keys {
            Some(keys) => (
                self.towers.queries_in_training(&queries, &keys.rows)?,
                self.towers.items_in_training(&items, &batch.items, &keys.items)?,
            ),
            None => (self.towers.queries(&queries)?, self.towers.items(&items, &batch.items)?),
        };
        let scores = queries.matmul(&items.t()?)?;
        // A batch without pairs or positives has a loss of 0, and gradients of 0.
        let mut sum = (scores.sum_all()? * 0.0)?;
        let mut metrics = Vec::new();
        let (retrieval, ranking) = (self.settings.retrieval, self.settings.ranking);
        if retrieval > 0.0
            && let Some(loss) = self.retrieval_loss(&scores, batch)?
        {
            metrics.push(("retrieval", f64::from(loss.to_scalar::<f32>()?)));
            sum = (sum + (loss * retrieval)?)?;
        }
        if ranking > 0.0
            && let Some(loss) = self.ranking_loss(&scores, batch)?
        {
            metrics.push(("ranking", f64::from(loss.to_scalar::<f32>()?)));
            sum = (sum + (loss * ranking)?)?;
        }
        Ok(Loss { sum, metrics })
    }
}
