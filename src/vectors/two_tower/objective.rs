//! Contrastive training (InfoNCE) with in-batch and uniform negatives.
//!
//! `loss = -log softmax(cos(q_i, c_j) / temperature)_i` over the items of the batch and uniformly
//! drawn ones; candidates that are the same item as the positive are masked.

use rand::Rng;

use candle_core::{Device, Tensor};

use super::encoder::{Encoder, Tower, mask};
use super::{bag, history_bag};
use crate::corpus::{Catalogue, Split};
use crate::error::{Error, Result};
use crate::inputs::StepContext;
use crate::model::tokenizer::Tokenizer;
use crate::seed::Seed;
use crate::train::data::pseudo::{WORDS, pseudo_request};
use crate::train::data::taught::teach;
use crate::train::objective::{Loss, Objective};
use crate::train::sampler::Draw;
use crate::vectors::settings::TwoTowerSettings;

/// Which requests ask for which items.
pub(super) struct Examples {
    /// Tokens of each distinct training query.
    queries: Vec<Vec<u32>>,
    /// Training sequences.
    sequences: Vec<Vec<u32>>,
    /// What to learn.
    list: Vec<Example>,
    /// Tokens of each item's text.
    item_bags: Vec<Vec<u32>>,
}

enum Example {
    /// A query and an item that was clicked for it, or that a teacher answers.
    Click { query: u32, item: u32 },
    /// The item at `position` of a sequence follows those before it.
    Next { sequence: u32, position: u32 },
    /// Words of an item's title ask for it, where there is no feedback at all.
    Title(u32),
}

impl Examples {
    pub(super) fn gather(
        step: &StepContext<'_>,
        catalogue: &Catalogue,
        tokenizer: &Tokenizer,
        settings: &TwoTowerSettings,
    ) -> Result<Self> {
        let corpus = step.inputs.corpus()?;
        let mut clicks = Vec::new();
        let mut list = Vec::new();
        let mut sequences = Vec::new();
        let mut queries = Vec::new();
        let train = corpus.request_range(Split::Train);
        for request in corpus.request_iter(Split::Train)? {
            let request = request?;
            queries.push(bag(tokenizer, request.ask.query.as_deref().unwrap_or(""))?);
            if corpus.has_sequences() {
                let sequence = sequences.len() as u32;
                let positions = 1..request.ask.history.len() as u32;
                list.extend(positions.map(|position| Example::Next { sequence, position }));
                sequences.push(request.ask.history);
            }
        }
        for group in corpus.impressions()? {
            let (request, impressions) = group?;
            if train.contains(&request) {
                let query = request - train.start;
                let clicked = impressions.iter().filter(|impression| impression.level.is_chosen());
                clicks.extend(clicked.map(|impression| (query, impression.item)));
            }
        }
        teach(step, settings.teacher.as_ref(), &mut clicks)?;
        list.extend(clicks.into_iter().map(|(query, item)| Example::Click { query, item }));
        if list.is_empty() && settings.pseudo_requests == 1.0 {
            list.extend(catalogue.titled().map(Example::Title));
        }
        if list.is_empty() {
            let message =
                "the two-tower encoder has nothing to learn from: no training request has a click";
            return Err(Error::data(corpus.folder(), message)
                .with_help("bring clicks, or learn from titles alone: pseudo_requests = 1"));
        }
        let items = 0..catalogue.len() as u32;
        let item_bags: Vec<Vec<u32>> =
            items.map(|item| bag(tokenizer, catalogue.text(item))).collect::<Result<_>>()?;
        debug_assert!(settings.course.batch >= 2);
        Ok(Self { queries, sequences, list, item_bags })
    }
}

/// The objective.
pub(super) struct Contrastive<'a> {
    encoder: &'a Encoder,
    tokenizer: &'a Tokenizer,
    catalogue: &'a Catalogue,
    examples: Examples,
    settings: &'a TwoTowerSettings,
    seed: Seed,
}

/// Token bags of a batch.
pub(super) struct PairBatch {
    queries: Vec<Vec<u32>>,
    /// Positives first, then the uniform negatives.
    items: Vec<u32>,
}

