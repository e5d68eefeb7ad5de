//! Alignment with what users chose over what: groups of chosen and rejected items, what the reference model thinks of
//! their answers, and the training itself.

use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;
use serde_json::json;
use trieval_kernels::beam::Filter;

use crate::corpus::{Corpus, Impression, Request, Split};
use crate::decode::settings::DecodeSettings;
use crate::decode::spans::SpanRetriever;
use crate::decode::spans::settings::SpanDecodeSettings;
use crate::error::{Error, Result};
use crate::generative::kinds::{Lesson, ObjectiveKind, PreparedStep};
use crate::generative::training::{on_device, start};
use crate::generative::{Bundle, DecoderSizes, PROMPTS_FILE, open_index, threads};
use crate::inputs::StepContext;
use crate::kind::keys;
use crate::kind::{Draws, Estimate, Fact, Faults, Kind, Need, Role, Sizes, keyed};
use crate::model::settings::ModelSettings;
use crate::train::data::pairs::{
    BeamRequest, Pair, PairBuilder, group_pairs, read_groups, read_reference, read_spans,
    write_groups, write_reference, write_spans,
};
use crate::train::data::prompts::{Form, Prompts};
use crate::train::data::span_pairs::{self, Compared, Limits, Numbers};
use crate::train::objective::preference::{
    Answers, Asked, Group, GroupData, Legal, Preference, Probe, reference_scores,
};
use crate::train::settings::{PreferenceLoss, PreferenceSettings, TrainSettings};

const PAIRS_FILE: &str = "pairs.bin";
const REFERENCE_FILE: &str = "reference.bin";
/// The spans that groups compare.
const SPANS_FILE: &str = "spans.bin";
/// Most chosen and most rejected spans of a group, where nothing is said.
const SPANS_OF_GROUP: u32 = 4;
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

    fn identifiers(&self, n: usize) -> usize {
        n.min(self.identifiers.unwrap_or(1) as usize)
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
            return build(self, training, &bundle, step);
        }
        let data = load(&bundle, step.inputs.folder(Role::Pairs)?, step)?;
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
        let data = load(bundle, step.inputs.folder(Role::Pairs)?, step)?;
        let reference = match step.inputs.find(Role::Reference) {
            Some(folder) => Some(read_reference(&folder.join(REFERENCE_FILE), data.n_answers())?),
            None => None,
        };
        // The decoder has the weights of its start here; a checkpoint is loaded later.
        let places = step.inputs.identifiers();
        let codes = places.iter().enumerate().find(|(at, _)| !bundle.has_spans(*at));
        let codes = codes.map(|(_, (_, folder))| open_index(folder)).transpose()?;
        let spans = (0..places.len()).find(|at| bundle.has_spans(*at));
        let spans = spans.map(|at| bundle.spans(at)).transpose()?.flatten();
        let legal = Legal { codes: codes.as_ref(), spans: spans.as_ref() };
        let probe = Probe::new(decoder, &data, legal, self.probe_prompts, step.seed)?;
        let mut objective = Preference::new(decoder, data, reference, self, probe)?;
        lesson.run(&mut objective)
    }
}

/// The prompts of the identifier at a place.
fn prompts(step: &StepContext<'_>, place: usize) -> Result<Prompts> {
    let path = step.inputs.folder(Role::Prompts(place))?.join(PROMPTS_FILE);
    Prompts::open(&path, Form::BeforeLast)
}

/// Builds the groups of all identifiers that are aligned.
fn build(
    objective: &PreferenceSettings,
    training: &TrainSettings,
    bundle: &Bundle,
    step: &StepContext<'_>,
) -> Result<()> {
    let corpus = step.inputs.corpus()?;
    let requests = corpus.requests(Split::Train)?;
    let pages = pages(corpus, &requests)?;
    let settings = objective.pairs();
    // Where items share codes, they share what is chosen and rejected; their titles are their own.
    let of_items = PairBuilder::new(&requests, &pages, &settings);
    let of_leaves = PairBuilder::new(&requests, &pages, &settings).sharing(bundle.leaves());
    let (mut groups, mut spans) = (Vec::new(), Vec::new());
    for (at, (place, folder)) in step.inputs.identifiers().into_iter().enumerate() {
        let prompts = prompts(step, place)?;
        if bundle.has_spans(at) {
            // Behind the prompts and answers of codes.
            let (prompt, answer) = ((at * requests.len()) as u32, bundle.n_coded() as u32);
            let mut numbers = Numbers::from(answer);
            let own = (objective, &requests[..]);
            groups.extend(of_spans(
                own,
                (bundle, at),
                &of_items,
                &prompts,
                prompt,
                &mut numbers,
                step,
            )?);
            spans = numbers.into_spans();
        } else {
            groups.extend(of_codes(objective, (bundle, at, folder), &of_leaves, &prompts, step)?);
        }
    }
    if groups.is_empty() {
        return Err(Error::Failed(format!(
            "training {} has no preference pairs: no training request has a click with something to reject; raise \
             pairs.beam_requests or pairs.shown_negatives",
            training.name
        )));
    }
    if bundle.speaks_spans() {
        write_spans(&step.out.join(SPANS_FILE), &spans)?;
    }
    write_groups(&step.out.join(PAIRS_FILE), &groups)
}

