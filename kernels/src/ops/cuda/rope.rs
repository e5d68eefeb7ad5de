//! Rotary position embedding; see `super::super::rope`.

use candle_core::{Result, Tensor};

use super::launch::{Argument::*, Grid, Module, module, uninitialized};
use crate::ops::operation::Passes;

const KERNELS: Module = module!("rope");

/// Shapes: `x [tokens, heads, 2 half]`; `cosines` and `sines [positions, half]`, `f32`; `positions [tokens]`, `u32`, all
/// inside the tables; result like `x`.
pub(in crate::ops) fn rope(
    x: &Tensor,
    [cosines, sines]: &[Tensor; 2],
    positions: &Tensor,
) -> Result<Passes<1>> {
    let (cosines, sines, positions) = (cosines.clone(), sines.clone(), positions.clone());
    let rotated = move |x: &Tensor, direction: f32| {
        let x = x.contiguous()?;
        let (tokens, heads, head_dim) = x.dims3()?;
        let half = head_dim / 2;
        // SAFETY: a thread for each pair of entries writes both; the caller has checked positions and widths.
        unsafe {
            let y = uninitialized(x.shape(), x.dtype(), x.device())?;
            let arguments = [
                Tensor(&x),
                Tensor(&cosines),
                Tensor(&sines),
                Tensor(&positions),
                Tensor(&y),
                U32(tokens),
                U32(heads),
                U32(half),
                F32(direction),
            ];
            KERNELS.launch("rope", x.dtype(), &Grid::Entries(tokens * heads * half), &arguments)?;
            Ok::<_, candle_core::Error>(y)
        }
    };
    Ok(Passes::new(rotated(x, 1.0)?, move |_, g| Ok([Some(rotated(g, -1.0)?)])))
}
