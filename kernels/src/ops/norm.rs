//! The squared length of tensors, summed in `f64` in an order that no number of threads changes.

use candle_core::{DType, Result, Tensor, bail};
use rayon::prelude::*;

use super::cpu::with_slices;
use super::cuda;

const NAME: &str = "square-sum";

/// Elements summed by one task.
const CHUNK: usize = 1 << 16;

/// `Σ x²` over all entries of all tensors, in `f64`. Tensors on a GPU are asked for together, as every answer waits for
/// all that was asked before.
///
/// # Errors
/// When a tensor is not `f32`.
pub fn square_sum<'t>(tensors: impl IntoIterator<Item = &'t Tensor>) -> Result<f64> {
    let mut total = 0.0;
    let mut elsewhere: Vec<Tensor> = Vec::new();
    for tensor in tensors {
        if tensor.dtype() != DType::F32 {
            bail!("{NAME}: expected f32, got {}", tensor.dtype().as_str());
        }
        if tensor.device().is_cuda() {
            elsewhere.push(cuda::square_sums(tensor)?);
            continue;
        }
        let tensor = tensor.contiguous()?;
        total += with_slices([&tensor], NAME, |[values]| {
            let square_sum =
                |chunk: &[f32]| chunk.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
            let partial: Vec<f64> = values.par_chunks(CHUNK).map(square_sum).collect();
            Ok(partial.iter().sum::<f64>())
        })?;
    }
    if !elsewhere.is_empty() {
        let sums = Tensor::cat(&elsewhere, 0)?.to_vec1::<f32>()?;
        total += sums.into_iter().map(f64::from).sum::<f64>();
    }
    Ok(total)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::ops::testing::random;

    #[test]
    fn is_the_sum_over_all_entries_on_any_number_of_threads() {
        let tensors = [random(&[300, 700], 1), random(&[5], 2)];
        let expected: f64 = tensors
            .iter()
            .flat_map(|t| t.flatten_all().unwrap().to_vec1::<f32>().unwrap())
            .map(|x| f64::from(x) * f64::from(x))
            .sum();
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| square_sum(&tensors).unwrap())
        };
        assert!((on(1) - expected).abs() < 1e-9 * expected);
        assert_eq!(on(1), on(3));
        let ids = Tensor::new(&[1u32], &Device::Cpu).unwrap();
        assert!(square_sum([&ids]).unwrap_err().to_string().contains("expected f32, got u32"));
    }
}
