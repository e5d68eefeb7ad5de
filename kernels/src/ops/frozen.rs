//! Matrices that are not trained, kept in 4 or 2 bytes per value and read as `f32`.

use candle_core::{CpuStorage, DType, Layout, Result, Storage, Tensor, bail};
use rayon::prelude::*;

use super::matmul::MatRef;

/// Entries that are widened at a time: 1 MiB of `f32`, so that a block stays in the second-level cache
/// between being written and being read by the product.
const BLOCK_ENTRIES: usize = 1 << 18;

/// Entries per task when widening.
const TASK_ENTRIES: usize = 1 << 14;

/// Refuses a tensor that is not a `f32`, `bf16` or `f16` matrix; makes it contiguous.
pub(super) fn frozen(weight: &Tensor, operation: &str) -> Result<Tensor> {
    if !matches!(weight.dtype(), DType::F32 | DType::BF16 | DType::F16) {
        let got = weight.dtype().as_str();
        bail!("{operation}: expected frozen weights of f32, bf16 or f16, got {got}");
    }
    weight.detach().contiguous()
}

/// A view of a frozen matrix.
#[derive(Clone, Copy)]
pub(super) struct Frozen<'a> {
    storage: &'a CpuStorage,
    /// Its first entry in the storage.
    start: usize,
    pub(super) rows: usize,
    pub(super) cols: usize,
}

impl<'a> Frozen<'a> {
    fn new(storage: &'a CpuStorage, layout: &Layout, operation: &str) -> Result<Self> {
        let (rows, cols) = layout.shape().dims2()?;
        let Some((start, _)) = layout.contiguous_offsets() else {
            bail!("{operation}: expected a contiguous tensor of shape {:?}", layout.shape());
        };
        Ok(Self { storage, start, rows, cols })
    }

    /// Calls `work(first_row, rows)` on blocks of rows, in order, widened where they are not `f32`.
    pub(super) fn for_blocks(&self, mut work: impl FnMut(usize, MatRef<'_>)) {
        let len = self.rows * self.cols;
        if let CpuStorage::F32(data) = self.storage {
            work(0, MatRef::new(&data[self.start..self.start + len], self.rows, self.cols));
            return;
        }
        let block = (BLOCK_ENTRIES / self.cols.max(1)).max(1);
        let mut buffer = vec![0f32; block.min(self.rows) * self.cols];
        for first in (0..self.rows).step_by(block) {
            let rows = block.min(self.rows - first);
            let buffer = &mut buffer[..rows * self.cols];
            let start = self.start + first * self.cols;
            buffer
                .par_chunks_mut(TASK_ENTRIES)
                .enumerate()
                .for_each(|(i, out)| widen(self.storage, start + i * TASK_ENTRIES, out));
            work(first, MatRef::new(buffer, rows, self.cols));
        }
    }

    /// Row `row` as `f32`.
    pub(super) fn row(&self, row: usize, out: &mut [f32]) {
        widen(self.storage, self.start + row * self.cols, out);
    }
}

/// Runs `read` on the matrix in a tensor of [`frozen`].
pub(super) fn with_frozen<T>(
    weight: &Tensor,
    operation: &str,
    read: impl FnOnce(Frozen<'_>) -> Result<T>,
) -> Result<T> {
    let (storage, layout) = weight.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => read(Frozen::new(storage, layout, operation)?),
        _ => bail!("{operation}: expected frozen weights on the CPU"),
    }
}

/// As [`with_frozen`], where there may be none.
pub(super) fn with_frozen_if_any<T>(
    weight: Option<&Tensor>,
    operation: &str,
    read: impl FnOnce(Option<Frozen<'_>>) -> Result<T>,
) -> Result<T> {
    match weight {
        Some(weight) => with_frozen(weight, operation, |weight| read(Some(weight))),
        None => read(None),
    }
}

/// `f16` to `f32`: exact for every value, infinities and not-a-number included.
#[inline(always)]
fn from_f16(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let rest = u32::from(bits & 0x7fff) << 13;
    // Exponents are biased by 15 and by 127: the product is exact, for subnormal numbers too.
    let finite = (f32::from_bits(rest) * f32::from_bits(0x7780_0000)).to_bits();
    let special = rest | 0x7f80_0000;
    f32::from_bits(sign | if bits & 0x7c00 == 0x7c00 { special } else { finite })
}

vectorized! {
    /// Entries of `storage` from `start`, as many as `out` has. Types other than the three give zeros;
    /// [`frozen`] lets none of them through.
    fn widen(storage: &CpuStorage, start: usize, out: &mut [f32]) {
        let range = start..start + out.len();
        match storage {
            CpuStorage::F32(data) => out.copy_from_slice(&data[range]),
            CpuStorage::BF16(data) => {
                for (out, x) in out.iter_mut().zip(&data[range]) {
                    *out = f32::from_bits(u32::from(x.to_bits()) << 16);
                }
            }
            CpuStorage::F16(data) => {
                for (out, x) in out.iter_mut().zip(&data[range]) {
                    *out = from_f16(x.to_bits());
                }
            }
            _ => out.fill(0.0),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::ops::testing::random;

    #[test]
    fn blocks_are_the_widened_matrix() {
        // Three blocks of rows, the last of them shorter.
        let (rows, cols) = (700, 1000);
        let wide = random(&[rows, cols], 1);
        for dtype in [DType::F32, DType::BF16, DType::F16] {
            let narrow = wide.to_dtype(dtype).unwrap();
            let expected = narrow.to_dtype(DType::F32).unwrap().to_vec2::<f32>().unwrap();
            with_frozen(&frozen(&narrow, "test").unwrap(), "test", |matrix| {
                let mut row = vec![0f32; cols];
                matrix.row(699, &mut row);
                assert_eq!(row, expected[699]);
                let mut seen = 0;
                matrix.for_blocks(|first, block| {
                    assert_eq!(first, seen);
                    for i in 0..block.rows() {
                        assert_eq!(block.row(i), expected[first + i]);
                    }
                    seen += block.rows();
                });
                assert_eq!(seen, rows);
                Ok(())
            })
            .unwrap();
        }
    }

    #[test]
    fn every_f16_is_widened_as_candle_does() {
        let bits: Vec<f32> = (0..=u16::MAX).map(from_f16).collect();
        for (bits, value) in (0..=u16::MAX).zip(bits) {
            let magnitude = f64::from(bits & 0x3ff);
            let exponent = i32::from(bits >> 10 & 31);
            let expected = match exponent {
                0 => magnitude * 2f64.powi(-24),
                31 if magnitude == 0.0 => f64::INFINITY,
                31 => f64::NAN,
                e => (1024.0 + magnitude) * 2f64.powi(e - 25),
            };
            let expected = if bits & 0x8000 == 0 { expected } else { -expected };
            let same = expected.is_nan() && value.is_nan() || f64::from(value) == expected;
            assert!(same, "{bits:#x}: {value}, expected {expected}");
        }
    }

    #[test]
    fn other_types_are_refused() {
        let ids = Tensor::new(&[[1u32]], &Device::Cpu).unwrap();
        let told = frozen(&ids, "linear-frozen").unwrap_err().to_string();
        assert!(told.contains("expected frozen weights of f32, bf16 or f16, got u32"), "{told}");
    }
}
