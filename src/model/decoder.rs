//! The training decoder: Qwen3, Qwen2 and Llama over candle variables and the fused operations.
//!
//! Sequences are packed behind one another, so no arithmetic is spent on padding, and the last layer
//! is computed only for the rows that a loss reads. Knows nothing of losses, optimizers or files.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor, Var};
use rand::Rng;
use trieval_kernels::ops::{
    Candidates, Packing, Positions, RopeTable, dropout, embedding, packed_attention, rms_norm, rope,
};

use crate::error::{Error, Result};
use crate::memory;
use crate::model::config::{DecoderConfig, EMBEDDING, FINAL_NORM, HEAD, frequencies};
use crate::model::embedding::Table;
use crate::model::lora::{AdapterSpec, new_rows};
use crate::model::parameters::{Parameter, ParameterSpec, Parameters};
use crate::model::projection::{LowRank, Projection, TokenKeys, Weight, gated};
use crate::model::recompute::recomputed;
use crate::seed::Seed;

/// A decoder whose parameters are named as in Hugging Face checkpoints.
///
/// Either all of them train, or an adapter beside frozen weights does.
pub struct Decoder {
    config: DecoderConfig,
    /// Weights without a gradient, in the type of their checkpoint; empty where all train.
    frozen: BTreeMap<String, Tensor>,
    trained: Parameters,
    adapter: Option<AdapterSpec>,
    layers: Vec<Arc<Layer>>,
    /// Whether the inner values of layers are computed again in the backward pass.
    recomputes: bool,
    /// Share of the embeddings, and of what attention and feed-forward add to them, that a training step drops.
    dropout: f64,
    embedding: Table,
    norm: Tensor,
    /// None where the embedding is the head.
    head: Option<Table>,
    rope: Arc<RopeTable>,
    /// Type of activations.
    precision: DType,
}

/// The parameters of one layer.
struct Layer {
    input_norm: Tensor,
    post_norm: Tensor,
    q: Projection,
    k: Projection,
    v: Projection,
    out: Projection,
    /// Norms of query and key heads, where the family has them.
    head_norms: Option<(Tensor, Tensor)>,
    gate: Projection,
    up: Projection,
    down: Projection,
    /// Random streams of what attention and feed-forward add.
    streams: [u64; 2],
}

