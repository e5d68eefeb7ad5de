//! Inference for beam search: plain slices, the prompt's keys and values stored once for all beams.
//!
//! A frozen decoder holds packed copies of the weights, takes no locks and is shared by any number of
//! threads, one request each. Beams keep only their own few tokens; re-ordering them moves indices, never keys.

use candle_core::DType;
use std::ops::Range;
use trieval_kernels::ops::{
    MatMut, MatRef, RopeTable, Threads, axpy, dot, matmul, matmul_new, rms_norm_rows, rotate_head,
    softmax_in_place, swiglu_rows,
};

use crate::error::{Error, Result};
use crate::model::config::{DecoderConfig, EMBEDDING, FINAL_NORM, HEAD, frequencies};
use crate::model::decoder::Decoder;

/// A snapshot of a [`Decoder`] for inference on the CPU; later training does not change it.
pub struct FrozenDecoder {
    config: DecoderConfig,
    layers: Vec<FrozenLayer>,
    embedding: Vec<f32>,
    head: Option<Vec<f32>>,
    norm: Vec<f32>,
    rope: RopeTable,
    threads: Threads,
}

struct FrozenLayer {
    input_norm: Vec<f32>,
    post_norm: Vec<f32>,
    /// Norms of query and key heads, where the family has them.
    head_norms: Option<(Vec<f32>, Vec<f32>)>,
    q: FrozenLinear,
    k: FrozenLinear,
    v: FrozenLinear,
    out: FrozenLinear,
    gate: FrozenLinear,
    up: FrozenLinear,
    down: FrozenLinear,
}

/// A weight `[out, in]` and perhaps a bias `[out]`.
struct FrozenLinear {
    weight: Vec<f32>,
    bias: Option<Vec<f32>>,
    outer: usize,
}

/// Keys and values of one layer, `[rows, kv_heads * head_dim]` each.
#[derive(Default)]
struct KeyValues {
    keys: Vec<f32>,
    values: Vec<f32>,
}

/// What a prompt leaves behind: its keys and values, and the last hidden state.
pub struct PromptCache {
    layers: Vec<KeyValues>,
    tokens: usize,
    last_hidden: Vec<f32>,
}

impl PromptCache {
    /// Tokens of the prompt.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Hidden state behind the prompt's last token, after the final norm: `[hidden]`. It predicts the
    /// first generated token.
    pub fn last_hidden(&self) -> &[f32] {
        &self.last_hidden
    }
}

/// The tokens that beams added to a prompt so far.
#[derive(Default)]
pub struct BeamCache {
    /// Per step and layer, the rows of the beams that were alive at that step.
    steps: Vec<Vec<KeyValues>>,
    /// Row of each beam in each step: `[beams, steps]`.
    ancestry: Vec<u32>,
    beams: usize,
}

impl BeamCache {
    /// No step yet: the one beam is the prompt itself.
    pub fn new() -> Self {
        Self { steps: Vec::new(), ancestry: Vec::new(), beams: 1 }
    }

    /// Beams after the last step.
    pub fn beams(&self) -> usize {
        self.beams
    }

    /// Steps so far.
    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    /// Ancestry after one more step whose beams descend from `parents`.
    fn descend(&self, parents: &[u32]) -> Vec<u32> {
        let n = self.steps.len();
        let mut ancestry = Vec::with_capacity(parents.len() * (n + 1));
        for (beam, parent) in parents.iter().enumerate() {
            ancestry.extend_from_slice(&self.ancestry[*parent as usize * n..][..n]);
            ancestry.push(beam as u32);
        }
        ancestry
    }
}

