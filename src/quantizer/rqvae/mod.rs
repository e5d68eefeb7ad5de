//! RQ-VAE (TIGER, arXiv 2305.05065): a network encodes vectors, writes them in codes level by level and reads them again.
//!
//! `network` holds encoder, codes and decoder, `objective` the loss and the revival of idle codes, `together` the loss of items
//! that were chosen together (`partners`), `usage` how well codes are used, this file trains them. Identifiers keep the encoder: whoever has a new vector finds its codes with it.

mod kind;
mod network;
mod objective;
mod partners;
pub(super) mod settings;
mod together;
mod usage;

use std::path::Path;

use super::cold::Items;
use super::kmeans::{Clusters, Table, cluster, codes_of};
use super::levels::{mean_squared_length, rows, subtract, warn_of_few};
use super::settings::BalanceBy;
use crate::error::{Error, Result};
use crate::identifier::{Centroids, Identifiers, Made};
use crate::inputs::StepContext;
use crate::model::checkpoint::{WeightFiles, save_weights};
use crate::progress::Context;
use crate::seed::Seed;
use crate::train::course::settings::LOSS;
use crate::train::sampler::n_steps;
use crate::train::validation::Measured;
use crate::vectors::Vectors;
use network::{Network, Standard};
use objective::{Reconstruction, some};
use partners::Partners;
use settings::RqVaeSettings;

/// All weights, the decoder's too.
const WEIGHTS_FILE: &str = "rq-vae.safetensors";

/// Items that the first codes are clustered from, and for how long.
const START_ITEMS: usize = 1 << 16;
const START_ITERATIONS: u32 = 20;

/// Trains the network on the vectors of a catalogue, writes its weights and quantises all items; row `i` belongs to item `i`.
///
/// # Errors
/// When codes collapse or the training diverges, an interrupt, or the disk refuses.
fn fit(
    settings: &RqVaeSettings,
    items: &Items<'_>,
    catalogue: &str,
    step: &StepContext<'_>,
) -> Result<Identifiers> {
    let vectors: &Vectors = &items.vectors;
    warn_of_few(vectors.len(), settings.codes as usize, "level", step.ctx);
    let seed = step.seed.purpose("rq-vae");
    let standard = Standard::of(&vectors.data, vectors.dim);
    let partners = settings.co_choice.as_ref().zip(items.histories.as_ref());
    let partners = partners
        .map(|(settings, histories)| Partners::new(histories, vectors.len(), settings.window));
    let standardised = standard.apply(&vectors.data);
    let standardised = (standardised.as_slice(), vectors.dim);
    let network = train(settings, standardised, partners.as_ref(), seed, step)?;
    save_weights(&step.out.join(WEIGHTS_FILE), &network.parameters)?;
    let levels =
        (0..network.levels).map(|level| network.code_values(level)).collect::<Result<_>>()?;
    let encoder = Some(network.frozen(&standard)?);
    let centroids = Centroids { dim: network.dim, levels, encoder, ..Centroids::default() };
    let met = centroids.meet(&vectors.data).into_owned();
    let mut residuals = met.clone();
    let (mut columns, mut lengths) = (Vec::new(), Vec::new());
    for (level, of_level) in centroids.levels.iter().enumerate() {
        let balance = settings.is_balanced(level).then_some(BalanceBy::Sinkhorn);
        let codes = codes_of(&residuals, centroids.dim, of_level, balance);
        subtract(&mut residuals, centroids.dim, of_level, &codes);
        columns.push(codes);
        lengths.push(mean_squared_length(&residuals, centroids.dim));
    }
    let made = Made { kind: "rq-vae".into(), centroids, residuals: lengths };
    let levels = vec![settings.codes; settings.levels as usize];
    let naming = (&settings.naming, Some(met.as_slice()));
    Identifiers::named(rows(&columns), levels, made, catalogue, naming)
}

/// The trained network; `vectors [n, width]` are standardised.
fn train(
    settings: &RqVaeSettings,
    (vectors, width): (&[f32], usize),
    partners: Option<&Partners>,
    seed: Seed,
    step: &StepContext<'_>,
) -> Result<Network> {
    let hidden = settings.hidden.iter().map(|&width| width as usize);
    let widths: Vec<usize> =
        [width].into_iter().chain(hidden).chain([settings.dim as usize]).collect();
    let codes = vec![settings.codes as usize; settings.levels as usize];
    let network = Network::new(&widths, &codes, seed.purpose("weights"))?;
    start_codes(&network, settings, (vectors, width), seed, step.ctx)?;
    let course = &settings.course;
    let (n, batch) = ((vectors.len() / width) as u64, course.batch * course.accumulate);
    let n_steps = n_steps(n, u64::from(batch), course.epochs);
    let objective = |seed| {
        Reconstruction::new(&network, settings, (vectors, width), n_steps, seed).with(partners)
    };
    let watched = objective(seed);
    let items = course.validation.as_ref().map(|validation| {
        some(n as usize, validation.requests as usize, seed.purpose("validation"))
    });
    let mut measure = items.map(|items| {
        let watched = &watched;
        move || -> Result<Measured> { Ok([(LOSS.to_owned(), watched.error(&items)?)].into()) }
    });
    let measure = measure.as_mut().map(|measure| measure as &mut dyn FnMut() -> Result<Measured>);
    course.run(step, step.name, &network.parameters, &mut objective(seed), measure).map_err(
        |error| match error {
            Error::Memory { .. } => {
                error.with_help("lower `batch`, `hidden` or `codes` of the identifier")
            }
            other => other,
        },
    )?;
    Ok(network)
}

/// Begins the codes of each level with the clusters of what the untrained encoder leaves for it.
fn start_codes(
    network: &Network,
    settings: &RqVaeSettings,
    (vectors, width): (&[f32], usize),
    seed: Seed,
    ctx: &Context,
) -> Result<()> {
    let seed = seed.purpose("start");
    let items = some(vectors.len() / width, START_ITEMS, seed);
    let rows: Vec<f32> = items
        .iter()
        .flat_map(|&item| &vectors[item as usize * width..][..width])
        .copied()
        .collect();
    let rows =
        candle_core::Tensor::from_vec(rows, (items.len(), width), &candle_core::Device::Cpu)?;
    let mut left: Vec<f32> = network.encode(&rows)?.detach().flatten_all()?.to_vec1()?;
    for level in 0..network.levels {
        let wanted = Clusters {
            codes: settings.codes as usize,
            iterations: START_ITERATIONS,
            ..Clusters::default()
        };
        let label = format!("first codes of level {}", level + 1);
        let seed = seed.index(level as u64);
        let found = cluster(
            &Table { points: &left, dim: network.dim },
            network.dim,
            &wanted,
            seed,
            (ctx, &label),
        )?;
        let codes = codes_of(&left, network.dim, &found, None);
        subtract(&mut left, network.dim, &found, &codes);
        network.set_codes(level, found)?;
    }
    Ok(())
}

/// Trained values of the network in `folder`.
///
/// # Errors
/// [`Error::Data`] when its weights are missing or damaged.
fn stored_parameters(folder: &Path) -> Result<u64> {
    WeightFiles::open_file(&folder.join(WEIGHTS_FILE)).map(|weights| weights.n_values())
}

#[cfg(test)]
mod tests;