impl Decoder {
    /// Fresh weights: normal with `initializer_range`, output projections scaled by
    /// `1 / sqrt(2 layers)` (GPT-2's rule), norms 1, biases 0. Each parameter has its own stream, by name.
    ///
    /// # Errors
    /// [`Error::Tensor`] when memory or shapes refuse.
    pub fn init(config: DecoderConfig, seed: Seed) -> Result<Self> {
        let residual = 1.0 / (2.0 * config.num_hidden_layers as f64).sqrt();
        let tensors =
            config.parameters().into_iter().map(|ParameterSpec { name, shape, .. }| {
                let n = shape.iter().product();
                let data = if name.ends_with(".bias") {
                    vec![0f32; n]
                } else if shape.len() == 1 {
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

    /// A decoder of given values, all of which train, in `f32`.
    ///
    /// # Errors
    /// [`Error::Failed`] when a parameter is missing, unknown or of another shape.
    pub fn from_tensors(config: DecoderConfig, tensors: BTreeMap<String, Tensor>) -> Result<Self> {
        let trained = trained(take(tensors, config.parameters())?)?;
        Self::assemble(config, BTreeMap::new(), trained, None)
    }

    /// A decoder of given values that stay as they are, in the type they have, and a fresh adapter
    /// beside them.
    ///
    /// # Errors
    /// As [`Decoder::from_tensors`].
    pub fn adapted(
        config: DecoderConfig,
        tensors: BTreeMap<String, Tensor>,
        spec: AdapterSpec,
        seed: Seed,
    ) -> Result<Self> {
        let start = spec.init(&config, &tensors, seed)?;
        Self::with_adapter(config, tensors, spec, start)
    }

    /// As [`Decoder::adapted`], with given values of the adapter.
    ///
    /// # Errors
    /// As [`Decoder::from_tensors`].
    pub fn with_adapter(
        config: DecoderConfig,
        tensors: BTreeMap<String, Tensor>,
        spec: AdapterSpec,
        adapter: BTreeMap<String, Tensor>,
    ) -> Result<Self> {
        let trained = trained(take(adapter, spec.parameters(&config))?)?;
        let mut frozen = BTreeMap::new();
        for (ParameterSpec { name, .. }, tensor) in take(tensors, config.parameters())? {
            // Vectors are small: they are held in f32, which the operations on them want.
            let tensor = if tensor.rank() == 1 { tensor.to_dtype(DType::F32)? } else { tensor };
            frozen.insert(name, tensor.detach());
        }
        Self::assemble(config, frozen, trained, Some(spec))
    }

    fn assemble(
        config: DecoderConfig,
        frozen: BTreeMap<String, Tensor>,
        trained: Parameters,
        adapter: Option<AdapterSpec>,
    ) -> Result<Self> {
        let parts = Parts { frozen: &frozen, trained: &trained, adapter: adapter.as_ref() };
        let layers = (0..config.num_hidden_layers).map(|i| parts.layer(&config, i).map(Arc::new));
        let layers = layers.collect::<Result<_>>()?;
        let embedding = parts.table(EMBEDDING)?;
        let head = if config.tie_word_embeddings { None } else { Some(parts.table(HEAD)?) };
        let norm = parts.vector(FINAL_NORM)?;
        let frequencies = frequencies(config.head_dim, config.rope_theta, config.rope_scaling);
        let rope = Arc::new(RopeTable::new(&frequencies, config.positions())?);
        Ok(Self {
            config,
            frozen,
            trained,
            adapter,
            layers,
            recomputes: false,
            dropout: 0.0,
            embedding,
            norm,
            head,
            rope,
            precision: DType::F32,
        })
    }

    /// The same decoder on `device`, with activations of `precision` (`f32`, or `bf16` on a GPU). Weights that train and
    /// their gradients stay `f32`; results that leave the decoder are on the CPU again.
    ///
    /// # Errors
    /// [`Error::Tensor`] when the device has no memory for it.
    pub fn on(self, device: &Device, precision: DType) -> Result<Self> {
        let frozen = self.frozen.into_iter();
        let frozen = frozen.map(|(name, tensor)| Ok((name, tensor.to_device(device)?)));
        let frozen = frozen.collect::<Result<_>>()?;
        let moved = |var: &Var| Var::from_tensor(&var.as_tensor().detach().to_device(device)?);
        let trained = self.trained.iter();
        let trained = trained.map(|one| Ok(Parameter { var: moved(&one.var)?, ..one.clone() }));
        let trained = trained.collect::<Result<_>>()?;
        let (recomputes, dropout) = (self.recomputes, self.dropout);
        let decoder = Self::assemble(self.config, frozen, trained, self.adapter)?;
        Ok(Self { recomputes, dropout, precision, ..decoder })
    }

    /// The same decoder, which keeps only the input of each layer for the backward pass, where `recomputes`; its
    /// losses are then differentiated by [`crate::model::recompute::gradients`]. Values and gradients stay the same.
    #[must_use]
    pub fn recomputing(self, recomputes: bool) -> Self {
        Self { recomputes, ..self }
    }

    /// The same decoder, a training step of which drops `share` of the embeddings and of what attention and feed-forward add
    /// to them, and scales up the rest (arXiv:1706.03762, section 5.4).
    #[must_use]
    pub fn dropping(self, share: f64) -> Self {
        Self { dropout: share, ..self }
    }

    /// The shape.
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// Every parameter that trains, sorted by name: Hugging Face's names, and [`crate::model::lora`]'s.
    pub fn trained(&self) -> &Parameters {
        &self.trained
    }

    /// The adapter, where one trains beside frozen weights.
    pub fn adapter(&self) -> Option<&AdapterSpec> {
        self.adapter.as_ref()
    }

    /// Whether a training step drops anything: of its own, or inputs of the adapter.
    pub fn drops(&self) -> bool {
        self.dropout > 0.0 || self.adapter.as_ref().is_some_and(|spec| spec.settings.dropout > 0.0)
    }

    /// A weight by its Hugging Face name, in `f32` on the CPU, the adapter merged into it.
    ///
    /// # Errors
    /// [`Error::Failed`] when there is none of this name.
    pub fn weight(&self, name: &str) -> Result<Tensor> {
        let weight = match (&self.adapter, self.frozen.get(name), self.trained.get(name)) {
            (Some(spec), Some(base), _) => spec.merge(name, base, &self.trained.tensors())?,
            (None, _, Some(var)) => var.as_tensor().clone(),
            _ => return Err(Error::Failed(format!("parameter {name} is missing"))),
        };
        Ok(weight.to_device(&Device::Cpu)?)
    }

    /// All weights by their Hugging Face names, as [`Decoder::weight`] gives them.
    ///
    /// # Errors
    /// [`Error::Tensor`] when memory refuses.
    pub fn weights(&self) -> Result<BTreeMap<String, Tensor>> {
        let all = self.config.parameters().into_iter();
        all.map(|spec| Ok((spec.name.clone(), self.weight(&spec.name)?))).collect()
    }

    /// Final hidden states of a right-padded batch; padding needs no mask, since nothing looks ahead.
    ///
    /// Shapes: `ids [batch, seq]`, `u32`; result `[batch, seq, hidden]`, after the final norm.
    ///
    /// # Errors
    /// [`Error::Tensor`] when an id or the length lies outside what the decoder knows.
    pub fn hidden(&self, ids: &Tensor) -> Result<Tensor> {
        let (batch, seq) = ids.dims2()?;
        let packing = Packing::sequences(std::iter::repeat_n(seq, batch));
        let rows: Vec<u32> = (0..(batch * seq) as u32).collect();
        let flat = self.hidden_rows(&ids.flatten_all()?, &packing, &rows)?;
        Ok(flat.reshape((batch, seq, self.config.hidden_size))?)
    }

    /// Final hidden states of some tokens of a packed batch; the last layer is computed for those only.
    ///
    /// Shapes: `ids [tokens]`, `u32`; `rows` token numbers, ascending; result `[rows, hidden]`, after the final norm.
    ///
    /// # Errors
    /// As [`Decoder::hidden`], or when packing or rows do not fit `ids`.
    pub fn hidden_rows(&self, ids: &Tensor, packing: &Packing, rows: &[u32]) -> Result<Tensor> {
        self.forward(ids, packing, rows, None)
    }

    /// As [`Decoder::hidden_rows`], in a training step: what it drops, it drops by the token's key.
    ///
    /// Shapes: as there, and `keys [tokens]`.
    ///
    /// # Errors
    /// As [`Decoder::hidden_rows`].
    pub fn hidden_rows_in_training(
        &self,
        ids: &Tensor,
        packing: &Packing,
        rows: &[u32],
        keys: &TokenKeys,
    ) -> Result<Tensor> {
        self.forward(ids, packing, rows, self.drops().then_some(keys))
    }

    /// `ln p(target)` under the full vocabulary, in nats; several targets may read the same row.
    ///
    /// Shapes: `hidden [n, hidden]`; `rows` (of `hidden`) and `targets` equally long; result `[rows]`. Differentiable.
    ///
    /// # Errors
    /// [`Error::Tensor`] when a row or target does not exist.
    pub fn log_probs_at(&self, hidden: &Tensor, rows: &[u32], targets: &[u32]) -> Result<Tensor> {
        let head = self.head.as_ref().unwrap_or(&self.embedding);
        // Losses are small: they are computed on the CPU whatever computed the logits.
        Ok(head.log_probs(hidden, rows, targets)?.to_device(&Device::Cpu)?)
    }

    /// How far the logit of every target lies above the mean logit of the range of tokens that it lies in.
    ///
    /// Shapes: as in [`Decoder::log_probs_at`]; `ranges` ascending, none empty, none over another. Differentiable.
    ///
    /// # Errors
    /// [`Error::Tensor`] when a row or target does not exist, or a target lies in no range.
    pub fn margins_at(
        &self,
        hidden: &Tensor,
        rows: &[u32],
        targets: &[u32],
        ranges: &[Range<u32>],
    ) -> Result<Tensor> {
        let head = self.head.as_ref().unwrap_or(&self.embedding);
        Ok(head.margins(hidden, rows, targets, ranges)?.to_device(&Device::Cpu)?)
    }

    /// Cross-entropy of every place against soft targets over its candidates, in nats, under a softmax over those alone.
    ///
    /// Shapes: `hidden [n, hidden]`, whose rows the candidates name; result `[places]`. Differentiable.
    ///
    /// # Errors
    /// [`Error::Tensor`] when a row or token does not exist, or the row of a token is one that was frozen.
    pub fn candidate_losses(&self, hidden: &Tensor, candidates: Candidates) -> Result<Tensor> {
        let head = self.head.as_ref().unwrap_or(&self.embedding);
        Ok(head.candidate_losses(&hidden.to_device(&Device::Cpu)?, candidates)?)
    }

    fn forward(
        &self,
        ids: &Tensor,
        packing: &Packing,
        rows: &[u32],
        keys: Option<&TokenKeys>,
    ) -> Result<Tensor> {
        let tokens = ids.elem_count();
        let ascending = rows.windows(2).all(|pair| pair[0] < pair[1]);
        let inside = rows.last().is_none_or(|row| (*row as usize) < tokens);
        if packing.tokens() != tokens || !ascending || !inside {
            return Err(Error::Tensor(candle_core::Error::Msg(format!(
                "decoder: {tokens} ids do not fit a packing of {} tokens, {} of whose rows are wanted",
                packing.tokens(),
                rows.len()
            ))));
        }
        let positions = packing.positions();
        let mut x = self.embedding.look_up(ids)?.to_dtype(self.precision)?;
        if let Some(keys) = keys {
            x = dropout(&x, self.dropout, keys, stream(EMBEDDING))?;
        }
        let some = if rows.len() == tokens {
            None
        } else {
            Some(Arc::new(Rows::new(rows, &positions, keys)?))
        };
        let packing = packing.clone();
        let all = Queries { packing, positions, keys: keys.cloned(), rows: None };
        for (i, layer) in self.layers.iter().enumerate() {
            let is_last = i + 1 == self.layers.len();
            let queries = Queries { rows: some.clone().filter(|_| is_last), ..all.clone() };
            x = if self.recomputes {
                let (rope, shape) = (Arc::clone(&self.rope), self.shape());
                let again = Arc::clone(layer);
                let block = move |x: &Tensor| again.forward(&shape, &rope, x, &queries);
                recomputed(&x, layer.trained(), Arc::new(block))?
            } else {
                layer.forward(&self.shape(), &self.rope, &x, &queries)?
            };
            memory::check(|| {
                format!("after layer {} of {} of a forward pass", i + 1, self.layers.len())
            })?;
        }
        Ok(rms_norm(&x, &self.norm, self.config.rms_norm_eps)?)
    }

    fn shape(&self) -> Shape {
        Shape {
            heads: self.config.num_attention_heads,
            kv_heads: self.config.num_key_value_heads,
            head_dim: self.config.head_dim,
            eps: self.config.rms_norm_eps,
            dropout: self.dropout,
        }
    }
}

/// What a layer needs to know of its decoder.
struct Shape {
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    eps: f64,
    dropout: f64,
}

impl Layer {
    fn forward(
        &self,
        shape: &Shape,
        rope_table: &Arc<RopeTable>,
        x: &Tensor,
        all: &Queries,
    ) -> candle_core::Result<Tensor> {
        let Shape { heads, kv_heads, head_dim: dim, eps, dropout: share } = *shape;
        let normalized = |x: Tensor, norm: Option<&Tensor>| match norm {
            Some(norm) => rms_norm(&x, norm, eps),
            None => Ok(x),
        };
        let (q_norm, k_norm) = match &self.head_norms {
            Some((q, k)) => (Some(q), Some(k)),
            None => (None, None),
        };
        let normed = rms_norm(x, &self.input_norm, eps)?;
        let k = self.k.apply(&normed, all.keys.as_ref())?.reshape(((), kv_heads, dim))?;
        let k = rope(&normalized(k, k_norm)?, &all.positions, rope_table)?;
        let v = self.v.apply(&normed, all.keys.as_ref())?.reshape(((), kv_heads, dim))?;
        let (x, normed, positions, keys) = match &all.rows {
            Some(rows) => (
                // candle's index_select would add its gradient on one thread.
                &embedding(&rows.index, x)?,
                &embedding(&rows.index, &normed)?,
                &rows.positions,
                rows.keys.as_ref(),
            ),
            None => (x, &normed, &all.positions, all.keys.as_ref()),
        };
        let q = self.q.apply(normed, keys)?.reshape(((), heads, dim))?;
        let q = rope(&normalized(q, q_norm)?, positions, rope_table)?;
        let rows = all.rows.as_ref().map(|rows| rows.numbers.as_slice());
        let seen = packed_attention(&q, &k, &v, &all.packing, rows)?;
        let add = |part: &Projection, y: &Tensor, x: &Tensor, stream: u64| match keys {
            Some(keys) if share > 0.0 => {
                dropout(&part.apply(y, Some(keys))?, share, keys, stream)? + x
            }
            _ => part.apply_add(y, x, keys),
        };
        let [of_attention, of_feed_forward] = self.streams;
        let x = add(&self.out, &seen.reshape(((), heads * dim))?, x, of_attention)?;
        let normed = rms_norm(&x, &self.post_norm, eps)?;
        let inner = gated(&self.gate, &self.up, &normed, keys)?;
        add(&self.down, &inner, &x, of_feed_forward)
    }

    /// Every tensor with a gradient that the layer reads.
    fn trained(&self) -> Vec<Tensor> {
        let mut all = vec![self.input_norm.clone(), self.post_norm.clone()];
        if let Some((q, k)) = &self.head_norms {
            all.extend([q.clone(), k.clone()]);
        }
        for projection in [&self.q, &self.k, &self.v, &self.out, &self.gate, &self.up, &self.down] {
            projection.collect_trained(&mut all);
        }
        all.retain(Tensor::is_variable);
        all
    }
}

/// The tokens of a batch, and which of them a layer's output is wanted for (`None`: all).
#[derive(Clone)]
struct Queries {
    packing: Packing,
    positions: Positions,
    keys: Option<TokenKeys>,
    rows: Option<Arc<Rows>>,
}

struct Rows {
    numbers: Vec<u32>,
    index: Tensor,
    positions: Positions,
    keys: Option<TokenKeys>,
}

impl Rows {
    fn new(
        numbers: &[u32],
        positions: &[u32],
        keys: Option<&TokenKeys>,
    ) -> candle_core::Result<Self> {
        Ok(Self {
            numbers: numbers.to_vec(),
            index: Tensor::from_slice(numbers, numbers.len(), &Device::Cpu)?,
            positions: Positions::new(numbers.iter().map(|row| positions[*row as usize]).collect()),
            keys: keys.map(|keys| numbers.iter().map(|row| keys[*row as usize]).collect()),
        })
    }
}

/// Where a decoder's pieces come from.
struct Parts<'a> {
    frozen: &'a BTreeMap<String, Tensor>,
    trained: &'a Parameters,
    adapter: Option<&'a AdapterSpec>,
}

impl Parts<'_> {
    fn var(&self, name: &str) -> Option<Tensor> {
        self.trained.get(name).map(|var| var.as_tensor().clone())
    }

    fn weight(&self, name: &str) -> Result<Weight> {
        match (self.var(name), self.frozen.get(name)) {
            (Some(var), _) => Ok(Weight::Trained(var)),
            (None, Some(frozen)) => Ok(Weight::Frozen(frozen.clone())),
            (None, None) => Err(Error::Failed(format!("parameter {name} is missing"))),
        }
    }

    fn vector(&self, name: &str) -> Result<Tensor> {
        match self.weight(name)? {
            Weight::Trained(tensor) | Weight::Frozen(tensor) => Ok(tensor),
        }
    }

    fn table(&self, name: &str) -> Result<Table> {
        Ok(match (self.weight(name)?, self.var(&new_rows(name))) {
            (Weight::Trained(table), _) => Table::Trained(table),
            (Weight::Frozen(table), None) => Table::Frozen(table),
            (Weight::Frozen(table), Some(new)) => {
                let before = table.dim(0)? - new.dim(0)?;
                Table::Extended { frozen: table.narrow(0, 0, before)?, new }
            }
        })
    }

    fn layer(&self, config: &DecoderConfig, i: usize) -> Result<Layer> {
        let norm = |part: &str| self.vector(&format!("model.layers.{i}.{part}.weight"));
        let projection = |part: &str, has_bias: bool| {
            let module = format!("model.layers.{i}.{part}");
            let low_rank = |spec: &AdapterSpec| {
                let [a, b] = spec.names(&module)?;
                let (a, b) = (self.var(&a)?, self.var(&b)?);
                let dropout = spec.settings.dropout;
                Some(LowRank { a, b, scale: spec.scale(), dropout, stream: stream(&module) })
            };
            Ok::<_, Error>(Projection {
                weight: self.weight(&format!("{module}.weight"))?,
                bias: has_bias.then(|| self.vector(&format!("{module}.bias"))).transpose()?,
                adapter: self.adapter.and_then(low_rank),
            })
        };
        let head_norms = if config.family.has_head_norms() {
            Some((norm("self_attn.q_norm")?, norm("self_attn.k_norm")?))
        } else {
            None
        };
        Ok(Layer {
            input_norm: norm("input_layernorm")?,
            post_norm: norm("post_attention_layernorm")?,
            q: projection("self_attn.q_proj", config.qkv_bias)?,
            k: projection("self_attn.k_proj", config.qkv_bias)?,
            v: projection("self_attn.v_proj", config.qkv_bias)?,
            out: projection("self_attn.o_proj", config.out_bias)?,
            head_norms,
            gate: projection("mlp.gate_proj", config.mlp_bias)?,
            up: projection("mlp.up_proj", config.mlp_bias)?,
            down: projection("mlp.down_proj", config.mlp_bias)?,
            streams: ["self_attn", "mlp"].map(|part| stream(&format!("model.layers.{i}.{part}"))),
        })
    }
}

/// The random stream of what a part of the network drops: the keys of tokens hold the seed.
fn stream(part: &str) -> u64 {
    Seed::new(0).purpose(part).to_u64()
}

/// Moves the expected tensors out of a map and refuses anything else.
fn take(
    mut tensors: BTreeMap<String, Tensor>,
    expected: Vec<ParameterSpec>,
) -> Result<Vec<(ParameterSpec, Tensor)>> {
    let mut taken = Vec::with_capacity(expected.len());
    for spec in expected {
        let ParameterSpec { name, shape, .. } = &spec;
        let Some(tensor) = tensors.remove(name) else {
            return Err(Error::Failed(format!("parameter {name} is missing")));
        };
        if tensor.dims() != shape {
            let got = tensor.dims();
            return Err(Error::Failed(format!("{name}: expected shape {shape:?}, got {got:?}")));
        }
        taken.push((spec, tensor));
    }
    match tensors.keys().next() {
        Some(name) => {
            Err(Error::Failed(format!("parameter {name} does not belong to this decoder")))
        }
        None => Ok(taken),
    }
}

/// Parameters of given values, in `f32`.
fn trained(all: Vec<(ParameterSpec, Tensor)>) -> Result<Parameters> {
    all.into_iter().map(|(spec, values)| spec.filled(&values.to_dtype(DType::F32)?)).collect()
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
#[path = "decoder_tests.rs"]
pub(crate) mod tests;
