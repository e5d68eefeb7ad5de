//! Rotary position embedding (arXiv:2104.09864, equation 34), in the half-split layout of Hugging Face:
//! entry `i` is rotated together with entry `i + head_dim / 2`.

use std::sync::Arc;

use candle_core::{Device, Result, Tensor, bail};

use super::buffer::new_rows;
use super::cpu::{block_rows, tensor, with_slices};
use super::cuda;
use super::once::Once;
use super::operation::{Passes, operation};
use super::packing::Positions;

const NAME: &str = "rope";

/// Cosines and sines of every position, `[positions, head_dim / 2]` each.
#[derive(Debug, Clone)]
pub struct RopeTable {
    cos: Vec<f32>,
    sin: Vec<f32>,
    half: usize,
    /// Both on the GPU that asked first.
    device: Once<[Tensor; 2]>,
}

impl RopeTable {
    /// Tables for positions `0..positions`, given the radians per position of each pair of coordinates
    /// (`head_dim / 2` of them). Angles are computed in `f32`, as the reference implementation in
    /// `transformers` does, so that checkpoints give the same numbers in both.
    ///
    /// # Errors
    /// When there is no frequency.
    pub fn new(frequencies: &[f32], positions: usize) -> Result<Self> {
        if frequencies.is_empty() {
            bail!("{NAME}: head_dim must be even and positive, got no frequency");
        }
        let angles = (0..positions).flat_map(|p| frequencies.iter().map(move |f| p as f32 * f));
        let (sin, cos) = angles.map(f32::sin_cos).unzip();
        Ok(Self { cos, sin, half: frequencies.len(), device: Once::default() })
    }

    /// Positions covered.
    pub fn positions(&self) -> usize {
        self.cos.len() / self.half
    }

    /// Cosines and sines of one position, `[head_dim / 2]` each.
    ///
    /// # Panics
    /// When the table does not cover the position.
    pub fn at(&self, position: usize) -> (&[f32], &[f32]) {
        let range = position * self.half..(position + 1) * self.half;
        (&self.cos[range.clone()], &self.sin[range])
    }

    /// Cosines and sines as tensors; all calls name the same device.
    fn on(&self, device: &Device) -> Result<&[Tensor; 2]> {
        self.device.get_or_try(|| {
            let shape = (self.positions(), self.half);
            Ok([
                Tensor::from_slice(&self.cos, shape, device)?,
                Tensor::from_slice(&self.sin, shape, device)?,
            ])
        })
    }
}

/// Rotates every head by the position of its token.
///
/// Shapes: `x [tokens, heads, head_dim]`, `positions [tokens]`, result like `x`; `f32`. Differentiable in `x`.
///
/// # Errors
/// When shapes do not fit or a position lies outside the table.
pub fn rope(x: &Tensor, positions: &Positions, table: &Arc<RopeTable>) -> Result<Tensor> {
    let (tokens, _, head_dim) = x.dims3()?;
    if tokens != positions.len() || head_dim != 2 * table.half {
        bail!(
            "{NAME}: {:?} does not fit {} positions and a head_dim of {}",
            x.dims(),
            positions.len(),
            2 * table.half
        );
    }
    if let Some(position) = positions.iter().find(|p| **p as usize >= table.positions()) {
        bail!("{NAME}: position {position} is outside the table of {}", table.positions());
    }
    let angles = Angles { positions: positions.clone(), table: table.clone() };
    operation(
        NAME,
        [x],
        |[x]| angles.host(x),
        |[x]| cuda::rope(x, table.on(x.device())?, positions.on(x.device())?),
    )
}

vectorized! {
    /// Rotates one head in place; `direction` is 1, or −1 for the inverse rotation.
    pub fn rotate_head(head: &mut [f32], cos: &[f32], sin: &[f32], direction: f32) {
        let (low, high) = head.split_at_mut(cos.len());
        for (((a, b), c), s) in low.iter_mut().zip(high).zip(cos).zip(sin) {
            let s = direction * *s;
            (*a, *b) = (*a * *c - *b * s, *b * *c + *a * s);
        }
    }
}

/// The position of every token, and what it turns by.
#[derive(Clone)]
struct Angles {
    positions: Positions,
    table: Arc<RopeTable>,
}

impl Angles {
    /// A rotation is orthogonal: its gradient is rotated back.
    fn host(&self, x: &Tensor) -> Result<Passes<1>> {
        let angles = self.clone();
        Ok(Passes::new((self.turned(x, 1.0)?, x.shape()), move |_, g| {
            Ok([Some(tensor(angles.turned(g, -1.0)?, g)?)])
        }))
    }

    fn turned(&self, x: &Tensor, direction: f32) -> Result<Vec<f32>> {
        with_slices([x], NAME, |[x]| Ok(self.rows(x, direction)))
    }

    fn rows(&self, x: &[f32], direction: f32) -> Vec<f32> {
        let (half, width) = (self.table.half, x.len() / self.positions.len().max(1));
        new_rows(x.len(), width, block_rows(width), |first, out| {
            out.copy_from_slice(&x[first * width..][..out.len()]);
            for (i, token) in out.chunks_exact_mut(width.max(1)).enumerate() {
                let (cos, sin) = self.table.at(self.positions[first + i] as usize);
                for head in token.chunks_exact_mut(2 * half) {
                    rotate_head(head, cos, sin, direction);
                }
            }
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::ops::testing::{assert_same_gradients, random};

    fn frequencies(head_dim: usize) -> Vec<f32> {
        (0..head_dim / 2).map(|i| 10_000f32.powf(-2.0 * i as f32 / head_dim as f32)).collect()
    }

    #[test]
    fn value_and_gradient_equal_candles_differentiable_rope() {
        let (batch, seq, heads, head_dim) = (3, 9, 2, 6);
        let table = Arc::new(RopeTable::new(&frequencies(head_dim), 12).unwrap());
        let positions = super::super::Packing::uniform(batch, seq).positions();
        let shape = [seq, head_dim / 2];
        let cos =
            Tensor::from_slice(&table.cos[..seq * head_dim / 2], &shape, &Device::Cpu).unwrap();
        let sin =
            Tensor::from_slice(&table.sin[..seq * head_dim / 2], &shape, &Device::Cpu).unwrap();
        let inputs = [random(&[batch * seq, heads, head_dim], 1)];
        assert_same_gradients(
            &inputs,
            1e-5,
            |v| rope(&v[0], &positions, &table),
            |v| {
                let x =
                    v[0].reshape((batch, seq, heads, head_dim))?.transpose(1, 2)?.contiguous()?;
                let y = candle_nn::rotary_emb::rope_slow(&x, &cos, &sin)?;
                y.transpose(1, 2)?.reshape((batch * seq, heads, head_dim))
            },
        );
    }

    #[test]
    fn positions_outside_the_table_are_refused() {
        let table = Arc::new(RopeTable::new(&frequencies(4), 2).unwrap());
        let message =
            rope(&random(&[1, 1, 4], 1), &Positions::new(vec![2]), &table).unwrap_err().to_string();
        assert!(message.contains("position 2 is outside the table of 2"), "{message}");
        assert!(RopeTable::new(&[], 2).is_err());
    }
}
