//! What turns the tokens of texts into vectors of tokens: the network of [`super::bert`], or a library's.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use serde_json::Value;

use super::bert::Bert;
use super::library::LibraryNetwork;
use super::pooling::pool;
use crate::error::Result;
use crate::model::settings::Pooling;

/// A transformer.
pub(super) enum Network {
    /// Of the BERT family; may train.
    Own(Bert),
    /// Of another family, as it is.
    Library(Box<LibraryNetwork>),
}

impl Network {
    /// Numbers per token vector.
    pub(super) fn hidden(&self) -> usize {
        match self {
            Self::Own(bert) => bert.config().hidden,
            Self::Library(network) => network.hidden(),
        }
    }

    /// All values by their names in files.
    pub(super) fn tensors(&self) -> BTreeMap<String, Tensor> {
        match self {
            Self::Own(bert) => {
                let family = bert.config().family;
                let named =
                    |(name, tensor): (&String, &Tensor)| (family.file_name(name), tensor.clone());
                bert.tensors().iter().map(named).collect()
            }
            Self::Library(network) => network.tensors().clone(),
        }
    }

    /// The fields of `config.json`.
    pub(super) fn to_file(&self) -> Value {
        match self {
            Self::Own(bert) => bert.config().to_file(),
            Self::Library(network) => network.to_file(),
        }
    }

    /// One vector per text, `[texts, hidden]`; zeros for a text without tokens.
    ///
    /// # Errors
    /// [`crate::error::Error::Failed`] when a text is longer than the model's positions.
    pub(super) fn pooled(&self, texts: &[&[u32]], pooling: Pooling) -> Result<Tensor> {
        let lengths: Vec<usize> = texts.iter().map(|text| text.len()).collect();
        if lengths.iter().all(|length| *length == 0) {
            let shape = (texts.len(), self.hidden());
            return Ok(Tensor::zeros(shape, DType::F32, &Device::Cpu)?);
        }
        let rows = match self {
            Self::Own(bert) => bert.hidden(texts)?,
            Self::Library(network) => network.rows(texts)?,
        };
        pool(&rows, &lengths, pooling)
    }
}
