//! The training decoder: Qwen3 (arXiv:2505.09388) over candle variables and the fused operations.
//!
//! Sequences are packed behind one another, so no arithmetic is spent on padding, and the last layer
//! can be limited to the rows that a loss reads. Knows nothing of losses, optimizers or files.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{Device, Tensor, Var};
use rand::Rng;
use trieval_kernels::ops::{
    Packing, RopeTable, Segments, linear, linear_add, packed_attention, rms_norm, rope, swiglu,
    token_log_probs_at,
};

use crate::error::{Error, Result};
use crate::model::config::DecoderConfig;
use crate::seed::Seed;

/// A decoder with trainable parameters, named as in Hugging Face checkpoints.
pub struct Decoder {
    config: DecoderConfig,
    params: BTreeMap<String, Var>,
    layers: Vec<Layer>,
    embedding: Tensor,
    norm: Tensor,
    head: Tensor,
    rope: Arc<RopeTable>,
}

/// The parameters of one layer; each shares its storage with the entry in `params`.
struct Layer {
    input_norm: Tensor,
    post_norm: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    q_norm: Tensor,
    k_norm: Tensor,
    gate: Tensor,
    up: Tensor,
    down: Tensor,
}

impl Decoder {
    /// Fresh weights: normal with `initializer_range`, output projections scaled by
    /// `1 / sqrt(2 layers)` (GPT-2's rule), norms 1. Each parameter has its own stream, by name.
    ///
    /// # Errors
    /// [`Error::Tensor`] when memory or shapes refuse.
    pub fn init(config: DecoderConfig, seed: Seed) -> Result<Self> {
        let residual = 1.0 / (2.0 * config.num_hidden_layers as f64).sqrt();
        let tensors = config.parameters().into_iter().map(|(name, shape)| {
            let n = shape.iter().product();
            let data = if shape.len() == 1 {
                vec![1f32; n]
            } else {
                let is_output =
                    name.ends_with("o_proj.weight") || name.ends_with("down_proj.weight");
                let scale = config.initializer_range * if is_output { residual } else { 1.0 };
                normal(n, scale, seed.purpose(&name))
            };
            Ok((name, Tensor::from_vec(data, shape, &Device::Cpu)?))
        });
        let tensors = tensors.collect::<Result<BTreeMap<_, _>>>()?;
        Self::from_tensors(config, tensors)
    }

    /// A decoder of given values; the tensors become its variables.
    ///
    /// # Errors
    /// [`Error::Failed`] when a parameter is missing, unknown or of another shape.
    pub fn from_tensors(
        config: DecoderConfig,
        mut tensors: BTreeMap<String, Tensor>,
    ) -> Result<Self> {
        let mut params = BTreeMap::new();
        for (name, shape) in config.parameters() {
            let Some(tensor) = tensors.remove(&name) else {
                return Err(Error::Failed(format!("parameter {name} is missing")));
            };
            if tensor.dims() != shape {
                let got = tensor.dims();
                return Err(Error::Failed(format!(
                    "{name}: expected shape {shape:?}, got {got:?}"
                )));
            }
            params.insert(name, Var::from_tensor(&tensor)?);
        }
        if let Some(name) = tensors.keys().next() {
            return Err(Error::Failed(format!("parameter {name} does not belong to this decoder")));
        }
        let get = |name: &str| match params.get(name) {
            Some(var) => Ok(var.as_tensor().clone()),
            None => Err(Error::Failed(format!("parameter {name} is missing"))),
        };
        let layer = |i: usize| {
            let part = |part: &str| get(&format!("model.layers.{i}.{part}.weight"));
            Ok(Layer {
                input_norm: part("input_layernorm")?,
                post_norm: part("post_attention_layernorm")?,
                q: part("self_attn.q_proj")?,
                k: part("self_attn.k_proj")?,
                v: part("self_attn.v_proj")?,
                out: part("self_attn.o_proj")?,
                q_norm: part("self_attn.q_norm")?,
                k_norm: part("self_attn.k_norm")?,
                gate: part("mlp.gate_proj")?,
                up: part("mlp.up_proj")?,
                down: part("mlp.down_proj")?,
            })
        };
        let layers = (0..config.num_hidden_layers).map(layer).collect::<Result<_>>()?;
        let embedding = get("model.embed_tokens.weight")?;
        let norm = get("model.norm.weight")?;
        let head =
            if config.tie_word_embeddings { embedding.clone() } else { get("lm_head.weight")? };
        let positions = config.max_position_embeddings;
        let rope = Arc::new(RopeTable::new(config.head_dim, positions, config.rope_theta)?);
        Ok(Self { config, params, layers, embedding, norm, head, rope })
    }