/// Groups of items, compared by their codes.
fn of_codes(
    objective: &PreferenceSettings,
    (bundle, at, folder): (&Bundle, usize, &Path),
    builder: &PairBuilder<'_>,
    prompts: &Prompts,
    step: &StepContext<'_>,
) -> Result<Vec<Group>> {
    let settings = objective.pairs();
    let mut pairs = builder.shown_pairs();
    let n_shown = pairs.len();
    let sample = builder.beam_requests(step.seed);
    let decode = DecodeSettings { beam: settings.beam, normalizer: bundle.normalizer() };
    let retriever = bundle.retriever(at, folder, &decode)?;
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
    let groups = group_pairs(&pairs, &settings);
    step.ctx.say(format!(
        "{}: {} pairs, {n_shown} with a rejected item shown above the click, {} from the model's own beams, in {} groups",
        step.name,
        pairs.len(),
        pairs.len() - n_shown,
        groups.len()
    ));
    Ok(groups)
}

/// Groups of spans: what the model says of chosen items over what it says of rejected ones.
fn of_spans(
    (objective, requests): (&PreferenceSettings, &[Request]),
    (bundle, at): (&Bundle, usize),
    builder: &PairBuilder<'_>,
    prompts: &Prompts,
    first_prompt: u32,
    numbers: &mut Numbers,
    step: &StepContext<'_>,
) -> Result<Vec<Group>> {
    let settings = objective.pairs();
    let Some(spans) = bundle.spans(at)? else { return Ok(Vec::new()) };
    let spans = Arc::new(spans);
    let decode = SpanDecodeSettings { beam: settings.beam, ..SpanDecodeSettings::default() };
    let retriever = SpanRetriever::new(bundle.frozen()?, spans.clone(), &decode);
    let limits = Limits {
        chosen: settings.group_chosen.unwrap_or(SPANS_OF_GROUP) as usize,
        rejected: settings.group_negatives.unwrap_or(SPANS_OF_GROUP) as usize,
    };
    let sample = builder.beam_requests(step.seed);
    let mut groups = Vec::new();
    let mut bar = step.ctx.bar("own spans", sample.len() as u64, "request");
    for chunk in sample.chunks(BEAM_CHUNK) {
        step.ctx.check_interrupt()?;
        let compare = |request: &BeamRequest| {
            let prompt = prompts.tokens(request.request);
            let query = requests[request.request as usize].ask.query.as_deref();
            let said = retriever.say(&prompt, query)?;
            let found = retriever.items(&said, settings.beam as usize, &[]);
            let found: Vec<u32> = found.into_iter().map(|(item, _)| item).collect();
            let compared = builder.compared(request, &found, step.seed);
            let said: Vec<Vec<u32>> = said.spans().map(<[u32]>::to_vec).collect();
            let mut rng = step.seed.purpose("span-pairs").index(u64::from(request.request)).rng();
            let group = span_pairs::group(&spans, &compared, query, &said, limits, &mut rng)?;
            Ok(group.map(|group| (compared, group)))
        };
        let found = chunk.par_iter().map(compare).collect::<Result<Vec<_>>>()?;
        for (Compared { prompt, .. }, group) in found.into_iter().flatten() {
            groups.push(span_pairs::numbered(first_prompt + prompt, group, numbers));
        }
        bar.advance(chunk.len() as u64);
    }
    drop(bar);
    let rejected: usize = groups.iter().map(|group| group.rejected.len()).sum();
    let chosen: usize = groups.iter().map(|group| group.chosen.len()).sum();
    step.ctx.say(format!(
        "{}: {} groups of spans that the model says itself, {chosen} of clicked items over {rejected} of items that were \
         shown above a click or found and not clicked; {} requests said nothing to compare",
        step.name,
        groups.len(),
        sample.len() - groups.len()
    ));
    Ok(groups)
}

/// The groups with their rendered prompts.
fn load<'a>(bundle: &'a Bundle, folder: &Path, step: &StepContext<'_>) -> Result<GroupData<'a>> {
    let places = step.inputs.identifiers().into_iter().enumerate();
    let asked = places.map(|(at, (place, _))| {
        // Rendered prompts of codes end with their mode token.
        Ok(Asked { prompts: prompts(step, place)?, mode: bundle.mode_of_spans(at) })
    });
    let asked = asked.collect::<Result<Vec<Asked>>>()?;
    let spans = match bundle.speaks_spans() {
        true => read_spans(&folder.join(SPANS_FILE))?,
        false => Vec::new(),
    };
    let answers = Answers { items: bundle.coded(), spans };
    let n_prompts = asked.iter().map(|asked| asked.prompts.len()).sum();
    let groups = read_groups(&folder.join(PAIRS_FILE), n_prompts, answers.len())?;
    Ok(GroupData { asked, groups, answers })
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
