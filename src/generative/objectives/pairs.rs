//! The pairs of an alignment: built from the log and the model's own beams, weighed, counted and written.

use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;
use trieval_kernels::beam::Filter;

use crate::corpus::{Corpus, Impression, ItemIdx, PositionBias, Request, Split, Told};
use crate::decode::retriever::Retriever;
use crate::decode::settings::DecodeSettings;
use crate::decode::spans::SpanRetriever;
use crate::decode::spans::settings::SpanDecodeSettings;
use crate::error::{Error, Result};
use crate::generative::training::on_device;
use crate::generative::{Bundle, PROMPTS_FILE};
use crate::inputs::StepContext;
use crate::kind::Role;
use crate::store::write_json;
use crate::train::data::pairs::census::{Census, Sampled, because, drawn};
use crate::train::data::pairs::groups::{
    group_pairs, read_groups, read_spans, write_groups, write_spans,
};
use crate::train::data::pairs::settings::{BiasSource, PairSettings};
use crate::train::data::pairs::similar::{Likeness, likenesses};
use crate::train::data::pairs::spans::{self, Compared, Limits, Numbers};
use crate::train::data::pairs::{BeamRequest, Pair, PairBuilder, Weights};
use crate::train::data::prompts::{Form, Prompts};
use crate::train::objective::preference::{Answers, AskedPrompts, CodesAndSpans, Group, GroupData};
use crate::train::settings::{PreferenceSettings, TrainSettings};

/// The groups of an alignment.
const PAIRS_FILE: &str = "pairs.bin";
/// How many pairs there are and why, with a sample.
const CENSUS_FILE: &str = "pairs.json";
/// The spans that groups compare.
const SPANS_FILE: &str = "spans.bin";
/// Most chosen and most rejected spans of a group, where nothing is said.
const SPANS_OF_GROUP: u32 = 4;
/// Groups scored at once by the frozen start.
pub(super) const SCORE_CHUNK: usize = 64;
/// Requests searched between two looks at the interrupt flag.
const BEAM_CHUNK: usize = 64;
/// Standard error of an exponent from which on it is doubtful.
const WIDE: f64 = 0.1;

/// The prompts of the identifier at a place of a model.
fn prompts(step: &StepContext<'_>, place: usize) -> Result<Prompts> {
    let path = step.inputs.folder(Role::Prompts(place))?.join(PROMPTS_FILE);
    Prompts::open(&path, Form::BeforeLast)
}

/// The prompts of all identifiers that are aligned; those of codes end with their mode token already.
fn asked(bundle: &Bundle, step: &StepContext<'_>) -> Result<AskedPrompts> {
    let places = step.inputs.identifiers().into_iter().enumerate();
    let asked =
        places.map(|(at, (place, _))| Ok((prompts(step, place)?, bundle.mode_of_spans(at))));
    asked.collect::<Result<_>>().map(AskedPrompts::new)
}

/// The groups with their rendered prompts.
pub(super) fn load<'a>(
    bundle: &'a Bundle,
    folder: &Path,
    step: &StepContext<'_>,
) -> Result<GroupData<'a>> {
    let prompts = asked(bundle, step)?;
    let spans = match bundle.speaks_spans() {
        true => read_spans(&folder.join(SPANS_FILE))?,
        false => Vec::new(),
    };
    let answers = CodesAndSpans { items: bundle.coded(), spans };
    let groups = read_groups(&folder.join(PAIRS_FILE), prompts.len(), answers.n_answers())?;
    Ok(GroupData { prompts, groups, answers: Box::new(answers) })
}

/// What is known of the pairs in the folder of the step that built them.
///
/// # Errors
/// [`Error::Data`] when it cannot be read.
pub fn read_census(folder: &Path) -> Result<Census> {
    let path = folder.join(CENSUS_FILE);
    let text = std::fs::read(&path).map_err(|e| Error::unreadable(&path, &e))?;
    serde_json::from_slice(&text).map_err(|e| Error::data(&path, e.to_string()))
}

