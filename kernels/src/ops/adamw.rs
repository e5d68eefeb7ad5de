//! One AdamW step (arXiv:1711.05101, algorithm 2), in place and in one pass.
//!
//! The moments belong to the caller, who saves them; the step itself keeps nothing else. Every entry is
//! updated on its own, so a resumed run gives the same bits for any number of threads.

use std::borrow::Cow;
use std::sync::Mutex;

use candle_core::{CpuStorage, InplaceOp2, Layout, Result, Tensor, Var, bail};
use rayon::prelude::*;

use super::cpu::{lock, slice};
use super::cuda;

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

/// Running means of the gradient and of its square, one `f32` per entry of a parameter, where the parameter lies.
pub struct Moments(Place);

enum Place {
    Host { first: Vec<f32>, second: Vec<f32> },
    Device([Tensor; 2]),
}

impl Moments {
    /// The moments before the first step: zeros.
    ///
    /// # Errors
    /// When the device has no memory for them.
    pub fn zeros(param: &Var) -> Result<Self> {
        let n = param.elem_count();
        Self::new(param, vec![0.0; n], vec![0.0; n])
    }

    /// Moments of given values.
    ///
    /// # Errors
    /// When there is not one of each per entry of `param`, or the device has no memory for them.
    pub fn new(param: &Var, first: Vec<f32>, second: Vec<f32>) -> Result<Self> {
        let (n, given) = (param.elem_count(), [first.len(), second.len()]);
        if given != [n, n] {
            bail!(
                "{NAME}: moments of {} and {} entries for a parameter of {n}",
                given[0],
                given[1]
            );
        }
        if param.device().is_cuda() {
            let place = |values| Tensor::from_vec(values, n, param.device());
            return Ok(Self(Place::Device([place(first)?, place(second)?])));
        }
        Ok(Self(Place::Host { first, second }))
    }

    /// The means of gradient and square, in the order of the parameter's entries.
    ///
    /// # Errors
    /// When they cannot be copied from their device.
    pub fn values(&self) -> Result<[Cow<'_, [f32]>; 2]> {
        match &self.0 {
            Place::Host { first, second } => Ok([first.into(), second.into()]),
            Place::Device([first, second]) => {
                Ok([first.to_vec1()?.into(), second.to_vec1()?.into()])
            }
        }
    }

    /// Refuses moments of another parameter.
    fn check(&self, param: &Var) -> Result<()> {
        let entries = match &self.0 {
            Place::Host { first, .. } => first.len(),
            Place::Device([first, _]) => first.elem_count(),
        };
        match param.elem_count() {
            n if n == entries => Ok(()),
            n => bail!("{NAME}: moments of {entries} entries for a parameter of {n}"),
        }
    }
}

/// Updates `param` and its moments in place.
///
/// Shapes: `gradient` like `param`; `f32`.
///
/// # Errors
/// When shapes or types do not fit, or the step is 0. Nothing is changed then.
pub fn adamw_step(
    param: &Var,
    gradient: &Tensor,
    moments: &mut Moments,
    settings: &AdamW,
) -> Result<()> {
    if gradient.dims() != param.dims() {
        bail!("{NAME}: parameter {:?} and gradient {:?} do not fit", param.dims(), gradient.dims());
    }
    if settings.step == 0 {
        bail!("{NAME}: steps are counted from 1");
    }
    moments.check(param)?;
    let factors = Factors::new(settings);
    match &mut moments.0 {
        Place::Host { first, second } => in_place(param, gradient, |p, g| {
            let blocks = p.par_chunks_mut(BLOCK).zip(g.par_chunks(BLOCK));
            blocks
                .zip(first.par_chunks_mut(BLOCK).zip(second.par_chunks_mut(BLOCK)))
                .for_each(|((p, g), (m, v))| update(p, g, m, v, factors));
        }),
        Place::Device([first, second]) => {
            cuda::adamw_step(param.as_tensor(), gradient, [first, second], &factors)
        }
    }
}

/// Updates some rows of `param` and of its moments in place, as [`adamw_step`] does all of them; the others, and their
/// moments, stay as they are.
///
/// Shapes: `param [n, d]`, `rows` ascending, each once; `gradient [rows, d]`; `f32` on the CPU.
///
/// # Errors
/// When shapes, types or rows do not fit, or the step is 0. Nothing is changed then.
pub fn adamw_rows_step(
    param: &Var,
    rows: &[u32],
    gradient: &Tensor,
    moments: &mut Moments,
    settings: &AdamW,
) -> Result<()> {
    let (n_rows, width) = param.dims2()?;
    if gradient.dims() != [rows.len(), width] {
        bail!(
            "{NAME}: a gradient {:?} does not fit {} rows of {width}",
            gradient.dims(),
            rows.len()
        );
    }
    let ascending = rows.windows(2).all(|pair| pair[0] < pair[1]);
    if !ascending || rows.last().is_some_and(|row| *row as usize >= n_rows) {
        bail!("{NAME}: rows must be ascending, each once, and below {n_rows}");
    }
    if settings.step == 0 {
        bail!("{NAME}: steps are counted from 1");
    }
    moments.check(param)?;
    let factors = Factors::new(settings);
    match &mut moments.0 {
        Place::Host { first, second } => in_place(param, gradient, |p, g| {
            for (row, g) in rows.iter().zip(g.chunks_exact(width.max(1))) {
                let at = *row as usize * width..(*row as usize + 1) * width;
                let (m, v) = (&mut first[at.clone()], &mut second[at.clone()]);
                update(&mut p[at], g, m, v, factors);
            }
        }),
        Place::Device(_) => bail!("{NAME}: a step of some rows has no implementation on a GPU"),
    }
}

