//! AdamW (arXiv 1711.05101) over named f32 parameters, with its whole state in the open.
//!
//! A gradient of some rows moves those rows alone (see [`super::rows`]). Weight decay acts on the
//! parameters that say so. The global gradient norm is summed in `f64` in a fixed order, so that the
//! same step gives the same bits whatever the threads do.

use candle_core::Tensor;
use trieval_kernels::ops::{self, Moments, adamw_rows_step, adamw_step};

use super::course::settings::OptimizerSettings;
use super::rows::Gradient;
use crate::error::Result;
use crate::model::{Parameter, Parameters};

/// The optimiser and its state.
pub struct AdamW {
    settings: OptimizerSettings,
    moments: Vec<Moments>,
}

impl AdamW {
    /// State of zeros for `parameters`, each where its parameter lies.
    ///
    /// # Errors
    /// When a device has no memory for it.
    pub fn new(settings: &OptimizerSettings, parameters: &Parameters) -> Result<Self> {
        let zeros = parameters.vars().map(Moments::zeros);
        Ok(Self { settings: settings.clone(), moments: zeros.collect::<candle_core::Result<_>>()? })
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
        let all = parameters.iter().zip(gradients).zip(&mut self.moments);
        for ((Parameter { var, decays, .. }, gradient), moments) in all {
            let hyper = ops::AdamW {
                learning_rate,
                beta1: self.settings.betas[0],
                beta2: self.settings.betas[1],
                epsilon: self.settings.epsilon,
                weight_decay: if *decays { self.settings.weight_decay } else { 0.0 },
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
        let parameter = Parameter { name: "proj".into(), var: weights.clone(), decays: true };
        let parameters = [parameter].into_iter().collect();
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
    fn what_says_so_decays_and_nothing_else() {
        let ones = Tensor::ones((2, 2), candle_core::DType::F32, &Device::Cpu).expect("ones");
        let parameters: Parameters = [("decays", true), ("stays", false)]
            .map(|(name, decays)| {
                let var = Var::from_tensor(&ones).expect("var");
                Parameter { name: name.into(), var, decays }
            })
            .into_iter()
            .collect();
        let mut optimizer =
            AdamW::new(&OptimizerSettings::default(), &parameters).expect("optimizer");
        let zeros = ones.zeros_like().expect("zeros");
        let zeros = [Gradient::Dense(zeros.clone()), Gradient::Dense(zeros)];
        optimizer.step(&parameters, &zeros, 1.0, 0.1, 0).expect("step");
        let first = |name: &str| {
            let var = parameters.var(name).expect("a parameter");
            var.to_vec2::<f32>().expect("values")[0][0]
        };
        assert!((first("decays") - (1.0 - 0.1 * 0.01)).abs() < 1e-7);
        assert_eq!(first("stays"), 1.0);
    }

    #[test]
    fn norm_is_over_all_gradients() {
        let a = Tensor::new(&[3.0f32], &Device::Cpu).expect("tensor");
        let b = Tensor::new(&[[4.0f32]], &Device::Cpu).expect("tensor");
        assert!((global_norm([&a, &b]).expect("norm") - 5.0).abs() < 1e-12);
    }
}
