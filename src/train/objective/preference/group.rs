//! Groups of answers to one prompt, and which answers of a batch of groups are compared.
//!
//! Knows tokens and indices; neither log-probabilities nor losses.

use std::ops::Range;

use candle_core::Tensor;

use crate::error::Result;
use crate::model::decoder::Decoder;
use crate::model::item_tokens::ItemTokens;
use crate::train::data::prompts::Prompts;
use crate::train::objective::{Row, TargetBatch};

/// A rejected answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rejected {
    /// Number of the answer: an item, or a span.
    pub item: u32,
    /// How surely it is a negative, `omega`, above 0.
    pub weight: f32,
}

/// Answers to one prompt: every chosen item is preferred to every rejected one. Neither list is empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Number of the prompt: see [`GroupData::place`].
    pub prompt: u32,
    /// Numbers of answers, items or spans, each once.
    pub chosen: Vec<u32>,
    /// The rejected answers.
    pub rejected: Vec<Rejected>,
}

impl Group {
    /// Number of answers.
    pub fn n_answers(&self) -> usize {
        self.chosen.len() + self.rejected.len()
    }

    /// Item indices of all answers: chosen, then rejected.
    pub fn answers(&self) -> impl Iterator<Item = u32> {
        let rejected = self.rejected.iter().map(|rejected| rejected.item);
        self.chosen.iter().copied().chain(rejected)
    }
}

/// The prompts of all requests, as they ask for one of a model's identifiers.
pub struct Asked {
    /// Tokens of each distinct prompt.
    pub prompts: Prompts,
    /// The mode token that ends them, where it is not among these already.
    pub mode: Option<u32>,
}

impl From<Prompts> for Asked {
    fn from(prompts: Prompts) -> Self {
        Self { prompts, mode: None }
    }
}

/// What the answers of groups are, by number: items first, then spans.
#[derive(Default)]
pub struct Answers<'a> {
    /// The codes of items; none where only spans are compared.
    pub items: Option<&'a ItemTokens>,
    /// Runs of tokens that name no single item.
    pub spans: Vec<Vec<u32>>,
}

impl Answers<'_> {
    /// Number of answers.
    pub fn len(&self) -> usize {
        self.n_items() + self.spans.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn n_items(&self) -> usize {
        self.items.map_or(0, ItemTokens::n_items)
    }

    /// Whether an answer is a span.
    pub fn is_span(&self, answer: u32) -> bool {
        answer as usize >= self.n_items()
    }

    /// Tokens of an answer.
    pub fn tokens(&self, answer: u32) -> &[u32] {
        match self.items {
            Some(items) if !self.is_span(answer) => items.tokens(answer),
            _ => &self.spans[answer as usize - self.n_items()],
        }
    }

    /// Tokens of the longest.
    fn length(&self) -> usize {
        let items = self.items.map_or(0, ItemTokens::length);
        self.spans.iter().map(Vec::len).fold(items, usize::max)
    }

    /// Whether all have as many tokens.
    fn are_even(&self) -> bool {
        self.spans.is_empty() && self.items.is_none_or(|items| items.silence().is_none())
    }
}

/// Prompts, groups and the tokens of the answers in them.
pub struct GroupData<'a> {
    /// Prompts by identifier, each as many as there are requests: a group's prompt is counted through all of them.
    pub asked: Vec<Asked>,
    /// The groups.
    pub groups: Vec<Group>,
    /// What is chosen and rejected.
    pub answers: Answers<'a>,
}

impl GroupData<'_> {
    /// Requests.
    fn n_requests(&self) -> usize {
        self.asked.first().map_or(0, |asked| asked.prompts.len())
    }

    /// The identifier that a prompt asks for, and the request that it is of.
    pub fn place(&self, prompt: u32) -> (usize, u32) {
        let n = self.n_requests().max(1);
        (prompt as usize / n, (prompt as usize % n) as u32)
    }

    /// Tokens of a prompt.
    pub fn prompt(&self, prompt: u32) -> Vec<u32> {
        let (identifier, request) = self.place(prompt);
        let asked = &self.asked[identifier];
        let mut tokens = asked.prompts.tokens(request).into_owned();
        tokens.extend(asked.mode);
        tokens
    }

    /// Number of tokens of a prompt.
    pub fn prompt_length(&self, prompt: u32) -> u32 {
        let (identifier, request) = self.place(prompt);
        let asked = &self.asked[identifier];
        asked.prompts.length(request) + u32::from(asked.mode.is_some())
    }

    /// Answers of all groups.
    pub fn n_answers(&self) -> usize {
        self.groups.iter().map(Group::n_answers).sum()
    }

    /// One tree per group: its prompt, with chosen and rejected answers as branches.
    ///
    /// # Errors
    /// When a tensor cannot be made.
    pub fn batch(&self, groups: &[&Group]) -> Result<TargetBatch> {
        let row = |group: &&Group| {
            let answers = group.answers().map(|answer| self.answers.tokens(answer));
            Row::answers(&self.prompt(group.prompt), answers)
        };
        TargetBatch::new(&groups.iter().map(row).collect::<Vec<Row>>())
    }

    /// Log-probability of every token of every answer, `[answers, length]`, differentiable; 0 behind the end of an answer
    /// that is shorter than the longest.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn token_log_probs(&self, batch: &TargetBatch, decoder: &Decoder) -> Result<Tensor> {
        let (length, log_probs) = (self.answers.length(), batch.log_probs(decoder)?);
        if self.answers.are_even() {
            return Ok(log_probs.reshape((batch.n_targets() / length, length))?);
        }
        let nothing = batch.n_targets() as u32;
        let mut places = Vec::with_capacity(batch.lengths().len() * length);
        let mut next = 0;
        for &own in batch.lengths() {
            places.extend((0..length).map(|at| if at < own { next + at as u32 } else { nothing }));
            next += own as u32;
        }
        let zero = Tensor::zeros(1, log_probs.dtype(), log_probs.device())?;
        let padded = Tensor::cat(&[&log_probs, &zero], 0)?;
        let places = Tensor::new(places, log_probs.device())?;
        Ok(padded.index_select(&places, 0)?.reshape((batch.lengths().len(), length))?)
    }

    /// What is compared in a batch of these groups.
    pub fn layout(&self, groups: &[&Group]) -> Layout {
        let mut layout = Layout::default();
        for group in groups {
            let chosen = group.chosen.iter().map(|&item| self.answers.tokens(item));
            let rejected = group
                .rejected
                .iter()
                .map(|rejected| (self.answers.tokens(rejected.item), rejected.weight));
            layout.push(&chosen.collect::<Vec<_>>(), &rejected.collect::<Vec<_>>());
            if !self.answers.spans.is_empty() {
                let lengths = group.answers().map(|answer| self.answers.tokens(answer).len());
                layout.lengths.extend(lengths.map(|length| length as f64));
            }
        }
        layout
    }
}

