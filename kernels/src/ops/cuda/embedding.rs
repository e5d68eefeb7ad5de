//! Rows of a table by id; see `super::super::embedding`.

use candle_core::{DType, Result, Tensor};

use super::launch::{Argument::*, Grid, Module, module};
use crate::ops::operation::Passes;

const KERNELS: Module = module!("embedding");

/// Threads of a block that adds up one row.
const THREADS: u32 = 256;

/// Shapes: `ids [tokens]`, all inside the table; `table [rows, d]`; result `[tokens, d]`, of the type of the table. The
/// gradient is summed in `f32`.
pub(in crate::ops) fn embedding(ids: &[u32], table: &Tensor) -> Result<Passes<1>> {
    let (rows, ids) = (select(ids, table)?, ids.to_vec());
    Ok(Passes::new(rows, move |[table], g| Ok([Some(gradient(&ids, 0, table, g)?)])))
}

/// The value of [`embedding`] alone.
pub(in crate::ops) fn select(ids: &[u32], table: &Tensor) -> Result<Tensor> {
    table.index_select(&Tensor::new(ids, table.device())?, 0)
}

/// As [`embedding`], in a table of frozen rows of any type followed by trained ones; result of the type of the frozen rows.
pub(in crate::ops) fn embedding_rows(
    ids: &[u32],
    frozen: &Tensor,
    trained: &Tensor,
) -> Result<Passes<1>> {
    let before = frozen.dims()[0] as u32;
    // The wanted rows of both tables behind one another, then those in the order of the tokens.
    let (old, new): (Vec<u32>, Vec<u32>) = ids.iter().partition(|id| **id < before);
    let mut next = [0, old.len() as u32];
    let place = |id: &u32| {
        let next = &mut next[usize::from(*id >= before)];
        *next += 1;
        *next - 1
    };
    let places: Vec<u32> = ids.iter().map(place).collect();
    let new: Vec<u32> = new.iter().map(|id| id - before).collect();
    let mut parts = Vec::new();
    for (table, ids) in [(frozen, old), (trained, new)] {
        if !ids.is_empty() {
            parts.push(select(&ids, table)?.to_dtype(frozen.dtype())?);
        }
    }
    let (rows, ids) = (select(&places, &Tensor::cat(&parts, 0)?)?, ids.to_vec());
    Ok(Passes::new(rows, move |[trained], g| Ok([Some(gradient(&ids, before, trained, g)?)])))
}

/// The gradient of a table whose first row has the id `first`; smaller ids are rows of another.
fn gradient(ids: &[u32], first: u32, table: &Tensor, g: &Tensor) -> Result<Tensor> {
    let g = g.contiguous()?;
    let (device, (_, width)) = (g.device(), table.dims2()?);
    // Tokens in the order of their ids, those of one id in their own order.
    let mut order: Vec<u32> =
        (0..ids.len() as u32).filter(|token| ids[*token as usize] >= first).collect();
    order.sort_by_key(|token| ids[*token as usize]);
    let (mut rows, mut starts) = (Vec::new(), Vec::new());
    for (place, token) in order.iter().enumerate() {
        let row = ids[*token as usize] - first;
        if rows.last() != Some(&row) {
            rows.push(row);
            starts.push(place as u32);
        }
    }
    starts.push(order.len() as u32);
    let out = Tensor::zeros(table.shape(), DType::F32, device)?;
    let n_rows = rows.len();
    if n_rows == 0 {
        return out.to_dtype(table.dtype());
    }
    let (rows, starts, order) =
        (Tensor::new(rows, device)?, Tensor::new(starts, device)?, Tensor::new(order, device)?);
    let arguments =
        [Tensor(&g), Tensor(&rows), Tensor(&starts), Tensor(&order), Tensor(&out), U32(width)];
    // SAFETY: ids are rows of the table, and `order` holds tokens of `g`.
    unsafe {
        KERNELS.launch(
            "embedding_backward",
            g.dtype(),
            &Grid::Blocks(n_rows, THREADS),
            &arguments,
        )?;
    }
    out.to_dtype(table.dtype())
}
