//! Alignment with what users chose over what: groups of chosen and rejected items, what the reference model thinks of
//! their answers, and the training itself.

use std::path::Path;

use rayon::prelude::*;
use serde_json::json;
use trieval_kernels::beam::Filter;

use crate::corpus::{Corpus, Impression, Request, Split};
use crate::decode::settings::DecodeSettings;
use crate::error::{Error, Result};
use crate::generative::kinds::{Lesson, ObjectiveKind, PreparedStep};
use crate::generative::training::{on_device, start};
use crate::generative::{Bundle, DecoderSizes, PROMPTS_FILE, open_index, threads};
use crate::inputs::StepContext;
use crate::kind::keys;
use crate::kind::{Draws, Estimate, Fact, Faults, Kind, Need, Role, Sizes, keyed};
use crate::model::settings::ModelSettings;
use crate::train::data::pairs::{
    Pair, PairBuilder, group_pairs, read_groups, read_reference, write_groups, write_reference,
};
use crate::train::data::prompts::{Form, Prompts};
use crate::train::objective::preference::{GroupData, Preference, Probe, reference_scores};
use crate::train::settings::{PreferenceLoss, PreferenceSettings, TrainSettings};

const PAIRS_FILE: &str = "pairs.bin";
const REFERENCE_FILE: &str = "reference.bin";
/// Requests searched between two looks at the interrupt flag.
const BEAM_CHUNK: usize = 64;
/// Groups scored at once by the reference model.
const SCORE_CHUNK: usize = 64;
/// Bytes of an item in a set.
const KNOWN_BYTES: u64 = 16;

impl Kind for PreferenceSettings {
    fn format(&self) -> u32 {
        // 2: the sampler. 3: groups instead of pairs; the log holds the figures of the probe; one score per answer.
        // 4: validation searches with one width, whatever is excluded. 5: it looks at the start, whose weights may stay.
        5
    }

    fn draws(&self) -> Draws {
        Draws::Seeded(None)
    }

    fn needs(&self) -> Vec<Need> {
        let clicks = "training `{name}` learns from clicks, but the corpus has none";
        let clicks = Need::new(Fact::Feedback, clicks.into()).at(keys!["objective", "kind"]);
        let mut needs = vec![clicks.instead("remove the training")];
        if !self.searches() && self.pairs.shown_negatives > 0 {
            let key =
                if self.pairs.beam_requests == 0 { "beam_requests" } else { "beam_negatives" };
            let message = "training `{name}` has no negatives: the corpus holds no impressions";
            let need = Need::new(Fact::Impressions, message.into());
            let need = need.at(keys!["objective", "pairs", key]).label("no pair can be built");
            needs.push(need.instead("raise `beam_requests` and `beam_negatives` above 0"));
        }
        needs
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        unread_keys(self, faults);
        let pairs = &self.pairs;
        if !self.searches() && pairs.shown_negatives == 0 {
            let message = "the preference objective has no source of negatives";
            let help = "raise `shown_negatives`, or `beam_requests` and `beam_negatives`, above 0";
            let key = keys!["objective", "pairs", "shown_negatives"];
            faults.value(key, message, "no pair can be built", help);
        }
        if self.searches() && pairs.beam_negatives > pairs.beam {
            let key = keys!["objective", "pairs", "beam_negatives"];
            let message = format!("`{}` is larger than the beam", faults.dotted(&key));
            let label = format!("{} of a beam of {}", pairs.beam_negatives, pairs.beam);
            faults.value(key, message, label, "raise `beam`, or take fewer negatives");
        }
    }
}

/// Keys that the chosen loss would ignore.
fn unread_keys(objective: &PreferenceSettings, faults: &mut Faults<'_>) {
    let loss = objective.loss;
    let keys = [
        (
            "label_smoothing",
            objective.label_smoothing.is_some() && !loss.reads_label_smoothing(),
            "only cdpo, robust and simpo have a share of wrong labels: set loss = \"cdpo\", or remove the key",
        ),
        (
            "gamma",
            objective.gamma.is_some() && !loss.reads_gamma(),
            "only simpo has a margin: set loss = \"simpo\", or remove the key",
        ),
        (
            "dpo_positive",
            objective.dpo_positive.is_some() && !loss.reads_dpo_positive(),
            "it compares with the reference inside the logistic function, which this loss does not have: use `anchor`",
        ),
    ];
    for (key, unread, help) in keys {
        if unread {
            let message = format!("loss \"{}\" does not read `{key}`", loss.name());
            faults.key(keys!["objective", key], message, "would be ignored", help);
        }
    }
    if loss == PreferenceLoss::Robust && objective.label_smoothing == Some(0.5) {
        let message = "loss \"robust\" divides by 1 - 2 label_smoothing, which is 0";
        let help = "labels of which half are wrong teach nothing";
        let key = keys!["objective", "label_smoothing"];
        faults.value(key, message, "expected less than 0.5", help);
    }
}

