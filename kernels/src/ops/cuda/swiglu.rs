//! SwiGLU gate; see `super::super::swiglu`.

use candle_core::{Result, Tensor};

use super::launch::{Argument::*, Grid, Module, module, uninitialized};
use crate::ops::operation::Passes;

const KERNELS: Module = module!("swiglu");

/// Shapes: all alike.
pub(in crate::ops) fn swiglu([gate, up]: [&Tensor; 2]) -> Result<Passes<2>> {
    let y = swiglu_forward(gate, up)?;
    Ok(Passes::new(y, |[gate, up], g| Ok(swiglu_backward(gate, up, g)?.map(Some))))
}

/// The value; both contiguous.
pub(super) fn swiglu_forward(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    let n = gate.elem_count();
    // SAFETY: the kernel writes every entry; shapes are equal.
    unsafe {
        let y = uninitialized(gate.shape(), gate.dtype(), gate.device())?;
        let arguments = [Tensor(gate), Tensor(up), Tensor(&y), U64(n as u64)];
        KERNELS.launch("swiglu", gate.dtype(), &Grid::Entries(n), &arguments)?;
        Ok(y)
    }
}

/// The gradients of both.
pub(super) fn swiglu_backward(gate: &Tensor, up: &Tensor, g: &Tensor) -> Result<[Tensor; 2]> {
    let (g, n) = (g.contiguous()?, gate.elem_count());
    // SAFETY: the kernel writes every entry of both gradients.
    unsafe {
        let d_gate = uninitialized(gate.shape(), gate.dtype(), gate.device())?;
        let d_up = uninitialized(gate.shape(), gate.dtype(), gate.device())?;
        let arguments =
            [Tensor(gate), Tensor(up), Tensor(&g), Tensor(&d_gate), Tensor(&d_up), U64(n as u64)];
        KERNELS.launch("swiglu_backward", gate.dtype(), &Grid::Entries(n), &arguments)?;
        Ok([d_gate, d_up])
    }
}
