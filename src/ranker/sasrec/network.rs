//! The network: item and position embeddings, causal transformer blocks, one vector per position.
//!
//! `x = dropout(sqrt(d) E[i] + P[position])`, then per block `x += dropout(attention(norm(x)))` and
//! `x += dropout(W₂ relu(W₁ norm(x) + b₁) + b₂)` (arXiv:1808.09781, equations 1 to 8), and `norm(x)` at the end; an item's
//! score is the product of its row of `E` with the newest position's vector.
//!
//! Differences from the paper, each for a reason:
//! - Norms stand before keys, values and queries alike, where the paper normalizes the queries only, and are
//!   root-mean-square norms (arXiv:1910.07467): the residual path stays free of norms, which trains deeper stacks
//!   without a long warm-up, and the mean that they do not subtract is the business of the biases behind them.
//! - Dropout falls on what attention adds and not on its probabilities, of which a fused attention keeps none.
//! - Sequences are packed behind one another and counted from their first read item, so there is no padding item
//!   whose vector would have to be held at zero.

use std::path::Path;
use std::sync::Arc;

use candle_core::{Device, Tensor, Var};
use trieval_kernels::ops::{
    Packing, dropout, embedding, linear, linear_bias, packed_attention, rms_norm,
};

use super::settings::{SasrecLoss, SasrecSettings};
use crate::error::Result;
use crate::model::checkpoint::{load_parameters, save_weights};
use crate::model::decoder::normal;
use crate::model::{ParameterSpec, Parameters};
use crate::seed::Seed;
use crate::train::rows::look_up;

/// Keeps the root mean square away from zero.
const EPSILON: f64 = 1e-6;
/// Standard deviation of embeddings at the start: scores begin near zero, so that the first loss is that of a guess.
const EMBEDDING_DEVIATION: f64 = 0.02;

/// The items, the table of which has the most rows of all.
const ITEMS: &str = "embed_items.weight";
const POSITIONS: &str = "embed_positions.weight";

/// Sequences behind one another.
#[derive(Debug, Clone)]
pub(super) struct Packed {
    /// Items of all sequences: `[tokens]`.
    pub(super) items: Vec<u32>,
    /// Which of them belong together.
    pub(super) packing: Packing,
}

impl Packed {
    /// Packs sequences, of each the newest `length` items.
    pub(super) fn newest<'a>(
        sequences: impl Iterator<Item = &'a [u32]> + Clone,
        length: usize,
    ) -> Self {
        let cut = sequences.map(|sequence| &sequence[sequence.len().saturating_sub(length)..]);
        let packing = Packing::sequences(cut.clone().map(<[u32]>::len));
        Self { items: cut.flatten().copied().collect(), packing }
    }
}

/// Shape of the network.
#[derive(Debug, Clone, Copy)]
struct Config {
    dim: usize,
    heads: usize,
    dropout: f64,
}

/// The network.
pub(super) struct Network {
    config: Config,
    parameters: Parameters,
    items: Var,
    /// Whether a step reads few of the items, as losses against drawn items do.
    by_rows: bool,
    positions: Tensor,
    layers: Vec<Layer>,
    norm: Tensor,
}

struct Layer {
    attention_norm: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    out: Tensor,
    feed_forward_norm: Tensor,
    up: Tensor,
    up_bias: Tensor,
    down: Tensor,
    down_bias: Tensor,
}