impl PreferenceSettings {
    /// Whether rejected items come from the model's own beams.
    fn searches(&self) -> bool {
        self.pairs.beam_requests > 0 && self.pairs.beam_negatives > 0
    }

    /// Rejected items of a group.
    fn negatives(&self, sizes: &Sizes) -> u64 {
        let pairs = self.pairs();
        let shown = if sizes.sequences { 0 } else { pairs.shown_negatives };
        let most = pairs.group_negatives.unwrap_or(1);
        u64::from((pairs.beam_negatives + shown).min(most).max(1))
    }

    /// Chosen items of a group, on average.
    fn chosen(&self, sizes: &Sizes) -> f64 {
        let many = self.pairs().group_chosen.unwrap_or(1) > 1;
        if many { sizes.clicks_per_request() } else { 1.0 }
    }
}

impl ObjectiveKind for PreferenceSettings {
    fn drops(&self) -> bool {
        // Policy and reference would be compared on different networks.
        false
    }

    fn needs_one_length(&self) -> bool {
        self.loss.divides_by_length()
    }

    fn needs_init(&self) -> bool {
        true
    }

    fn prepared(&self, training: &TrainSettings) -> Vec<PreparedStep> {
        let pairs = PreparedStep {
            step: "pairs",
            role: Role::Pairs,
            settings: keyed(&self.pairs()),
            draws: true,
        };
        let means =
            json!({ "device": training.course.device, "precision": training.course.precision });
        let reference = PreparedStep {
            step: "reference",
            role: Role::Reference,
            settings: means,
            draws: false,
        };
        if self.loss.needs_reference() { vec![pairs, reference] } else { vec![pairs] }
    }

    fn prepare(
        &self,
        role: Role,
        training: &TrainSettings,
        model: &ModelSettings,
        step: &StepContext<'_>,
    ) -> Result<()> {
        let bundle = Bundle::load(&start(step)?, &step.inputs.identifiers(), model)?;
        if role == Role::Pairs {
            return build(self, training, bundle, step);
        }
        let data = load(&bundle, step.inputs.folder(Role::Pairs)?, &prompts(step)?)?;
        let mut bar = step.ctx.bar("reference scores", data.groups.len() as u64, "group");
        let decoder = on_device(bundle.decoder()?, training)?;
        let scores = reference_scores(&data, &decoder, SCORE_CHUNK, |done| {
            bar.advance(done);
            step.ctx.check_interrupt()
        })?;
        write_reference(&step.out.join(REFERENCE_FILE), &scores)
    }

    fn examples(&self, sizes: &Sizes) -> Option<u64> {
        let pairs = self.pairs();
        let sampled = sizes.train?.min(u64::from(pairs.beam_requests));
        let beam = sampled as f64 * sizes.clicks_per_request() * f64::from(pairs.beam_negatives);
        let shown =
            if sizes.sequences { 0 } else { sizes.clicks? * u64::from(pairs.shown_negatives) };
        let n = (beam as u64 + shown) as f64 / (self.negatives(sizes) as f64 * self.chosen(sizes));
        Some(n as u64)
    }

    fn answers(&self, sizes: &Sizes) -> u64 {
        self.negatives(sizes) + self.chosen(sizes).round() as u64
    }

    fn estimate_preparing(
        &self,
        role: Role,
        sizes: &Sizes,
        decoder: Option<&DecoderSizes>,
    ) -> Estimate {
        let smaller = "take a smaller model";
        if role == Role::Pairs {
            let requests = sizes.train.map(|n| n.min(u64::from(self.pairs.beam_requests)));
            let beam = self.pairs().beam;
            // What was shown for each query is held as a set beside the pages.
            let read = sizes.read_bytes() + sizes.impressions.unwrap_or(0) * KNOWN_BYTES;
            let memory =
                decoder.map(|decoder| decoder.search_memory(sizes, beam, threads()) + read);
            return Estimate::default()
                .count("beams", sizes.about(), requests)
                .figure("beam", self.pairs.beam.to_string())
                .holds(memory, "lower `pairs.beam`, or take a smaller model");
        }
        let (groups, answers) = (self.examples(sizes), self.answers(sizes));
        let memory = decoder.map(|decoder| {
            let tokens = SCORE_CHUNK as u64 * decoder.example(sizes, answers);
            decoder.weights() + decoder.forward(tokens)
        });
        Estimate::default()
            .count("groups", "≈ ", groups)
            .count("answers", "≈ ", groups.map(|groups| groups * answers))
            .holds(memory, smaller)
    }

