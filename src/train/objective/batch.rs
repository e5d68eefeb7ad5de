//! Prompts with the answers that they are trained on, packed into one tensor.
//!
//! A prompt is encoded once, however many answers it has: they are branches of a tree, each of which sees the prompt and
//! itself. Nothing is padded. The last layer and the logits are computed only where there is a target.

use std::collections::HashMap;
use std::ops::Range;

use candle_core::{Device, Tensor};
use trieval_kernels::ops::Packing;

use crate::error::{Error, Result};
use crate::model::decoder::Decoder;
use crate::model::{TokenKeys, token_keys};

/// A prompt and its answers: every answer token is a target, predicted from the position before it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    prompt: Vec<u32>,
    answers: Vec<Vec<u32>>,
    /// What each answer counts, `[answers]`; empty where all count 1.
    weights: Vec<f32>,
}

impl Row {
    /// A prompt with one answer; neither may be empty.
    pub fn answer(prompt: &[u32], answer: &[u32]) -> Self {
        Self::answers(prompt, [answer])
    }

    /// A prompt with several answers; none may be empty.
    pub fn answers<'t>(prompt: &[u32], answers: impl IntoIterator<Item = &'t [u32]>) -> Self {
        let answers = answers.into_iter().map(<[u32]>::to_vec).collect();
        Self { prompt: prompt.to_vec(), answers, weights: Vec::new() }
    }

    /// The same, each of whose answers counts `weight`, above 0.
    #[must_use]
    pub fn weighing(self, weight: f32) -> Self {
        Self { weights: vec![weight; self.answers.len()], ..self }
    }

    /// What all answers count together.
    #[cfg(test)]
    pub(crate) fn weight(&self) -> f32 {
        self.weights().sum()
    }

    /// What each answer counts.
    fn weights(&self) -> impl Iterator<Item = f32> {
        (0..self.answers.len()).map(|answer| self.weights.get(answer).copied().unwrap_or(1.0))
    }

    /// The tokens that are asked with.
    #[cfg(test)]
    pub(crate) fn prompt(&self) -> &[u32] {
        &self.prompt
    }

    /// The tokens that are predicted, answer after answer.
    pub fn targets(&self) -> impl Iterator<Item = u32> {
        self.answers.iter().flatten().copied()
    }

    /// Rows with the same prompt made one, in the order of their first; no answer is lost.
    pub fn share_prompts(rows: Vec<Self>) -> Vec<Self> {
        let mut places: HashMap<Vec<u32>, usize> = HashMap::with_capacity(rows.len());
        let mut shared: Vec<Self> = Vec::with_capacity(rows.len());
        for row in rows {
            let place = *places.entry(row.prompt.clone()).or_insert(shared.len());
            match shared.get_mut(place) {
                Some(first) => {
                    if !first.weights.is_empty() || !row.weights.is_empty() {
                        first.weights = first.weights().chain(row.weights()).collect();
                    }
                    first.answers.extend(row.answers);
                }
                None => shared.push(row),
            }
        }
        shared
    }

    /// Input tokens of the branches. A single answer needs none: it simply continues the prompt.
    fn branches(&self) -> impl Iterator<Item = usize> {
        let several = self.answers.len() > 1;
        self.answers.iter().filter(move |_| several).map(|answer| answer.len().saturating_sub(1))
    }

    /// Input tokens before the branches.
    fn trunk(&self) -> usize {
        match self.answers.as_slice() {
            [only] => self.prompt.len() + only.len().saturating_sub(1),
            _ => self.prompt.len(),
        }
    }
}

/// A packed batch of rows.
pub struct TargetBatch {
    /// Token ids of all rows `[tokens]`, `u32`.
    ids: Tensor,
    packing: Packing,
    /// Numbers of the tokens that predict a target, ascending, each once.
    rows: Vec<u32>,
    /// Which of `rows` predicts each target; branches share the last token of their prompt.
    reads: Vec<u32>,
    /// Token ids of the targets, row after row and answer after answer.
    targets: Vec<u32>,
    /// Targets of each answer.
    lengths: Vec<usize>,
    /// What each target counts, `[targets]`; none where all count 1.
    weights: Option<Vec<f32>>,
    /// From what dropout draws, `[tokens]`; none where nothing is dropped.
    keys: Option<TokenKeys>,
}

