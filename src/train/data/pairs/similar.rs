//! Weights of rejected answers by how much they are like the chosen one, after RAD-DPO (arXiv 2602.23964).
//!
//! An answer is the last hidden state behind its end, and two are as like as the cosine of theirs. What
//! looks most like the chosen one is the likeliest to be wanted, too, and nobody said so. The paper's rule
//! is known from a digest alone (quantiles of the first 4,096 pairs; low likeness keeps weight 1, high
//! likeness decays to 0.5). This one is a reconstruction: with `F(s)` the share of sampled pairs that are at most as
//! like as `s`, the factor is
//!
//! `1 - (1 - least) · max(0, 2 F(s) - 1)`,
//!
//! 1 up to the median, `least` at the top, and linear in the rank between. The states are those of the frozen start, so
//! that a factor depends on no step.

use candle_core::Tensor;

use crate::error::Result;
use crate::model::Decoder;
use crate::train::objective::preference::{Group, GroupData};
use crate::train::objective::{Row, TargetBatch};

/// Pairs whose likenesses are the sample.
const SAMPLE: usize = 4_096;

/// Likenesses of a sample of pairs.
#[derive(Debug, Clone, PartialEq)]
pub struct Likeness {
    /// Ascending; not empty.
    sample: Vec<f32>,
    least: f64,
}

impl Likeness {
    /// From likenesses of all pairs, of which every so many-th is sampled; none where there are none. `least` is the weight of
    /// what is most alike.
    pub fn of(all: &[f32], least: f64) -> Option<Self> {
        let every = all.len().div_ceil(SAMPLE).max(1);
        let mut sample: Vec<f32> = all.iter().copied().step_by(every).collect();
        sample.sort_unstable_by(f32::total_cmp);
        (!sample.is_empty()).then_some(Self { sample, least })
    }

    /// Factor of the weight of a rejected answer of this likeness.
    pub fn factor(&self, likeness: f32) -> f64 {
        let below = self.sample.partition_point(|&one| one < likeness);
        let most = self.sample.partition_point(|&one| one <= likeness);
        // In the middle of equals, so that where all are alike none is more so.
        let rank = (below + most) as f64 / (2 * self.sample.len()) as f64;
        1.0 - (1.0 - self.least) * (2.0 * rank - 1.0).max(0.0)
    }

    /// The likeness that this share of the sample does not exceed.
    pub fn quantile(&self, share: f64) -> f32 {
        let place = (share * (self.sample.len() - 1) as f64).round() as usize;
        self.sample[place.min(self.sample.len() - 1)]
    }

    /// How many pairs were sampled.
    pub fn sampled(&self) -> usize {
        self.sample.len()
    }
}

/// How much the two answers of every pair are alike under `decoder`, from -1 to 1: group by group, `[chosen, rejected]` in
/// each; in chunks of `chunk` groups.
///
/// `done` is called with the number of groups looked at since its last call and may refuse to go on.
///
/// # Errors
/// When a tensor operation fails, or whatever `done` returns.
pub fn likenesses(
    data: &GroupData<'_>,
    decoder: &Decoder,
    chunk: usize,
    mut done: impl FnMut(u64) -> Result<()>,
) -> Result<Vec<f32>> {
    let mut found = Vec::new();
    for groups in data.groups.chunks(chunk.max(1)) {
        let mut states = states(data, decoder, groups)?.into_iter();
        for group in groups {
            let own: Vec<Vec<f32>> = states.by_ref().take(group.n_answers()).collect();
            let (chosen, rejected) = own.split_at(group.chosen.len());
            for winner in chosen {
                found.extend(rejected.iter().map(|loser| dot(winner, loser)));
            }
        }
        done(groups.len() as u64)?;
    }
    Ok(found)
}

