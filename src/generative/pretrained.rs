//! A decoder from a folder: its adapter merged, the tokens of its identifiers added.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Tensor};

use super::bundle::bind;
use super::kinds::ModelKind;
use super::named::{Named, named};
use super::rows::Parts;
use super::{spoken, vocabulary};
use crate::decode::prompt::check_template;
use crate::error::{Error, Result};
use crate::inputs::StepContext;
use crate::kind::{Abilities, Draws, Family, Faults, Kind, Refusal, Use, keys};
use crate::model::config::DecoderConfig;
use crate::model::folder::{CONFIG, source_files};
use crate::model::settings::{ModelSettings, NewRows, PretrainedSettings};
use crate::model::{ModelFolder, Tokenizer, adapter};

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
        let spoken = spoken::uses(self.identifier.as_deref(), self.identifiers.as_deref());
        self.init.as_deref().map(Use::init).into_iter().chain(spoken).collect()
    }

    fn abilities(&self) -> Abilities {
        spoken::abilities(self.identifier.as_deref(), self.identifiers.as_deref())
    }

    fn accepts(&self, used: &Use<'_>, kind: &str, other: &Abilities) -> Result<(), Refusal> {
        spoken::accepts(used, kind, other, NewRows::of(self.init.as_deref(), self.rows))
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        spoken::faults(self.identifier.as_deref(), self.identifiers.as_deref(), faults);
        faults.source(keys!["path"], &self.path);
        spoken::rows(self.init.as_deref(), self.rows, self.identifiers.as_deref(), faults);
        if self.init.is_some() && self.adapter.is_some() {
            let help = "merge the adapter in the model that the training starts from";
            faults.key(keys!["adapter"], "`adapter` stands beside `init`", "not read", help);
        }
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
        let identifiers = named(step)?;
        let path = self.path.path()?;
        let folder = ModelFolder::open(path)?;
        if let Some(ignored) = folder.ignored_generation_settings() {
            step.ctx.say(format!(
                "{}: generation_config.json is not used ({ignored}): decoding is a beam search",
                step.name
            ));
        }
        let settings = ModelSettings::Pretrained(self.clone());
        let started = Parts::of_start(step, &settings)?;
        let is_start = started.is_some();
        let mut parts = started.map_or_else(|| Parts::of(&folder), Ok)?;
        if let Some(adapter) = self.adapter.as_ref().filter(|_| !is_start) {
            let (spec, trained) = adapter::load(adapter.path()?, &parts.config, path)?;
            for (name, tensor) in &mut parts.tensors {
                *tensor = spec.merge(name, tensor, &trained)?;
            }
        }
        let first_token = if let Some(known) = vocabulary::find(&parts.tokenizer, &identifiers)
            && !identifiers.is_empty()
        {
            step.ctx.say(format!(
                "{}: the identifier's tokens are in the vocabulary already; their rows are kept",
                step.name
            ));
            known
        } else {
            vocabulary::check_exact(&parts.tokenizer, &identifiers, path)?;
            let first = parts.extend(&identifiers, step)?;
            parts.begin_rows(&settings, &identifiers, first, step)?;
            first
        };
        let Parts { mut config, tensors, tokenizer } = parts;
        if let Some(dtype) = self.dtype {
            config.dtype = dtype;
        }
        check_range(path, &tensors, config.dtype.dtype())?;
        ModelFolder::write(step.out, &config, &tensors, &tokenizer)?;
        bind(step.out, &identifiers, &step.inputs.catalogue()?.hash, first_token)?;
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
    identifiers: &[Named],
) {
    step.ctx.say(format!(
        "model: {} parameters, vocabulary {} ({} identifier tokens)",
        config.parameter_count(),
        tokenizer.len(),
        identifiers.iter().flat_map(Named::levels).sum::<u32>(),
    ));
}
