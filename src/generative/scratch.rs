//! A decoder from random weights, with a vocabulary of the corpus.

use super::bundle::bind;
use super::kinds::ModelKind;
use super::named::{Named, named};
use super::pretrained::tell;
use super::rows::Parts;
use super::{spoken, vocabulary};
use crate::corpus::Split;
use crate::error::{Error, Result};
use crate::inputs::StepContext;
use crate::kind::keys;
use crate::kind::{Abilities, Draws, Family, Faults, Kind, Refusal, Use};
use crate::model::config::DecoderConfig;
use crate::model::settings::{ModelSettings, NewRows, ScratchSettings};
use crate::model::{Decoder, ModelFolder, Special, Tokenizer};

impl Kind for ScratchSettings {
    fn format(&self) -> u32 {
        // 2: bundle.json.
        2
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

    fn inherited(&self) -> &'static [&'static str] {
        match self.init {
            Some(_) => &["vocabulary", "layers", "hidden", "heads", "kv_heads", "head_dim", "ffn"],
            None => &[],
        }
    }

    fn abilities(&self) -> Abilities {
        spoken::abilities(self.identifier.as_deref(), self.identifiers.as_deref())
    }

    fn accepts(&self, used: &Use<'_>, kind: &str, other: &Abilities) -> Result<(), Refusal> {
        spoken::accepts(used, kind, other, NewRows::of(self.init.as_deref(), self.rows))
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        spoken::faults(self.identifier.as_deref(), self.identifiers.as_deref(), faults);
        spoken::rows(self.init.as_deref(), self.rows, self.identifiers.as_deref(), faults);
        let (hidden, heads) = (self.hidden, self.heads);
        if let Some(kv_heads) = self.kv_heads {
            faults.divides(keys!["kv_heads"], kv_heads, "heads", heads, "");
        }
        match self.head_dim {
            Some(head_dim) if head_dim % 2 != 0 => {
                let message = format!("`{}` must be even", faults.dotted(&keys!["head_dim"]));
                let help = "rotary positions turn pairs of coordinates";
                faults.value(keys!["head_dim"], message, "odd", help);
            }
            Some(_) => {}
            None if heads == 0 || hidden % heads != 0 => {
                let help = "change `heads` or `hidden`, or give `head_dim`";
                faults.divides(keys!["heads"], heads, "hidden", hidden, help);
            }
            None if (hidden / heads) % 2 != 0 => {
                let label = format!("hidden / heads = {hidden} / {heads} = {}", hidden / heads);
                let help = "rotary positions turn pairs of coordinates: change `heads` or `hidden`, or give an even \
                            `head_dim`";
                faults.value(keys!["heads"], "heads of an odd width", label, help);
            }
            None => {}
        }
    }
}

impl ModelKind for ScratchSettings {
    fn make(&self, step: &StepContext<'_>) -> Result<()> {
        let identifiers = named(step)?;
        let catalogue = step.inputs.catalogue()?;
        let settings = ModelSettings::Scratch(self.clone());
        let (mut parts, first_token) = match Parts::of_start(step, &settings)? {
            Some(mut parts) => {
                let first = parts.extend(&identifiers, step)?;
                // Prompts are the same; answers and histories of identifiers are not.
                let levels = longest(&identifiers);
                let wanted =
                    DecoderConfig::from_scratch(self, levels, parts.tokenizer.len(), 0, 0)?;
                let positions = &mut parts.config.max_position_embeddings;
                *positions = (*positions).max(wanted.max_position_embeddings);
                (parts, first)
            }
            None => self.fresh(&identifiers, step)?,
        };
        parts.begin_rows(&settings, &identifiers, first_token, step)?;
        let Parts { config, tensors, tokenizer } = parts;
        ModelFolder::write(step.out, &config, &tensors, &tokenizer)?;
        bind(step.out, &identifiers, &catalogue.hash, first_token)?;
        tell(step, &config, &tokenizer, &identifiers);
        Ok(())
    }

    fn shape(&self, tokens: u32, levels: u32) -> Option<DecoderConfig> {
        if self.init.is_some() {
            // The model that the training began with tells its shape.
            return None;
        }
        let vocabulary = (self.vocabulary + tokens) as usize;
        DecoderConfig::from_scratch(self, levels as usize, vocabulary, 0, 0).ok()
    }
}

impl ScratchSettings {
    /// Random weights, with a vocabulary of the corpus and the first token of the identifiers.
    fn fresh(&self, identifiers: &[Named], step: &StepContext<'_>) -> Result<(Parts, u32)> {
        let (corpus, catalogue) = (step.inputs.corpus()?, step.inputs.catalogue()?);
        let texts = (0..catalogue.len() as u32).map(|item| catalogue.text(item).to_owned());
        let queries: Vec<String> = corpus
            .request_iter(Split::Train)?
            .filter_map(|request| request.map(|request| request.ask.query).transpose())
            .collect::<Result<_>>()?;
        let mut tokenizer =
            Tokenizer::train_bpe(texts.chain(queries), self.vocabulary as usize, step.ctx)?;
        let first_token = vocabulary::add(&mut tokenizer, identifiers)?;
        let special = |special: Special| {
            let lacks = || Error::Failed(format!("the tokenizer lacks {}", special.text()));
            tokenizer.special(special).ok_or_else(lacks)
        };
        let (pad, end) = (special(Special::Pad)?, special(Special::End)?);
        let levels = longest(identifiers);
        let config = DecoderConfig::from_scratch(self, levels, tokenizer.len(), pad, end)?;
        let decoder = Decoder::init(config, step.seed)?;
        let (config, tensors) = (decoder.config().clone(), decoder.weights()?);
        Ok((Parts { config, tensors, tokenizer }, first_token))
    }
}

/// Most tokens of an item.
fn longest(identifiers: &[Named]) -> usize {
    identifiers.iter().map(Named::longest).max().unwrap_or_default()
}
