//! A model folder in the layout of Hugging Face: configuration, weights, tokenizer.

use std::path::Path;

use crate::error::{Error, Result};
use crate::model::checkpoint::{WEIGHTS, load_weights, save_weights};
use crate::model::config::DecoderConfig;
use crate::model::decoder::Decoder;
use crate::model::tokenizer::Tokenizer;
use crate::store::{create_dir, write_json};

/// Name of the configuration in a model folder.
pub const CONFIG: &str = "config.json";

/// A decoder with its tokenizer, as stored together.
pub struct ModelFolder {
    /// The decoder.
    pub decoder: Decoder,
    /// Its tokenizer; every id it gives has an embedding row.
    pub tokenizer: Tokenizer,
}

impl ModelFolder {
    /// Writes `model.safetensors`, `tokenizer.json`, `tokenizer_config.json` and, last, `config.json`.
    ///
    /// # Errors
    /// [`Error::Environment`] when the disk refuses.
    pub fn save(folder: &Path, decoder: &Decoder, tokenizer: &Tokenizer) -> Result<()> {
        create_dir(folder)?;
        let config = decoder.config();
        save_weights(&folder.join(WEIGHTS), decoder.params())?;
        tokenizer.save(folder, config.max_position_embeddings)?;
        write_json(&folder.join(CONFIG), config)
    }

    /// Reads a folder that [`ModelFolder::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Data`] when a file is missing or damaged, or the files do not fit each other.
    pub fn load(folder: &Path) -> Result<Self> {
        let config = DecoderConfig::read(&folder.join(CONFIG))?;
        let tokenizer = Tokenizer::load(folder)?;
        if tokenizer.len() > config.vocab_size {
            return Err(Error::data(
                folder,
                format!(
                    "the tokenizer has {} entries but config.json only {} embedding rows",
                    tokenizer.len(),
                    config.vocab_size
                ),
            ));
        }
        let tensors = load_weights(&folder.join(WEIGHTS), &config)?;
        Ok(Self { decoder: Decoder::from_tensors(config, tensors)?, tokenizer })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;
    use crate::model::config::tests::small;
    use crate::model::decoder::tests::{lively, max_difference};
    use crate::model::tokenizer::tests::trained;

    #[test]
    fn a_folder_returns_the_same_model() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("model");
        let mut tokenizer = trained();
        tokenizer.extend(&["<a_0>".into(), "<a_1>".into()]).unwrap();
        let decoder = lively(small(tokenizer.len()));
        ModelFolder::save(&folder, &decoder, &tokenizer).unwrap();
        let loaded = ModelFolder::load(&folder).unwrap();
        assert_eq!(loaded.decoder.config(), decoder.config());
        let ids = Tensor::new(&[[1u32, 2, 3]], &Device::Cpu).unwrap();
        let (a, b) = (decoder.hidden(&ids).unwrap(), loaded.decoder.hidden(&ids).unwrap());
        assert_eq!(max_difference(&a, &b), 0.0);
        assert_eq!(loaded.tokenizer.token_id("<a_1>"), tokenizer.token_id("<a_1>"));
    }

    #[test]
    fn a_tokenizer_larger_than_the_embedding_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let tokenizer = trained();
        let decoder = lively(small(tokenizer.len() - 1));
        ModelFolder::save(folder.path(), &decoder, &tokenizer).unwrap();
        let message = ModelFolder::load(folder.path()).err().unwrap().to_string();
        assert!(message.contains("embedding rows"), "{message}");
    }
}