/// All parameters and the deviations of their first values, where 0 stands for a constant; sorted.
fn specs(settings: &SasrecSettings, n_items: usize) -> Vec<(ParameterSpec, f64)> {
    let (dim, wide) = (settings.dim as usize, settings.feed_forward as usize);
    let fan_in = |width: usize| 1.0 / (width as f64).sqrt();
    // What a layer adds is small at the start: the residual path alone is a working network.
    let onto_residual = |width: usize| fan_in(width) / (2.0 * f64::from(settings.layers)).sqrt();
    let mut all = vec![
        (ParameterSpec::table(ITEMS, [n_items, dim]), EMBEDDING_DEVIATION),
        (ParameterSpec::table(POSITIONS, [settings.length as usize, dim]), EMBEDDING_DEVIATION),
        (ParameterSpec::vector("norm.weight", dim), 0.0),
    ];
    for layer in 0..settings.layers {
        let name = |part: &str| format!("layers.{layer}.{part}");
        let matrix =
            |part: &str, shape, deviation| (ParameterSpec::matrix(name(part), shape), deviation);
        let vector = |part: &str, length| (ParameterSpec::vector(name(part), length), 0.0);
        all.extend([
            vector("attention_norm.weight", dim),
            matrix("q_proj.weight", [dim, dim], fan_in(dim)),
            matrix("k_proj.weight", [dim, dim], fan_in(dim)),
            matrix("v_proj.weight", [dim, dim], fan_in(dim)),
            matrix("o_proj.weight", [dim, dim], onto_residual(dim)),
            vector("feed_forward_norm.weight", dim),
            matrix("up_proj.weight", [wide, dim], fan_in(dim)),
            vector("up_proj.bias", wide),
            matrix("down_proj.weight", [dim, wide], onto_residual(wide)),
            vector("down_proj.bias", dim),
        ]);
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

impl Network {
    /// Random weights for a catalogue of `n_items`.
    pub(super) fn new(settings: &SasrecSettings, n_items: usize, seed: Seed) -> Result<Self> {
        let start = |(spec, deviation): (ParameterSpec, f64)| {
            let n = spec.n_values();
            let values = match deviation {
                0.0 if spec.name.ends_with(".bias") => vec![0.0; n],
                0.0 => vec![1.0; n],
                deviation => normal(n, deviation, seed.purpose(&spec.name)),
            };
            let values = Tensor::from_vec(values, spec.shape.as_slice(), &Device::Cpu)?;
            spec.filled(&values)
        };
        Self::of(settings, specs(settings, n_items).into_iter().map(start).collect::<Result<_>>()?)
    }

    /// Weights that [`Self::save`] wrote for a catalogue of `n_items`.
    pub(super) fn load(settings: &SasrecSettings, n_items: usize, path: &Path) -> Result<Self> {
        let expected = specs(settings, n_items).into_iter().map(|(spec, _)| spec);
        Self::of(settings, load_parameters(path, expected.collect())?)
    }

    pub(super) fn save(&self, path: &Path) -> Result<()> {
        save_weights(path, &self.parameters)
    }

    fn of(settings: &SasrecSettings, parameters: Parameters) -> Result<Self> {
        let tensor = |name: &str| parameters.var(name).map(|var| var.as_tensor().clone());
        let layer = |i: u32| {
            let part = |part: &str| tensor(&format!("layers.{i}.{part}"));
            Ok(Layer {
                attention_norm: part("attention_norm.weight")?,
                query: part("q_proj.weight")?,
                key: part("k_proj.weight")?,
                value: part("v_proj.weight")?,
                out: part("o_proj.weight")?,
                feed_forward_norm: part("feed_forward_norm.weight")?,
                up: part("up_proj.weight")?,
                up_bias: part("up_proj.bias")?,
                down: part("down_proj.weight")?,
                down_bias: part("down_proj.bias")?,
            })
        };
        let config = Config {
            dim: settings.dim as usize,
            heads: settings.heads as usize,
            dropout: settings.dropout,
        };
        Ok(Self {
            config,
            items: parameters.var(ITEMS)?.clone(),
            by_rows: !matches!(settings.loss, SasrecLoss::FullSoftmax),
            positions: tensor(POSITIONS)?,
            layers: (0..settings.layers).map(layer).collect::<Result<_>>()?,
            norm: tensor("norm.weight")?,
            parameters,
        })
    }

    /// Everything that is trained.
    pub(super) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Item vectors `[items, dim]`.
    pub(super) fn items(&self) -> &Tensor {
        self.items.as_tensor()
    }

    /// The vectors of `ids`, `[ids, dim]`. Where the table trains by rows, their gradient, and the optimizer's work, is
    /// of those rows alone.
    pub(super) fn rows_of_items(&self, ids: &[u32]) -> Result<Tensor> {
        if self.by_rows {
            return look_up(&self.items, ids);
        }
        let ids = Tensor::from_slice(ids, ids.len(), &Device::Cpu)?;
        Ok(embedding(&ids, self.items.as_tensor())?)
    }

    /// Vectors `[tokens, dim]` of all positions; entries are dropped where there are keys `[tokens]`.
    pub(super) fn all_states(&self, packed: &Packed, keys: Option<&Arc<[u64]>>) -> Result<Tensor> {
        self.states(packed, keys, None)
    }

    /// Vectors `[sequences, dim]` of the newest position of every sequence, none of which may be empty. The last block
    /// computes those alone.
    pub(super) fn last_states(&self, packed: &Packed) -> Result<Tensor> {
        let last: Vec<u32> =
            packed.packing.iter().map(|sequence| sequence.tokens().end as u32 - 1).collect();
        self.states(packed, None, Some(&last))
    }

    fn states(
        &self,
        packed: &Packed,
        keys: Option<&Arc<[u64]>>,
        rows: Option<&[u32]>,
    ) -> Result<Tensor> {
        let positions = Tensor::new(&*packed.packing.positions(), &Device::Cpu)?;
        let scale = (self.config.dim as f64).sqrt();
        let dropped = Dropped { share: self.config.dropout, keys };
        let x = ((self.rows_of_items(&packed.items)? * scale)?
            + embedding(&positions, &self.positions)?)?;
        let mut x = dropped.apply(&x, 0)?;
        for (i, layer) in self.layers.iter().enumerate() {
            let rows = rows.filter(|_| i + 1 == self.layers.len());
            x = layer.forward(
                self.config,
                &x,
                &packed.packing,
                rows,
                &dropped,
                2 * i as u64 + 1,
            )?;
        }
        Ok(rms_norm(&x, &self.norm, EPSILON)?)
    }
}

/// Dropout of a forward pass; none without keys.
struct Dropped<'a> {
    share: f64,
    keys: Option<&'a Arc<[u64]>>,
}

impl Dropped<'_> {
    fn apply(&self, x: &Tensor, stream: u64) -> candle_core::Result<Tensor> {
        match self.keys {
            Some(keys) => dropout(x, self.share, keys, stream),
            None => Ok(x.clone()),
        }
    }
}

