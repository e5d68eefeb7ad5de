//! The course of every training of a finished run, and the diagnostics of its identifiers.

use std::collections::{BTreeMap, HashMap};

use trieval_eval::report::model::{
    IdentifierReport, LevelReport, TrainingPoint, TrainingReport, finite,
};

use crate::error::{Error, Result};
use crate::identifier::Identifiers;
use crate::model::DecoderConfig;
use crate::model::folder::CONFIG;
use crate::pipeline::folder::RunFolder;
use crate::pipeline::plan::{Plan, Step, StepKind};
use crate::pipeline::steps::{INDEX_FILE, MODEL_DIR, log_path};
use crate::ranker::sasrec;
use crate::ranker::settings::SystemSettings;
use crate::recipe::Recipe;
use crate::train::log;
use crate::train::settings::ObjectiveSettings;

/// Points drawn per training curve.
const CURVE_POINTS: usize = 200;

/// One entry per training of the recipe, then one per system that is trained for itself.
pub(super) fn training(
    recipe: &Recipe,
    plan: &Plan,
    folder: &RunFolder,
) -> Result<Vec<TrainingReport>> {
    let mut reports = Vec::new();
    for settings in &recipe.train {
        let Some(step) = plan.step(&StepKind::Train(settings.name.clone()).name()) else {
            continue;
        };
        let config = folder.step_dir(&step.name, &step.key).join(MODEL_DIR).join(CONFIG);
        let parameters = DecoderConfig::read(&config)?.parameter_count() as u64;
        let objective = match settings.objective {
            ObjectiveSettings::Supervised(_) => "supervised",
            ObjectiveSettings::Preference(_) => "preference",
        };
        reports.push(course(&settings.name, objective, step, folder, parameters)?);
    }
    for system in &recipe.system {
        let SystemSettings::Sasrec(settings) = system else { continue };
        let Some(step) = plan.step(&StepKind::Fit(settings.name.clone()).name()) else { continue };
        let parameters = sasrec::stored_parameters(&folder.step_dir(&step.name, &step.key))?;
        reports.push(course(&settings.name, "next item", step, folder, parameters)?);
    }
    Ok(reports)
}

fn course(
    name: &str,
    objective: &str,
    step: &Step,
    folder: &RunFolder,
    parameters: u64,
) -> Result<TrainingReport> {
    let records = log::read(&log_path(&folder.step_dir(&step.name, &step.key)))?;
    let every = records.len().div_ceil(CURVE_POINTS).max(1);
    let manifest = folder.manifest(&step.name, &step.key)?;
    Ok(TrainingReport {
        name: name.to_owned(),
        objective: objective.to_owned(),
        steps: records.len() as u64,
        seconds: manifest.map(|manifest| manifest.seconds),
        parameters: Some(parameters),
        diverged: false,
        points: records.chunks(every).filter_map(curve_point).collect(),
    })
}

/// The mean of a stretch of steps, named by its last.
fn curve_point(records: &[log::StepRecord]) -> Option<TrainingPoint> {
    let last = records.last()?;
    let mean = |value: &dyn Fn(&log::StepRecord) -> f64| {
        records.iter().map(value).sum::<f64>() / records.len() as f64
    };
    // Some figures are measured every few steps only.
    let mut extra: BTreeMap<&String, (f64, u32)> = BTreeMap::new();
    for (name, value) in records.iter().flat_map(|record| &record.metrics) {
        let (sum, n) = extra.entry(name).or_default();
        *sum += value;
        *n += 1;
    }
    let extra = extra.into_iter().map(|(name, (sum, n))| (name.clone(), sum / f64::from(n)));
    Some(TrainingPoint {
        step: last.step,
        loss: finite(mean(&|record| record.loss)),
        learning_rate: Some(last.learning_rate),
        extra: extra.collect(),
    })
}

/// One entry per identifier of the recipe.
pub(super) fn identifiers(
    recipe: &Recipe,
    plan: &Plan,
    folder: &RunFolder,
) -> Result<Vec<IdentifierReport>> {
    let mut reports = Vec::new();
    for name in recipe.identifier.keys() {
        let Some(step) = plan.step(&format!("identifier.{name}")) else { continue };
        let step_folder = folder.step_dir(&step.name, &step.key);
        let identifiers = Identifiers::load(&step_folder, None)?;
        let index = step_folder.join(INDEX_FILE);
        let index_bytes = index.metadata().map_err(|e| Error::unreadable(&index, &e))?.len();
        let diagnostics = &identifiers.diagnostics;
        reports.push(IdentifierReport {
            name: name.clone(),
            kind: "residual-k-means".into(),
            items: diagnostics.items as u64,
            distinct: diagnostics.distinct as u64,
            collision_rate: diagnostics.collision_rate,
            largest_group: Some(diagnostics.most_items_per_path as u64),
            index_bytes: Some(index_bytes),
            distortion: None,
            levels: (1..)
                .zip(&diagnostics.levels)
                .map(|(depth, level)| LevelReport {
                    codes: u64::from(level.codes),
                    used: u64::from(level.used),
                    entropy_bits: level.entropy,
                    normalized_entropy: level.normalized_entropy,
                    gini: level.gini,
                    collision_rate: Some(shared_prefixes(&identifiers, depth)),
                    usage: level.usage.iter().map(|&n| u64::from(n)).collect(),
                })
                .collect(),
            findings: Vec::new(),
        });
    }
    Ok(reports)
}

/// Share of items whose first `depth` codes are also another item's.
fn shared_prefixes(identifiers: &Identifiers, depth: usize) -> f64 {
    let mut items_below: HashMap<&[u32], u64> = HashMap::new();
    for codes in identifiers.codes.chunks_exact(identifiers.n_levels()) {
        *items_below.entry(&codes[..depth]).or_default() += 1;
    }
    let shared: u64 = items_below.values().filter(|&&n| n > 1).sum();
    shared as f64 / identifiers.n_items().max(1) as f64
}
