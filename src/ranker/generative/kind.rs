//! What a generative system says of itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use trieval_eval::fusion::{Fusion, FusionMethod};

use super::Generative;
use super::ranking::{self, Ranked};
use super::settings::{AnswerFusion, GenerativeSettings, RankingSettings};
use super::spans::{InSpans, Memo, candidates, under};
use crate::decode::prompt::PromptBuilder;
use crate::decode::retriever::Retriever;
use crate::decode::settings::Normalizer;
use crate::decode::spans::SpanRetriever;
use crate::decode::spans::settings::SpanDecodeSettings;
use crate::error::{Error, Result};
use crate::generative::spans::TEXTS_FILE;
use crate::generative::{Bundle, DECODER, DecoderSizes, INDEX_FILE, MODEL_DIR, open_index};
use crate::inputs::Inputs;
use crate::kind::keys;
use crate::kind::{Abilities, Estimate, Family, Faults, Key, Kind, Refusal, Role, Sizes, Use};
use crate::model::checkpoint::WEIGHTS;
use crate::ranker::Retrieve;
use crate::ranker::fusion::Fused;
use crate::ranker::kinds::{System, SystemKind, Tries, Tuned};
use crate::ranker::nearest::vector_files;
use crate::ranker::tuned::Chosen;
use crate::vectors::{Encoded, Vectors};

/// What the weight of the vectors is called where it is chosen.
const WEIGHT: &str = "ranking.weight";
/// Metric that the weight is chosen for where a recipe names none.
const TUNED_FOR: &str = "recall@10";
/// Constant of reciprocal rank fusion.
const RRF_K: f64 = 60.0;
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
        let several = self.identifiers.iter().flatten().enumerate().map(|(place, name)| {
            let one = Use::new(Family::Identifier, name, Role::Identifier(place), "identifiers");
            one.at(keys!["identifiers", place])
        });
        uses.extend(identifier.into_iter().chain(several).map(|one| one.among(Role::Train)));
        if let Some(RankingSettings { vectors, .. }) = &self.ranking {
            let vectors = Use::new(Family::Vectors, vectors, Role::Vectors, "ranking");
            uses.push(vectors.at(keys!["ranking", "vectors"]));
        }
        uses
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        answers(self, faults);
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

/// What is wrong with the keys about what it answers in.
fn answers(settings: &GenerativeSettings, faults: &mut Faults<'_>) {
    let name = &settings.name;
    if settings.identifier.is_some() && settings.identifiers.is_some() {
        let message = format!("system `{name}` has both `identifier` and `identifiers`");
        let help = "keep `identifier` for one, or `identifiers` for several";
        faults.key(keys!["identifiers"], message, "several identifiers", help);
        faults.also(keys!["identifier"], "one identifier");
    }
    let several = settings.identifiers.as_deref().unwrap_or_default();
    for (place, one) in several.iter().enumerate() {
        if several[..place].contains(one) {
            let message = format!("system `{name}` names the identifier `{one}` twice");
            let key = keys!["identifiers", place];
            faults.value(key, message, "second use", "name each identifier once");
        }
    }
    let tunes_spans = settings.spans.as_ref().is_some_and(|spans| spans.tune.is_some());
    let tunes_ranking = settings.ranking.as_ref().is_some_and(|one| one.weight.is_none());
    let tunes_fusion = settings.fusion.as_ref().is_some_and(|one| one.tune.is_some());
    if tunes_spans && (tunes_ranking || tunes_fusion || !several.is_empty()) {
        let message = format!("system `{name}` would choose two things on the same requests");
        let help =
            "tune the spans of a system that answers in them alone, and give what was chosen here";
        faults.key(keys!["spans", "tune"], message, "beside another choice", help);
    }
    if tunes_fusion && tunes_ranking {
        let message = format!("system `{name}` would choose two things on the same requests");
        let help = "give `ranking.weight`, or `fusion.weights`";
        faults.key(keys!["fusion", "tune"], message, "beside another choice", help);
    }
    let Some(fusion) = &settings.fusion else { return };
    if several.is_empty() {
        let message = format!("system `{name}` answers in one identifier");
        let help = "name several: identifiers = [\"...\", \"...\"]";
        faults.key(keys!["fusion"], message, "nothing to fuse", help);
        return;
    }
    if fusion.k.is_some() && fusion.method != FusionMethod::Rrf {
        let message = format!("method \"{}\" does not read `k`", fusion.method.name());
        faults.key(keys!["fusion", "k"], message, "not used", "leave it out, or set rrf");
    }
    let Some(weights) = &fusion.weights else { return };
    let key = keys!["fusion", "weights"];
    if fusion.tune.is_some() {
        let message = "`weights` are given, so that none are chosen";
        faults.key(keys!["fusion", "tune"], message, "not used", "leave one of the two out");
    }
    if weights.len() != several.len() {
        let label = format!("{} weights for {} identifiers", weights.len(), several.len());
        faults.value(key, "weights and identifiers do not match", label, "give one for each");
    } else if weights.iter().sum::<f64>() <= 0.0 {
        let help = "give one identifier a weight above 0";
        faults.value(key, "all weights are 0", "nothing counts", help);
    }
}

