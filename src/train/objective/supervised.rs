//! Supervised fine-tuning: request → identifier by cross-entropy on identifier tokens.
//!
//! Three kinds of examples share one loss: a request and an item clicked for it; a user's sequence,
//! where every position predicts the next item in one pass; and pseudo-requests, where a random
//! title substring asks for its item, so that items nobody clicked are learnt too.

use rand::Rng;

use super::{Row, TargetBatch};
use crate::decode::prompt::PromptBuilder;
use crate::error::{Error, Result};
use crate::model::decoder::Decoder;
use crate::seed::Seed;
use crate::train::data::prompts::Prompts;
use crate::train::data::pseudo::pseudo_request;
use crate::train::objective::{Loss, Objective};
use crate::train::sampler::Draw;
use crate::train::settings::SupervisedSettings;

/// One example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Example {
    /// Prompt tokens and the item that answers them.
    Answer {
        /// Index into the prompts.
        prompt: u32,
        /// Item index.
        item: u32,
    },
    /// Items of a user in time order.
    Sequence(Vec<u32>),
    /// Words of this item's title ask for it, where there is no feedback at all.
    Title(u32),
}

/// The objective.
pub struct Supervised<'a> {
    decoder: &'a Decoder,
    prompts: &'a PromptBuilder,
    /// Tokens of each distinct prompt.
    prompt_tokens: Prompts,
    examples: Vec<Example>,
    /// Title of each item; empty where there is none.
    titles: Vec<&'a str>,
    settings: SupervisedSettings,
    seed: Seed,
}

impl<'a> Supervised<'a> {
    /// Gathers what is needed to make examples.
    ///
    /// # Errors
    /// [`Error::Failed`] when there is no example to learn from.
    pub fn new(
        decoder: &'a Decoder,
        prompts: &'a PromptBuilder,
        prompt_tokens: Prompts,
        examples: Vec<Example>,
        titles: Vec<&'a str>,
        settings: &SupervisedSettings,
        seed: Seed,
    ) -> Result<Self> {
        if examples.is_empty() {
            return Err(Error::Failed(
                "there is no training example: no training request has a click".into(),
            ));
        }
        let (settings, seed) = (settings.clone(), seed.purpose("pseudo-requests"));
        Ok(Self { decoder, prompts, prompt_tokens, examples, titles, settings, seed })
    }

    fn row(&self, draw: &Draw) -> Result<Row> {
        let mut rng = self.seed.index(draw.global).rng();
        let example = &self.examples[draw.example as usize];
        if !matches!(example, Example::Title(_)) && rng.random_bool(self.settings.pseudo_requests) {
            let item = rng.random_range(0..self.titles.len()) as u32;
            if let Some(row) = self.pseudo_request(item, &mut rng)? {
                return Ok(row);
            }
        }
        Ok(match example {
            Example::Answer { prompt, item } => {
                Row::answer(&self.prompt_tokens.tokens(*prompt), self.prompts.items().tokens(*item))
            }
            Example::Sequence(items) => self.sequence(items, &mut rng)?,
            Example::Title(item) => self.pseudo_request(*item, &mut rng)?.ok_or_else(|| {
                Error::Failed(format!("item {item} has no title to ask for it by"))
            })?,
        })
    }

    /// A random substring of an item's title; `None` when it has none.
    fn pseudo_request(&self, item: u32, rng: &mut impl Rng) -> Result<Option<Row>> {
        let words = self.settings.pseudo_words;
        let title = self.titles[item as usize];
        let Some(query) = pseudo_request(title, words, rng) else { return Ok(None) };
        let prompt = self.prompts.build(Some(&query), &[])?;
        Ok(Some(Row::answer(&prompt.tokens, self.prompts.items().tokens(item))))
    }

    /// Every position predicts the next item, where a history can be continued; else a random one does. Long
    /// sequences give a random window.
    fn sequence(&self, items: &[u32], rng: &mut impl Rng) -> Result<Row> {
        let all = self.prompts.items();
        let Some(opening) = self.prompts.history_token() else {
            let at = rng.random_range(1..items.len());
            let prompt = self.prompts.build(None, &items[..at])?;
            return Ok(Row::answer(&prompt.tokens, all.tokens(items[at])));
        };
        let window = (self.prompts.history_items() + 1).min(items.len());
        let start = rng.random_range(0..=items.len() - window);
        let answer: Vec<u32> = items[start..start + window]
            .iter()
            .flat_map(|&item| all.tokens(item).iter().copied())
            .collect();
        Ok(Row::answer(&[opening], &answer))
    }
}

impl Objective for Supervised<'_> {
    type Batch = TargetBatch;

    fn n_examples(&self) -> u64 {
        self.examples.len() as u64
    }

    fn length(&self, example: u64) -> u32 {
        match &self.examples[example as usize] {
            Example::Answer { prompt, .. } => self.prompt_tokens.length(*prompt),
            Example::Sequence(items) => items.len() as u32,
            Example::Title(_) => self.settings.pseudo_words[1],
        }
    }

    fn draw(&self, draws: &[Draw]) -> Result<TargetBatch> {
        let rows: Vec<Row> = draws.iter().map(|draw| self.row(draw)).collect::<Result<_>>()?;
        if self.decoder.drops() {
            // What is dropped belongs to the draw, so draws do not share a prompt.
            let key = |draw: &Draw| self.seed.purpose("dropout").index(draw.global).to_u64();
            return TargetBatch::with_keys(&rows, draws.iter().map(key));
        }
        // Items that were clicked for one prompt are branches of it.
        TargetBatch::new(&Row::share_prompts(rows))
    }

    fn weight(&self, batch: &TargetBatch) -> f64 {
        batch.n_targets() as f64
    }

    fn tokens(&self, batch: &TargetBatch) -> u64 {
        batch.n_tokens()
    }

    fn describe(&self, draw: &Draw) -> String {
        let number = draw.example;
        let mut rng = self.seed.index(draw.global).rng();
        let example = &self.examples[number as usize];
        if let Example::Title(item) = example {
            return format!("example {number} (words of the title of item {item})");
        }
        if rng.random_bool(self.settings.pseudo_requests) {
            return format!("example {number} as a pseudo-request");
        }
        match example {
            Example::Answer { prompt, item } => {
                format!("example {number} (training request {prompt} → item {item})")
            }
            Example::Sequence(items) => {
                format!("example {number} (a sequence of {} items)", items.len())
            }
            Example::Title(_) => format!("example {number}"),
        }
    }

    fn loss(&self, batch: &TargetBatch) -> Result<Loss> {
        let sum = batch.log_probs_in_training(self.decoder)?.sum_all()?.neg()?;
        Ok(Loss { sum, metrics: Vec::new() })
    }
}