/// Builds the groups of all identifiers that are aligned.
pub(super) fn build(
    objective: &PreferenceSettings,
    training: &TrainSettings,
    bundle: &Bundle,
    step: &StepContext<'_>,
) -> Result<()> {
    let corpus = step.inputs.corpus()?;
    let requests = corpus.requests(Split::Train)?;
    let pages = pages(corpus, &requests)?;
    let settings = objective.pairs();
    let levels: Vec<String> =
        corpus.summary().levels.iter().map(|level| level.name.clone()).collect();
    let weights = weights(&settings, &training.name, (&requests, &pages), &levels)?;
    let bias = weights.bias.as_ref().map(|(bias, _)| bias.clone());
    // Where items share codes, they share what is chosen and rejected; their titles are their own.
    let of_items = PairBuilder::new(&requests, &pages, &settings, weights);
    let (mut pairs, mut groups) = (Vec::new(), Vec::new());
    let mut numbers = Numbers::from(bundle.n_coded() as u32);
    for (at, (place, folder)) in step.inputs.identifiers().into_iter().enumerate() {
        let prompts = prompts(step, place)?;
        if bundle.has_spans(at) {
            let first_prompt = (at * requests.len()) as u32;
            let own = OfSpans { settings: &settings, requests: &requests, prompts: &prompts, step };
            groups.extend(own.groups((bundle, at), &of_items, first_prompt, &mut numbers)?);
        } else {
            let of_leaves = of_items.clone().sharing(bundle.leaves());
            pairs.extend(of_leaves.shown_pairs());
            let retriever = DecodeSettings { beam: settings.beam, normalizer: bundle.normalizer() };
            let retriever = bundle.retriever(at, folder, &retriever)?;
            pairs.extend(beams(&of_leaves, &retriever, &prompts, step)?);
            // Prompts of codes come first where they are the first identifier.
            let first_prompt = (at * requests.len()) as u32;
            let own = group_pairs(&pairs, &settings).into_iter();
            groups.extend(own.map(|group| Group { prompt: first_prompt + group.prompt, ..group }));
        }
    }
    if groups.is_empty() {
        return Err(Error::Failed(format!(
            "training {} has no preference pairs: no training request has a click with something to reject; raise \
             pairs.beam_requests or pairs.shown_negatives",
            training.name
        )));
    }
    let spans = numbers.into_spans();
    let mut census = Census::of(&pairs, groups.len(), &levels);
    if let Some(least) = settings.similar_weight {
        groups = compared(groups, least, &mut census, (training, bundle, &spans), step)?;
    }
    census.bias = bias;
    census.sample = sample(&pairs, corpus, &requests, &levels, step)?;
    for sentence in census.sentences() {
        step.ctx.say(format!("{}: {sentence}", step.name));
    }
    if let Some(bias) = census.bias.as_ref().filter(|bias| bias.error > WIDE) {
        step.ctx.warn(format!(
            "{}: the exponent of how positions are looked at is known to ± {:.2} only: {} clicks tell it",
            step.name, bias.error, bias.clicks
        ));
    }
    write_json(&step.out.join(CENSUS_FILE), &census)?;
    if bundle.speaks_spans() {
        write_spans(&step.out.join(SPANS_FILE), &spans)?;
    }
    write_groups(&step.out.join(PAIRS_FILE), &groups)
}

/// What positions and levels weigh.
fn weights(
    settings: &PairSettings,
    training: &str,
    (requests, pages): (&[Request], &[Vec<Impression>]),
    levels: &[String],
) -> Result<Weights> {
    let bias = settings.propensity.as_ref().map(|propensity| {
        let by = match propensity.by {
            BiasSource::Fixed => {
                return Ok((PositionBias::fixed(propensity.exponent.unwrap_or(1.0)), propensity.most));
            }
            BiasSource::Log => Told::Log,
            BiasSource::Swaps => Told::Swaps,
            BiasSource::Em => Told::Em,
        };
        let told = PositionBias::of(requests, pages, by).map_err(|untold| {
            Error::Usage(format!(
                "training {training} cannot weigh pairs by positions: {}\n  help: give the exponent \
                 (pairs.propensity = {{ by = \"fixed\", exponent = 1.0 }}), or remove pairs.propensity",
                untold.0
            ))
        });
        Ok::<_, Error>((told?, propensity.most))
    });
    let weight = |level: &String| settings.levels.get(level).copied().unwrap_or(1.0);
    let levels = std::iter::once(1.0).chain(levels.iter().map(weight)).collect();
    Ok(Weights { bias: bias.transpose()?, levels })
}

/// Pairs with items that the model itself ranks high.
fn beams(
    builder: &PairBuilder<'_>,
    retriever: &Retriever,
    prompts: &Prompts,
    step: &StepContext<'_>,
) -> Result<Vec<Pair>> {
    let sample = builder.beam_requests(step.seed);
    let mut bar = step.ctx.bar("own beams", sample.len() as u64, "request");
    let mut pairs = Vec::new();
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
    Ok(pairs)
}

