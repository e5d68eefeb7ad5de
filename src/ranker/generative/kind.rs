//! What a generative system says of itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use trieval_eval::fusion::{Fusion, FusionMethod};

use super::Generative;
use super::ranking::{Memo, Ranked};
use super::settings::{AnswerFusion, GenerativeSettings, RankingSettings};
use super::spans::{Weighable, candidates, with_constants};
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
        let says_codes_exactly =
            self.beam().is_some() && self.decode.normalizer == Normalizer::Exact;
        if kind == DECODER && other.knows_legal_only && says_codes_exactly {
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

/// What answers in one of the identifiers of a decoder.
type Part = Arc<dyn Retrieve>;

/// A decoder with the index of one of its identifiers.
enum Opened {
    Codes(Arc<Generative>),
    Spans(Weighable),
}

/// The constants that a system answers under.
struct Under {
    spans: SpanDecodeSettings,
    rule: Fusion,
    /// Weight of the vectors, and what they are; none where they rank nothing.
    vectors: Option<(f32, Arc<Encoded>)>,
}

impl GenerativeSettings {
    /// A decoder with the index of each of its identifiers.
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
                    Opened::Spans(Weighable::new(prompts, retriever))
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

    /// The constants that the recipe gives, with vectors of a weight.
    fn under(&self, weight: f32, items: Option<&Arc<Encoded>>) -> Under {
        let fusion = self.fusion.clone().unwrap_or_default();
        let AnswerFusion { method, normalize, weights, k, .. } = fusion;
        let (weights, k) = (weights.unwrap_or_default(), k.unwrap_or(RRF_K));
        let rule = Fusion { method, normalize, weights, k, depth: None };
        let vectors = items.map(|items| (weight, items.clone()));
        Under { spans: self.spans.clone().unwrap_or_default(), rule, vectors }
    }

    /// The vectors that rank what is found; none where they rank nothing.
    fn items(&self, system: &System, inputs: &Inputs) -> Result<Option<Arc<Encoded>>> {
        if self.ranking.is_none() {
            return Ok(None);
        }
        let Some(vectors) = &system.vectors else {
            return Err(Error::Failed(format!("system {} has no vectors", self.name)));
        };
        let items = vectors.it().open(inputs.folder(Role::Vectors)?, inputs.catalogue()?)?;
        Ok(Some(Arc::new(match inputs.find(Role::Added) {
            Some(file) => items.with(&Vectors::read(file, None)?, file)?,
            None => items,
        })))
    }

    /// Weight of the vectors where none is chosen.
    fn weight(&self) -> f32 {
        self.ranking.as_ref().and_then(|ranking| ranking.weight).unwrap_or_default() as f32
    }

    /// One system of all parts; vectors rank all that they find.
    fn joined(&self, mut parts: Vec<Part>, under: &Under, memo: Option<&Arc<Memo>>) -> Part {
        let found: Part = match parts.len() {
            1 => parts.remove(0),
            _ => {
                let names = self.identifiers.iter().flatten().cloned();
                let parts = names.zip(parts).map(|(name, part)| {
                    let part: Box<dyn Retrieve> = Box::new(part);
                    (name, part)
                });
                Arc::new(Fused::new(parts.collect(), under.rule.clone()))
            }
        };
        let Some((weight, items)) = &under.vectors else { return found };
        let (weight, items, memo) = (*weight, items.clone(), memo.cloned());
        Arc::new(Ranked { found, items, weight, memo })
    }
}

/// What answers in each identifier; one that `remembers` says in spans what it said under other constants.
fn parts(opened: &[Opened], under: &Under, remembers: bool) -> Vec<Part> {
    let part = |one: &Opened| -> Part {
        match one {
            Opened::Codes(found) => found.clone(),
            Opened::Spans(found) => Arc::new(found.under(&under.spans, remembers)),
        }
    };
    opened.iter().map(part).collect()
}

impl SystemKind for GenerativeSettings {
    fn name(&self) -> &str {
        &self.name
    }

    fn open(&self, system: &System, inputs: &Inputs) -> Result<Box<dyn Retrieve>> {
        let mut under = self.under(self.weight(), self.items(system, inputs)?.as_ref());
        if self.tuned_for().is_some() {
            let chosen = Chosen::read(inputs.folder(Role::Tuned)?)?;
            under.spans = with_constants(&under.spans, &chosen.chosen);
            if self.fusion.as_ref().is_some_and(|fusion| fusion.tune.is_some()) {
                let weights = (0..system.identifiers.len()).map(|place| chosen.weight(place));
                under.rule.weights = weights.collect::<Result<_>>()?;
            }
            if self.ranking.as_ref().is_some_and(|ranking| ranking.weight.is_none())
                && let Some((weight, _)) = &mut under.vectors
            {
                *weight = chosen.value(WEIGHT)? as f32;
            }
        }
        let parts = parts(&self.opened(system, inputs)?, &under, false);
        Ok(Box::new(self.joined(parts, &under, None)))
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
        let (opened, items) = (self.opened(system, inputs)?, self.items(system, inputs)?);
        let given = self.under(self.weight(), items.as_ref());
        if self.fusion.as_ref().is_some_and(|fusion| fusion.tune.is_some()) {
            let part = |part| -> Box<dyn Retrieve> { Box::new(part) };
            let parts = parts(&opened, &given, false).into_iter().map(part).collect();
            return Ok(Some(Tries::Weights { parts, rule: given.rule }));
        }
        let candidates = match &given.spans.tune {
            Some(tune) => candidates(&given.spans, tune.budget),
            // From the decoder's own order to that of the vectors.
            None => (0..=10u8).map(|at| [(WEIGHT.into(), f64::from(at) / 10.0)].into()).collect(),
        };
        let (own, memo) = (self.clone(), Arc::default());
        let under = move |candidate: &BTreeMap<String, f64>| -> Box<dyn Retrieve> {
            let weight = candidate.get(WEIGHT).map_or(own.weight(), |weight| *weight as f32);
            let mut under = own.under(weight, items.as_ref());
            under.spans = with_constants(&under.spans, candidate);
            // What spans find depends on their constants, what they say does not.
            let memo = Some(&memo).filter(|_| under.spans.tune.is_none());
            Box::new(own.joined(parts(&opened, &under, true), &under, memo))
        };
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
        let in_spans = || self.spans.as_ref().map_or(0, |spans| spans.beam);
        let beam = self.beam().unwrap_or_else(in_spans);
        let memory = decoder.map(|decoder| decoder.search_memory(sizes, beam, BATCH));
        Estimate::default()
            .figure("beam", beam.to_string())
            .holds(memory, "lower the beam, or take a smaller model")
    }
}