/// The state behind the end of every answer, of length 1.
fn states(data: &GroupData<'_>, decoder: &Decoder, groups: &[Group]) -> Result<Vec<Vec<f32>>> {
    let mut rows = Vec::with_capacity(groups.len());
    let mut ends = Vec::new();
    let mut places = 0;
    for group in groups {
        let prompt = data.prompts.tokens(group.prompt);
        let answers: Vec<Vec<u32>> = group
            .answers()
            .map(|answer| {
                let mut tokens = data.answers.tokens(answer).to_vec();
                places += tokens.len();
                ends.push(places);
                // A token is only read where another is predicted behind it; which one does not matter.
                tokens.push(0);
                places += 1;
                tokens
            })
            .collect();
        rows.push(Row::answers(&prompt, answers.iter().map(Vec::as_slice)));
    }
    let batch = TargetBatch::new(&rows)?;
    let hidden = batch.hidden_in_training(decoder)?.detach();
    let ends: Vec<u32> = ends.into_iter().map(|end| batch.row_of(end)).collect();
    let ends = Tensor::new(ends, hidden.device())?;
    let states = hidden.index_select(&ends, 0)?.to_dtype(candle_core::DType::F32)?;
    let states = states.to_device(&candle_core::Device::Cpu)?.to_vec2::<f32>()?;
    Ok(states
        .into_iter()
        .map(|state| {
            let norm = dot(&state, &state).sqrt().max(f32::MIN_POSITIVE);
            state.into_iter().map(|value| value / norm).collect()
        })
        .collect())
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::config::tests::small;
    use crate::model::decoder::tests::lively;
    use crate::train::objective::preference::Weighed;

    #[test]
    fn what_is_less_alike_than_the_median_keeps_its_weight() {
        let all: Vec<f32> = (0..=100).map(|place| place as f32 / 100.0).collect();
        let likeness = Likeness::of(&all, 0.5).expect("a sample");
        for (value, factor) in [(-1.0, 1.0), (0.2, 1.0), (0.5, 1.0), (0.75, 0.75), (2.0, 0.5)] {
            let found = likeness.factor(value);
            assert!((found - factor).abs() < 0.01, "{value}: {found}");
        }
        assert_eq!((likeness.quantile(0.5), likeness.sampled()), (0.5, 101));
        // Where all are alike, none is more so than the others.
        let same = Likeness::of(&[0.3; 9], 0.5).expect("a sample");
        assert_eq!((same.factor(0.3), same.factor(0.4)), (1.0, 0.5));
        assert_eq!(Likeness::of(&[], 0.5), None);
        assert!(Likeness::of(&vec![0.1; 10_000], 0.5).expect("a sample").sampled() <= SAMPLE);
    }

    #[test]
    fn likeness_is_the_cosine_of_what_is_behind_the_end() {
        let decoder = lively(small(27));
        let answers: Vec<Vec<u32>> = vec![vec![20, 25], vec![21], vec![20, 26, 3], vec![20, 25]];
        let side = |answers: &[u32]| -> Vec<Weighed> {
            answers.iter().map(|&answer| Weighed { answer, weight: 1.0 }).collect()
        };
        let prompts: Vec<Vec<u32>> = vec![vec![1, 2, 3], vec![4]];
        let groups = vec![
            Group::of(0, side(&[0]), side(&[1, 2, 3])),
            Group::of(1, side(&[1, 2]), side(&[0])),
        ];
        let data =
            GroupData { prompts: prompts.clone().into(), groups, answers: Box::new(&answers) };
        let found = likenesses(&data, &decoder, 1, |_| Ok(())).expect("likenesses");
        let state = |prompt: &[u32], answer: &[u32]| -> Vec<f32> {
            let ids = [prompt, answer].concat();
            let ids = Tensor::new(ids.as_slice(), &candle_core::Device::Cpu).expect("ids");
            let hidden = decoder.hidden(&ids.unsqueeze(0).expect("ids")).expect("hidden");
            let hidden = hidden.squeeze(0).expect("hidden").to_vec2::<f32>().expect("values");
            hidden.last().expect("a state").clone()
        };
        let cosine = |prompt: usize, a: usize, b: usize| {
            let (a, b) = (&answers[a], &answers[b]);
            let (a, b) = (state(&prompts[prompt], a), state(&prompts[prompt], b));
            dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
        };
        let pairs = [(0, 0, 1), (0, 0, 2), (0, 0, 3), (1, 1, 0), (1, 2, 0)];
        assert_eq!(found.len(), pairs.len());
        for (found, (prompt, a, b)) in found.iter().zip(pairs) {
            let expected = cosine(prompt, a, b);
            assert!((found - expected).abs() < 1e-4, "{prompt} {a} {b}: {found} {expected}");
        }
        assert!((found[2] - 1.0).abs() < 1e-5 && found[0] < 0.999);
        // Whatever they are scored with.
        let together = likenesses(&data, &decoder, 8, |_| Ok(())).expect("likenesses");
        for (a, b) in found.iter().zip(together) {
            assert!((a - b).abs() < 1e-5);
        }
    }
}
