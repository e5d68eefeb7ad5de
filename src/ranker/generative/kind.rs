//! What a generative system says of itself.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::Generative;
use super::ranking::{Memo, Ranked};
use super::settings::{GenerativeSettings, RankingSettings};
use crate::decode::settings::Normalizer;
use crate::error::{Error, Result};
use crate::generative::{Bundle, DECODER, DecoderSizes, INDEX_FILE, MODEL_DIR};
use crate::inputs::Inputs;
use crate::kind::keys;
use crate::kind::{Abilities, Estimate, Family, Faults, Key, Kind, Refusal, Role, Sizes, Use};
use crate::model::checkpoint::WEIGHTS;
use crate::ranker::Retrieve;
use crate::ranker::kinds::{System, SystemKind, Tries, Tuned};
use crate::ranker::nearest::vector_files;
use crate::ranker::tuned::Chosen;
use crate::vectors::{Encoded, Vectors};

/// What the weight of the vectors is called where it is chosen.
const WEIGHT: &str = "ranking.weight";
/// Metric that the weight is chosen for where a recipe names none.
const TUNED_FOR: &str = "recall@10";
/// Requests that are asked at once where throughput is measured.
const BATCH: u64 = 64;

impl Kind for GenerativeSettings {
    fn format(&self) -> u32 {
        // 5: excluded items take no places in the beam.
        5
    }

    fn uses(&self) -> Vec<Use<'_>> {
        let mut uses = vec![Use::new(Family::Train, &self.train, Role::Train, "train")];
        let identifier =
            |name| Use::new(Family::Identifier, name, Role::Identifier(0), "identifier");
        let identifier = self.identifier.as_deref().map(identifier);
        uses.extend(identifier.map(|one| one.among(Role::Train)));
        if let Some(RankingSettings { vectors, .. }) = &self.ranking {
            let vectors = Use::new(Family::Vectors, vectors, Role::Vectors, "ranking");
            uses.push(vectors.at(keys!["ranking", "vectors"]));
        }
        uses
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        let Some(ranking) = &self.ranking else { return };
        if ranking.weight.is_some() && ranking.tune.is_some() {
            let message = "`weight` is given, so that none is chosen";
            let help = "leave one of the two out";
            faults.key(keys!["ranking", "tune"], message, "not used", help);
        }
    }

    fn accepts(&self, used: &Use<'_>, kind: &str, other: &Abilities) -> Result<(), Refusal> {
        if used.family == Family::Vectors && !other.encodes_requests {
            return Err(Refusal {
                message: format!("system {} cannot rank by [vectors.{}]", self.name, used.name),
                label: format!("vectors of kind = \"{kind}\" encode no requests"),
                help: "use vectors of another kind".into(),
            });
        }
        if used.family != Family::Train {
            return Ok(());
        }
        if kind == DECODER && !other.names_items {
            return Err(Refusal {
                message: format!("training `{}` writes no identifiers", used.name),
                label: "it encodes requests and items".into(),
                help: "name a training of a model that starts from it: [model.NAME] with init, and an identifier".into(),
            });
        }
        if kind == DECODER && other.knows_legal_only && self.decode.normalizer == Normalizer::Exact
        {
            return Err(Refusal {
                message: format!("training `{}` says nothing of the full vocabulary", used.name),
                label: "it learns to tell legal codes apart".into(),
                help: "normalise over those: decode = { normalizer = \"slice\" }".into(),
            });
        }
        if kind == DECODER {
            return Ok(());
        }
        Err(Refusal {
            message: format!("training `{}` is of kind = \"{kind}\" and no decoder", used.name),
            label: "writes no identifiers".into(),
            help: format!("name a [[train]] of kind = \"{DECODER}\", which is the default"),
        })
    }
}

