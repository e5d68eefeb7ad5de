//! A model folder in the layout of Hugging Face: configuration, weights, tokenizer.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use candle_core::Tensor;
use trieval_kernels::ops::Threads;

use crate::error::{Error, Result};
use crate::model::adapter::{ADAPTER_CONFIG, ADAPTER_WEIGHTS};
use crate::model::checkpoint::{WEIGHTS, WeightFiles, is_redundant, save_tensors};
use crate::model::config::{DecoderConfig, EMBEDDING};
use crate::model::decoder::Decoder;
use crate::model::inference::FrozenDecoder;
use crate::model::lora::AdapterSpec;
use crate::model::settings::PretrainedSettings;
use crate::model::tokenizer::Tokenizer;
use crate::seed::Seed;
use crate::store::{create_dir, write_atomic, write_json};

/// Name of the configuration in a model folder.
pub const CONFIG: &str = "config.json";
/// Settings of sampling, which this program never uses.
pub const GENERATION_CONFIG: &str = "generation_config.json";

/// What names begin with where a head stands beside the model.
const BODY: &str = "model.";

/// A model folder, opened and checked; weights are read when they are asked for.
pub struct ModelFolder {
    path: PathBuf,
    config: DecoderConfig,
    tokenizer: Tokenizer,
    files: WeightFiles,
    /// Whether tensors are named as in a model that was saved without its head, as embedding models are.
    is_bare: bool,
}

impl ModelFolder {
    /// Writes a decoder, any adapter merged into it, with its tokenizer.
    ///
    /// # Errors
    /// [`Error::Environment`] when the disk refuses.
    pub fn save(folder: &Path, decoder: &Decoder, tokenizer: &Tokenizer) -> Result<()> {
        Self::write(folder, decoder.config(), &decoder.weights()?, tokenizer)
    }

    /// Writes `model.safetensors` in the type that `config` states, `tokenizer.json`, `tokenizer_config.json` and,
    /// last, `config.json`.
    ///
    /// # Errors
    /// [`Error::Environment`] when the disk refuses.
    pub fn write(
        folder: &Path,
        config: &DecoderConfig,
        tensors: &BTreeMap<String, Tensor>,
        tokenizer: &Tokenizer,
    ) -> Result<()> {
        create_dir(folder)?;
        save_tensors(&folder.join(WEIGHTS), tensors, config.dtype.dtype())?;
        tokenizer.save(folder, config.max_position_embeddings)?;
        write_json(&folder.join(CONFIG), config)
    }

    /// Opens a folder and checks that its parts fit each other.
    ///
    /// # Errors
    /// [`Error::Data`] when a file is missing or damaged, or the files do not fit each other.
    pub fn open(folder: &Path) -> Result<Self> {
        if !folder.is_dir() {
            return Err(Error::data(
                folder,
                "is not a folder, expected a model in the layout of Hugging Face",
            ));
        }
        let config = DecoderConfig::read(&folder.join(CONFIG))?;
        let tokenizer = Tokenizer::load(folder)?;
        tokenizer.check_rows(config.vocab_size)?;
        let files = WeightFiles::open(folder)?;
        let is_bare = files.shape(&bare(EMBEDDING)).is_some();
        let mut expected = config.parameters();
        if is_bare {
            expected.iter_mut().for_each(|spec| spec.name = bare(&spec.name));
            expected.sort();
        }
        files.check(&expected, |name| is_redundant(&config, name))?;
        Ok(Self { path: folder.to_owned(), config, tokenizer, files, is_bare })
    }

