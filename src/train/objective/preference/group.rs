//! Groups of answers to one prompt, and which answers of a batch of groups are compared.
//!
//! Knows tokens and indices; neither log-probabilities nor losses.

use std::borrow::Cow;
use std::ops::Range;

use candle_core::Tensor;

use crate::error::Result;
use crate::model::decoder::Decoder;
use crate::model::item_tokens::ItemTokens;
use crate::train::data::prompts::Prompts;
use crate::train::objective::{Row, TargetBatch};

/// What answers there are: the tokens of each, by its number: items, or anything of tokens that a model may say.
pub trait Answers: Sync {
    /// Tokens of an answer, at least one.
    fn tokens(&self, answer: u32) -> &[u32];

    /// How many there are.
    fn n_answers(&self) -> usize;
}

impl Answers for ItemTokens {
    fn tokens(&self, item: u32) -> &[u32] {
        Self::tokens(self, item)
    }

    fn n_answers(&self) -> usize {
        self.n_items()
    }
}

/// Answers that are no items, such as spans of texts.
impl Answers for Vec<Vec<u32>> {
    fn tokens(&self, answer: u32) -> &[u32] {
        &self[answer as usize]
    }

    fn n_answers(&self) -> usize {
        self.len()
    }
}

/// Answers that are held elsewhere.
impl<T: Answers + ?Sized> Answers for &T {
    fn tokens(&self, answer: u32) -> &[u32] {
        (**self).tokens(answer)
    }

    fn n_answers(&self) -> usize {
        (**self).n_answers()
    }
}

/// Items by their codes, and behind them spans of texts.
#[derive(Default)]
pub struct CodesAndSpans<'a> {
    /// The codes of items; none where only spans are compared.
    pub items: Option<&'a ItemTokens>,
    /// Runs of tokens that name no single item.
    pub spans: Vec<Vec<u32>>,
}

impl CodesAndSpans<'_> {
    fn n_items(&self) -> usize {
        self.items.map_or(0, ItemTokens::n_items)
    }
}

impl Answers for CodesAndSpans<'_> {
    fn tokens(&self, answer: u32) -> &[u32] {
        match self.items {
            Some(items) if (answer as usize) < items.n_items() => items.tokens(answer),
            _ => &self.spans[answer as usize - self.n_items()],
        }
    }

    fn n_answers(&self) -> usize {
        self.n_items() + self.spans.len()
    }
}

/// The prompts of all requests in each of some identifiers, numbered through: those of the first, then those of the next.
pub struct AskedPrompts {
    /// By identifier; each has as many. The mode token is what ends a prompt beside its own tokens.
    asked: Vec<(Prompts, Option<u32>)>,
}

impl AskedPrompts {
    /// Prompts by identifier, each as many as there are requests, with the mode token that ends them where it is not among
    /// their own tokens.
    pub fn new(asked: Vec<(Prompts, Option<u32>)>) -> Self {
        Self { asked }
    }

    /// Number of prompts.
    pub fn len(&self) -> usize {
        self.asked.iter().map(|(prompts, _)| prompts.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The identifier that a prompt asks for, and the request that it is of.
    pub fn place(&self, prompt: u32) -> (usize, u32) {
        let n_requests = self.asked.first().map_or(1, |(prompts, _)| prompts.len().max(1));
        (prompt as usize / n_requests, (prompt as usize % n_requests) as u32)
    }

    /// Tokens of a prompt.
    pub fn tokens(&self, prompt: u32) -> Cow<'_, [u32]> {
        let (identifier, request) = self.place(prompt);
        let (prompts, mode) = &self.asked[identifier];
        let tokens = prompts.tokens(request);
        match mode {
            None => tokens,
            Some(mode) => Cow::Owned([&tokens[..], &[*mode]].concat()),
        }
    }

    /// Number of tokens of a prompt.
    pub fn length(&self, prompt: u32) -> u32 {
        let (identifier, request) = self.place(prompt);
        let (prompts, mode) = &self.asked[identifier];
        prompts.length(request) + u32::from(mode.is_some())
    }
}

impl<T: Into<Prompts>> From<T> for AskedPrompts {
    fn from(prompts: T) -> Self {
        Self::new(vec![(prompts.into(), None)])
    }
}

/// An answer, and what it weighs, above 0: a chosen one what it counts; a rejected one how surely it is a negative,
/// `omega`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weighed {
    /// Number of the answer: of an item, its index.
    pub answer: u32,
    /// Its weight.
    pub weight: f32,
}

/// Answers to one prompt: every chosen one is preferred to every rejected one. Neither list is empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Index into the prompts.
    pub prompt: u32,
    /// The chosen answers, each once.
    pub chosen: Vec<Weighed>,
    /// The rejected answers.
    pub rejected: Vec<Weighed>,
    /// Factor of `omega` of each pair for how much its two answers are alike, `[chosen, rejected]`; empty where nobody looked.
    pub alike: Vec<f32>,
}

impl Group {
    /// Of answers that nobody compared.
    pub fn of(prompt: u32, chosen: Vec<Weighed>, rejected: Vec<Weighed>) -> Self {
        Self { prompt, chosen, rejected, alike: Vec::new() }
    }