/// Which answers of a batch are compared, in the order of the batch's rows.
///
/// Each chosen answer is a *comparison*; its pairs, one per rejected answer of its group, follow each other.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layout {
    n_answers: usize,
    chosen: Vec<u32>,
    comparisons: Vec<Range<usize>>,
    pair_comparison: Vec<u32>,
    pair_rejected: Vec<u32>,
    weights: Vec<f32>,
    prefixes: Vec<u32>,
    /// Tokens of each answer, `[answers]`, where answers are spans of any length; else empty.
    lengths: Vec<f64>,
}

impl Layout {
    /// Appends a group: token rows of its chosen answers, and of its rejected ones with their weights.
    pub fn push(&mut self, chosen: &[&[u32]], rejected: &[(&[u32], f32)]) {
        let first = self.n_answers;
        for (position, winner) in chosen.iter().enumerate() {
            let from = self.weights.len();
            for (offset, (loser, weight)) in rejected.iter().enumerate() {
                self.pair_comparison.push(self.chosen.len() as u32);
                self.pair_rejected.push((first + chosen.len() + offset) as u32);
                self.weights.push(*weight);
                let shared = winner.iter().zip(*loser).take_while(|(a, b)| a == b).count();
                self.prefixes.push(shared as u32);
            }
            self.chosen.push((first + position) as u32);
            self.comparisons.push(from..self.weights.len());
        }
        self.n_answers += chosen.len() + rejected.len();
    }

    /// Rows of the batch.
    pub fn n_answers(&self) -> usize {
        self.n_answers
    }

    /// Pairs of all comparisons.
    pub fn n_pairs(&self) -> usize {
        self.weights.len()
    }

    /// The row of each comparison's chosen answer, `[comparisons]`.
    pub fn chosen(&self) -> &[u32] {
        &self.chosen
    }

    /// The pairs of each comparison.
    pub fn comparisons(&self) -> &[Range<usize>] {
        &self.comparisons
    }

    /// The comparison of each pair, `[pairs]`.
    pub fn pair_comparison(&self) -> &[u32] {
        &self.pair_comparison
    }

    /// The row of each pair's rejected answer, `[pairs]`.
    pub fn pair_rejected(&self) -> &[u32] {
        &self.pair_rejected
    }

    /// Weight `omega` of each pair's rejected answer, `[pairs]`.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Tokens of each answer, `[answers]`, where they differ.
    pub fn lengths(&self) -> Option<&[f64]> {
        Some(self.lengths.as_slice()).filter(|lengths| !lengths.is_empty())
    }

    /// Tokens with which the two answers of each pair begin alike, `[pairs]`.
    pub fn prefixes(&self) -> &[u32] {
        &self.prefixes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chosen_answer_meets_every_rejected_one_of_its_group() {
        let mut layout = Layout::default();
        layout.push(&[&[1, 2, 3], &[1, 5, 6]], &[(&[1, 2, 9], 1.0), (&[4, 2, 3], 0.5)]);
        layout.push(&[&[7, 7, 7]], &[(&[7, 8, 7], 0.25)]);
        assert_eq!((layout.n_answers(), layout.n_pairs()), (6, 5));
        assert_eq!(layout.chosen(), [0, 1, 4]);
        assert_eq!(layout.comparisons(), [0..2, 2..4, 4..5]);
        assert_eq!(layout.pair_comparison(), [0, 0, 1, 1, 2]);
        assert_eq!(layout.pair_rejected(), [2, 3, 2, 3, 5]);
        assert_eq!(layout.weights(), [1.0, 0.5, 1.0, 0.5, 0.25]);
        assert_eq!(layout.prefixes(), [2, 0, 1, 0, 1]);
    }
}