impl Decoder {
    /// Copies the weights into a form for inference. [`Threads::One`] suits many requests in parallel,
    /// [`Threads::Pool`] a single request on a large decoder.
    ///
    /// # Errors
    /// [`Error::Tensor`] when a parameter cannot be read.
    pub fn freeze(&self, threads: Threads) -> Result<FrozenDecoder> {
        FrozenDecoder::new(self.config().clone(), threads, |name| {
            Ok(self.weight(name)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
        })
    }
}

impl FrozenDecoder {
    /// A decoder whose weights are given by name, row by row.
    ///
    /// # Errors
    /// Those of `get`.
    pub fn new(
        config: DecoderConfig,
        threads: Threads,
        get: impl Fn(&str) -> Result<Vec<f32>>,
    ) -> Result<Self> {
        let layer = |i: usize| {
            let norm = |part: &str| get(&format!("model.layers.{i}.{part}.weight"));
            let linear = |part: &str, outer: usize, has_bias: bool| {
                let name = format!("model.layers.{i}.{part}");
                let bias = has_bias.then(|| get(&format!("{name}.bias"))).transpose()?;
                Ok::<_, Error>(FrozenLinear {
                    weight: get(&format!("{name}.weight"))?,
                    bias,
                    outer,
                })
            };
            let head_norms = if config.family.has_head_norms() {
                Some((norm("self_attn.q_norm")?, norm("self_attn.k_norm")?))
            } else {
                None
            };
            let (hidden, ffn) = (config.hidden_size, config.intermediate_size);
            let heads = config.num_attention_heads * config.head_dim;
            let kv = config.num_key_value_heads * config.head_dim;
            Ok(FrozenLayer {
                input_norm: norm("input_layernorm")?,
                post_norm: norm("post_attention_layernorm")?,
                head_norms,
                q: linear("self_attn.q_proj", heads, config.qkv_bias)?,
                k: linear("self_attn.k_proj", kv, config.qkv_bias)?,
                v: linear("self_attn.v_proj", kv, config.qkv_bias)?,
                out: linear("self_attn.o_proj", hidden, config.out_bias)?,
                gate: linear("mlp.gate_proj", ffn, config.mlp_bias)?,
                up: linear("mlp.up_proj", ffn, config.mlp_bias)?,
                down: linear("mlp.down_proj", hidden, config.mlp_bias)?,
            })
        };
        let frequencies = frequencies(config.head_dim, config.rope_theta, config.rope_scaling);
        Ok(Self {
            layers: (0..config.num_hidden_layers).map(layer).collect::<Result<_>>()?,
            embedding: get(EMBEDDING)?,
            head: if config.tie_word_embeddings { None } else { Some(get(HEAD)?) },
            norm: get(FINAL_NORM)?,
            rope: RopeTable::new(&frequencies, config.positions())?,
            threads,
            config,
        })
    }

    /// The shape.
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// Runs a prompt once.
    ///
    /// # Errors
    /// [`Error::Failed`] when the prompt is empty, too long, or names an unknown token.
    pub fn prefill(&self, ids: &[u32]) -> Result<PromptCache> {
        let mut layers = Vec::with_capacity(self.layers.len());
        let last_hidden = self.run(ids, ids.len().saturating_sub(1), |cache| layers.push(cache))?;
        Ok(PromptCache { layers, tokens: ids.len(), last_hidden })
    }

    /// Hidden states behind every token of a text, after the final norm: `[ids, hidden]`.
    ///
    /// # Errors
    /// As [`FrozenDecoder::prefill`].
    pub fn hidden(&self, ids: &[u32]) -> Result<Vec<f32>> {
        self.run(ids, 0, drop)
    }