/// What a decoder needs to answer in one of its identifiers.
enum Opened {
    Codes(Arc<Generative>),
    Spans(Arc<PromptBuilder>, SpanRetriever),
}

/// What answers in one of the identifiers of a decoder.
type Part = Arc<dyn Retrieve>;

impl GenerativeSettings {
    /// What answers in each of its identifiers, over one decoder; `weighed` are the settings of spans, and what is said in
    /// them is kept in `memo`.
    fn parts(
        &self,
        system: &System,
        inputs: &Inputs,
        weighed: &SpanDecodeSettings,
        memo: Option<&Arc<Memo>>,
    ) -> Result<Vec<Part>> {
        let opened = self.opened(system, inputs)?;
        let part = |one: &Opened| -> Part {
            match one {
                Opened::Codes(found) => found.clone(),
                Opened::Spans(prompts, retriever) => {
                    let (prompts, retriever) = (prompts.clone(), retriever.weighing(weighed));
                    Arc::new(InSpans { prompts, retriever, memo: memo.cloned() })
                }
            }
        };
        Ok(opened.iter().map(part).collect())
    }

    /// The same, opened and not weighed yet.
    fn opened(&self, system: &System, inputs: &Inputs) -> Result<Vec<Opened>> {
        let Some(model) = &system.model else {
            return Err(Error::Failed(format!("system {} has no model", self.name)));
        };
        let folder = inputs.folder(Role::Train)?.join(MODEL_DIR);
        let given = |place: &usize| Ok((*place, inputs.folder(Role::Identifier(*place))?));
        let identifiers = system.identifiers.iter().map(given).collect::<Result<Vec<_>>>()?;
        let bundle = Bundle::load(&folder, &identifiers, model)?;
        let decoder = bundle.frozen()?;
        let settings = self.spans.clone().unwrap_or_default();
        let spans = (0..identifiers.len()).map(|at| bundle.spans(at));
        let spans = spans.collect::<Result<Vec<_>>>()?;
        let opened = bundle.into_prompts().into_iter().zip(spans).zip(&identifiers);
        let opened = opened.map(|((prompts, spans), (_, folder))| {
            let prompts = Arc::new(prompts);
            Ok(match spans {
                Some(spans) => {
                    let spans = Arc::new(spans);
                    let retriever = SpanRetriever::new(decoder.clone(), spans, &settings);
                    Opened::Spans(prompts, retriever)
                }
                None => {
                    let (decoder, items) = (decoder.clone(), prompts.items().clone());
                    let index = open_index(folder)?;
                    let retriever = Retriever::new(decoder, index, items, &self.decode);
                    Opened::Codes(Arc::new(Generative { prompts, retriever }))
                }
            })
        });
        opened.collect()
    }

    /// How the answers in several identifiers are fused.
    fn rule(&self) -> Fusion {
        let fusion = self.fusion.clone().unwrap_or_default();
        let AnswerFusion { method, normalize, weights, k, .. } = fusion;
        let weights = weights.unwrap_or_default();
        Fusion { method, normalize, weights, k: k.unwrap_or(RRF_K), depth: None }
    }

    /// One system of all parts.
    fn joined(&self, parts: Vec<Part>, rule: Fusion) -> Part {
        let mut parts = parts;
        if parts.len() == 1 {
            return parts.remove(0);
        }
        let names = self.identifiers.iter().flatten().cloned();
        let parts = names.zip(parts).map(|(name, part)| {
            let part: Box<dyn Retrieve> = Box::new(part);
            (name, part)
        });
        Arc::new(Fused::new(parts.collect(), rule))
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
        let mut spans = self.spans.clone().unwrap_or_default();
        let mut rule = self.rule();
        let chosen = match self.tuned_for() {
            Some(_) => Some(Chosen::read(inputs.folder(Role::Tuned)?)?),
            None => None,
        };
        if let Some(chosen) = &chosen {
            spans = under(&spans, &chosen.chosen);
            if self.fusion.as_ref().is_some_and(|fusion| fusion.tune.is_some()) {
                let weights = (0..system.identifiers.len()).map(|place| chosen.weight(place));
                rule.weights = weights.collect::<Result<_>>()?;
            }
        }
        let found = self.joined(self.parts(system, inputs, &spans, None)?, rule);
        let Some(ranking) = &self.ranking else { return Ok(Box::new(found)) };
        let weight = match (ranking.weight, &chosen) {
            (Some(weight), _) => weight,
            (None, Some(chosen)) => chosen.value(WEIGHT)?,
            (None, None) => return Err(Error::Failed(format!("{}: no weight", self.name))),
        };
        let items = self.items(system, inputs)?;
        Ok(Box::new(Ranked { found, items, weight: weight as f32, memo: None }))
    }