impl GenerativeSettings {
    fn decoder(&self, system: &System, inputs: &Inputs) -> Result<Generative> {
        let Some(model) = &system.model else {
            return Err(Error::Failed(format!("system {} has no model", self.name)));
        };
        let identifier = inputs.folder(Role::Identifier(system.identifier))?;
        let folder = inputs.folder(Role::Train)?.join(MODEL_DIR);
        let bundle = Bundle::load(&folder, &inputs.identifiers(), model)?;
        let (prompts, retriever) = bundle.into_retriever(identifier, &self.decode)?;
        Ok(Generative { prompts, retriever })
    }

    /// The vectors that rank what is found.
    fn items(&self, system: &System, inputs: &Inputs) -> Result<Arc<Encoded>> {
        let Some(vectors) = &system.vectors else {
            return Err(Error::Failed(format!("system {} has no vectors", self.name)));
        };
        let items = vectors.it().open(inputs.folder(Role::Vectors)?, inputs.catalogue()?)?;
        Ok(Arc::new(match inputs.find(Role::Added) {
            Some(file) => items.with(&Vectors::read(file, None)?, file)?,
            None => items,
        }))
    }
}

impl SystemKind for GenerativeSettings {
    fn name(&self) -> &str {
        &self.name
    }

    fn open(&self, system: &System, inputs: &Inputs) -> Result<Box<dyn Retrieve>> {
        let found = self.decoder(system, inputs)?;
        let Some(ranking) = &self.ranking else { return Ok(Box::new(found)) };
        let weight = match ranking.weight {
            Some(weight) => weight,
            None => Chosen::read(inputs.folder(Role::Tuned)?)?.value(WEIGHT)?,
        };
        let items = self.items(system, inputs)?;
        Ok(Box::new(Ranked { found: Arc::new(found), items, weight: weight as f32, memo: None }))
    }

    fn tuned_for(&self) -> Option<Tuned<'_>> {
        let ranking = self.ranking.as_ref().filter(|ranking| ranking.weight.is_none())?;
        Some(Tuned {
            metric: ranking.tune.as_deref().unwrap_or(TUNED_FOR),
            key: keys!["ranking", "tune"],
            what: "the weight",
            instead: "give a fixed `ranking.weight`",
        })
    }

    /// From the decoder's own order to that of the vectors.
    fn tries(&self, system: &System, inputs: &Inputs) -> Result<Option<Tries>> {
        if self.tuned_for().is_none() {
            return Ok(None);
        }
        let candidate = |tenths: u32| [(WEIGHT.to_owned(), f64::from(tenths) / 10.0)].into();
        let (found, items) = (Arc::new(self.decoder(system, inputs)?), self.items(system, inputs)?);
        let memo = Arc::new(Memo::default());
        let under = move |candidate: &BTreeMap<String, f64>| -> Box<dyn Retrieve> {
            let weight = candidate.get(WEIGHT).copied().unwrap_or(0.0) as f32;
            let (found, items, memo) = (found.clone(), items.clone(), Some(memo.clone()));
            Box::new(Ranked { found, items, weight, memo })
        };
        let candidates = (0..=10).map(candidate).collect();
        Ok(Some(Tries::Grid { candidates, under: Box::new(under) }))
    }

    fn files(&self, inputs: &Inputs) -> Result<Vec<PathBuf>> {
        let identifiers = inputs.identifiers().into_iter();
        let indexes = identifiers.map(|(_, folder)| folder.join(INDEX_FILE));
        let weights = inputs.folder(Role::Train)?.join(MODEL_DIR).join(WEIGHTS);
        let mut files: Vec<PathBuf> = indexes.chain([weights]).collect();
        if self.ranking.is_some() {
            files.extend(vector_files(inputs.folder(Role::Vectors)?)?);
        }
        Ok(files)
    }

    fn at_most(&self) -> Option<(u32, Vec<Key>)> {
        Some((self.decode.beam, keys!["decode", "beam"]))
    }

    fn estimate(&self, sizes: &Sizes, decoder: Option<&DecoderSizes>) -> Estimate {
        let beam = self.decode.beam;
        let memory = decoder.map(|decoder| decoder.search_memory(sizes, beam, BATCH));
        Estimate::default()
            .figure("beam", beam.to_string())
            .holds(memory, "lower `decode.beam`, or take a smaller model")
    }
}
