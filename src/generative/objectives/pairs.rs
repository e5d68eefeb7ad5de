//! The pairs of an alignment: built from the log and the model's own beams, weighed, counted and written.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use trieval_kernels::beam::Filter;

use super::preference::SCORE_CHUNK;
use crate::corpus::{Corpus, Impression, ItemIdx, PositionBias, Request, Split, Told};
use crate::decode::settings::DecodeSettings;
use crate::error::{Error, Result};
use crate::generative::training::{on_device, start};
use crate::generative::{Bundle, PROMPTS_FILE};
use crate::inputs::StepContext;
use crate::kind::Role;
use crate::model::settings::ModelSettings;
use crate::store::write_json;
use crate::train::data::pairs::census::{Census, Sampled, because, drawn};
use crate::train::data::pairs::groups::{group_pairs, read_groups, write_groups};
use crate::train::data::pairs::settings::{BiasSource, PairSettings};
use crate::train::data::pairs::similar::{Likeness, likenesses};
use crate::train::data::pairs::{Pair, PairBuilder, Weights};
use crate::train::data::prompts::{Form, Prompts};
use crate::train::objective::preference::{Group, GroupData};
use crate::train::settings::{PreferenceSettings, TrainSettings};

/// The groups of an alignment.
const PAIRS_FILE: &str = "pairs.bin";
/// How many pairs there are and why, with a sample.
const CENSUS_FILE: &str = "pairs.json";
/// Requests searched between two looks at the interrupt flag.
const BEAM_CHUNK: usize = 64;
/// Standard error of an exponent from which on it is doubtful.
const WIDE: f64 = 0.1;

/// The file of rendered prompts.
pub(super) fn prompts(step: &StepContext<'_>) -> Result<PathBuf> {
    Ok(step.inputs.folder(Role::Prompts(0))?.join(PROMPTS_FILE))
}

/// The groups with their rendered prompts.
pub(super) fn load<'a>(bundle: &'a Bundle, folder: &Path, prompts: &Path) -> Result<GroupData<'a>> {
    let prompts = Prompts::open(prompts, Form::BeforeLast)?;
    let answers = bundle.prompts.items();
    let groups = read_groups(&folder.join(PAIRS_FILE), prompts.len(), answers.n_items())?;
    Ok(GroupData { prompts, groups, answers })
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

/// Builds the groups.
pub(super) fn build(
    objective: &PreferenceSettings,
    training: &TrainSettings,
    (bundle, model): (Bundle, &ModelSettings),
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
    let builder = PairBuilder::new(&requests, &pages, &settings, weights);
    let builder = builder.sharing(bundle.prompts.items().leaves());
    let mut pairs = builder.shown_pairs();
    pairs.extend(beams(&builder, &settings, bundle, step)?);
    if pairs.is_empty() {
        return Err(Error::Failed(format!(
            "training {} has no preference pairs: no training request has a click with something to reject; raise \
             pairs.beam_requests or pairs.shown_negatives",
            training.name
        )));
    }
    let mut groups = group_pairs(&pairs, &settings);
    let mut census = Census::of(&pairs, groups.len(), &levels);
    if let Some(least) = settings.similar_weight {
        groups = compared(groups, least, &mut census, (training, model), step)?;
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
    settings: &PairSettings,
    bundle: Bundle,
    step: &StepContext<'_>,
) -> Result<Vec<Pair>> {
    let sample = builder.beam_requests(step.seed);
    let decode = DecodeSettings { beam: settings.beam, normalizer: bundle.normalizer() };
    let (_, retriever) =
        bundle.into_retriever(step.inputs.folder(Role::Identifier(0))?, &decode)?;
    let prompts = Prompts::open(&prompts(step)?, Form::BeforeLast)?;
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

/// The groups with a factor for every pair whose answers the frozen start takes for alike.
fn compared(
    groups: Vec<Group>,
    least: f64,
    census: &mut Census,
    (training, model): (&TrainSettings, &ModelSettings),
    step: &StepContext<'_>,
) -> Result<Vec<Group>> {
    let bundle = Bundle::load(&start(step)?, &step.inputs.identifiers(), model)?;
    let prompts = Prompts::open(&prompts(step)?, Form::BeforeLast)?;
    let mut data = GroupData { prompts, groups, answers: bundle.prompts.items() };
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
