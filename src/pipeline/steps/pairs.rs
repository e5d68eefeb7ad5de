//! Preference groups, and what the reference model thinks of their answers.

use std::path::Path;

use rayon::prelude::*;
use trieval_kernels::beam::Filter;

use super::model::LoadedModel;
use super::train::{Training, on_device, training};
use crate::corpus::{Corpus, Impression, Request, Split};
use crate::decode::settings::{DecodeSettings, Normalizer};
use crate::error::{Error, Result};
use crate::pipeline::runner::StepEnv;
use crate::train::objective::preference::{GroupData, reference_scores};
use crate::train::pairs::{
    Pair, PairBuilder, group_pairs, read_groups, read_reference, write_groups, write_reference,
};
use crate::train::prompts::{Form, Prompts};
use crate::train::settings::ObjectiveSettings;

const PAIRS_FILE: &str = "pairs.bin";
const REFERENCE_FILE: &str = "reference.bin";
/// Requests searched between two looks at the interrupt flag.
const BEAM_CHUNK: usize = 64;
/// Groups scored at once by the reference model.
const SCORE_CHUNK: usize = 64;

/// Builds the groups of a preference training.
pub(super) fn build(env: &StepEnv<'_>, name: &str) -> Result<()> {
    let Training { settings, shape, start, identifier, prompts } = training(env, name)?;
    let ObjectiveSettings::Preference(objective) = &settings.objective else {
        return Err(Error::Failed(format!("training {name} has no pairs to build")));
    };
    let corpus = Corpus::open(&env.input("corpus")?)?;
    let requests = corpus.requests(Split::Train)?;
    let pages = pages(&corpus, &requests)?;
    let settings = objective.pairs();
    let builder = PairBuilder::new(&requests, &pages, &settings);
    let mut pairs = builder.shown_pairs();
    let n_shown = pairs.len();

    let seed = env.seed();
    let sample = builder.beam_requests(seed);
    let model = LoadedModel::load(&start, &identifier, shape)?;
    let decode = DecodeSettings { beam: settings.beam, normalizer: Normalizer::Exact };
    let (_, retriever) = model.into_retriever(&identifier, &decode)?;
    let prompts = Prompts::open(&prompts, Form::BeforeLast)?;
    let mut bar = env.ctx.bar("own beams", sample.len() as u64, "request");
    for chunk in sample.chunks(BEAM_CHUNK) {
        env.ctx.check_interrupt()?;
        let found: Vec<Vec<Pair>> = chunk
            .par_iter()
            .map(|request| {
                let hits = retriever.retrieve(&prompts.tokens(request.request), Filter::All)?;
                let items: Vec<u32> = hits.iter().map(|hit| hit.item).collect();
                Ok(builder.beam_pairs(request, &items, seed))
            })
            .collect::<Result<_>>()?;
        pairs.extend(found.into_iter().flatten());
        bar.advance(chunk.len() as u64);
    }
    drop(bar);
    if pairs.is_empty() {
        return Err(Error::Failed(format!(
            "training {name} has no preference pairs: no training request has a click with \
             something to reject; raise pairs.beam_requests or pairs.shown_negatives"
        )));
    }
    let groups = group_pairs(&pairs, &settings);
    env.ctx.say(format!(
        "{}: {} pairs, {n_shown} with a rejected item shown above the click, {} from the model's own beams, in {} groups",
        env.step.name,
        pairs.len(),
        pairs.len() - n_shown,
        groups.len()
    ));
    write_groups(&env.out.join(PAIRS_FILE), &groups)
}

/// Scores the answers of the groups with the frozen start of the training.
pub(super) fn score(env: &StepEnv<'_>, name: &str) -> Result<()> {
    let Training { settings, shape, start, identifier, prompts } = training(env, name)?;
    let model = LoadedModel::load(&start, &identifier, shape)?;
    let data = load(&model, &env.input(&format!("train.{name}.pairs"))?, &prompts)?;
    let mut bar = env.ctx.bar("reference scores", data.groups.len() as u64, "group");
    let decoder = on_device(model.decoder()?, settings)?;
    let scores = reference_scores(&data, &decoder, SCORE_CHUNK, |done| {
        bar.advance(done);
        env.ctx.check_interrupt()
    })?;
    write_reference(&env.out.join(REFERENCE_FILE), &scores)
}

/// The groups with their rendered prompts.
pub(super) fn load<'a>(
    model: &'a LoadedModel,
    folder: &Path,
    prompts: &Path,
) -> Result<GroupData<'a>> {
    let prompts = Prompts::open(prompts, Form::BeforeLast)?;
    let item_tokens = model.prompts.items();
    let groups = read_groups(&folder.join(PAIRS_FILE), prompts.len(), item_tokens.n_items())?;
    Ok(GroupData { prompts, groups, item_tokens })
}

pub(super) fn load_reference(folder: &Path, n_answers: usize) -> Result<Vec<f32>> {
    read_reference(&folder.join(REFERENCE_FILE), n_answers)
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