impl TargetBatch {
    /// Packs `rows`.
    ///
    /// # Errors
    /// [`Error::Failed`] when a prompt or an answer is empty.
    pub fn new(rows: &[Row]) -> Result<Self> {
        if rows.iter().any(|row| row.prompt.is_empty() || row.answers.iter().any(Vec::is_empty)) {
            return Err(Error::Failed("a prompt or an answer has no tokens".into()));
        }
        let (mut ids, mut predicting, mut reads, mut targets) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for row in rows {
            ids.extend_from_slice(&row.prompt);
            let root = predicting.len() as u32;
            predicting.push(ids.len() as u32 - 1);
            for answer in &row.answers {
                reads.push(root);
                for &token in &answer[..answer.len().saturating_sub(1)] {
                    reads.push(predicting.len() as u32);
                    predicting.push(ids.len() as u32);
                    ids.push(token);
                }
            }
            targets.extend(row.targets());
        }
        let packing = Packing::trees(rows.iter().map(|row| (row.trunk(), row.branches())));
        let ids = Tensor::new(ids, &Device::Cpu)?;
        let lengths = rows.iter().flat_map(|row| row.answers.iter().map(Vec::len)).collect();
        let weighs = rows.iter().any(|row| !row.weights.is_empty());
        let weight = |row: &Row| -> Vec<f32> {
            let answers = row.answers.iter().zip(row.weights());
            answers.flat_map(|(answer, weight)| vec![weight; answer.len()]).collect()
        };
        let weights = weighs.then(|| rows.iter().flat_map(weight).collect());
        Ok(Self { ids, packing, rows: predicting, reads, targets, lengths, weights, keys: None })
    }

    /// As [`TargetBatch::new`], with a key per row from which dropout draws: a row is treated alike in whatever
    /// batch it lies.
    ///
    /// # Errors
    /// As [`TargetBatch::new`].
    pub fn with_keys(rows: &[Row], keys: impl IntoIterator<Item = u64>) -> Result<Self> {
        let batch = Self::new(rows)?;
        let tokens = |row: &Row| row.trunk() + row.branches().sum::<usize>();
        let keys = token_keys(keys.into_iter().zip(rows.iter().map(tokens)));
        Ok(Self { keys: Some(keys), ..batch })
    }