/// What spans are compared with.
struct OfSpans<'a> {
    settings: &'a PairSettings,
    requests: &'a [Request],
    prompts: &'a Prompts,
    step: &'a StepContext<'a>,
}

impl OfSpans<'_> {
    /// Groups of spans: what the model says of chosen items over what it says of rejected ones.
    fn groups(
        &self,
        (bundle, at): (&Bundle, usize),
        builder: &PairBuilder<'_>,
        first_prompt: u32,
        numbers: &mut Numbers,
    ) -> Result<Vec<Group>> {
        let Self { settings, requests, prompts, step } = self;
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
                let seed = step.seed.purpose("span-pairs").index(u64::from(request.request));
                let rng = &mut seed.rng();
                let group = spans::group(&spans, &compared, query, &said, limits, rng)?;
                Ok(group.map(|group| (compared, group)))
            };
            let found = chunk.par_iter().map(compare).collect::<Result<Vec<_>>>()?;
            for (Compared { prompt, chosen, .. }, group) in found.into_iter().flatten() {
                // Which of its clicks a span stands for is not known: they count as they do on average.
                let counts = chosen.iter().map(|(_, weight)| weight).sum::<f32>();
                let counts = counts / chosen.len().max(1) as f32;
                groups.push(spans::numbered(first_prompt + prompt, counts, group, numbers));
            }
            bar.advance(chunk.len() as u64);
        }
        drop(bar);
        let rejected: usize = groups.iter().map(|group| group.rejected.len()).sum();
        let chosen: usize = groups.iter().map(|group| group.chosen.len()).sum();
        step.ctx.say(format!(
            "{}: {} groups of spans that the model says itself, {chosen} of clicked items over {rejected} of items that \
             were shown above a click or found and not clicked; {} requests said nothing to compare",
            step.name,
            groups.len(),
            sample.len() - groups.len()
        ));
        Ok(groups)
    }
}

/// The groups with a factor for every pair whose answers the frozen start takes for alike.
fn compared(
    groups: Vec<Group>,
    least: f64,
    census: &mut Census,
    (training, bundle, spans): (&TrainSettings, &Bundle, &[Vec<u32>]),
    step: &StepContext<'_>,
) -> Result<Vec<Group>> {
    let answers = CodesAndSpans { items: bundle.coded(), spans: spans.to_vec() };
    let mut data = GroupData { prompts: asked(bundle, step)?, groups, answers: Box::new(answers) };
    let decoder = on_device(bundle.decoder()?, training)?;
    let mut bar = step.ctx.bar("likeness of answers", data.groups.len() as u64, "group");
    let found = likenesses(&data, &decoder, SCORE_CHUNK, |done| {
        bar.advance(done);
        step.ctx.check_interrupt()
    })?;
    drop(bar);
    let Some(likeness) = Likeness::of(&found, least) else { return Ok(data.groups) };
    let factors: Vec<f32> = found.iter().map(|&one| likeness.factor(one) as f32).collect();
    census.alike(&likeness, &factors);
    let mut rest = factors.as_slice();
    for group in &mut data.groups {
        let (own, after) = rest.split_at(group.chosen.len() * group.rejected.len());
        group.alike = own.to_vec();
        rest = after;
    }
    Ok(data.groups)
}

/// Some pairs as people see them.
fn sample(
    pairs: &[Pair],
    corpus: &Corpus,
    requests: &[Request],
    levels: &[String],
    step: &StepContext<'_>,
) -> Result<Vec<Sampled>> {
    let drawn: Vec<&Pair> =
        drawn(pairs.len(), step.seed).into_iter().map(|place| &pairs[place]).collect();
    let mut items: Vec<ItemIdx> =
        drawn.iter().flat_map(|pair| [pair.chosen.item, pair.rejected]).collect();
    items.sort_unstable();
    items.dedup();
    let names = corpus.some_names(&items)?;
    let title = |item: u32| {
        let name = items.binary_search(&item).ok().and_then(|place| names.get(place));
        name.map(|name| match name.title.is_empty() {
            true => name.id.clone(),
            false => name.title.clone(),
        })
    };
    let sampled = drawn.into_iter().map(|pair| Sampled {
        query: requests.get(pair.prompt as usize).and_then(|request| request.ask.query.clone()),
        chosen: title(pair.chosen.item).unwrap_or_default(),
        rejected: title(pair.rejected).unwrap_or_default(),
        reason: because(pair, levels),
        weight: f64::from(pair.counts()),
    });
    Ok(sampled.collect())
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
