//! From the log-probabilities of a batch of groups to the loss and its figures.
//!
//! Knows tensors and settings; no model. Formulas: the table in [`super`].

use candle_core::{Device, Result, Tensor, bail};

use super::group::Layout;
use super::{listwise, pairwise};
use crate::train::settings::{PreferenceLoss, PreferenceSettings};

/// A loss with every default filled in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossTerms {
    /// Which loss.
    pub loss: PreferenceLoss,
    /// Temperature β; τ of ipo.
    pub beta: f64,
    /// Share ε of wrong labels.
    pub label_smoothing: f64,
    /// Margin γ of simpo.
    pub gamma: f64,
    /// Weight of the supervised term.
    pub anchor: f64,
    /// Penalty λ of DPO-positive.
    pub dpo_positive: f64,
    /// Whether shared prefixes receive no gradient from rejected answers.
    pub detach_prefix: bool,
}

impl LossTerms {
    /// Of a recipe.
    pub fn new(settings: &PreferenceSettings) -> Self {
        Self {
            loss: settings.loss,
            beta: settings.beta(),
            label_smoothing: settings.label_smoothing(),
            gamma: settings.gamma(),
            anchor: settings.anchor,
            dpo_positive: settings.dpo_positive(),
            detach_prefix: settings.detach_prefix(),
        }
    }

    /// Weight of every term of the loss: pairs, or comparisons for the list-wise losses, each as much as its chosen answer
    /// counts. Their sum is what the summed loss is divided by.
    pub fn weights(&self, layout: &Layout) -> Vec<f64> {
        let omega = |pair: usize| f64::from(layout.weights()[pair]);
        let counts = layout.chosen_weights().iter().map(|&weight| f64::from(weight));
        match self.loss {
            PreferenceLoss::SDpo | PreferenceLoss::RadDpo => counts.collect(),
            PreferenceLoss::Dmpo => {
                let of = |pairs: &std::ops::Range<usize>| {
                    pairs.clone().map(omega).sum::<f64>() / pairs.len().max(1) as f64
                };
                layout.comparisons().iter().zip(counts).map(|(pairs, u)| u * of(pairs)).collect()
            }
            _ => {
                let counts: Vec<f64> = counts.collect();
                let of = |pair: usize| counts[layout.pair_comparison()[pair] as usize];
                (0..layout.n_pairs()).map(|pair| of(pair) * omega(pair)).collect()
            }
        }
    }

    /// What a figure of every pair counts in its mean: with the weights of the terms, the rejected answers of a
    /// comparison sharing the weight of theirs. `[pairs]`, of the same sum as [`Self::weights`].
    fn shares(&self, layout: &Layout) -> Vec<f64> {
        let weights = self.weights(layout);
        if !self.loss.is_list_wise() {
            return weights;
        }
        let omega = |pair: usize| f64::from(layout.weights()[pair]);
        let per_comparison = layout.comparisons().iter().zip(weights);
        per_comparison
            .flat_map(|(pairs, weight)| {
                let total: f64 = pairs.clone().map(omega).sum();
                pairs.clone().map(move |pair| weight * omega(pair) / total)
            })
            .collect()
    }
}