    /// Hidden states of the tokens from `wanted` on, after the final norm; `keep` gets every layer's keys and values.
    fn run(&self, ids: &[u32], wanted: usize, mut keep: impl FnMut(KeyValues)) -> Result<Vec<f32>> {
        self.check(ids, 0)?;
        let (n, hidden) = (ids.len(), self.config.hidden_size);
        let mut x = self.embed(ids);
        for (i, layer) in self.layers.iter().enumerate() {
            // Behind the last layer only these tokens are read: of the others, keys and values suffice.
            let first = if i + 1 == self.layers.len() { wanted } else { 0 };
            let normed = self.norm(&x, &layer.input_norm);
            let cache = self.keys_and_values(layer, &normed, |row| row);
            let q = self.queries(layer, &normed[first * hidden..], |row| first + row);
            let mut seen = vec![0f32; q.len()];
            let mut scores = vec![0f32; (n - first) * n];
            for head in 0..self.config.num_attention_heads {
                self.prompt_scores(&q, &cache.keys, head, n, &mut scores);
                for (row, scores) in scores.chunks_exact_mut(n).enumerate() {
                    let (visible, hidden) = scores.split_at_mut(first + row + 1);
                    softmax_in_place(visible, self.scale());
                    hidden.fill(0.0);
                }
                self.prompt_values(&scores, &cache.values, head, n, &mut seen);
            }
            x.drain(..first * hidden);
            self.finish_layer(layer, &mut x, &seen);
            keep(cache);
        }
        Ok(self.norm(&x, &self.norm))
    }

    /// One more token for every beam; returns the hidden states behind it, `[beams, hidden]`, after the final norm.
    ///
    /// `tokens[i]` continues the previous step's beam `parents[i]` (0 in the first step); beams may be
    /// dropped, repeated and re-ordered freely. The position follows from prompt and steps.
    ///
    /// # Errors
    /// [`Error::Failed`] when lengths differ, a parent or token does not exist, or positions run out.
    pub fn extend(
        &self,
        prompt: &PromptCache,
        beams: &mut BeamCache,
        parents: &[u32],
        tokens: &[u32],
    ) -> Result<Vec<f32>> {
        let position = prompt.tokens + beams.steps.len();
        if tokens.is_empty() {
            return Err(Error::Failed("decoder: a step needs at least one beam".into()));
        }
        if parents.len() != tokens.len() {
            return Err(Error::Failed(format!(
                "decoder: {} parents for {} tokens",
                parents.len(),
                tokens.len()
            )));
        }
        if let Some(parent) = parents.iter().find(|p| **p as usize >= beams.beams) {
            return Err(Error::Failed(format!(
                "decoder: parent {parent} is not among the {} beams of the step before",
                beams.beams
            )));
        }
        self.check_tokens(tokens)?;
        self.check_position(position)?;
        let ancestry = beams.descend(parents);
        let (n, n_prompt, n_steps) = (tokens.len(), prompt.tokens, beams.steps.len() + 1);
        let row = n_prompt + n_steps;
        let (dim, heads) = (self.config.head_dim, self.config.num_attention_heads);
        let (width, kv_width) = (heads * dim, self.kv_width());
        let mut x = self.embed(tokens);
        let mut step: Vec<KeyValues> = Vec::with_capacity(self.layers.len());
        let mut scores = vec![0f32; n * row];
        let mut seen = vec![0f32; n * width];
        for (i, layer) in self.layers.iter().enumerate() {
            let normed = self.norm(&x, &layer.input_norm);
            let own = self.keys_and_values(layer, &normed, |_| position);
            let q = self.queries(layer, &normed, |_| position);
            let earlier = |t: usize| if t + 1 == n_steps { &own } else { &beams.steps[t][i] };
            for head in 0..heads {
                let at = self.kv_head(head) * dim;
                self.prompt_scores(&q, &prompt.layers[i].keys, head, row, &mut scores);
                for (beam, scores) in scores.chunks_exact_mut(row).enumerate() {
                    let q = &q[beam * width + head * dim..][..dim];
                    for (t, score) in scores[n_prompt..].iter_mut().enumerate() {
                        let slot = ancestry[beam * n_steps + t] as usize;
                        *score = dot(q, &earlier(t).keys[slot * kv_width + at..][..dim]);
                    }
                    softmax_in_place(scores, self.scale());
                }
                self.prompt_values(&scores, &prompt.layers[i].values, head, row, &mut seen);
                for (beam, scores) in scores.chunks_exact(row).enumerate() {
                    let seen = &mut seen[beam * width + head * dim..][..dim];
                    for (t, p) in scores[n_prompt..].iter().enumerate() {
                        let slot = ancestry[beam * n_steps + t] as usize;
                        axpy(*p, &earlier(t).values[slot * kv_width + at..][..dim], seen);
                    }
                }
            }
            self.finish_layer(layer, &mut x, &seen);
            step.push(own);
        }
        beams.steps.push(step);
        beams.ancestry = ancestry;
        beams.beams = n;
        Ok(self.norm(&x, &self.norm))
    }

