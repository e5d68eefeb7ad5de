//! One AdamW step in place; see `super::super::adamw`.

use candle_core::{DType, Result, Tensor};

use super::launch::{Argument::*, Grid, Module, module};
use crate::ops::adamw::Factors;

const KERNELS: Module = module!("adamw");

/// Shapes: all alike, `f32`; parameter and moments are written.
pub(in crate::ops) fn adamw_step(
    parameter: &Tensor,
    gradient: &Tensor,
    [first, second]: [&Tensor; 2],
    factors: &Factors,
) -> Result<()> {
    let n = parameter.elem_count();
    let gradient = gradient.to_dtype(DType::F32)?.contiguous()?;
    let arguments = [
        Tensor(parameter),
        Tensor(&gradient),
        Tensor(first),
        Tensor(second),
        U64(n as u64),
        F32(factors.decay),
        F32(factors.step_size),
        F32(factors.root_correction),
        F32(factors.beta1),
        F32(factors.beta2),
        F32(factors.epsilon),
        F32(factors.gradient_scale),
    ];
    // SAFETY: the caller has checked that all have `n` entries of `f32`.
    unsafe { KERNELS.launch("adamw", DType::F32, &Grid::Entries(n), &arguments) }
}
