//! Rows of a table by id, with a gradient that costs what the ids cost.

use candle_core::{DType, Device, Result, Tensor, bail};

use super::buffer::new_rows;
use super::cpu::{tensor, with_slices};
use super::cuda;
use super::frozen::{Frozen, frozen, with_frozen, with_frozen_if_any};
use super::operation::{Passes, operation};
use super::simd::axpy;

const NAME: &str = "embedding";

/// Rows of a table copied, or summed into, by one task.
const ROW_BLOCK: usize = 64;

/// The rows of `table` that `ids` name.
///
/// Shapes: `ids [tokens]`, `u32`; `table [vocab, d]`, `f32`; result `[tokens, d]`. Differentiable in `table`: its
/// gradient is summed over the tokens of each id in the order of tokens.
///
/// # Errors
/// When shapes or types do not fit, or an id lies outside the table.
pub fn embedding(ids: &Tensor, table: &Tensor) -> Result<Tensor> {
    let ids = &checked(ids, table.dims2()?.0)?;
    operation(
        NAME,
        [table],
        |[table]| host(ids, None, table),
        |[table]| cuda::embedding(ids, table),
    )
}

/// The rows that `ids` name in a table of frozen rows followed by trained ones.
///
/// Shapes: `ids [tokens]`, `u32`; `frozen_rows [v0, d]`, `f32`, `bf16` or `f16`; `new_rows [v1, d]`, `f32`; result
/// `[tokens, d]`, `f32`. Differentiable in `new_rows` only; without them nothing is.
///
/// # Errors
/// As [`embedding`].
pub fn embedding_rows(
    ids: &Tensor,
    frozen_rows: &Tensor,
    new_rows: Option<&Tensor>,
) -> Result<Tensor> {
    let (v0, width) = frozen_rows.dims2()?;
    let n_new = match new_rows {
        Some(rows) if rows.dims2()?.1 != width => {
            bail!("{NAME}: frozen rows {:?} and new rows {:?} do not fit", [v0, width], rows.dims())
        }
        Some(rows) => rows.dims()[0],
        None => 0,
    };
    let ids = &checked(ids, v0 + n_new)?;
    let old = &frozen(frozen_rows, NAME)?;
    match new_rows {
        Some(new) => operation(
            NAME,
            [new],
            |[new]| host(ids, Some(old), new),
            |[new]| cuda::embedding_rows(ids, old, new),
        ),
        None if old.device().is_cuda() => cuda::select(ids, old),
        None => {
            let rows = with_frozen(old, NAME, |old| Ok(named(ids, Some(old), &[], width)))?;
            Tensor::from_vec(rows, (ids.len(), width), &Device::Cpu)
        }
    }
}

fn checked(ids: &Tensor, vocab: usize) -> Result<Vec<u32>> {
    if ids.dtype() != DType::U32 {
        bail!("{NAME}: expected u32 ids, got {}", ids.dtype().as_str());
    }
    let ids = ids.to_vec1::<u32>()?;
    match ids.iter().find(|id| **id as usize >= vocab) {
        Some(id) => bail!("{NAME}: id {id} is outside the table of {vocab} rows"),
        None => Ok(ids),
    }
}

/// The rows that `ids` name in `frozen` and, behind it, `table`.
fn named(ids: &[u32], frozen: Option<Frozen<'_>>, table: &[f32], width: usize) -> Vec<f32> {
    let skip = frozen.map_or(0, |frozen| frozen.rows);
    new_rows(ids.len() * width, width, ROW_BLOCK, |first, out| {
        for (id, out) in ids[first..].iter().zip(out.chunks_exact_mut(width)) {
            let id = *id as usize;
            match frozen {
                Some(frozen) if id < skip => frozen.row(id, out),
                _ => out.copy_from_slice(&table[(id - skip) * width..][..width]),
            }
        }
    })
}

