//! Root-mean-square normalization; see `super::super::rms_norm`.

use candle_core::{DType, Result, Tensor};

use super::launch::{Argument::*, Grid, Module, module, uninitialized};
use crate::ops::operation::Passes;

const KERNELS: Module = module!("rms_norm");

/// Rows whose share of the weight's gradient one block adds up.
const CHUNK: usize = 256;

/// Shapes: `x [.., d]`, `weight [d]`, `f32`; result like `x`.
pub(in crate::ops) fn rms_norm([x, weight]: [&Tensor; 2], eps: f32) -> Result<Passes<2>> {
    let width = weight.elem_count();
    let rows = x.elem_count() / width.max(1);
    let (dtype, device) = (x.dtype(), x.device());
    // SAFETY: the kernel writes every entry of both; all tensors have the entries of `rows` rows of `width`.
    let (y, inverse) = unsafe {
        let y = uninitialized(x.shape(), dtype, device)?;
        let inverse = uninitialized(rows, DType::F32, device)?;
        let arguments = [
            Tensor(x),
            Tensor(weight),
            Tensor(&y),
            Tensor(&inverse),
            U32(rows),
            U32(width),
            F32(eps),
        ];
        KERNELS.launch("rms_norm", dtype, &Grid::Rows(rows), &arguments)?;
        (y, inverse)
    };
    Ok(Passes::new(y, move |[x, weight], g| {
        let g = g.contiguous()?;
        let chunks = rows.div_ceil(CHUNK);
        // SAFETY: the kernels write every entry of `dx` and `partial`; all tensors have the entries of `rows` rows of `width`.
        unsafe {
            let dx = uninitialized(x.shape(), dtype, x.device())?;
            let arguments = [
                Tensor(x),
                Tensor(weight),
                Tensor(&g),
                Tensor(&inverse),
                Tensor(&dx),
                U32(rows),
                U32(width),
            ];
            KERNELS.launch("rms_norm_backward", dtype, &Grid::Rows(rows), &arguments)?;
            if !weight.track_op() {
                return Ok([Some(dx), None]);
            }
            let partial = uninitialized((chunks, width), DType::F32, x.device())?;
            let arguments = [
                Tensor(x),
                Tensor(&g),
                Tensor(&inverse),
                Tensor(&partial),
                U32(rows),
                U32(width),
                U32(CHUNK),
            ];
            KERNELS.launch(
                "rms_norm_weight",
                dtype,
                &Grid::Plane(width.div_ceil(32), chunks),
                &arguments,
            )?;
            Ok([Some(dx), Some(partial.sum(0)?)])
        }
    }))
}