    /// An independent copy with the same values, for instance a reference model.
    ///
    /// # Errors
    /// [`Error::Tensor`] when memory refuses.
    pub fn duplicate(&self) -> Result<Self> {
        let copies = self.params.iter().map(|(name, var)| Ok((name.clone(), var.copy()?)));
        Self::from_tensors(self.config.clone(), copies.collect::<Result<_>>()?)
    }

    /// The shape.
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// Every parameter under its Hugging Face name, sorted by name.
    pub fn params(&self) -> &BTreeMap<String, Var> {
        &self.params
    }

    /// The output head `[vocab, hidden]`; the embedding itself where they are tied.
    pub fn head(&self) -> &Tensor {
        &self.head
    }

    pub(super) fn rope_table(&self) -> &Arc<RopeTable> {
        &self.rope
    }

    /// Final hidden states of a right-padded batch; padding needs no mask, since nothing looks ahead.
    ///
    /// Shapes: `ids [batch, seq]`, `u32`; result `[batch, seq, hidden]`, after the final norm.
    ///
    /// # Errors
    /// [`Error::Tensor`] when an id or the length lies outside what the decoder knows.
    pub fn hidden(&self, ids: &Tensor) -> Result<Tensor> {
        let (batch, seq) = ids.dims2()?;
        let flat = self.hidden_packed(&ids.flatten_all()?, &Segments::uniform(batch, seq))?;
        Ok(flat.reshape((batch, seq, self.config.hidden_size))?)
    }

    /// Final hidden states of packed sequences.
    ///
    /// Shapes: `ids [tokens]`, `u32`; result `[tokens, hidden]`, after the final norm.
    ///
    /// # Errors
    /// As [`Decoder::hidden`], or when the segments do not cover `ids`.
    pub fn hidden_packed(&self, ids: &Tensor, segments: &Segments) -> Result<Tensor> {
        self.hidden_tails(ids, segments, segments)
    }

    /// Final hidden states of the last rows of each packed sequence: sequence `s` gives as many rows
    /// as `tails` has tokens in its segment `s`. The last layer is computed for those rows only.
    ///
    /// Shapes: `ids [tokens]`, `u32`; result `[tails.tokens(), hidden]`, after the final norm.
    ///
    /// # Errors
    /// As [`Decoder::hidden_packed`], or when a tail is longer than its sequence.
    pub fn hidden_tails(
        &self,
        ids: &Tensor,
        segments: &Segments,
        tails: &Segments,
    ) -> Result<Tensor> {
        let fits = segments.len() == tails.len()
            && segments.ranges().zip(tails.ranges()).all(|(all, tail)| tail.len() <= all.len());
        if segments.tokens() != ids.elem_count() || !fits {
            return Err(Error::Tensor(candle_core::Error::Msg(format!(
                "decoder: {} ids do not fit segments of {} tokens with tails of {}",
                ids.elem_count(),
                segments.tokens(),
                tails.tokens()
            ))));
        }
        let packing = Packing::sequences(segments.ranges().map(|range| range.len()));
        let pairs = segments.ranges().zip(tails.ranges());
        let rows: Vec<u32> =
            pairs.flat_map(|(all, tail)| (all.end - tail.len()) as u32..all.end as u32).collect();
        self.hidden_rows(ids, &packing, &rows)
    }

    /// Final hidden states of some tokens of a packed batch; the last layer is computed for those only.
    ///
    /// Shapes: `ids [tokens]`, `u32`; `rows` token numbers, ascending; result `[rows, hidden]`, after the final norm.
    ///
    /// # Errors
    /// As [`Decoder::hidden`], or when packing or rows do not fit `ids`.
    pub fn hidden_rows(&self, ids: &Tensor, packing: &Packing, rows: &[u32]) -> Result<Tensor> {
        let positions: Arc<[u32]> = packing.positions().into();
        let mut x = self.embedding.index_select(ids, 0)?;
        let all = Queries { numbers: None, rows: None, positions: &positions };
        let Some((last, before)) = self.layers.split_last() else {
            return Err(Error::Failed("a decoder has at least one layer".into()));
        };
        for layer in before {
            x = self.layer(layer, &x, packing, &positions, &all)?;
        }
        x = if rows.len() == ids.elem_count() {
            self.layer(last, &x, packing, &positions, &all)?
        } else {
            let few: Arc<[u32]> = rows
                .iter()
                .map(|&row| positions.get(row as usize).copied().unwrap_or_default())
                .collect();
            let numbers = Tensor::from_slice(rows, rows.len(), &Device::Cpu)?;
            let queries = Queries { numbers: Some(rows), rows: Some(numbers), positions: &few };
            self.layer(last, &x, packing, &positions, &queries)?
        };
        Ok(rms_norm(&x, &self.norm, self.config.rms_norm_eps)?)
    }