fn host(ids: &[u32], frozen: Option<&Tensor>, table: &Tensor) -> Result<Passes<1>> {
    let (vocab, width) = table.dims2()?;
    let skip = frozen.map_or(0, |frozen| frozen.dims()[0]);
    let rows = with_slices([table], NAME, |[table]| {
        with_frozen_if_any(frozen, NAME, |frozen| Ok(named(ids, frozen, table, width)))
    })?;
    let (n, ids) = (ids.len(), ids.to_vec());
    Ok(Passes::new((rows, (n, width)), move |[table], g| {
        if vocab == 0 {
            return Ok([None]);
        }
        // Tokens in the order of their ids, those of one id in their own order.
        let mut order: Vec<(u32, u32)> = (0u32..)
            .zip(&ids)
            .filter(|(_, id)| **id as usize >= skip)
            .map(|(token, id)| (id - skip as u32, token))
            .collect();
        order.sort_unstable();
        let sums = with_slices([g], NAME, |[g]| {
            Ok(new_rows(vocab * width, width, ROW_BLOCK, |first, out| {
                let place = |row: usize| order.partition_point(|(id, _)| (*id as usize) < row);
                for (id, token) in &order[place(first)..place(first + ROW_BLOCK)] {
                    let row = &mut out[(*id as usize - first) * width..][..width];
                    axpy(1.0, &g[*token as usize * width..][..width], row);
                }
            }))
        })?;
        Ok([Some(tensor(sums, table)?)])
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::ops::testing::{assert_same_gradients, random};

    fn ids(tokens: usize, vocab: usize) -> Tensor {
        let ids: Vec<u32> = (0..tokens).map(|i| (i * i * 7 % vocab) as u32).collect();
        Tensor::from_vec(ids, tokens, &Device::Cpu).unwrap()
    }

    #[test]
    fn values_and_gradients_equal_index_select() {
        for (tokens, vocab, width) in [(1, 1, 1), (50, 7, 3), (300, 200, 33), (700, 129, 64)] {
            let ids = ids(tokens, vocab);
            assert_same_gradients(
                &[random(&[vocab, width], 1)],
                1e-5,
                |v| embedding(&ids, &v[0]),
                |v| v[0].index_select(&ids, 0),
            );
        }
    }

    #[test]
    fn only_new_rows_are_trained() {
        let (v0, v1, width) = (70, 100, 5);
        let ids = ids(200, v0 + v1);
        for dtype in [DType::F32, DType::BF16] {
            let frozen = random(&[v0, width], 1).to_dtype(dtype).unwrap();
            assert_same_gradients(
                &[random(&[v1, width], 2)],
                1e-5,
                |v| embedding_rows(&ids, &frozen, Some(&v[0])),
                |v| {
                    let frozen = frozen.to_dtype(DType::F32)?;
                    Tensor::cat(&[&frozen, &v[0]], 0)?.index_select(&ids, 0)
                },
            );
        }
        let frozen = Var::from_tensor(&random(&[v0 + v1, width], 1)).unwrap();
        let rows = embedding_rows(&ids, &frozen, None).unwrap();
        assert!(rows.sum_all().unwrap().backward().unwrap().get(&frozen).is_none());
        let plain = frozen.index_select(&ids, 0).unwrap();
        assert_eq!(rows.to_vec2::<f32>().unwrap(), plain.to_vec2::<f32>().unwrap());
    }

    #[test]
    fn wrong_ids_and_tables_are_refused() {
        let told = |r: Result<Tensor>| r.unwrap_err().to_string();
        let id = Tensor::new(&[3u32], &Device::Cpu).unwrap();
        let text = told(embedding(&id, &random(&[3, 2], 1)));
        assert!(text.contains("id 3 is outside the table of 3 rows"), "{text}");
        let text = told(embedding_rows(&id, &random(&[2, 2], 1), Some(&random(&[1, 2], 1))));
        assert!(text.contains("id 3 is outside the table of 3 rows"), "{text}");
        let text = told(embedding_rows(&id, &random(&[2, 2], 1), Some(&random(&[9, 3], 1))));
        assert!(text.contains("frozen rows [2, 2] and new rows [9, 3] do not fit"), "{text}");
        let text = told(embedding(&random(&[1], 1), &random(&[3, 2], 1)));
        assert!(text.contains("expected u32 ids"), "{text}");
    }
}