    /// Logits of a range of tokens.
    ///
    /// Shapes: `hidden [n, hidden]`; result `[n, tokens]`, where `tokens` is `0..vocab_size` for all.
    ///
    /// # Errors
    /// [`Error::Failed`] when the range or the slice does not fit the decoder.
    pub fn logits(&self, hidden: &[f32], tokens: Range<usize>) -> Result<Vec<f32>> {
        let (width, vocab) = (self.config.hidden_size, self.config.vocab_size);
        if tokens.start > tokens.end || tokens.end > vocab || !hidden.len().is_multiple_of(width) {
            return Err(Error::Failed(format!(
                "decoder: tokens {}..{} of a vocabulary of {vocab}, {} values of width {width}",
                tokens.start,
                tokens.end,
                hidden.len()
            )));
        }
        let head = self.head.as_ref().unwrap_or(&self.embedding);
        let head = &head[tokens.start * width..tokens.end * width];
        Ok(self.product(hidden, head, width, tokens.len()))
    }

    fn check(&self, ids: &[u32], before: usize) -> Result<()> {
        if ids.is_empty() {
            return Err(Error::Failed("decoder: the prompt is empty".into()));
        }
        self.check_tokens(ids)?;
        self.check_position(before + ids.len() - 1)
    }

    fn check_tokens(&self, ids: &[u32]) -> Result<()> {
        let vocab = self.config.vocab_size;
        match ids.iter().find(|id| **id as usize >= vocab) {
            Some(id) => Err(Error::Failed(format!(
                "decoder: token {id} is outside the vocabulary of {vocab}"
            ))),
            None => Ok(()),
        }
    }

    fn check_position(&self, position: usize) -> Result<()> {
        let limit = self.config.positions();
        if position < limit {
            return Ok(());
        }
        Err(Error::Failed(format!(
            "decoder: position {position} is beyond the {limit} positions of the model; shorten the prompt"
        )))
    }

    fn kv_width(&self) -> usize {
        self.config.num_key_value_heads * self.config.head_dim
    }

    fn kv_head(&self, head: usize) -> usize {
        head * self.config.num_key_value_heads / self.config.num_attention_heads
    }

    fn scale(&self) -> f32 {
        1.0 / (self.config.head_dim as f32).sqrt()
    }

    fn embed(&self, ids: &[u32]) -> Vec<f32> {
        let width = self.config.hidden_size;
        ids.iter()
            .flat_map(|id| &self.embedding[*id as usize * width..][..width])
            .copied()
            .collect()
    }

    fn norm(&self, x: &[f32], weight: &[f32]) -> Vec<f32> {
        let mut out = vec![0f32; x.len()];
        rms_norm_rows(x, weight, self.config.rms_norm_eps as f32, &mut out);
        out
    }

    /// `x weightᵀ` for a weight `[outer, inner]`.
    fn product(&self, x: &[f32], weight: &[f32], inner: usize, outer: usize) -> Vec<f32> {
        let (x, weight) =
            (MatRef::new(x, x.len() / inner, inner), MatRef::new(weight, outer, inner));
        matmul_new(x, weight.t(), self.threads)
    }

    /// `x Wᵀ + b`, added to what `out` holds where `keep` is 1.
    fn apply(&self, linear: &FrozenLinear, x: &[f32], keep: f32, out: &mut [f32]) {
        let (outer, rows) = (linear.outer, out.len() / linear.outer);
        let inner = linear.weight.len() / outer;
        let (x, weight) = (MatRef::new(x, rows, inner), MatRef::new(&linear.weight, outer, inner));
        matmul(&mut MatMut::new(out, rows, outer), keep, 1.0, x, weight.t(), self.threads);
        if let Some(bias) = &linear.bias {
            out.chunks_exact_mut(outer).for_each(|row| axpy(1.0, bias, row));
        }
    }