/// The summed loss of a batch, and figures summed like it.
pub struct BatchLoss {
    /// The whole loss, a differentiable scalar.
    pub sum: Tensor,
    /// Figures under the names that TRL has for them, and `loss/preference`: the loss without the supervised term.
    pub figures: Vec<(&'static str, f64)>,
}

/// The loss of a batch of groups.
///
/// Shapes: `policy [answers, length]`, log-probabilities of all tokens, differentiable; `reference [answers]`, of whole
/// answers under the frozen reference, for the losses that need one; the order of answers is that of `layout`.
///
/// # Errors
/// When shapes do not fit, a reference is missing, or a tensor operation fails.
pub fn batch_loss(
    terms: &LossTerms,
    layout: &Layout,
    policy: &Tensor,
    reference: Option<&Tensor>,
) -> Result<BatchLoss> {
    let (answers, _) = policy.dims2()?;
    if answers != layout.n_answers() || reference.is_some_and(|values| values.dims() != [answers]) {
        bail!(
            "preference loss: {} answers need as many log-probabilities, got {:?} and {:?}",
            layout.n_answers(),
            policy.dims(),
            reference.map(Tensor::dims)
        );
    }
    let scores = Scores::new(terms, layout, policy, reference)?;
    let losses = match terms.loss {
        loss if loss.is_list_wise() => scores.list_wise(terms, layout)?,
        _ => scores.pair_wise(terms)?,
    };
    let weights = terms.weights(layout);
    let preference = (losses * column(&weights, policy)?)?.sum_all()?;
    let mut figures = vec![("loss/preference", scalar(&preference)?)];
    let mut sum = preference;
    if terms.anchor > 0.0 {
        let lengths = &scores.lengths;
        let (chosen, lengths) = match terms.loss.is_list_wise() {
            true => (&scores.chosen, &lengths.comparisons),
            false => (&scores.pair_chosen, &lengths.pairs),
        };
        let shares: Vec<f64> = weights.iter().zip(lengths).map(|(w, length)| w / length).collect();
        let supervised = (chosen * column(&shares, policy)?)?.sum_all()?;
        sum = (sum - (supervised * terms.anchor)?)?;
    }
    figures.extend(scores.figures(terms, layout)?);
    Ok(BatchLoss { sum, figures })
}

/// Log-probabilities as the losses read them.
struct Scores {
    /// `lp(w)` of each comparison, `[comparisons]`.
    chosen: Tensor,
    /// `lp(w)` of each pair, `[pairs]`.
    pair_chosen: Tensor,
    /// `lp(l)` of each pair, `[pairs]`, detached on shared prefixes where asked for.
    rejected: Tensor,
    /// What the losses compare, `rho`, or `lp` without a reference: `[comparisons]`, `[pairs]`, `[pairs]`.
    score: Tensor,
    pair_score: Tensor,
    rejected_score: Tensor,
    lengths: Lengths,
}

/// Tokens of answers.
struct Lengths {
    /// Of each comparison's chosen one.
    comparisons: Vec<f64>,
    /// Of each pair's chosen one.
    pairs: Vec<f64>,
    /// Of each pair's rejected one.
    rejected: Vec<f64>,
}

impl Lengths {
    fn of(layout: &Layout) -> Self {
        let of = |answer: &u32| f64::from(layout.lengths()[*answer as usize]);
        let comparisons: Vec<f64> = layout.chosen().iter().map(of).collect();
        let pairs = layout.pair_comparison().iter().map(|&one| comparisons[one as usize]);
        let pairs = pairs.collect();
        Self { comparisons, pairs, rejected: layout.pair_rejected().iter().map(of).collect() }
    }
}

impl Scores {
    fn new(
        terms: &LossTerms,
        layout: &Layout,
        policy: &Tensor,
        reference: Option<&Tensor>,
    ) -> Result<Self> {
        let rows = Tensor::new(layout.chosen(), &Device::Cpu)?;
        let losers = Tensor::new(layout.pair_rejected(), &Device::Cpu)?;
        let spread = Tensor::new(layout.pair_comparison(), &Device::Cpu)?;
        let chosen = policy.index_select(&rows, 0)?.sum(1)?;
        let rejected = rejected_log_probs(terms, layout, &policy.index_select(&losers, 0)?)?;
        let pair_chosen = chosen.index_select(&spread, 0)?;
        let (score, rejected_score) = if terms.loss.needs_reference() {
            let Some(reference) = reference else {
                bail!("preference loss: {} needs reference scores", terms.loss.name());
            };
            let score = (&chosen - reference.index_select(&rows, 0)?)?;
            (score, (&rejected - reference.index_select(&losers, 0)?)?)
        } else {
            (chosen.clone(), rejected.clone())
        };
        let pair_score = score.index_select(&spread, 0)?;
        let lengths = Lengths::of(layout);
        Ok(Self { chosen, pair_chosen, rejected, score, pair_score, rejected_score, lengths })
    }

    /// Scores of each pair's answers per token, `[pairs]` each.
    fn per_token(&self) -> Result<[Tensor; 2]> {
        let mean = |scores: &Tensor, lengths: &[f64]| scores / column(lengths, scores)?;
        let Lengths { pairs, rejected, .. } = &self.lengths;
        Ok([mean(&self.pair_score, pairs)?, mean(&self.rejected_score, rejected)?])
    }

    /// One loss per pair, `[pairs]`.
    fn pair_wise(&self, terms: &LossTerms) -> Result<Tensor> {
        if terms.loss.divides_by_length() {
            let [chosen, rejected] = self.per_token()?;
            let difference = (chosen - rejected)?;
            if terms.loss == PreferenceLoss::Ipo {
                return pairwise::ipo(&difference, terms.beta);
            }
            let margin = ((difference * terms.beta)? - terms.gamma)?;
            return pairwise::cdpo(&margin, terms.label_smoothing);
        }
        let difference = (positive(&self.pair_score, terms.dpo_positive)? - &self.rejected_score)?;
        let margin = (&difference * terms.beta)?;
        match terms.loss {
            PreferenceLoss::Hinge => pairwise::hinge(&margin),
            PreferenceLoss::Cdpo => pairwise::cdpo(&margin, terms.label_smoothing),
            PreferenceLoss::Robust => pairwise::robust(&margin, terms.label_smoothing),
            _ => pairwise::dpo(&margin),
        }
    }