/// Runs `work` on the entries of `param` and of `gradient`, once.
fn in_place(param: &Var, gradient: &Tensor, work: impl FnOnce(&mut [f32], &[f32])) -> Result<()> {
    let op = InPlace(Mutex::new(Some(work)));
    param.as_tensor().inplace_op2(&gradient.contiguous()?, &op)
}

/// Behind a lock only because candle hands an operation out by shared reference.
struct InPlace<F>(Mutex<Option<F>>);

impl<F: FnOnce(&mut [f32], &[f32])> InplaceOp2 for InPlace<F> {
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
        if let Some(work) = lock(&self.0).take() {
            work(&mut p[start..end], g);
        }
        Ok(())
    }
}

/// The step's constants in the form the inner loop uses.
#[derive(Clone, Copy)]
pub(super) struct Factors {
    pub(super) decay: f32,
    pub(super) step_size: f32,
    pub(super) root_correction: f32,
    pub(super) beta1: f32,
    pub(super) beta2: f32,
    pub(super) epsilon: f32,
    pub(super) gradient_scale: f32,
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
        let mut moments = Moments::zeros(&ours).unwrap();
        for step in 1..=20 {
            let target = random(&[123, 7], 100 + step);
            let gradient = (ours.as_tensor() - &target).unwrap();
            // Twice the gradient at half the scale: the scale must be applied before the moments.
            let scaled = (gradient * 2.0).unwrap().detach();
            let settings = AdamW { step, gradient_scale: 0.5, ..SETTINGS };
            adamw_step(&ours, &scaled, &mut moments, &settings).unwrap();
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
            let mut moments = Moments::zeros(&param).unwrap();
            for step in 1..=6 {
                if step == stop {
                    param = Var::from_vec(values(&param), 40_000, param.device()).unwrap();
                    let [first, second] = moments.values().unwrap().map(Cow::into_owned);
                    moments = Moments::new(&param, first, second).unwrap();
                }
                let settings = AdamW { step, ..SETTINGS };
                let gradient = random(&[40_000], step + 10);
                pool.install(|| adamw_step(&param, &gradient, &mut moments, &settings)).unwrap();
            }
            values(&param)
        };
        assert!(run(1, 0) == run(3, 4));
    }

    #[test]
    fn a_step_of_some_rows_moves_them_as_a_step_of_all_does_and_no_others() {
        let start = random(&[6, 3], 1);
        let (some, all) = (Var::from_tensor(&start).unwrap(), Var::from_tensor(&start).unwrap());
        let mut moments = [&some, &all].map(|var| Moments::zeros(var).unwrap());
        let gradient = random(&[2, 3], 2);
        let zero = Tensor::zeros((2, 3), candle_core::DType::F32, gradient.device()).unwrap();
        let [first, last] = [0, 1].map(|row| gradient.narrow(0, row, 1).unwrap());
        let dense = Tensor::cat(&[&zero, &first, &zero, &last], 0).unwrap();
        adamw_rows_step(&some, &[2, 5], &gradient, &mut moments[0], &SETTINGS).unwrap();
        adamw_step(&all, &dense, &mut moments[1], &SETTINGS).unwrap();
        let (some, all, start) = (values(&some), values(&all), start.flatten_all().unwrap());
        let start = start.to_vec1::<f32>().unwrap();
        for row in 0..6 {
            let at = 3 * row..3 * (row + 1);
            let expected = if row == 2 || row == 5 { &all } else { &start };
            assert_eq!(some[at.clone()], expected[at]);
        }
        assert_eq!(moments[0].values().unwrap(), moments[1].values().unwrap());
        let table = Var::from_tensor(&random(&[6, 3], 1)).unwrap();
        for rows in [&[5, 2][..], &[2, 2], &[2, 6], &[2]] {
            let told = adamw_rows_step(&table, rows, &gradient, &mut moments[0], &SETTINGS);
            assert!(told.is_err(), "{rows:?}");
        }
    }

    #[test]
    fn misfits_change_nothing() {
        let param = Var::from_tensor(&random(&[4], 1)).unwrap();
        let before = values(&param);
        assert!(Moments::new(&param, vec![0.0; 4], vec![0.0; 3]).is_err());
        let other = Var::from_tensor(&random(&[3], 1)).unwrap();
        let mut moments = Moments::zeros(&other).unwrap();
        assert!(adamw_step(&param, &random(&[4], 2), &mut moments, &SETTINGS).is_err());
        let mut moments = Moments::zeros(&param).unwrap();
        assert!(adamw_step(&param, &random(&[3], 2), &mut moments, &SETTINGS).is_err());
        let settings = AdamW { step: 0, ..SETTINGS };
        assert!(adamw_step(&param, &random(&[4], 2), &mut moments, &settings).is_err());
        assert_eq!(before, values(&param));
    }
}
