//! Text encoders: a transformer of the BERT family, pooling, and what else a folder of
//! sentence-transformers describes. A text becomes one vector.
//!
//! `config` says what of a `config.json` can be run, `bert` is the network, `folder` reads and writes
//! folders, this file puts them together. Encoders train with the same loop as decoders, or stay as they
//! are. Texts are packed behind one another; nothing is spent on padding.

mod bert;
mod config;
mod folder;
mod keys;
mod names;
#[cfg(test)]
mod tests;

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use trieval_kernels::ops::linear_bias;

pub use config::EncoderConfig;
pub use folder::{EncoderFolder, FolderChoices, source_files};

use crate::error::{Error, Result};
use crate::model::parameters::Parameters;
use crate::model::settings::Pooling;
use crate::model::text_reader::TextReader;
use crate::model::tokenizer::Tokenizer;
use crate::seed::Seed;
use bert::Bert;

/// Keeps the length of a vector away from zero.
const EPSILON: f64 = 1e-12;
/// Texts encoded at once without a gradient: the activations of so many titles lie in a few MiB.
const CHUNK: usize = 32;

/// A text encoder.
pub struct TextEncoder {
    bert: Bert,
    /// What trains; empty where the weights stay as they are.
    parameters: Parameters,
    pooling: Pooling,
    dense: Vec<Dense>,
    normalizes: bool,
    text: TextReader,
}

/// A layer behind pooling.
#[derive(Clone)]
struct Dense {
    weight: Tensor,
    bias: Tensor,
    activation: Activation,
}

/// What a [`Dense`] ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Activation {
    Identity,
    Tanh,
}

/// Whether the weights of an encoder train.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weights {
    /// They stay as they are; no gradient is computed.
    Frozen,
    /// All of them train.
    Trained,
}

impl TextEncoder {
    /// An encoder with random weights, mean pooling and vectors of unit length: normal with
    /// `initializer_range` 0.02, norms 1, biases 0. Each parameter has its own stream, by name.
    ///
    /// # Errors
    /// [`Error::Tensor`] when memory or shapes refuse.
    pub fn init(config: EncoderConfig, tokenizer: Tokenizer, seed: Seed) -> Result<Self> {
        let tensors = config
            .parameters()
            .into_iter()
            .map(|spec| Ok((spec.name.clone(), bert::initial(&spec, seed)?)))
            .collect::<Result<_>>()?;
        let max_tokens = config.max_tokens();
        let (bert, parameters) = Bert::new(config, tensors, Weights::Trained)?;
        let text =
            TextReader { tokenizer, frame: Default::default(), max_tokens, lowercases: false };
        let (pooling, dense) = (Pooling::Mean, Vec::new());
        let parameters = parameters.into_iter().collect();
        Ok(Self { bert, parameters, pooling, dense, normalizes: true, text })
    }

    /// Numbers per vector.
    pub fn dim(&self) -> usize {
        self.dense.last().map_or(self.bert.config().hidden, |dense| dense.weight.dims()[0])
    }

    /// What trains.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Tokens of a text, framed and cut as the model expects it; never empty unless the tokenizer has no frame and
    /// the text no token.
    ///
    /// # Errors
    /// [`Error::Failed`] when the tokenizer refuses the text.
    pub fn tokens(&self, text: &str) -> Result<Vec<u32>> {
        self.text.tokens(text)
    }

    /// One vector per text, `[texts, dim]`, with a gradient where the encoder trains; `texts` as [`Self::tokens`] gives
    /// them. A text without tokens has a vector of zeros.
    ///
    /// # Errors
    /// [`Error::Tensor`] when a token is outside the vocabulary or a text is longer than the model's positions.
    pub fn encode(&self, texts: &[&[u32]]) -> Result<Tensor> {
        let mut x = self.bert.pooled(texts, self.pooling)?;
        for dense in &self.dense {
            x = linear_bias(&x, &dense.weight, &dense.bias)?;
            if dense.activation == Activation::Tanh {
                x = x.tanh()?;
            }
        }
        if self.normalizes { unit_length(&x) } else { Ok(x) }
    }

    /// The vectors of texts without a gradient, row by row; `done` hears of every chunk.
    ///
    /// # Errors
    /// As [`Self::tokens`], [`Self::encode`] and `done`.
    pub fn vectors<S: AsRef<str>>(
        &self,
        texts: &[S],
        mut done: impl FnMut(usize) -> Result<()>,
    ) -> Result<Vec<f32>> {
        let mut data = Vec::with_capacity(texts.len() * self.dim());
        for chunk in texts.chunks(CHUNK) {
            let tokens: Vec<Vec<u32>> =
                chunk.iter().map(|text| self.tokens(text.as_ref())).collect::<Result<_>>()?;
            let tokens: Vec<&[u32]> = tokens.iter().map(Vec::as_slice).collect();
            data.extend(self.encode(&tokens)?.detach().flatten_all()?.to_vec1::<f32>()?);
            done(chunk.len())?;
        }
        Ok(data)
    }

    /// Writes the encoder as a folder of sentence-transformers, weights in `f32`.
    ///
    /// # Errors
    /// [`Error::Environment`] when the disk refuses.
    pub fn save(&self, folder: &Path) -> Result<()> {
        folder::save(self, folder)
    }
}

/// Rows scaled to unit length; rows of zeros stay so. Shapes: `x [rows, dim]`, result alike.
///
/// # Errors
/// [`Error::Tensor`] when the tensor has no two axes.
pub fn unit_length(x: &Tensor) -> Result<Tensor> {
    let length = (x.sqr()?.sum_keepdim(1)? + EPSILON)?.sqrt()?;
    Ok(x.broadcast_div(&length)?)
}

/// The mean of packed rows, or their first. Shapes: `x [tokens, hidden]`, `lengths` of the texts in order, result
/// `[texts, hidden]`; a text without tokens gives zeros.
///
/// # Errors
/// [`Error::Tensor`] when the lengths do not sum up to the rows.
pub fn pool(x: &Tensor, lengths: &[usize], pooling: Pooling) -> Result<Tensor> {
    let hidden = x.dims2()?.1;
    let zeros = Tensor::zeros((lengths.len(), hidden), DType::F32, &Device::Cpu)?;
    let (mut rows, mut owners) = (Vec::new(), Vec::new());
    let mut start = 0;
    for (owner, length) in lengths.iter().enumerate() {
        let read = match pooling {
            Pooling::Mean => *length,
            Pooling::Cls => (*length).min(1),
        };
        rows.extend((start..start + read).map(|row| row as u32));
        owners.resize(owners.len() + read, owner as u32);
        start += length;
    }
    if rows.is_empty() {
        return Ok(zeros);
    }
    let owners = Tensor::new(owners, &Device::Cpu)?;
    match pooling {
        Pooling::Cls => {
            let first = x.index_select(&Tensor::new(rows, &Device::Cpu)?, 0)?;
            Ok(zeros.index_add(&owners, &first, 0)?)
        }
        Pooling::Mean => {
            let shares: Vec<f32> = lengths.iter().map(|n| 1.0 / (*n).max(1) as f32).collect();
            let shares = Tensor::from_vec(shares, (lengths.len(), 1), &Device::Cpu)?;
            Ok(zeros.index_add(&owners, x, 0)?.broadcast_mul(&shares)?)
        }
    }
}

fn missing(name: &str) -> Error {
    Error::Failed(format!("encoder: parameter {name} is missing"))
}