    /// `ln p(target)` under the full vocabulary, in nats; several targets may read the same row.
    ///
    /// Shapes: `hidden [n, hidden]`; `rows` (of `hidden`) and `targets` equally long; result `[rows]`. Differentiable.
    ///
    /// # Errors
    /// [`Error::Tensor`] when a row or target does not exist.
    pub fn log_probs_at(&self, hidden: &Tensor, rows: &[u32], targets: &[u32]) -> Result<Tensor> {
        Ok(token_log_probs_at(hidden, &self.head, rows, targets)?)
    }

    /// The parameters that training moves: all of them.
    pub fn trained(&self) -> &BTreeMap<String, Var> {
        &self.params
    }

    fn layer(
        &self,
        layer: &Layer,
        x: &Tensor,
        packing: &Packing,
        positions: &Arc<[u32]>,
        queries: &Queries<'_>,
    ) -> candle_core::Result<Tensor> {
        let config = &self.config;
        let (eps, dim) = (config.rms_norm_eps, config.head_dim);
        let (heads, kv_heads) = (config.num_attention_heads, config.num_key_value_heads);
        let normed = rms_norm(x, &layer.input_norm, eps)?;
        let k = linear(&normed, &layer.k)?.reshape(((), kv_heads, dim))?;
        let k = rope(&rms_norm(&k, &layer.k_norm, eps)?, positions, &self.rope)?;
        let v = linear(&normed, &layer.v)?.reshape(((), kv_heads, dim))?;
        let (x, normed) = match &queries.rows {
            Some(rows) => (&x.index_select(rows, 0)?, &normed.index_select(rows, 0)?),
            None => (x, &normed),
        };
        let q = linear(normed, &layer.q)?.reshape(((), heads, dim))?;
        let q = rope(&rms_norm(&q, &layer.q_norm, eps)?, queries.positions, &self.rope)?;
        let seen = packed_attention(&q, &k, &v, packing, queries.numbers)?;
        let x = linear_add(&seen.reshape(((), heads * dim))?, &layer.out, x)?;
        let normed = rms_norm(&x, &layer.post_norm, eps)?;
        let inner = swiglu(&linear(&normed, &layer.gate)?, &linear(&normed, &layer.up)?)?;
        linear_add(&inner, &layer.down, &x)
    }
}

/// The rows of a layer whose output is wanted; `rows` and their `numbers` are none where it is all of them.
struct Queries<'a> {
    numbers: Option<&'a [u32]>,
    rows: Option<Tensor>,
    positions: &'a Arc<[u32]>,
}