impl Layer {
    /// The output of all tokens, or of `rows` only.
    fn forward(
        &self,
        config: Config,
        x: &Tensor,
        packing: &Packing,
        rows: Option<&[u32]>,
        dropped: &Dropped<'_>,
        stream: u64,
    ) -> candle_core::Result<Tensor> {
        let Config { dim, heads, .. } = config;
        let by_head = |x: Tensor| x.reshape(((), heads, dim / heads));
        let normed = rms_norm(x, &self.attention_norm, EPSILON)?;
        let key = by_head(linear(&normed, &self.key)?)?;
        let value = by_head(linear(&normed, &self.value)?)?;
        let (x, normed) = match rows {
            Some(rows) => {
                let ids = Tensor::from_slice(rows, rows.len(), &Device::Cpu)?;
                (&embedding(&ids, x)?, &embedding(&ids, &normed)?)
            }
            None => (x, &normed),
        };
        let query = by_head(linear(normed, &self.query)?)?;
        let seen = packed_attention(&query, &key, &value, packing, rows)?.reshape(((), dim))?;
        let x = (x + dropped.apply(&linear(&seen, &self.out)?, stream)?)?;
        let normed = rms_norm(&x, &self.feed_forward_norm, EPSILON)?;
        let inner = linear_bias(&normed, &self.up, &self.up_bias)?.relu()?;
        let added = linear_bias(&inner, &self.down, &self.down_bias)?;
        x + dropped.apply(&added, stream + 1)?
    }
}