    fn train(&self, lesson: Lesson<'_>) -> Result<()> {
        let Lesson { step, decoder, bundle, .. } = lesson;
        let data = load(bundle, step.inputs.folder(Role::Pairs)?, &prompts(step)?)?;
        let reference = match step.inputs.find(Role::Reference) {
            Some(folder) => Some(read_reference(&folder.join(REFERENCE_FILE), data.n_answers())?),
            None => None,
        };
        // The decoder has the weights of its start here; a checkpoint is loaded later.
        let index = open_index(step.inputs.folder(Role::Identifier(0))?)?;
        let probe = Probe::new(decoder, &data, &index, self.probe_prompts, step.seed)?;
        let mut objective = Preference::new(decoder, data, reference, self, probe)?;
        lesson.run(&mut objective)
    }
}

fn prompts(step: &StepContext<'_>) -> Result<std::path::PathBuf> {
    Ok(step.inputs.folder(Role::Prompts(0))?.join(PROMPTS_FILE))
}

/// Builds the groups.
fn build(
    objective: &PreferenceSettings,
    training: &TrainSettings,
    bundle: Bundle,
    step: &StepContext<'_>,
) -> Result<()> {
    let corpus = step.inputs.corpus()?;
    let requests = corpus.requests(Split::Train)?;
    let pages = pages(corpus, &requests)?;
    let settings = objective.pairs();
    let builder = PairBuilder::new(&requests, &pages, &settings);
    let builder = builder.sharing(bundle.prompts.items().leaves());
    let mut pairs = builder.shown_pairs();
    let n_shown = pairs.len();

    let sample = builder.beam_requests(step.seed);
    let decode = DecodeSettings { beam: settings.beam, normalizer: bundle.normalizer() };
    let (_, retriever) =
        bundle.into_retriever(step.inputs.folder(Role::Identifier(0))?, &decode)?;
    let prompts = Prompts::open(&prompts(step)?, Form::BeforeLast)?;
    let mut bar = step.ctx.bar("own beams", sample.len() as u64, "request");
    for chunk in sample.chunks(BEAM_CHUNK) {
        step.ctx.check_interrupt()?;
        let found: Vec<Vec<Pair>> = chunk
            .par_iter()
            .map(|request| {
                let hits = retriever.retrieve(&prompts.tokens(request.request), Filter::All)?;
                let items: Vec<u32> = hits.iter().map(|hit| hit.item).collect();
                Ok(builder.beam_pairs(request, &items, step.seed))
            })
            .collect::<Result<_>>()?;
        pairs.extend(found.into_iter().flatten());
        bar.advance(chunk.len() as u64);
    }
    drop(bar);
    if pairs.is_empty() {
        return Err(Error::Failed(format!(
            "training {} has no preference pairs: no training request has a click with something to reject; raise \
             pairs.beam_requests or pairs.shown_negatives",
            training.name
        )));
    }
    let groups = group_pairs(&pairs, &settings);
    step.ctx.say(format!(
        "{}: {} pairs, {n_shown} with a rejected item shown above the click, {} from the model's own beams, in {} groups",
        step.name,
        pairs.len(),
        pairs.len() - n_shown,
        groups.len()
    ));
    write_groups(&step.out.join(PAIRS_FILE), &groups)
}

/// The groups with their rendered prompts.
fn load<'a>(bundle: &'a Bundle, folder: &Path, prompts: &Path) -> Result<GroupData<'a>> {
    let prompts = Prompts::open(prompts, Form::BeforeLast)?;
    let item_tokens = bundle.prompts.items();
    let groups = read_groups(&folder.join(PAIRS_FILE), prompts.len(), item_tokens.n_items())?;
    Ok(GroupData { prompts, groups, item_tokens })
}

/// Impressions of every training request.
fn pages(corpus: &Corpus, requests: &[Request]) -> Result<Vec<Vec<Impression>>> {
    let train = corpus.request_range(Split::Train);
    let mut pages = vec![Vec::new(); requests.len()];
    for group in corpus.impressions()? {
        let (request, impressions) = group?;
        if train.contains(&request) {
            pages[(request - train.start) as usize] = impressions;
        }
    }
    Ok(pages)
}