    fn project(&self, linear: &FrozenLinear, x: &[f32]) -> Vec<f32> {
        let rows = x.len() * linear.outer / linear.weight.len();
        let mut out = vec![0f32; rows * linear.outer];
        self.apply(linear, x, 0.0, &mut out);
        out
    }

    /// Normalizes (where there is a norm) and rotates every head of `[rows, heads, head_dim]` in place.
    fn place_heads(
        &self,
        heads: &mut [f32],
        norm: Option<&Vec<f32>>,
        width: usize,
        at: impl Fn(usize) -> usize,
    ) {
        if let Some(norm) = norm {
            let normed = self.norm(heads, norm);
            heads.copy_from_slice(&normed);
        }
        for (row, heads) in heads.chunks_exact_mut(width).enumerate() {
            let (cos, sin) = self.rope.at(at(row));
            for head in heads.chunks_exact_mut(self.config.head_dim) {
                rotate_head(head, cos, sin, 1.0);
            }
        }
    }

    fn queries(&self, layer: &FrozenLayer, x: &[f32], at: impl Fn(usize) -> usize) -> Vec<f32> {
        let mut q = self.project(&layer.q, x);
        let norm = layer.head_norms.as_ref().map(|(q, _)| q);
        self.place_heads(&mut q, norm, layer.q.outer, at);
        q
    }

    fn keys_and_values(
        &self,
        layer: &FrozenLayer,
        x: &[f32],
        at: impl Fn(usize) -> usize,
    ) -> KeyValues {
        let mut keys = self.project(&layer.k, x);
        let norm = layer.head_norms.as_ref().map(|(_, k)| k);
        self.place_heads(&mut keys, norm, layer.k.outer, at);
        KeyValues { keys, values: self.project(&layer.v, x) }
    }

    /// Scores of one head's queries against prompt keys, into rows `row` entries apart.
    fn prompt_scores(&self, q: &[f32], keys: &[f32], head: usize, row: usize, out: &mut [f32]) {
        let dim = self.config.head_dim;
        let (width, kv) = (self.config.num_attention_heads * dim, self.kv_width());
        let (rows, n_keys) = (q.len() / width, keys.len() / kv);
        let q = MatRef::strided(&q[head * dim..], rows, dim, width);
        let k = MatRef::strided(&keys[self.kv_head(head) * dim..], n_keys, dim, kv);
        matmul(&mut MatMut::strided(out, rows, n_keys, row), 0.0, 1.0, q, k.t(), self.threads);
    }

    /// One head's mixture of prompt values, overwriting its columns of `seen`.
    fn prompt_values(&self, p: &[f32], values: &[f32], head: usize, row: usize, seen: &mut [f32]) {
        let dim = self.config.head_dim;
        let (width, kv) = (self.config.num_attention_heads * dim, self.kv_width());
        let (rows, n_keys) = (seen.len() / width, values.len() / kv);
        let v = MatRef::strided(&values[self.kv_head(head) * dim..], n_keys, dim, kv);
        let p = MatRef::strided(p, rows, n_keys, row);
        let mut out = MatMut::strided(&mut seen[head * dim..], rows, dim, width);
        matmul(&mut out, 0.0, 1.0, p, v, self.threads);
    }

