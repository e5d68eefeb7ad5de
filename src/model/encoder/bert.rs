//! The network: BERT's encoder (arXiv:1810.04805; layers as in arXiv:1706.03762, norms behind the residual
//! sums) over packed texts and the fused operations.
//!
//! The pooler of the next-sentence task is not part of it.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use trieval_kernels::ops::{Packing, embedding, gelu, layer_norm, linear_bias, packed_attention};

use super::config::EncoderConfig;
use super::names::{
    KEY, MIXED, MIXED_NORM, NARROW, NARROW_NORM, NORM, POSITIONS, QUERY, TYPES, VALUE, WIDEN,
    WORDS, name_in_layer,
};
use super::{Weights, missing};
use crate::error::{Error, Result};
use crate::model::decoder::normal;
use crate::model::parameters::{Parameter, ParameterSpec};
use crate::seed::Seed;

/// Standard deviation of fresh weights.
const INITIALIZER_RANGE: f64 = 0.02;

/// The first values of a parameter.
pub(super) fn initial(spec: &ParameterSpec, seed: Seed) -> Result<Tensor> {
    let ParameterSpec { name, shape, .. } = spec;
    let n = spec.n_values();
    let data = if name.ends_with(".bias") {
        vec![0f32; n]
    } else if shape.len() == 1 {
        vec![1f32; n]
    } else {
        normal(n, INITIALIZER_RANGE, seed.purpose(name))
    };
    Ok(Tensor::from_vec(data, shape.as_slice(), &Device::Cpu)?)
}

/// The transformer.
pub(super) struct Bert {
    config: EncoderConfig,
    words: Tensor,
    positions: Tensor,
    types: Option<Tensor>,
    norm: Affine,
    layers: Vec<Layer>,
    /// All values by name; trained ones share their storage with their variables.
    tensors: BTreeMap<String, Tensor>,
}

/// A weight and a bias: of a product, or of a norm.
struct Affine {
    weight: Tensor,
    bias: Tensor,
}

struct Layer {
    query: Affine,
    key: Affine,
    value: Affine,
    mixed: Affine,
    mixed_norm: Affine,
    widen: Affine,
    narrow: Affine,
    narrow_norm: Affine,
}

impl Affine {
    fn of(tensors: &BTreeMap<String, Tensor>, name: &str) -> Result<Self> {
        Ok(Self {
            weight: take(tensors, &format!("{name}.weight"))?,
            bias: take(tensors, &format!("{name}.bias"))?,
        })
    }

    fn product(&self, x: &Tensor) -> Result<Tensor> {
        Ok(linear_bias(x, &self.weight, &self.bias)?)
    }

    fn norm(&self, x: &Tensor, eps: f64) -> Result<Tensor> {
        Ok(layer_norm(x, &self.weight, &self.bias, eps)?)
    }
}

fn take(tensors: &BTreeMap<String, Tensor>, name: &str) -> Result<Tensor> {
    tensors.get(name).cloned().ok_or_else(|| missing(name))
}

impl Bert {
    /// The network of given values, which are those that `config` declares; beside it what trains,
    /// which is all of it or nothing.
    pub(super) fn new(
        config: EncoderConfig,
        mut tensors: BTreeMap<String, Tensor>,
        weights: Weights,
    ) -> Result<(Self, Vec<Parameter>)> {
        let mut parameters = Vec::new();
        let mut shared = BTreeMap::new();
        for spec in config.parameters() {
            let name = spec.name.clone();
            let tensor = tensors.remove(&name).ok_or_else(|| missing(&name))?;
            let tensor = match weights {
                Weights::Frozen => tensor,
                Weights::Trained => {
                    let parameter = spec.filled(&tensor)?;
                    let tensor = parameter.var.as_tensor().clone();
                    parameters.push(parameter);
                    tensor
                }
            };
            shared.insert(name, tensor);
        }
        let layers = (0..config.layers).map(|layer| {
            let part = |name: &str| Affine::of(&shared, &name_in_layer(layer, name));
            Ok(Layer {
                query: part(QUERY)?,
                key: part(KEY)?,
                value: part(VALUE)?,
                mixed: part(MIXED)?,
                mixed_norm: part(MIXED_NORM)?,
                widen: part(WIDEN)?,
                narrow: part(NARROW)?,
                narrow_norm: part(NARROW_NORM)?,
            })
        });
        let bert = Self {
            layers: layers.collect::<Result<_>>()?,
            words: take(&shared, WORDS)?,
            positions: take(&shared, POSITIONS)?,
            types: shared.get(TYPES).cloned(),
            norm: Affine::of(&shared, NORM)?,
            config,
            tensors: shared,
        };
        Ok((bert, parameters))
    }

    pub(super) fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// All values by name.
    pub(super) fn tensors(&self) -> &BTreeMap<String, Tensor> {
        &self.tensors
    }

    /// Hidden states of all tokens of packed texts, `[tokens, hidden]`; there is at least one token.
    pub(super) fn hidden(&self, texts: &[&[u32]]) -> Result<Tensor> {
        let longest = texts.iter().map(|text| text.len()).max().unwrap_or(0);
        if longest > self.config.max_tokens() {
            return Err(Error::Failed(format!(
                "encoder: a text of {longest} tokens is longer than the {} positions of the model",
                self.config.max_tokens()
            )));
        }
        let packing = Packing::bidirectional(texts.iter().map(|text| text.len()));
        let tokens = packing.tokens();
        let ids = Tensor::new(texts.concat(), &Device::Cpu)?;
        let first = self.config.first_position as u32;
        let positions: Vec<u32> = packing.positions().iter().map(|at| at + first).collect();
        let positions = embedding(&Tensor::new(positions, &Device::Cpu)?, &self.positions)?;
        let eps = self.config.layer_norm_eps;
        let mut sum = embedding(&ids, &self.words)?;
        if let Some(types) = &self.types {
            let first = Tensor::new(vec![0u32; tokens], &Device::Cpu)?;
            sum = (sum + embedding(&first, types)?)?;
        }
        let sum = (sum + positions)?;
        let mut x = self.norm.norm(&sum, eps)?;
        let heads = (tokens, self.config.heads, self.config.hidden / self.config.heads);
        for layer in &self.layers {
            let [q, k, v] = [&layer.query, &layer.key, &layer.value]
                .map(|part| part.product(&x).and_then(|y| Ok(y.reshape(heads)?)));
            let seen = packed_attention(&q?, &k?, &v?, &packing, None)?;
            let seen = seen.reshape((tokens, self.config.hidden))?;
            x = layer.mixed_norm.norm(&(layer.mixed.product(&seen)? + x)?, eps)?;
            let wide = gelu(&layer.widen.product(&x)?)?;
            x = layer.narrow_norm.norm(&(layer.narrow.product(&wide)? + x)?, eps)?;
        }
        Ok(x)
    }
}
