//! A decoder from a folder: its adapter merged, the tokens of its identifiers added.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Tensor};

use super::bundle::bind;
use super::kinds::ModelKind;
use super::{spoken, vocabulary};
use crate::decode::prompt::check_template;
use crate::error::{Error, Result};
use crate::identifier::Identifiers;
use crate::inputs::StepContext;
use crate::kind::{Draws, Family, Faults, Kind, Use, keys};
use crate::model::config::{DecoderConfig, EMBEDDING, HEAD};
use crate::model::folder::{CONFIG, source_files};
use crate::model::settings::PretrainedSettings;
use crate::model::{ModelFolder, Tokenizer, adapter, added_rows};

impl Kind for PretrainedSettings {
    fn format(&self) -> u32 {
        // 2: bundle.json. 3: ids of added tokens, and special texts, are those of the file.
        3
    }

    fn draws(&self) -> Draws {
        Draws::Seeded(self.seed)
    }

    fn rests_on(&self) -> &'static [Family] {
        &[Family::Identifier]
    }

    fn uses(&self) -> Vec<Use<'_>> {
        spoken::uses(self.identifier.as_deref(), self.identifiers.as_deref())
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        spoken::faults(self.identifier.as_deref(), self.identifiers.as_deref(), faults);
        faults.source(keys!["path"], &self.path);
        if let Some(adapter) = &self.adapter {
            faults.source(keys!["adapter"], adapter);
        }
    }

    fn sources(&self) -> Result<Vec<PathBuf>> {
        let path = self.path.path()?;
        let folder = ModelFolder::open(path)?;
        if let Some(adapter) = &self.adapter {
            adapter::check(adapter.path()?, folder.config(), path)?;
        }
        folder.tokenizer().check_holes()?;
        check_template(folder.tokenizer(), self, folder.config().positions())?;
        source_files(self)
    }

    fn check_sources(&self) -> Result<()> {
        let adapter = self.adapter.as_ref();
        adapter.map_or(Ok(()), |adapter| adapter::check_base(adapter.path()?, self.path.path()?))
    }
}

impl ModelKind for PretrainedSettings {
    fn check_vocabulary(&self, levels: &[Vec<u32>]) -> Result<()> {
        let path = self.path.path()?;
        if !vocabulary::may_hold_identifiers(path, levels.len()) {
            return Ok(());
        }
        vocabulary::check_known(&Tokenizer::load(path)?, levels, path)
    }

    fn make(&self, step: &StepContext<'_>) -> Result<()> {
        let identifiers = identifiers(step)?;
        let path = self.path.path()?;
        let folder = ModelFolder::open(path)?;
        if let Some(ignored) = folder.ignored_generation_settings() {
            step.ctx.say(format!(
                "{}: generation_config.json is not used ({ignored}): decoding is a beam search",
                step.name
            ));
        }
        let mut config = folder.config().clone();
        let mut tensors = folder.tensors()?;
        if let Some(adapter) = &self.adapter {
            let (spec, trained) = adapter::load(adapter.path()?, &config, path)?;
            for (name, tensor) in &mut tensors {
                *tensor = spec.merge(name, tensor, &trained)?;
            }
        }
        let mut tokenizer = folder.tokenizer().clone();
        let first_token = if let Some(known) = vocabulary::find(&tokenizer, &identifiers) {
            step.ctx.say(format!(
                "{}: the identifier's tokens are in the vocabulary already; their rows are kept",
                step.name
            ));
            known
        } else {
            vocabulary::check_exact(&tokenizer, &identifiers, path)?;
            let first = vocabulary::add(&mut tokenizer, &identifiers)?;
            // Some vocabularies are padded beyond their tokenizer: those rows are taken first, none is dropped.
            config.vocab_size = config.vocab_size.max(tokenizer.len());
            for name in [EMBEDDING, HEAD] {
                if let Some(table) = tensors.get_mut(name) {
                    let seed = step.seed.purpose(name);
                    *table = added_rows::extend(table, first as usize, config.vocab_size, seed)?;
                }
            }
            first
        };
        if let Some(dtype) = self.dtype {
            config.dtype = dtype;
        }
        check_range(path, &tensors, config.dtype.dtype())?;
        ModelFolder::write(step.out, &config, &tensors, &tokenizer)?;
        bind(step.out, &identifiers, first_token)?;
        tell(step, &config, &tokenizer, &identifiers);
        Ok(())
    }

    fn shape(&self, tokens: u32, _levels: u32) -> Option<DecoderConfig> {
        let mut config = DecoderConfig::read(&self.path.path().ok()?.join(CONFIG)).ok()?;
        config.vocab_size += tokens as usize;
        config.dtype = self.dtype.unwrap_or(config.dtype);
        Some(config)
    }
}

/// Refuses a type that cannot hold the weights: the largest `f16` is 65,504.
fn check_range(path: &Path, tensors: &BTreeMap<String, Tensor>, dtype: DType) -> Result<()> {
    for (name, tensor) in tensors {
        let largest = tensor.to_dtype(dtype)?.to_dtype(DType::F32)?.abs()?.max_all()?;
        if !largest.to_scalar::<f32>()?.is_finite() {
            return Err(Error::data(
                path,
                format!("{name} holds values too large for {}", dtype.as_str()),
            )
            .with_help("set dtype = \"bf16\" or \"f32\""));
        }
    }
    Ok(())
}

/// Says what a model is.
pub(super) fn tell(
    step: &StepContext<'_>,
    config: &DecoderConfig,
    tokenizer: &Tokenizer,
    identifiers: &[Identifiers],
) {
    step.ctx.say(format!(
        "model: {} parameters, vocabulary {} ({} identifier tokens)",
        config.parameter_count(),
        tokenizer.len(),
        identifiers.iter().flat_map(|one| &one.levels).sum::<u32>(),
    ));
}

/// The identifiers of a model, in the order of its tokens.
pub(super) fn identifiers(step: &StepContext<'_>) -> Result<Vec<Identifiers>> {
    let folders = step.inputs.identifiers().into_iter();
    folders.map(|(_, folder)| Identifiers::load(folder, None)).collect()
}