    /// Output projection, residual and feed-forward: everything behind attention.
    fn finish_layer(&self, layer: &FrozenLayer, x: &mut [f32], seen: &[f32]) {
        self.apply(&layer.out, seen, 1.0, x);
        let normed = self.norm(x, &layer.post_norm);
        let (gate, up) = (self.project(&layer.gate, &normed), self.project(&layer.up, &normed));
        let mut inner = vec![0f32; gate.len()];
        swiglu_rows(&gate, &up, &mut inner);
        self.apply(&layer.down, &inner, 1.0, x);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;
    use crate::model::config::tests::small;
    use crate::model::decoder::tests::{all_shapes, lively};

    /// Hidden states of a whole sequence by the training forward pass.
    fn full(decoder: &Decoder, ids: &[u32]) -> Vec<Vec<f32>> {
        let input = Tensor::from_slice(ids, (1, ids.len()), &Device::Cpu).unwrap();
        decoder.hidden(&input).unwrap().squeeze(0).unwrap().to_vec2().unwrap()
    }

    fn assert_close(a: &[f32], b: &[f32]) {
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }

    #[test]
    fn beams_equal_full_forward_passes_under_reordering() {
        for config in all_shapes() {
            let decoder = lively(config);
            let frozen = decoder.freeze(Threads::One).unwrap();
            let prompt_ids = [3u32, 17, 4, 42, 8, 8, 1];
            let prompt = frozen.prefill(&prompt_ids).unwrap();
            assert_close(prompt.last_hidden(), full(&decoder, &prompt_ids).last().unwrap());
            let all = frozen.hidden(&prompt_ids).unwrap();
            assert_close(&all, &full(&decoder, &prompt_ids).concat());
            let mut beams = BeamCache::new();
            let mut sequences = vec![prompt_ids.to_vec()];
            let steps: [(&[u32], &[u32]); 4] = [
                (&[0, 0, 0], &[5, 6, 7]),
                (&[2, 0, 0, 1], &[11, 12, 13, 14]),
                (&[3, 3, 1], &[20, 21, 20]),
                (&[1, 0], &[9, 9]),
            ];
            for (parents, tokens) in steps {
                let hidden = frozen.extend(&prompt, &mut beams, parents, tokens).unwrap();
                sequences = parents
                    .iter()
                    .zip(tokens)
                    .map(|(p, t)| [&sequences[*p as usize][..], &[*t]].concat())
                    .collect();
                for (row, sequence) in hidden.chunks(24).zip(&sequences) {
                    assert_close(row, full(&decoder, sequence).last().unwrap());
                }
                let logits = frozen.logits(&hidden, 10..30).unwrap();
                let hidden = Tensor::from_vec(hidden, (tokens.len(), 24), &Device::Cpu).unwrap();
                let tied = decoder.config().tie_word_embeddings;
                let head = decoder.weight(if tied { EMBEDDING } else { HEAD }).unwrap();
                let all = hidden.matmul(&head.t().unwrap()).unwrap();
                let expected = all.narrow(1, 10, 20).unwrap().flatten_all().unwrap();
                assert_close(&logits, &expected.to_vec1::<f32>().unwrap());
            }
            assert_eq!((beams.beams(), beams.steps()), (2, 4));
        }
    }

    #[test]
    fn impossible_requests_are_errors() {
        let frozen = lively(small(50)).freeze(Threads::One).unwrap();
        let text = |result: Result<PromptCache>| result.err().unwrap().to_string();
        assert!(text(frozen.prefill(&[])).contains("the prompt is empty"));
        assert!(frozen.hidden(&[]).is_err() && frozen.hidden(&[50]).is_err());
        assert!(text(frozen.prefill(&[50])).contains("token 50 is outside the vocabulary of 50"));
        let most = frozen.config().positions();
        let told = text(frozen.prefill(&vec![1; most + 1]));
        assert!(told.contains(&format!("the {most} positions")), "{told}");
        let prompt = frozen.prefill(&vec![1; most]).unwrap();
        assert!(frozen.extend(&prompt, &mut BeamCache::new(), &[0], &[1]).is_err());
        let prompt = frozen.prefill(&[1]).unwrap();
        let mut beams = BeamCache::new();
        assert!(frozen.extend(&prompt, &mut beams, &[1], &[1]).is_err());
        assert!(frozen.extend(&prompt, &mut beams, &[0, 0], &[1]).is_err());
        assert!(frozen.extend(&prompt, &mut beams, &[], &[]).is_err());
        assert_eq!((beams.beams(), beams.steps()), (1, 0));
        assert!(frozen.logits(&[0.0; 24], 40..51).is_err());
    }
}
