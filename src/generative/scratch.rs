//! A decoder from random weights, with a vocabulary of the corpus.

use super::bundle::bind;
use super::kinds::ModelKind;
use super::pretrained::{identifiers, tell};
use super::{spoken, vocabulary};
use crate::corpus::Split;
use crate::error::{Error, Result};
use crate::identifier::Identifiers;
use crate::inputs::StepContext;
use crate::kind::keys;
use crate::kind::{Draws, Family, Faults, Kind, Use};
use crate::model::config::DecoderConfig;
use crate::model::settings::ScratchSettings;
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
        spoken::uses(self.identifier.as_deref(), self.identifiers.as_deref())
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        spoken::faults(self.identifier.as_deref(), self.identifiers.as_deref(), faults);
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
        let identifiers = identifiers(step)?;
        let (corpus, catalogue) = (step.inputs.corpus()?, step.inputs.catalogue()?);
        let texts = (0..catalogue.len() as u32).map(|item| catalogue.text(item).to_owned());
        let queries: Vec<String> = corpus
            .request_iter(Split::Train)?
            .filter_map(|request| request.map(|request| request.ask.query).transpose())
            .collect::<Result<_>>()?;
        let mut tokenizer =
            Tokenizer::train_bpe(texts.chain(queries), self.vocabulary as usize, step.ctx)?;
        let first_token = vocabulary::add(&mut tokenizer, &identifiers)?;
        let special = |special: Special| {
            let lacks = || Error::Failed(format!("the tokenizer lacks {}", special.text()));
            tokenizer.special(special).ok_or_else(lacks)
        };
        let (pad, end) = (special(Special::Pad)?, special(Special::End)?);
        let levels = identifiers.iter().map(Identifiers::n_levels).max().unwrap_or_default();
        let config = DecoderConfig::from_scratch(self, levels, tokenizer.len(), pad, end)?;
        let decoder = Decoder::init(config, step.seed)?;
        ModelFolder::save(step.out, &decoder, &tokenizer)?;
        bind(step.out, &identifiers, first_token)?;
        tell(step, decoder.config(), &tokenizer, &identifiers);
        Ok(())
    }

    fn shape(&self, tokens: u32, levels: u32) -> Option<DecoderConfig> {
        let vocabulary = (self.vocabulary + tokens) as usize;
        DecoderConfig::from_scratch(self, levels as usize, vocabulary, 0, 0).ok()
    }
}