    /// One loss per comparison, `[comparisons]`.
    fn list_wise(&self, terms: &LossTerms, layout: &Layout) -> Result<Tensor> {
        let k = layout.comparisons().iter().map(ExactSizeIterator::len).max().unwrap_or(0);
        let mut pairs = Vec::new();
        let mut weights = Vec::new();
        for range in layout.comparisons() {
            // Padding repeats the first pair and weighs nothing.
            let padding = std::iter::repeat_n(range.start, k - range.len());
            pairs.extend(range.clone().chain(padding).map(|pair| pair as u32));
            weights.extend(range.clone().map(|pair| f64::from(layout.weights()[pair])));
            weights.extend(std::iter::repeat_n(0.0, k - range.len()));
        }
        let shape = (layout.comparisons().len(), k);
        let rejected = self.rejected_score.index_select(&Tensor::new(pairs, &Device::Cpu)?, 0)?;
        let rejected = (rejected.reshape(shape)? * terms.beta)?;
        let chosen = (positive(&self.score, terms.dpo_positive)? * terms.beta)?;
        if terms.loss == PreferenceLoss::Dmpo {
            return listwise::dmpo(&chosen, &rejected, &column(&weights, &chosen)?.reshape(shape)?);
        }
        let logs: Vec<f64> =
            weights.iter().map(|&w| if w > 0.0 { w.ln() } else { listwise::PADDING }).collect();
        listwise::s_dpo(&chosen, &rejected, &column(&logs, &chosen)?.reshape(shape)?)
    }

    /// Means over pairs, weighted as the loss weighs them, times the whole weight.
    ///
    /// A reward is `beta rho(y)`; without a reference it is `beta lp(y)`, per token for simpo. `drift/*` is the mean of
    /// `rho`, so it exists with a reference only.
    fn figures(&self, terms: &LossTerms, layout: &Layout) -> Result<Vec<(&'static str, f64)>> {
        let shares = terms.shares(layout);
        let scale = terms.beta;
        let (chosen, rejected) = match terms.loss {
            PreferenceLoss::Simpo => {
                let [chosen, rejected] = self.per_token()?;
                (values(&chosen)?, values(&rejected)?)
            }
            _ => (values(&self.pair_score)?, values(&self.rejected_score)?),
        };
        let mean = |values: &[f64]| shares.iter().zip(values).map(|(share, v)| share * v).sum();
        let (rho_chosen, rho_rejected): (f64, f64) = (mean(&chosen), mean(&rejected));
        let won: f64 = shares
            .iter()
            .zip(chosen.iter().zip(&rejected))
            .filter(|(_, (chosen, rejected))| chosen > rejected)
            .map(|(share, _)| share)
            .sum();
        let mut figures = vec![
            ("rewards/chosen", scale * rho_chosen),
            ("rewards/rejected", scale * rho_rejected),
            ("rewards/margins", scale * (rho_chosen - rho_rejected)),
            ("rewards/accuracies", won),
            ("logps/chosen", mean(&values(&self.pair_chosen)?)),
            ("logps/rejected", mean(&values(&self.rejected)?)),
        ];
        if terms.loss.needs_reference() {
            figures.extend([("drift/chosen", rho_chosen), ("drift/rejected", rho_rejected)]);
        }
        Ok(figures)
    }
}

/// `lp(l)` of every pair from token log-probabilities `[pairs, length]`: `sg[shared prefix] + rest` where asked for.
fn rejected_log_probs(terms: &LossTerms, layout: &Layout, tokens: &Tensor) -> Result<Tensor> {
    if !terms.detach_prefix || layout.prefixes().iter().all(|&shared| shared == 0) {
        return tokens.sum(1);
    }
    let (pairs, length) = tokens.dims2()?;
    let shared = layout.prefixes().iter();
    let live = shared.flat_map(|&shared| {
        (0..length as u32).map(move |position| f64::from(u8::from(position >= shared)))
    });
    let live = column(&live.collect::<Vec<_>>(), tokens)?.reshape((pairs, length))?;
    let stopped = (tokens.detach() * (1.0 - &live)?)?;
    ((tokens * live)? + stopped)?.sum(1)
}

/// DPO-positive: `rho - lambda max(0, -rho)`.
fn positive(score: &Tensor, lambda: f64) -> Result<Tensor> {
    if lambda == 0.0 {
        return Ok(score.clone());
    }
    score - (score.neg()?.relu()? * lambda)?
}

/// A constant vector of the type of `like`.
fn column(values: &[f64], like: &Tensor) -> Result<Tensor> {
    Tensor::new(values, &Device::Cpu)?.to_dtype(like.dtype())
}

fn values(tensor: &Tensor) -> Result<Vec<f64>> {
    tensor.to_dtype(candle_core::DType::F64)?.to_vec1()
}

fn scalar(tensor: &Tensor) -> Result<f64> {
    tensor.to_dtype(candle_core::DType::F64)?.to_scalar()
}
