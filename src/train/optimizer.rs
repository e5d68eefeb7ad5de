//! AdamW (arXiv 1711.05101) over named f32 parameters, with its whole state in the open.
//!
//! A gradient of some rows moves those rows alone (see [`super::rows`]). Norms, biases, embeddings and rows of added tokens are never decayed; matrices are, those of adapters
//! included. The global gradient norm is summed in `f64` in a
//! fixed order, so that the same step gives the same bits whatever the threads do.

use candle_core::Tensor;
use trieval_kernels::ops::{self, Moments, adamw_rows_step, adamw_step};

use super::Parameters;
use super::course::settings::OptimizerSettings;
use super::rows::Gradient;
use crate::error::Result;

/// The optimiser and its state.
pub struct AdamW {
    settings: OptimizerSettings,
    moments: Vec<Moments>,
    decayed: Vec<bool>,
}

impl AdamW {
    /// State of zeros for `parameters`, each where its parameter lies.
    ///
    /// # Errors
    /// When a device has no memory for it.
    pub fn new(settings: &OptimizerSettings, parameters: &Parameters) -> Result<Self> {
        let zeros = parameters.iter().map(|(_, var)| Moments::zeros(var));
        Ok(Self {
            settings: settings.clone(),
            moments: zeros.collect::<candle_core::Result<_>>()?,
            decayed: parameters.iter().map(|(name, var)| decays(name, var.rank())).collect(),
        })
    }

    /// The state, in the order of the parameters.
    pub fn moments(&self) -> &[Moments] {
        &self.moments
    }

    /// Replaces the state, in the order of the parameters; lengths must agree.
    pub fn restore(&mut self, moments: Vec<Moments>) {
        self.moments = moments;
    }

    /// Moves `parameters` by one step against `gradients` (same order), scaled by `scale`.
    ///
    /// `step` counts from 0 and corrects the bias of the moments.
    ///
    /// # Errors
    /// When a shape or dtype does not fit.
    pub fn step(
        &mut self,
        parameters: &Parameters,
        gradients: &[Gradient],
        scale: f64,
        learning_rate: f64,
        step: u64,
    ) -> Result<()> {
        for (idx, ((_, var), gradient)) in parameters.iter().zip(gradients).enumerate() {
            let moments = &mut self.moments[idx];
            let hyper = ops::AdamW {
                learning_rate,
                beta1: self.settings.betas[0],
                beta2: self.settings.betas[1],
                epsilon: self.settings.epsilon,
                weight_decay: if self.decayed[idx] { self.settings.weight_decay } else { 0.0 },
                gradient_scale: scale,
                step: step + 1,
            };
            match gradient {
                Gradient::Dense(values) => adamw_step(var, values, moments, &hyper)?,
                Gradient::Rows { rows, values } => {
                    adamw_rows_step(var, rows, values, moments, &hyper)?;
                }
            }
        }
        Ok(())
    }
}

/// Whether weight decay applies to a parameter.
fn decays(name: &str, rank: usize) -> bool {
    rank >= 2 && !name.contains("embed") && !name.contains(".token_adapter.")
}

/// Norm of all gradients together.
///
/// # Errors
/// When a gradient is not an f32 tensor.
pub fn global_norm<'a>(gradients: impl IntoIterator<Item = &'a Tensor>) -> Result<f64> {
    Ok(ops::square_sum(gradients)?.sqrt())
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn equals_the_published_update_worked_by_hand() {
        let weights = Var::new(&[[1.0f32, -2.0]], &Device::Cpu).expect("var");
        let parameters = vec![("proj.weight".to_owned(), weights.clone())];
        let settings = OptimizerSettings {
            betas: [0.9, 0.99],
            epsilon: 1e-8,
            weight_decay: 0.1,
            ..Default::default()
        };
        let mut optimizer = AdamW::new(&settings, &parameters).expect("optimizer");
        let gradient = Tensor::new(&[[0.5f32, -4.0]], &Device::Cpu).expect("tensor");
        optimizer.step(&parameters, &[Gradient::Dense(gradient)], 1.0, 0.01, 0).expect("step");
        // First step: both bias-corrected moments equal g and g², so the move is lr * sign(g),
        // after the decay w *= 1 - lr * 0.1.
        let got = weights.to_vec2::<f32>().expect("values");
        assert!((got[0][0] - (1.0 * 0.999 - 0.01)).abs() < 1e-6);
        assert!((got[0][1] - (-2.0 * 0.999 + 0.01)).abs() < 1e-6);
    }

    #[test]
    fn norms_and_embeddings_do_not_decay() {
        let var =
            |shape: &[usize]| Var::ones(shape, candle_core::DType::F32, &Device::Cpu).expect("var");
        let parameters = vec![
            ("model.embed_tokens.weight".to_owned(), var(&[3, 2])),
            ("model.norm.weight".to_owned(), var(&[2])),
            ("mlp.up_proj.weight".to_owned(), var(&[2, 2])),
        ];
        let mut optimizer =
            AdamW::new(&OptimizerSettings::default(), &parameters).expect("optimizer");
        let zeros = |v: &Var| Gradient::Dense(v.as_tensor().zeros_like().expect("zeros"));
        let zeros: Vec<Gradient> = parameters.iter().map(|(_, v)| zeros(v)).collect();
        optimizer.step(&parameters, &zeros, 1.0, 0.1, 0).expect("step");
        let first = |i: usize| {
            parameters[i].1.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("v")[0]
        };
        assert_eq!(first(0), 1.0);
        assert_eq!(first(1), 1.0);
        assert!((first(2) - (1.0 - 0.1 * 0.01)).abs() < 1e-7);
    }

    #[test]
    fn matrices_decay_and_adapters_are_matrices() {
        let cases = [
            ("model.layers.0.self_attn.q_proj.weight", 2, true),
            ("model.layers.0.self_attn.q_proj.bias", 1, false),
            ("model.layers.0.self_attn.q_norm.weight", 1, false),
            ("model.layers.0.mlp.up_proj.lora_A.weight", 2, true),
            ("model.layers.0.mlp.up_proj.lora_B.weight", 2, true),
            ("lm_head.weight", 2, true),
            ("model.embed_tokens.weight", 2, false),
            ("model.embed_tokens.token_adapter.trainable_tokens_delta", 2, false),
            ("lm_head.token_adapter.trainable_tokens_delta", 2, false),
        ];
        for (name, rank, expected) in cases {
            assert_eq!(decays(name, rank), expected, "{name}");
        }
    }

    #[test]
    fn norm_is_over_all_gradients() {
        let a = Tensor::new(&[3.0f32], &Device::Cpu).expect("tensor");
        let b = Tensor::new(&[[4.0f32]], &Device::Cpu).expect("tensor");
        assert!((global_norm([&a, &b]).expect("norm") - 5.0).abs() < 1e-12);
    }
}