    /// Copies all that this program reads of it to another folder, byte for byte.
    ///
    /// # Errors
    /// [`Error::Data`] when a file cannot be read, [`Error::Environment`] when the disk refuses.
    pub fn copy_to(&self, folder: &Path) -> Result<()> {
        for source in model_files(&self.path)? {
            let Some(name) = source.file_name() else { continue };
            let target = folder.join(name);
            let mut file = File::open(&source).map_err(|e| Error::unreadable(&source, &e))?;
            write_atomic(&target, |out| {
                std::io::copy(&mut file, out).map_err(|e| Error::unwritable(&target, &e))
            })?;
        }
        Ok(())
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The shape.
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// The tokenizer; every id it gives has an embedding row.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// All weights, in the types they are stored in.
    ///
    /// # Errors
    /// [`Error::Data`] when one is damaged.
    pub fn tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        let all = self.config.parameters().into_iter();
        all.map(|spec| Ok((spec.name.clone(), self.tensor(&spec.name)?))).collect()
    }

    fn tensor(&self, name: &str) -> Result<Tensor> {
        self.files.tensor(&self.stored(name), None)
    }

    /// What the file calls a parameter.
    fn stored(&self, name: &str) -> String {
        if self.is_bare { bare(name) } else { name.to_owned() }
    }

    /// The decoder, all of whose parameters train.
    ///
    /// # Errors
    /// As [`ModelFolder::tensors`].
    pub fn decoder(&self) -> Result<Decoder> {
        Decoder::from_tensors(self.config.clone(), self.tensors()?)
    }

    /// The decoder with frozen weights and a fresh adapter.
    ///
    /// # Errors
    /// As [`ModelFolder::tensors`].
    pub fn adapted(&self, spec: AdapterSpec, seed: Seed) -> Result<Decoder> {
        Decoder::adapted(self.config.clone(), self.tensors()?, spec, seed)
    }

    /// The decoder for inference alone.
    ///
    /// # Errors
    /// As [`ModelFolder::tensors`].
    pub fn freeze(&self, threads: Threads) -> Result<FrozenDecoder> {
        FrozenDecoder::new(self.config.clone(), threads, |name| {
            self.files.values(&self.stored(name))
        })
    }

    /// What the folder says about sampling and this program leaves alone, in words; none where it says nothing.
    pub fn ignored_generation_settings(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.path.join(GENERATION_CONFIG)).ok()?;
        let value: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).ok()?;
        let told: Vec<String> = value
            .iter()
            .filter(|(key, value)| *key != "transformers_version" && !value.is_null())
            .map(|(key, value)| format!("{key} {value}"))
            .collect();
        (!told.is_empty()).then(|| told.join(", "))
    }
}

/// Name of a parameter in a model that was saved without its head.
fn bare(name: &str) -> String {
    name.strip_prefix(BODY).unwrap_or(name).to_owned()
}

/// The files that decide what a pretrained model is.
///
/// # Errors
/// [`Error::Data`] when a folder cannot be read.
pub fn source_files(settings: &PretrainedSettings) -> Result<Vec<PathBuf>> {
    let mut files = model_files(settings.path.path()?)?;
    if let Some(adapter) = &settings.adapter {
        files.extend(listed(adapter.path()?, |name| {
            [ADAPTER_CONFIG, ADAPTER_WEIGHTS].contains(&name)
        })?);
    }
    Ok(files)
}

/// The files of a model folder that this program reads.
///
/// # Errors
/// [`Error::Data`] when the folder cannot be read.
pub fn model_files(folder: &Path) -> Result<Vec<PathBuf>> {
    listed(folder, |name| {
        name == CONFIG
            || name.starts_with("tokenizer")
            || name.ends_with(".safetensors")
            || name.ends_with(".safetensors.index.json")
            || ["vocab.json", "merges.txt", "chat_template.jinja"].contains(&name)
    })
}

