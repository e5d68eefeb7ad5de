//! Dropout whose mask is a function of keys, so that the same token is treated alike wherever it is computed.
//!
//! Nothing is stored for the backward pass: the mask is made again. Batches, threads and processes may
//! cut the tokens as they like.

use std::sync::Arc;

use candle_core::{Result, Tensor, bail};

use super::buffer::new_rows;
use super::cpu::{block_rows, tensor, with_slices};
use super::cuda;
use super::mask::Mask;
use super::operation::{Passes, operation};

const NAME: &str = "dropout";

/// Sets a share of the entries to zero and multiplies the others by `1 / (1 − share)`.
///
/// Shapes: `x [tokens, width]`, `keys [tokens]`, result like `x`; `f32`. An entry's fate depends on its token's key,
/// its column and `stream` alone. Differentiable in `x`.
///
/// # Errors
/// When shapes do not fit or the share is not in `0..1`.
pub fn dropout(x: &Tensor, share: f64, keys: &Arc<[u64]>, stream: u64) -> Result<Tensor> {
    let (tokens, _) = x.dims2()?;
    if tokens != keys.len() {
        bail!("{NAME}: {tokens} tokens have {} keys", keys.len());
    }
    if !(0.0..1.0).contains(&share) {
        bail!("{NAME}: expected a share in 0..1, got {share}");
    }
    if share == 0.0 {
        return Ok(x.clone());
    }
    // Of 2^32 equally likely draws, those below the threshold are dropped.
    let threshold = (share * 2f64.powi(32)) as u32;
    let factor = (1.0 / (1.0 - share)) as f32;
    let mask = Mask { threshold, factor, keys: keys.clone(), stream };
    operation(NAME, [x], |[x]| mask.host(x), |[x]| cuda::dropout(x, &mask))
}

/// The finalizer of SplitMix64 (doi:10.1145/2714064.2660195).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Mask {
    fn host(&self, x: &Tensor) -> Result<Passes<1>> {
        let mask = self.clone();
        Ok(Passes::new((self.applied(x)?, x.shape()), move |_, g| {
            Ok([Some(tensor(mask.applied(g)?, g)?)])
        }))
    }

    fn applied(&self, x: &Tensor) -> Result<Vec<f32>> {
        let width = x.dims2()?.1;
        with_slices([x], NAME, |[x]| Ok(self.rows(x, width)))
    }

    fn rows(&self, x: &[f32], width: usize) -> Vec<f32> {
        new_rows(x.len(), width, block_rows(width), |first, rows| {
            rows.copy_from_slice(&x[first * width..][..rows.len()]);
            for (i, row) in rows.chunks_exact_mut(width).enumerate() {
                let mut state = mix(self.keys[first + i] ^ mix(self.stream.wrapping_add(STEP)));
                for pair in row.chunks_mut(2) {
                    state = state.wrapping_add(STEP);
                    let bits = mix(state);
                    for (entry, draw) in pair.iter_mut().zip([bits as u32, (bits >> 32) as u32]) {
                        *entry = if draw < self.threshold { 0.0 } else { *entry * self.factor };
                    }
                }
            }
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ops::testing::random;

    fn rows(x: &Tensor, keys: &[u64], stream: u64) -> Vec<Vec<f32>> {
        dropout(x, 0.3, &keys.into(), stream).unwrap().to_vec2().unwrap()
    }

    #[test]
    fn drops_its_share_and_keeps_the_mean() {
        let x =
            Tensor::ones((400, 501), candle_core::DType::F32, &candle_core::Device::Cpu).unwrap();
        let keys: Vec<u64> = (0..400).collect();
        let y = rows(&x, &keys, 1).concat();
        let dropped = y.iter().filter(|v| **v == 0.0).count() as f64 / y.len() as f64;
        assert!((dropped - 0.3).abs() < 0.005, "{dropped}");
        assert!(y.iter().all(|v| *v == 0.0 || (*v - 1.0 / 0.7).abs() < 1e-6));
    }

    #[test]
    fn a_token_is_treated_alike_in_any_batch_and_streams_differ() {
        let x = random(&[5, 33], 1);
        let all = rows(&x, &[10, 11, 12, 13, 14], 7);
        let part = rows(&x.narrow(0, 2, 2).unwrap(), &[12, 13], 7);
        assert_eq!(all[2..4], part[..]);
        assert_ne!(all, rows(&x, &[10, 11, 12, 13, 14], 8));
        assert_ne!(rows(&x, &[10; 5], 7), all);
    }

    #[test]
    fn the_gradient_passes_where_the_value_did() {
        let x = candle_core::Var::from_tensor(&random(&[6, 9], 2)).unwrap();
        let y = dropout(&x, 0.5, &vec![3; 6].into(), 0).unwrap();
        let gradients = y.sum_all().unwrap().backward().unwrap();
        let g = gradients.get(&x).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let y = y.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (y, g) in y.iter().zip(g) {
            assert_eq!(g, if *y == 0.0 { 0.0 } else { 2.0 });
        }
    }

    #[test]
    fn misfits_are_named() {
        let x = random(&[2, 3], 1);
        let told = dropout(&x, 0.5, &vec![1].into(), 0).unwrap_err().to_string();
        assert!(told.contains("2 tokens have 1 keys"), "{told}");
        assert!(dropout(&x, 1.0, &vec![1, 2].into(), 0).is_err());
    }
}