    fn tuned_for(&self) -> Option<Tuned<'_>> {
        if let Some(tune) = self.spans.as_ref().and_then(|spans| spans.tune.as_ref()) {
            return Some(Tuned {
                metric: &tune.metric,
                key: keys!["spans", "tune", "metric"],
                what: "the constants of spans",
                instead: "leave `spans.tune` out",
            });
        }
        if let Some(metric) = self.fusion.as_ref().and_then(|fusion| fusion.tune.as_deref()) {
            return Some(Tuned {
                metric,
                key: keys!["fusion", "tune"],
                what: "weights",
                instead: "give fixed `fusion.weights`",
            });
        }
        let ranking = self.ranking.as_ref().filter(|ranking| ranking.weight.is_none())?;
        Some(Tuned {
            metric: ranking.tune.as_deref().unwrap_or(TUNED_FOR),
            key: keys!["ranking", "tune"],
            what: "the weight",
            instead: "give a fixed `ranking.weight`",
        })
    }

    fn tries(&self, system: &System, inputs: &Inputs) -> Result<Option<Tries>> {
        if self.tuned_for().is_none() {
            return Ok(None);
        }
        let spans = self.spans.clone().unwrap_or_default();
        if let Some(tune) = &spans.tune {
            let candidates = candidates(&spans, tune.budget);
            let parts = self.opened(system, inputs)?;
            let memo = Arc::new(Memo::default());
            let under = move |candidate: &BTreeMap<String, f64>| -> Box<dyn Retrieve> {
                let weighed = under(&spans, candidate);
                match parts.first() {
                    Some(Opened::Spans(prompts, retriever)) => Box::new(InSpans {
                        prompts: prompts.clone(),
                        retriever: retriever.weighing(&weighed),
                        memo: Some(memo.clone()),
                    }),
                    // Refused with the recipe: codes have no such constants.
                    Some(Opened::Codes(found)) => Box::new(found.clone() as Part),
                    None => unreachable!("a system answers in an identifier"),
                }
            };
            return Ok(Some(Tries::Grid { candidates, under: Box::new(under) }));
        }
        let parts = self.parts(system, inputs, &spans, None)?;
        if self.fusion.as_ref().is_some_and(|fusion| fusion.tune.is_some()) {
            let part = |part| -> Box<dyn Retrieve> { Box::new(part) };
            let parts = parts.into_iter().map(part).collect();
            return Ok(Some(Tries::Weights { parts, rule: self.rule() }));
        }
        // From the decoder's own order to that of the vectors.
        let candidate = |tenths: u32| [(WEIGHT.to_owned(), f64::from(tenths) / 10.0)].into();
        let (found, items) = (self.joined(parts, self.rule()), self.items(system, inputs)?);
        let memo = Arc::new(ranking::Memo::default());
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
        let served = |(_, folder): (usize, &Path)| {
            let texts = Some(folder.join(TEXTS_FILE)).filter(|path| path.is_file());
            [Some(folder.join(INDEX_FILE)), texts].into_iter().flatten()
        };
        let indexes = identifiers.flat_map(served);
        let weights = inputs.folder(Role::Train)?.join(MODEL_DIR).join(WEIGHTS);
        let mut files: Vec<PathBuf> = indexes.chain([weights]).collect();
        if self.ranking.is_some() {
            files.extend(vector_files(inputs.folder(Role::Vectors)?)?);
        }
        Ok(files)
    }

    fn says_why(&self) -> bool {
        self.spans.is_some()
    }

    fn at_most(&self) -> Option<(u32, Vec<Key>)> {
        match &self.spans {
            Some(spans) => Some((spans.candidates, keys!["spans", "candidates"])),
            None => Some((self.decode.beam, keys!["decode", "beam"])),
        }
    }

    fn beam(&self) -> Option<u32> {
        let in_codes = self.spans.is_none() || self.identifiers.is_some();
        in_codes.then_some(self.decode.beam)
    }

    fn estimate(&self, sizes: &Sizes, decoder: Option<&DecoderSizes>) -> Estimate {
        let beam = self.decode.beam;
        let memory = decoder.map(|decoder| decoder.search_memory(sizes, beam, BATCH));
        Estimate::default()
            .figure("beam", beam.to_string())
            .holds(memory, "lower `decode.beam`, or take a smaller model")
    }
}