fn listed(folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let unreadable = |e: std::io::Error| {
        Error::unreadable(folder, &e).with_help("give a local folder in the layout of Hugging Face")
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_file() && path.file_name().and_then(|name| name.to_str()).is_some_and(&wanted) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::model::config::tests::small;
    use crate::model::decoder::tests::{lively, max_difference};
    use crate::model::settings::WeightType;
    use crate::model::tokenizer::tests::trained;

    #[test]
    fn a_folder_returns_the_same_model() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("model");
        let mut tokenizer = trained();
        tokenizer.extend(&["<a_0>".into(), "<a_1>".into()]).unwrap();
        let decoder = lively(small(tokenizer.len()));
        ModelFolder::save(&folder, &decoder, &tokenizer).unwrap();
        let opened = ModelFolder::open(&folder).unwrap();
        let loaded = opened.decoder().unwrap();
        assert_eq!(loaded.config(), decoder.config());
        let ids = Tensor::new(&[[1u32, 2, 3]], &Device::Cpu).unwrap();
        let (a, b) = (decoder.hidden(&ids).unwrap(), loaded.hidden(&ids).unwrap());
        assert_eq!(max_difference(&a, &b), 0.0);
        assert_eq!(opened.tokenizer().token_id("<a_1>"), tokenizer.token_id("<a_1>"));
        let frozen = opened.freeze(Threads::One).unwrap();
        let last = frozen.prefill(&[1, 2, 3]).unwrap().last_hidden().to_vec();
        let last = Tensor::from_vec(last, 24, &Device::Cpu).unwrap();
        assert!(max_difference(&last, &a.get(0).unwrap().get(2).unwrap()) < 1e-5);
        assert_eq!(opened.ignored_generation_settings(), None);
        std::fs::write(folder.join(GENERATION_CONFIG), r#"{"temperature":0.6}"#).unwrap();
        assert_eq!(opened.ignored_generation_settings().unwrap(), "temperature 0.6");
    }

    #[test]
    fn a_model_that_was_saved_without_its_head_is_the_same_model() {
        let folder = tempfile::tempdir().unwrap();
        let tokenizer = trained();
        let decoder = lively(small(tokenizer.len()));
        assert!(decoder.config().tie_word_embeddings);
        ModelFolder::save(folder.path(), &decoder, &tokenizer).unwrap();
        let whole = ModelFolder::open(folder.path()).unwrap().tensors().unwrap();
        let stripped = whole.iter().map(|(name, tensor)| (bare(name), tensor.clone()));
        let mut stripped: BTreeMap<String, Tensor> = stripped.collect();
        let path = folder.path().join(WEIGHTS);
        save_tensors(&path, &stripped, DType::F32).unwrap();
        let opened = ModelFolder::open(folder.path()).unwrap();
        let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (name, tensor) in opened.tensors().unwrap() {
            assert_eq!(values(&tensor), values(&whole[&name]), "{name}");
        }
        let ids = [5u32, 9, 1];
        let prompt = opened.freeze(Threads::One).unwrap().prefill(&ids).unwrap();
        let expected = decoder.freeze(Threads::One).unwrap().prefill(&ids).unwrap();
        assert_eq!(prompt.last_hidden(), expected.last_hidden());
        stripped.remove("norm.weight");
        save_tensors(&path, &stripped, DType::F32).unwrap();
        let message = ModelFolder::open(folder.path()).err().unwrap().to_string();
        assert!(message.contains("1 tensor missing: norm.weight"), "{message}");
    }

    #[test]
    fn weights_are_stored_in_the_stated_type() {
        let folder = tempfile::tempdir().unwrap();
        let tokenizer = trained();
        let config = DecoderConfig { dtype: WeightType::Bf16, ..small(tokenizer.len()) };
        let decoder = lively(config);
        ModelFolder::save(folder.path(), &decoder, &tokenizer).unwrap();
        let opened = ModelFolder::open(folder.path()).unwrap();
        assert!(opened.tensors().unwrap().values().all(|t| t.dtype() == DType::BF16));
        assert_eq!(opened.config(), decoder.config());
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let tokenizer = trained();
        let decoder = lively(small(tokenizer.len() - 1));
        ModelFolder::save(folder.path(), &decoder, &tokenizer).unwrap();
        let message = || ModelFolder::open(folder.path()).err().unwrap().to_string();
        assert!(message().contains("embedding rows"), "{}", message());
        std::fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
        assert!(message().contains("has no tokenizer"), "{}", message());
        let absent = folder.path().join("absent");
        assert!(ModelFolder::open(&absent).err().unwrap().to_string().contains("is not a folder"));
    }
}