impl<'a> Contrastive<'a> {
    pub(super) fn new(
        encoder: &'a Encoder,
        tokenizer: &'a Tokenizer,
        catalogue: &'a Catalogue,
        examples: Examples,
        settings: &'a TwoTowerSettings,
        seed: Seed,
    ) -> Self {
        let seed = seed.purpose("draws");
        Self { encoder, tokenizer, catalogue, examples, settings, seed }
    }

    fn example(&self, draw: &Draw) -> Result<(Vec<u32>, u32)> {
        let mut rng = self.seed.index(draw.global).rng();
        let examples = &self.examples;
        let example = &examples.list[draw.example as usize];
        let titled = match *example {
            Example::Title(item) => Some(item),
            _ if rng.random_bool(self.settings.pseudo_requests) => {
                Some(rng.random_range(0..self.catalogue.len() as u32))
            }
            _ => None,
        };
        if let Some(item) = titled
            && let Some(query) = pseudo_request(self.catalogue.title(item), WORDS, &mut rng)
        {
            return Ok((bag(self.tokenizer, &query)?, item));
        }
        Ok(match *example {
            Example::Click { query, item } => (examples.queries[query as usize].clone(), item),
            Example::Next { sequence, position } => {
                let items = &examples.sequences[sequence as usize];
                let (past, next) = (&items[..position as usize], items[position as usize]);
                let newest = self.settings.history_items;
                (history_bag(past, newest, |item| &examples.item_bags[item as usize]), next)
            }
            Example::Title(item) => (examples.item_bags[item as usize].clone(), item),
        })
    }
}

impl Objective for Contrastive<'_> {
    type Batch = PairBatch;

    fn n_examples(&self) -> u64 {
        self.examples.list.len() as u64
    }

    fn length(&self, _example: u64) -> u32 {
        // Batches must stay random: negatives of similar length would be a hint.
        0
    }

    fn draw(&self, draws: &[Draw]) -> Result<PairBatch> {
        let mut queries = Vec::with_capacity(draws.len());
        let mut items = Vec::with_capacity(draws.len() + self.settings.uniform_negatives as usize);
        for draw in draws {
            let (query, item) = self.example(draw)?;
            queries.push(query);
            items.push(item);
        }
        // One set for the whole batch: a contrastive loss is a matter of its batch in any case.
        let first = draws.first().map_or(0, |draw| draw.global);
        let mut rng = self.seed.purpose("negatives").index(first).rng();
        let n_items = self.catalogue.len() as u32;
        items.extend((0..self.settings.uniform_negatives).map(|_| rng.random_range(0..n_items)));
        Ok(PairBatch { queries, items })
    }

    fn weight(&self, batch: &PairBatch) -> f64 {
        batch.queries.len() as f64
    }

    fn tokens(&self, batch: &PairBatch) -> u64 {
        let items = batch.items.iter().map(|&item| self.examples.item_bags[item as usize].len());
        (batch.queries.iter().map(Vec::len).sum::<usize>() + items.sum::<usize>()) as u64
    }

    fn loss(&self, batch: &PairBatch) -> Result<Loss> {
        let (rows, cols) = (batch.queries.len(), batch.items.len());
        let queries: Vec<&[u32]> = batch.queries.iter().map(Vec::as_slice).collect();
        let items: Vec<&[u32]> = batch
            .items
            .iter()
            .map(|&item| self.examples.item_bags[item as usize].as_slice())
            .collect();
        let queries = self.encoder.encode(&queries, Tower::Query)?;
        let items = self.encoder.encode(&items, Tower::Item)?;
        let cosines = queries.matmul(&items.t()?)?;
        let same = mask(rows, cols, |row, col| row != col && batch.items[row] == batch.items[col])?;
        let logits = ((cosines / self.settings.temperature)? + same)?;
        let normalizer = logits.log_sum_exp(1)?;
        let diagonal = Tensor::arange(0, rows as u32, &Device::Cpu)?.unsqueeze(1)?;
        let positives = logits.gather(&diagonal, 1)?.squeeze(1)?;
        Ok(Loss { sum: (normalizer - positives)?.sum_all()?, metrics: Vec::new() })
    }
}