/// Normal deviates by Box and Muller's transform.
pub(crate) fn normal(n: usize, scale: f64, seed: Seed) -> Vec<f32> {
    let mut rng = seed.rng();
    let mut data = Vec::with_capacity(n + 1);
    while data.len() < n {
        let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt() * scale;
        let (sin, cos) = (std::f64::consts::TAU * rng.random::<f64>()).sin_cos();
        data.extend([(radius * cos) as f32, (radius * sin) as f32]);
    }
    data.truncate(n);
    data
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use candle_core::DType;
    use trieval_kernels::ops::cross_entropy_rows;

    use super::*;
    use crate::model::config::tests::small;

    fn ids(n: usize, vocab: u32) -> Vec<u32> {
        (0..n as u32).map(|i| (i * 7 + i * i) % vocab).collect()
    }

    pub(crate) fn max_difference(a: &Tensor, b: &Tensor) -> f32 {
        (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
    }

    /// Weights far from the initial ones, so that every term of the network matters.
    pub(crate) fn lively(config: DecoderConfig) -> Decoder {
        let decoder = Decoder::init(config, Seed::new(3)).unwrap();
        for (name, var) in decoder.params() {
            let n = var.elem_count();
            let is_norm = var.rank() == 1;
            let mut data = normal(n, if is_norm { 0.2 } else { 0.25 }, Seed::new(9).purpose(name));
            if is_norm {
                data.iter_mut().for_each(|v| *v += 1.0);
            }
            var.set(&Tensor::from_vec(data, var.shape(), &Device::Cpu).unwrap()).unwrap();
        }
        decoder
    }

    #[test]
    fn every_parameter_receives_a_gradient() {
        for tied in [true, false] {
            let config = DecoderConfig { tie_word_embeddings: tied, ..small(50) };
            let decoder = Decoder::init(config, Seed::new(1)).unwrap();
            let input = Tensor::from_vec(ids(18, 50), 18, &Device::Cpu).unwrap();
            let segments = Segments::new([7, 11]);
            let hidden = decoder.hidden_tails(&input, &segments, &Segments::new([3, 4])).unwrap();
            let targets = Tensor::from_vec(ids(7, 50), 7, &Device::Cpu).unwrap();
            let weights = Tensor::ones(7, DType::F32, &Device::Cpu).unwrap();
            let loss = cross_entropy_rows(&hidden, decoder.head(), &targets, &weights).unwrap();
            let gradients = loss.backward().unwrap();
            for (name, var) in decoder.params() {
                let gradient = gradients.get(var).unwrap_or_else(|| panic!("{name}: none"));
                let largest = gradient.abs().unwrap().max_all().unwrap();
                assert!(largest.to_scalar::<f32>().unwrap() > 0.0, "{name}: zero");
            }
        }
    }

    #[test]
    fn hidden_states_equal_the_reference_implementation() {
        use candle_transformers::models::qwen3;
        let config = small(50);
        let decoder = lively(config.clone());
        let json = serde_json::to_value(&config).unwrap();
        let reference: qwen3::Config = serde_json::from_value(json).unwrap();
        let tensors = decoder.params().iter();
        let tensors = tensors.map(|(k, v)| (k.clone(), v.as_tensor().clone())).collect();
        let builder = candle_nn::VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
        let mut reference = qwen3::Model::new(&reference, builder).unwrap();
        let input = Tensor::from_vec(ids(26, 50), (2, 13), &Device::Cpu).unwrap();
        let expected = reference.forward(&input, 0).unwrap();
        let ours = decoder.hidden(&input).unwrap();
        assert_eq!(ours.dims(), [2, 13, 24]);
        let difference = max_difference(&ours, &expected);
        assert!(difference < 1e-4, "{difference}");
    }

    #[test]
    fn packing_and_tails_change_nothing() {
        let decoder = lively(small(50));
        let all = ids(18, 50);
        let segments = Segments::new([7, 11]);
        let input = Tensor::from_slice(&all, 18, &Device::Cpu).unwrap();
        let packed = decoder.hidden_packed(&input, &segments).unwrap();
        for range in [0..7, 7..18] {
            let part = Tensor::from_slice(&all[range.clone()], (1, range.len()), &Device::Cpu);
            let alone = decoder.hidden(&part.unwrap()).unwrap().squeeze(0).unwrap();
            let together = packed.narrow(0, range.start, range.len()).unwrap();
            assert!(max_difference(&alone, &together) < 1e-5);
        }
        let tails = decoder.hidden_tails(&input, &segments, &Segments::new([3, 4])).unwrap();
        let expected = [packed.narrow(0, 4, 3).unwrap(), packed.narrow(0, 14, 4).unwrap()];
        assert!(max_difference(&tails, &Tensor::cat(&expected, 0).unwrap()) < 1e-5);
        assert!(decoder.hidden_tails(&input, &segments, &Segments::new([8, 4])).is_err());
    }

    #[test]
    fn initial_weights_depend_on_the_seed_alone() {
        let sum = |seed| {
            let decoder = Decoder::init(small(50), Seed::new(seed)).unwrap();
            let all =
                decoder.params().values().map(|v| v.flatten_all().unwrap().to_vec1().unwrap());
            all.collect::<Vec<Vec<f32>>>()
        };
        assert!(sum(1) == sum(1));
        assert!(sum(1) != sum(2));
        let values = normal(100_000, 0.5, Seed::new(1));
        let mean: f32 = values.iter().sum::<f32>() / 1e5;
        let variance: f32 = values.iter().map(|v| v * v).sum::<f32>() / 1e5;
        assert!(mean.abs() < 0.01 && (variance - 0.25).abs() < 0.01);
    }

    #[test]
    fn duplicates_are_independent() {
        let decoder = lively(small(20));
        let copy = decoder.duplicate().unwrap();
        let name = "model.norm.weight";
        decoder.params()[name].set(&Tensor::zeros(24, DType::F32, &Device::Cpu).unwrap()).unwrap();
        assert!(max_difference(&decoder.params()[name], &copy.params()[name]) > 0.5);
    }
}
