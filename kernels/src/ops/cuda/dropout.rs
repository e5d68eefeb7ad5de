//! Dropout by keys; see `super::super::dropout`.

use candle_core::{Result, Tensor};

use super::launch::{Argument::*, Grid, Module, module, uninitialized};
use crate::ops::mask::Mask;
use crate::ops::operation::Passes;

const KERNELS: Module = module!("dropout");

/// Shapes: `x [tokens, width]`, `mask.keys [tokens]`; result like `x`.
pub(in crate::ops) fn dropout(x: &Tensor, mask: &Mask) -> Result<Passes<1>> {
    let keys: Vec<i64> = mask.keys.iter().map(|key| *key as i64).collect();
    let keys = Tensor::new(keys, x.device())?;
    let (stream, threshold, factor) = (mask.stream, mask.threshold, mask.factor);
    let dropped = move |x: &Tensor| {
        let x = x.contiguous()?;
        let (tokens, width) = x.dims2()?;
        // SAFETY: a thread for each pair of entries of a row writes them; there is a key per row.
        unsafe {
            let y = uninitialized(x.shape(), x.dtype(), x.device())?;
            let arguments = [
                Tensor(&x),
                Tensor(&keys),
                Tensor(&y),
                U32(tokens),
                U32(width),
                U64(stream),
                U32(threshold as usize),
                F32(factor),
            ];
            KERNELS.launch(
                "dropout",
                x.dtype(),
                &Grid::Entries(tokens * width.div_ceil(2)),
                &arguments,
            )?;
            Ok::<_, candle_core::Error>(y)
        }
    };
    Ok(Passes::new(dropped(x)?, move |_, g| Ok([Some(dropped(g)?)])))
}