    /// Number of answers.
    pub fn n_answers(&self) -> usize {
        self.chosen.len() + self.rejected.len()
    }

    /// Numbers of all answers: chosen, then rejected.
    pub fn answers(&self) -> impl Iterator<Item = u32> {
        self.chosen.iter().chain(&self.rejected).map(|one| one.answer)
    }
}

/// Prompts, groups and the tokens of the answers in them.
pub struct GroupData<'a> {
    /// Tokens of each prompt.
    pub prompts: AskedPrompts,
    /// The groups.
    pub groups: Vec<Group>,
    /// Tokens of an answer.
    pub answers: Box<dyn Answers + 'a>,
}

impl GroupData<'_> {
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
            Row::answers(&self.prompts.tokens(group.prompt), answers)
        };
        TargetBatch::new(&groups.iter().map(row).collect::<Vec<Row>>())
    }

    /// Log-probability of every token of every answer, `[answers, length]`, differentiable; `length` is that of the longest
    /// answer of the batch, and 0 stands behind the end of a shorter one.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn token_log_probs(&self, batch: &TargetBatch, decoder: &Decoder) -> Result<Tensor> {
        let (lengths, log_probs) = (batch.lengths(), batch.log_probs(decoder)?);
        let length = lengths.iter().copied().max().unwrap_or(0);
        if lengths.iter().all(|&own| own == length) {
            return Ok(log_probs.reshape((lengths.len(), length))?);
        }
        let nothing = batch.n_targets() as u32;
        let mut places = Vec::with_capacity(lengths.len() * length);
        let mut next = 0;
        for &own in lengths {
            places.extend((0..length).map(|at| if at < own { next + at as u32 } else { nothing }));
            next += own as u32;
        }
        let zero = Tensor::zeros(1, log_probs.dtype(), log_probs.device())?;
        let padded = Tensor::cat(&[&log_probs, &zero], 0)?;
        let places = Tensor::new(places, log_probs.device())?;
        Ok(padded.index_select(&places, 0)?.reshape((lengths.len(), length))?)
    }

    /// What is compared in a batch of these groups.
    pub fn layout(&self, groups: &[&Group]) -> Layout {
        let mut layout = Layout::default();
        for group in groups {
            let side = |side: &[Weighed]| -> Vec<(&[u32], f32)> {
                side.iter().map(|one| (self.answers.tokens(one.answer), one.weight)).collect()
            };
            layout.push_weighed(&side(&group.chosen), &side(&group.rejected), &group.alike);
        }
        layout
    }
}

/// Which answers of a batch are compared, in the order of the batch's rows.
///
/// Each chosen answer is a *comparison*; its pairs, one per rejected answer of its group, follow each other.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layout {
    lengths: Vec<u32>,
    chosen: Vec<u32>,
    chosen_weights: Vec<f32>,
    comparisons: Vec<Range<usize>>,
    pair_comparison: Vec<u32>,
    pair_rejected: Vec<u32>,
    weights: Vec<f32>,
    prefixes: Vec<u32>,
}

impl Layout {
    /// Appends a group of chosen answers that count 1 each: their token rows, and those of the rejected ones with their
    /// weights.
    pub fn push(&mut self, chosen: &[&[u32]], rejected: &[(&[u32], f32)]) {
        let chosen: Vec<(&[u32], f32)> = chosen.iter().map(|&tokens| (tokens, 1.0)).collect();
        self.push_weighed(&chosen, rejected, &[]);
    }

    /// Appends a group: token rows of its chosen and of its rejected answers with their weights; `alike` has a factor for
    /// every pair of them, or is empty.
    pub fn push_weighed(
        &mut self,
        chosen: &[(&[u32], f32)],
        rejected: &[(&[u32], f32)],
        alike: &[f32],
    ) {
        let first = self.n_answers();
        for (position, (winner, counts)) in chosen.iter().enumerate() {
            let from = self.weights.len();
            for (offset, (loser, weight)) in rejected.iter().enumerate() {
                self.pair_comparison.push(self.chosen.len() as u32);
                self.pair_rejected.push((first + chosen.len() + offset) as u32);
                let factor = alike.get(position * rejected.len() + offset).copied().unwrap_or(1.0);
                self.weights.push(*weight * factor);
                let shared = winner.iter().zip(*loser).take_while(|(a, b)| a == b).count();
                self.prefixes.push(shared as u32);
            }
            self.chosen.push((first + position) as u32);
            self.chosen_weights.push(*counts);
            self.comparisons.push(from..self.weights.len());
        }
        let all = chosen.iter().chain(rejected);
        self.lengths.extend(all.map(|(tokens, _)| tokens.len() as u32));
    }

    /// Rows of the batch.
    pub fn n_answers(&self) -> usize {
        self.lengths.len()
    }

    /// Tokens of each answer, `[answers]`.
    pub fn lengths(&self) -> &[u32] {
        &self.lengths
    }

    /// What each comparison's chosen answer counts, `[comparisons]`.
    pub fn chosen_weights(&self) -> &[f32] {
        &self.chosen_weights
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
