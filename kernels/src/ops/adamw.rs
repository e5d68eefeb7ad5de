//! One AdamW step (arXiv:1711.05101, algorithm 2), in place and in one pass.
//!
//! The moments belong to the caller, who saves them; the step itself keeps nothing. Every entry is
//! updated on its own, so a resumed run gives the same bits for any number of threads.

use std::sync::Mutex;

use candle_core::{CpuStorage, InplaceOp2, Layout, Result, Tensor, Var, bail};
use rayon::prelude::*;

use super::cpu::{lock, slice};

const NAME: &str = "adamw";

/// Entries per task.
const BLOCK: usize = 1 << 14;

/// What one step needs to know beside the gradient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// Learning rate of this step, schedule applied.
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay: each step multiplies the parameter by `1 − learning_rate * weight_decay`.
    pub weight_decay: f64,
    /// Number of this step, counted from 1; corrects the bias of the moments.
    pub step: u64,
    /// The gradient is multiplied by this first: clipping by the global norm costs no pass of its own.
    pub gradient_scale: f64,
}

/// Updates `param` and its moments in place.
///
/// Shapes: `gradient` like `param`; `first` and `second` hold one `f32` per entry and start at 0.
///
/// # Errors
/// When shapes or types do not fit, or the step is 0. Nothing is changed then.
pub fn adamw_step(
    param: &Var,
    gradient: &Tensor,
    first: &mut [f32],
    second: &mut [f32],
    settings: &AdamW,
) -> Result<()> {
    let n = param.elem_count();
    if gradient.dims() != param.dims() || first.len() != n || second.len() != n {
        bail!(
            "{NAME}: parameter {:?}, gradient {:?} and moments of {} and {} entries do not fit",
            param.dims(),
            gradient.dims(),
            first.len(),
            second.len()
        );
    }
    if settings.step == 0 {
        bail!("{NAME}: steps are counted from 1");
    }
    let op = Step { settings: *settings, moments: Mutex::new((first, second)) };
    param.as_tensor().inplace_op2(&gradient.contiguous()?, &op)
}

struct Step<'a> {
    settings: AdamW,
    /// Behind a lock only because candle hands the operation out by shared reference.
    moments: Mutex<(&'a mut [f32], &'a mut [f32])>,
}

/// The step's constants in the form the inner loop uses.
#[derive(Clone, Copy)]
struct Factors {
    decay: f32,
    step_size: f32,
    root_correction: f32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    gradient_scale: f32,
}

impl Factors {
    fn new(settings: &AdamW) -> Self {
        let step = settings.step as f64;
        let correction1 = 1.0 - settings.beta1.powf(step);
        let correction2 = 1.0 - settings.beta2.powf(step);
        Self {
            decay: (1.0 - settings.learning_rate * settings.weight_decay) as f32,
            step_size: (settings.learning_rate / correction1) as f32,
            root_correction: (1.0 / correction2.sqrt()) as f32,
            beta1: settings.beta1 as f32,
            beta2: settings.beta2 as f32,
            epsilon: settings.epsilon as f32,
            gradient_scale: settings.gradient_scale as f32,
        }
    }
}

vectorized! {
    fn update(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], f: Factors) {
        for (((p, g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
            let g = *g * f.gradient_scale;
            *m = f.beta1 * *m + (1.0 - f.beta1) * g;
            *v = f.beta2 * *v + (1.0 - f.beta2) * g * g;
            let root = v.sqrt() * f.root_correction + f.epsilon;
            *p = *p * f.decay - f.step_size * *m / root;
        }
    }
}

impl InplaceOp2 for Step<'_> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        param: &mut CpuStorage,
        param_layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> Result<()> {
        let g = slice(gradient, gradient_layout, NAME)?;
        let (CpuStorage::F32(p), Some((start, end))) = (param, param_layout.contiguous_offsets())
        else {
            bail!("{NAME}: expected a contiguous f32 parameter");
        };
        let mut moments = lock(&self.moments);
        let (first, second) = &mut *moments;
        let factors = Factors::new(&self.settings);
        let blocks = p[start..end].par_chunks_mut(BLOCK).zip(g.par_chunks(BLOCK));
        blocks
            .zip(first.par_chunks_mut(BLOCK).zip(second.par_chunks_mut(BLOCK)))
            .for_each(|((p, g), (m, v))| update(p, g, m, v, factors));
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use candle_nn::Optimizer;

    use super::*;
    use crate::ops::testing::random;

    const SETTINGS: AdamW = AdamW {
        learning_rate: 1e-2,
        beta1: 0.9,
        beta2: 0.99,
        epsilon: 1e-8,
        weight_decay: 0.1,
        step: 1,
        gradient_scale: 1.0,
    };

    fn values(v: &Var) -> Vec<f32> {
        v.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn follows_the_reference_optimizer() {
        let start = random(&[123, 7], 1);
        let (ours, theirs) = (Var::from_tensor(&start).unwrap(), Var::from_tensor(&start).unwrap());
        let params = candle_nn::ParamsAdamW {
            lr: SETTINGS.learning_rate,
            beta1: SETTINGS.beta1,
            beta2: SETTINGS.beta2,
            eps: SETTINGS.epsilon,
            weight_decay: SETTINGS.weight_decay,
        };
        let mut reference = candle_nn::AdamW::new(vec![theirs.clone()], params).unwrap();
        let (mut m, mut v) = (vec![0f32; 861], vec![0f32; 861]);
        for step in 1..=20 {
            let target = random(&[123, 7], 100 + step);
            let gradient = (ours.as_tensor() - &target).unwrap();
            // Twice the gradient at half the scale: the scale must be applied before the moments.
            let scaled = (gradient * 2.0).unwrap().detach();
            let settings = AdamW { step, gradient_scale: 0.5, ..SETTINGS };
            adamw_step(&ours, &scaled, &mut m, &mut v, &settings).unwrap();
            let loss = ((theirs.as_tensor() - &target).unwrap().sqr().unwrap() * 0.5).unwrap();
            reference.backward_step(&loss.sum_all().unwrap()).unwrap();
        }
        for (a, b) in values(&ours).iter().zip(values(&theirs)) {
            assert!((a - b).abs() < 2e-5, "{a} {b}");
        }
    }

    #[test]
    fn a_resumed_run_gives_the_same_bits_on_any_number_of_threads() {
        let run = |threads: usize, stop: u64| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut param = Var::from_tensor(&random(&[40_000], 1)).unwrap();
            let (mut m, mut v) = (vec![0f32; 40_000], vec![0f32; 40_000]);
            for step in 1..=6 {
                if step == stop {
                    param = Var::from_vec(values(&param), 40_000, param.device()).unwrap();
                    (m, v) = (m.clone(), v.clone());
                }
                let settings = AdamW { step, ..SETTINGS };
                let gradient = random(&[40_000], step + 10);
                pool.install(|| adamw_step(&param, &gradient, &mut m, &mut v, &settings)).unwrap();
            }
            values(&param)
        };
        assert!(run(1, 0) == run(3, 4));
    }

    #[test]
    fn misfits_change_nothing() {
        let param = Var::from_tensor(&random(&[4], 1)).unwrap();
        let before = values(&param);
        let (mut m, mut v) = (vec![0f32; 4], vec![0f32; 3]);
        assert!(adamw_step(&param, &random(&[4], 2), &mut m, &mut v, &SETTINGS).is_err());
        let settings = AdamW { step: 0, ..SETTINGS };
        assert!(adamw_step(&param, &random(&[4], 2), &mut m, &mut [0f32; 4], &settings).is_err());
        assert_eq!(before, values(&param));
    }
}
