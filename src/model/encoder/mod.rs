//! Text encoders: a transformer, pooling, and what else a folder of sentence-transformers describes. A text becomes
//! one vector.
//!
//! `shape` says what a `config.json` describes: a transformer of the BERT family (`config`, `bert`), which trains with the
//! same loop as decoders or stays as it is, or one of those that a `library` runs, which stay as they are. `modules` is
//! what follows behind it, `folder` reads and writes folders, this file puts them together. Texts are packed behind one
//! another; nothing is spent on padding.

mod bert;
mod config;
mod folder;
mod keys;
mod library;
#[cfg(test)]
mod library_tests;
mod modules;
mod names;
mod network;
mod pooling;
mod shape;
#[cfg(test)]
mod tests;

use std::path::Path;

use candle_core::Tensor;

pub use config::EncoderConfig;
pub use folder::{EncoderFolder, FolderChoices, source_files};
pub use pooling::pool;

use crate::error::{Error, Result};
use crate::model::parameters::Parameters;
use crate::model::settings::Pooling;
use crate::model::text_reader::TextReader;
use crate::model::tokenizer::Tokenizer;
use crate::seed::Seed;
use bert::Bert;
use modules::Dense;
use network::Network;

/// Keeps the length of a vector away from zero.
const EPSILON: f64 = 1e-12;
/// Texts encoded at once without a gradient: the activations of so many titles lie in a few MiB.
const CHUNK: usize = 32;

/// A text encoder.
pub struct TextEncoder {
    network: Network,
    /// What trains; empty where the weights stay as they are.
    parameters: Parameters,
    pooling: Pooling,
    dense: Vec<Dense>,
    normalizes: bool,
    text: TextReader,
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
        let network = Network::Own(bert);
        Ok(Self { network, parameters, pooling, dense, normalizes: true, text })
    }

    /// Numbers per vector.
    pub fn dim(&self) -> usize {
        self.dense.last().map_or(self.network.hidden(), |dense| dense.weight.dims()[0])
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
        let mut x = self.network.pooled(texts, self.pooling)?;
        for dense in &self.dense {
            x = dense.forward(&x)?;
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

fn missing(name: &str) -> Error {
    Error::Failed(format!("encoder: parameter {name} is missing"))
}
