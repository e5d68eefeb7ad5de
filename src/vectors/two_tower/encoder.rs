//! The network: token embeddings shared by both towers, mean-pooled, one residual feed-forward per
//! tower, scaled to unit length.
//!
//! `f(x) = normalize(m + W_down silu(W_up m))` with `m` the mean embedding of the text's tokens.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use trieval_kernels::ops::linear;

use crate::error::Result;
use crate::model::checkpoint::{load_weights, save_weights};
use crate::model::decoder::normal;
use crate::model::{ParameterSpec, Parameters};
use crate::seed::Seed;

/// Width of the feed-forward in units of `dim`.
const EXPANSION: usize = 2;
/// Keeps the length of an empty text's vector away from zero.
const EPSILON: f64 = 1e-6;

/// Which side of the pair is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tower {
    /// Requests.
    Query,
    /// Items.
    Item,
}

/// Both towers.
pub(super) struct Encoder {
    dim: usize,
    parameters: Parameters,
}

/// Name of the table that both towers read.
const EMBEDDINGS: &str = "embed_tokens.weight";

impl Encoder {
    /// Random weights for a vocabulary of `vocab` tokens and vectors of width `dim`.
    pub(super) fn new(vocab: usize, dim: usize, seed: Seed) -> Result<Self> {
        let wide = dim * EXPANSION;
        let fan_in = 1.0 / (dim as f64).sqrt();
        let specs = [
            (ParameterSpec::table(EMBEDDINGS, [vocab, dim]), fan_in),
            (ParameterSpec::matrix("item.down_proj.weight", [dim, wide]), 0.02),
            (ParameterSpec::matrix("item.up_proj.weight", [wide, dim]), fan_in),
            (ParameterSpec::matrix("query.down_proj.weight", [dim, wide]), 0.02),
            (ParameterSpec::matrix("query.up_proj.weight", [wide, dim]), fan_in),
        ];
        let parameters = specs
            .into_iter()
            .map(|(spec, deviation)| {
                let values = normal(spec.n_values(), deviation, seed.purpose(&spec.name));
                let values = Tensor::from_vec(values, spec.shape.as_slice(), &Device::Cpu)?;
                spec.filled(&values)
            })
            .collect::<Result<_>>()?;
        Ok(Self { dim, parameters })
    }

    pub(super) fn dim(&self) -> usize {
        self.dim
    }

    pub(super) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Unit vectors `[texts, dim]` of token bags.
    pub(super) fn encode(&self, bags: &[&[u32]], tower: Tower) -> Result<Tensor> {
        let width = bags.iter().map(|bag| bag.len()).max().unwrap_or(0).max(1);
        let mut ids = Vec::with_capacity(bags.len() * width);
        let mut shares = Vec::with_capacity(bags.len() * width);
        for (idx, bag) in bags.iter().enumerate() {
            ids.extend_from_slice(bag);
            ids.resize((idx + 1) * width, 0);
            shares.resize(shares.len() + bag.len(), 1.0 / bag.len().max(1) as f32);
            shares.resize((idx + 1) * width, 0.0);
        }
        let ids = Tensor::new(ids, &Device::Cpu)?;
        let shares = Tensor::from_vec(shares, (bags.len(), 1, width), &Device::Cpu)?;
        let embeddings = self.parameters.var(EMBEDDINGS)?;
        let tokens = embeddings.index_select(&ids, 0)?.reshape((bags.len(), width, self.dim))?;
        let mean = shares.matmul(&tokens)?.squeeze(1)?;
        let (up, down) = match tower {
            Tower::Item => ("item.up_proj.weight", "item.down_proj.weight"),
            Tower::Query => ("query.up_proj.weight", "query.down_proj.weight"),
        };
        let inner = linear(&mean, self.parameters.var(up)?)?.silu()?;
        let out = (mean + linear(&inner, self.parameters.var(down)?)?)?;
        let length = (out.sqr()?.sum_keepdim(1)? + EPSILON)?.sqrt()?;
        Ok(out.broadcast_div(&length)?)
    }

    pub(super) fn save(&self, path: &Path) -> Result<()> {
        save_weights(path, &self.parameters)
    }

    pub(super) fn load(&self, path: &Path) -> Result<()> {
        load_weights(path, &self.parameters)
    }
}

/// `[rows, cols]` of zeros with large negative values where `masked` says so.
pub(super) fn mask(
    rows: usize,
    cols: usize,
    masked: impl Fn(usize, usize) -> bool,
) -> Result<Tensor> {
    let mut values = vec![0.0f32; rows * cols];
    for row in 0..rows {
        for col in 0..cols {
            if masked(row, col) {
                values[row * cols + col] = -1e9;
            }
        }
    }
    Ok(Tensor::from_vec(values, (rows, cols), &Device::Cpu)?.to_dtype(DType::F32)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::parameters::tests::by_decay;

    #[test]
    fn products_decay_and_embeddings_do_not() {
        let encoder = Encoder::new(50, 8, Seed::new(1)).expect("encoder");
        let products = [
            "item.down_proj.weight",
            "item.up_proj.weight",
            "query.down_proj.weight",
            "query.up_proj.weight",
        ];
        assert_eq!(by_decay(encoder.parameters()), [products.to_vec(), vec![EMBEDDINGS]]);
    }

    #[test]
    fn vectors_have_unit_length_and_padding_does_not_matter() {
        let encoder = Encoder::new(50, 8, Seed::new(1)).expect("encoder");
        let alone = encoder.encode(&[&[3, 4]], Tower::Item).expect("encode");
        let padded = encoder.encode(&[&[3, 4], &[1, 2, 3, 4, 5]], Tower::Item).expect("encode");
        let (alone, padded) =
            (alone.to_vec2::<f32>().expect("values"), padded.to_vec2::<f32>().expect("values"));
        for (a, b) in alone[0].iter().zip(&padded[0]) {
            assert!((a - b).abs() < 1e-6);
        }
        let length: f32 = padded[1].iter().map(|x| x * x).sum();
        assert!((length - 1.0).abs() < 1e-4);
    }

    #[test]
    fn an_empty_text_is_finite() {
        let encoder = Encoder::new(50, 8, Seed::new(1)).expect("encoder");
        let vector = encoder.encode(&[&[]], Tower::Query).expect("encode");
        assert!(vector.to_vec2::<f32>().expect("values")[0].iter().all(|x| x.is_finite()));
    }
}