    /// Log-probability of every target under the full vocabulary, `[targets]`, differentiable; row after row and answer
    /// after answer.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn log_probs(&self, decoder: &Decoder) -> Result<Tensor> {
        self.log_probs_by(decoder, &decoder.hidden_rows(&self.ids, &self.packing, &self.rows)?)
    }

    /// As [`TargetBatch::log_probs`], of hidden states that are there.
    ///
    /// Shapes: `hidden` as [`TargetBatch::hidden_in_training`] gives it.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn log_probs_by(&self, decoder: &Decoder, hidden: &Tensor) -> Result<Tensor> {
        decoder.log_probs_at(hidden, &self.reads, &self.targets)
    }

    /// How far the logit of every target lies above the mean logit of the range of tokens that it lies in, `[targets]`,
    /// differentiable.
    ///
    /// Shapes: `hidden` as [`TargetBatch::hidden_in_training`] gives it; `ranges` ascending, none empty, none over another.
    ///
    /// # Errors
    /// When a tensor operation fails, or a target lies in no range.
    pub fn margins_by(
        &self,
        decoder: &Decoder,
        hidden: &Tensor,
        ranges: &[Range<u32>],
    ) -> Result<Tensor> {
        decoder.margins_at(hidden, &self.reads, &self.targets, ranges)
    }

    /// Log-probability of any tokens where targets are predicted, in nats: of `tokens[i]` in the place of the
    /// `places[i]`-th target. Not differentiable: for looking at, not for learning.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn log_probs_of(
        &self,
        decoder: &Decoder,
        places: &[u32],
        tokens: &[u32],
    ) -> Result<Vec<f32>> {
        let hidden = decoder.hidden_rows(&self.ids, &self.packing, &self.rows)?.detach();
        let reads: Vec<u32> = places.iter().map(|&place| self.reads[place as usize]).collect();
        Ok(decoder.log_probs_at(&hidden, &reads, tokens)?.to_vec1()?)
    }

    /// Targets of each answer.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Final hidden states where targets are predicted, `[rows, hidden]`, differentiable; in a training step: the decoder may
    /// drop something of a batch with keys.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn hidden_in_training(&self, decoder: &Decoder) -> Result<Tensor> {
        let (ids, packing, rows) = (&self.ids, &self.packing, &self.rows);
        match &self.keys {
            Some(keys) => decoder.hidden_rows_in_training(ids, packing, rows, keys),
            None => decoder.hidden_rows(ids, packing, rows),
        }
    }

    /// The row of [`TargetBatch::hidden_in_training`] that predicts the target at a place.
    pub fn row_of(&self, place: usize) -> u32 {
        self.reads[place]
    }

    /// Sum of values of all targets, `[targets]`, as much as each counts.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn weighed(&self, values: &Tensor) -> Result<Tensor> {
        Ok(match &self.weights {
            None => values.sum_all()?,
            Some(weights) => {
                let weights = Tensor::new(weights.as_slice(), values.device())?;
                (values * weights.to_dtype(values.dtype())?)?.sum_all()?
            }
        })
    }

    /// What all targets count together.
    pub fn weight(&self) -> f64 {
        match &self.weights {
            None => self.n_targets() as f64,
            Some(weights) => weights.iter().map(|&weight| f64::from(weight)).sum(),
        }
    }

    /// Targets of all rows.
    pub fn n_targets(&self) -> usize {
        self.targets.len()
    }

    /// Input tokens of all rows.
    pub fn n_tokens(&self) -> u64 {
        self.packing.tokens() as u64
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::config::tests::small;
    use crate::model::decoder::tests::lively;
    use crate::model::lora::AdapterSpec;
    use crate::model::parameters::Parameter;
    use crate::model::settings::LoraSettings;
    use crate::seed::Seed;

    fn packed(batch: &TargetBatch) -> (Vec<u32>, &[u32], &[u32], &[u32]) {
        (batch.ids.to_vec1().unwrap(), &batch.rows, &batch.reads, &batch.targets)
    }

    #[test]
    fn single_answers_continue_their_prompt() {
        let rows = [Row::answer(&[5], &[7]), Row::answer(&[5, 6, 7], &[8, 9])];
        let batch = TargetBatch::new(&rows).unwrap();
        let expected: (Vec<u32>, &[u32], &[u32], &[u32]) =
            (vec![5, 5, 6, 7, 8], &[0, 3, 4], &[0, 1, 2], &[7, 8, 9]);
        assert_eq!(packed(&batch), expected);
        assert_eq!(batch.packing, Packing::sequences([1, 4]));
    }

    #[test]
    fn several_answers_are_branches_that_share_the_last_token_of_their_prompt() {
        let rows =
            [Row::answers(&[5, 6], [&[7, 8][..], &[9], &[7, 3, 4]]), Row::answer(&[1], &[2, 3])];
        let batch = TargetBatch::new(&rows).unwrap();
        let expected: (Vec<u32>, &[u32], &[u32], &[u32]) = (
            vec![5, 6, 7, 7, 3, 1, 2],
            &[1, 2, 3, 4, 5, 6],
            &[0, 1, 0, 0, 2, 3, 4, 5],
            &[7, 8, 9, 7, 3, 4, 2, 3],
        );
        assert_eq!(packed(&batch), expected);
        assert_eq!(batch.packing, Packing::trees([(2, vec![1, 0, 2]), (2, vec![])]));
    }

    #[test]
    fn empty_prompts_and_answers_are_refused() {
        assert!(TargetBatch::new(&[Row::answer(&[], &[1])]).is_err());
        assert!(TargetBatch::new(&[Row::answers(&[1], [&[2][..], &[]])]).is_err());
    }

    #[test]
    fn a_row_is_dropped_alike_in_any_batch_and_only_in_training() {
        let weights = lively(small(27)).weights().unwrap();
        let settings = LoraSettings { rank: 2, dropout: 0.5, ..LoraSettings::default() };
        let spec = AdapterSpec { settings, first_new_token: 27 };
        let decoder = Decoder::adapted(small(27), weights, spec, Seed::new(1)).unwrap();
        for var in decoder.trained().vars() {
            let ones = Tensor::full(0.1f32, var.shape(), &Device::Cpu).unwrap();
            var.set(&ones).unwrap();
        }
        for decoder in [decoder, lively(small(27)).dropping(0.5)] {
            check_dropping(&decoder);
        }
    }

    fn check_dropping(decoder: &Decoder) {
        let rows =
            [Row::answers(&[1, 2, 3], [&[20, 25][..], &[21, 26]]), Row::answer(&[4, 5], &[22, 23])];
        let score = |rows: &[Row], keys: &[u64]| {
            let batch = TargetBatch::with_keys(rows, keys.iter().copied()).unwrap();
            let hidden = batch.hidden_in_training(decoder).unwrap();
            batch.log_probs_by(decoder, &hidden).unwrap().to_vec1::<f32>().unwrap()
        };
        let both = score(&rows, &[100, 900]);
        let distance =
            |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
        assert!(distance(&both[4..], &score(&rows[1..], &[900])) < 1e-5);
        assert!(distance(&both[4..], &score(&rows[1..], &[901])) > 1e-3);
        let plain = TargetBatch::new(&rows).unwrap();
        let undropped =
            |batch: &TargetBatch| batch.log_probs(decoder).unwrap().to_vec1::<f32>().unwrap();
        let keyed = TargetBatch::with_keys(&rows, [100, 900]).unwrap();
        assert_eq!(undropped(&keyed), undropped(&plain));
        assert_ne!(both, undropped(&plain));
    }

    /// Weighed targets are those of as many equal rows, divided.
    #[test]
    fn an_answer_counts_as_much_as_it_is_to() {
        let decoder = lively(small(27));
        let half = Row::answers(&[1, 2], [&[20, 21][..], &[22]]).weighing(0.5);
        let whole = Row::answer(&[3], &[23, 24]);
        let batch = TargetBatch::new(&[half.clone(), whole.clone()]).unwrap();
        assert_eq!(batch.weight(), 0.5 * 3.0 + 2.0);
        let values = batch.log_probs(&decoder).unwrap();
        let own: Vec<f32> = values.to_vec1().unwrap();
        let sum = batch.weighed(&values).unwrap().to_scalar::<f32>().unwrap();
        let expected = 0.5 * (own[0] + own[1] + own[2]) + own[3] + own[4];
        assert!((sum - expected).abs() < 1e-5);
        // Rows of one prompt keep what their answers count, whoever says it.
        let shared = Row::share_prompts(vec![Row::answer(&[1, 2], &[25]), half]);
        let batch = TargetBatch::new(&shared).unwrap();
        assert_eq!(batch.weight(), 1.0 + 0.5 * 3.0);
        let plain = TargetBatch::new(&[whole]).unwrap();
        assert_eq!((plain.weight(), plain.weights.is_none()), (2.0, true));
    }

    #[test]
    fn rows_of_one_prompt_become_one() {
        let rows = vec![
            Row::answer(&[5], &[7]),
            Row::answer(&[6], &[8]),
            Row::answer(&[5], &[9]),
            Row::answer(&[5, 6], &[7]),
        ];
        let expected = [
            Row::answers(&[5], [&[7][..], &[9]]),
            Row::answer(&[6], &[8]),
            Row::answer(&[5, 6], &[7]),
        ];
        assert_eq!(Row::share_prompts(rows), expected);
    }

    #[test]
    fn branches_give_the_values_and_gradients_of_answers_alone() {
        let decoder = lively(small(27));
        let prompts: [&[u32]; 3] = [&[1, 2, 3], &[4], &[5, 6, 7, 8, 9]];
        let answers: [&[&[u32]]; 3] =
            [&[&[20, 25], &[21, 26], &[20, 24]], &[&[22, 23]], &[&[20, 26, 3], &[21]]];
        let together: Vec<Row> = prompts
            .iter()
            .zip(answers)
            .map(|(prompt, answers)| Row::answers(prompt, answers.iter().copied()))
            .collect();
        let apart: Vec<Row> = prompts
            .iter()
            .zip(answers)
            .flat_map(|(prompt, answers)| answers.iter().map(|answer| Row::answer(prompt, answer)))
            .collect();
        let (together, apart) =
            (TargetBatch::new(&together).unwrap(), TargetBatch::new(&apart).unwrap());
        assert!(together.n_tokens() < apart.n_tokens());
        assert_eq!(together.targets, apart.targets);
        let (a, b) = (together.log_probs(&decoder).unwrap(), apart.log_probs(&decoder).unwrap());
        let values = |tensor: &Tensor| tensor.to_vec1::<f32>().unwrap();
        for (a, b) in values(&a).iter().zip(values(&b)) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
        // Each target with a weight of its own, so that no gradient can hide behind another.
        let weights: Vec<f32> = (0..together.n_targets()).map(|i| 0.3 + i as f32 * 0.4).collect();
        let weights = Tensor::new(weights, &Device::Cpu).unwrap();
        let gradients = |log_probs: Tensor| {
            let loss = (log_probs * &weights).unwrap().sum_all().unwrap();
            loss.backward().unwrap()
        };
        let (a, b) = (gradients(a), gradients(b));
        for Parameter { name, var, .. } in decoder.trained() {
            let (a, b) = (a.get(var).unwrap(), b.get(var).unwrap());
            let difference = (a - b).unwrap().abs().unwrap().max_all().unwrap();
            let largest = b.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            let difference = difference.to_scalar::<f32>().unwrap();
            assert!(difference < 1e-5 * largest.max(1.0), "{name}: {difference} of {largest}");
        }
    }

    #[test]
    fn any_token_can_be_looked_at_where_a_target_is() {
        let decoder = lively(small(27));
        let rows = [Row::answers(&[1, 2], [&[20, 25][..], &[21, 26]]), Row::answer(&[4], &[22])];
        let batch = TargetBatch::new(&rows).unwrap();
        let expected = batch.log_probs(&decoder).unwrap().to_vec1::<f32>().unwrap();
        let own = batch.log_probs_of(&decoder, &[0, 1, 2, 3, 4], &[20, 25, 21, 26, 22]).unwrap();
        for (a, b) in own.iter().zip(&expected) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
        for place in 0..5 {
            let all = batch.log_probs_of(&decoder, &[place; 27], &Vec::from_iter(0..27)).unwrap();
            let total: f64 = all.iter().map(|&value| f64::from(value).exp()).sum();
            assert!((total - 1.0).abs() < 1e-5, "{place}: {total}");
        }
    }
}
