//! Sums of squares; see `super::super::square_sums`.

use candle_core::{DType, Result, Tensor};

use super::launch::{Argument::*, Grid, Module, module, uninitialized};

const KERNELS: Module = module!("norm");

/// Blocks that share a tensor: enough to keep every multiprocessor reading.
const BLOCKS: usize = 1024;

/// Partial sums of `x`, `f32`, to be added up: `[blocks]`.
pub(in crate::ops) fn square_sums(x: &Tensor) -> Result<Tensor> {
    let x = x.contiguous()?;
    let n = x.elem_count();
    // SAFETY: each block writes its sum; threads stay below `n`.
    unsafe {
        let partial = uninitialized(BLOCKS, DType::F32, x.device())?;
        let arguments = [Tensor(&x), Tensor(&partial), U64(n as u64)];
        KERNELS.launch("square_sums", DType::F32, &Grid::Blocks(BLOCKS, 256), &arguments)?;
        Ok(partial)
    }
}
