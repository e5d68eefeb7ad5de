//! The course of every training of a finished run, and the diagnostics of its identifiers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use trieval_eval::report::model::{
    CeilingReport, IdentifierReport, LevelReport, OutcomeReport, PairReport, PairsReport,
    SpansReport, TargetsReport, TogetherReport, TrainingPoint, TrainingReport, finite,
};

use super::health::health;
use crate::corpus::{Corpus, training_exposure};
use crate::error::{Error, Result};
use crate::generative::{INDEX_FILE, MODEL_DIR, read_census};
use crate::identifier::spans::Declared;
use crate::identifier::{Diagnostics, Identifiers, Removed};
use crate::judging::ceiling;
use crate::kind::{Family, Learned, Role};
use crate::model::DecoderConfig;
use crate::model::folder::CONFIG;
use crate::pipeline::folder::RunFolder;
use crate::pipeline::plan::Plan;
use crate::pipeline::step::{Step, ceiling_step, spans_step, step_name};
use crate::recipe::Recipe;
use crate::text::grouped;
use crate::train::engine::LOG_FILE;
use crate::train::log;
use crate::train::validation::START;
use crate::trained::kinds::Makes;

/// Name of the largest norm of the gradient among the steps of a point.
const GRADIENT_NORM: &str = "grad_norm";
/// Points drawn per training curve.
const CURVE_POINTS: usize = 200;

/// One entry per training of the recipe, then one per part that is trained for itself; one per seed,
/// where there are several.
pub(super) fn training(
    recipe: &Recipe,
    plan: &Plan,
    folder: &RunFolder,
) -> Result<Vec<TrainingReport>> {
    let mut reports = Vec::new();
    let mut told = BTreeSet::new();
    for training in &recipe.train {
        for step in new(plan, &step_name(Family::Train, training.name()), &mut told) {
            let made = folder.step_dir(&step.name, &step.key);
            let learned = match training.it().makes() {
                Makes::Decoder(settings) => {
                    let config = DecoderConfig::read(&made.join(MODEL_DIR).join(CONFIG))?;
                    let parameters = config.parameter_count() as u64;
                    Some(Learned { objective: settings.objective.kind(), parameters })
                }
                Makes::Vectors(settings) => settings.it().learned(&made)?,
                Makes::System(settings) => settings.it().learned(&made)?,
            };
            let Some(learned) = learned else { continue };
            reports.push(course(
                &plan.labelled(training.name(), step),
                &learned,
                step,
                (plan, folder),
            )?);
        }
    }
    for (name, settings) in &recipe.vectors {
        let name = step_name(Family::Vectors, name);
        for step in new(plan, &name, &mut told) {
            if let Some(learned) = settings.it().learned(&folder.step_dir(&step.name, &step.key))? {
                reports.push(course(&plan.labelled(&name, step), &learned, step, (plan, folder))?);
            }
        }
    }
    for (name, settings) in &recipe.identifier {
        let name = step_name(Family::Identifier, name);
        for step in new(plan, &name, &mut told) {
            if let Some(learned) = settings.it().learned(&folder.step_dir(&step.name, &step.key))? {
                reports.push(course(&plan.labelled(&name, step), &learned, step, (plan, folder))?);
            }
        }
    }
    for system in &recipe.system {
        let Some(prepared) = system.it().prepared() else { continue };
        let name = format!("{}.{}", step_name(Family::System, system.name()), prepared.step);
        for step in new(plan, &name, &mut told) {
            if let Some(learned) = system.it().learned(&folder.step_dir(&step.name, &step.key))? {
                let label = plan.labelled(system.name(), step);
                reports.push(course(&label, &learned, step, (plan, folder))?);
            }
        }
    }
    Ok(reports)
}

/// The steps under a name that were not told of before: equal parts share a step.
fn new<'p>(plan: &'p Plan, name: &str, told: &mut BTreeSet<&'p str>) -> Vec<&'p Step> {
    let steps = plan.all(name).into_iter();
    steps.filter(|step| told.insert(step.key.as_str())).collect()
}

fn course(
    name: &str,
    learned: &Learned,
    step: &Step,
    (plan, folder): (&Plan, &RunFolder),
) -> Result<TrainingReport> {
    let records = log::read(&folder.step_dir(&step.name, &step.key).join(LOG_FILE))?;
    let every = records.len().div_ceil(CURVE_POINTS).max(1);
    let manifest = folder.manifest(&step.name, &step.key)?;
    let warnings = manifest.as_ref().map_or(&[][..], |manifest| &manifest.warnings);
    let health = health(&records, warnings);
    let key = step.inputs.get(&Role::Pairs.text());
    let built = key.and_then(|key| plan.steps.iter().find(|step| step.key == *key));
    let pairs = built.map(|step| pairs(&folder.step_dir(&step.name, &step.key))).transpose()?;
    Ok(TrainingReport {
        name: name.to_owned(),
        objective: learned.objective.to_owned(),
        steps: records.last().map_or(0, |record| record.step),
        health,
        seconds: manifest.map(|manifest| manifest.seconds),
        parameters: Some(learned.parameters),
        diverged: false,
        pairs,
        points: start_point(&records)
            .into_iter()
            .chain(records.chunks(every).filter_map(curve_point))
            .collect(),
    })
}

/// The pairs of an alignment, from the folder of the step that built them.
fn pairs(folder: &Path) -> Result<PairsReport> {
    let census = read_census(folder)?;
    let sample = census.sample.iter().map(|pair| PairReport {
        query: pair.query.clone(),
        chosen: pair.chosen.clone(),
        rejected: pair.rejected.clone(),
        reason: pair.reason.clone(),
        weight: pair.weight,
    });
    Ok(PairsReport {
        pairs: census.pairs,
        groups: census.groups,
        reasons: census.reasons.clone(),
        levels: census.levels.clone(),
        weights: Some(census.weights),
        clipped: census.clipped,
        exponent: census.bias.as_ref().map(|bias| bias.exponent),
        examined: census.bias.as_ref().map(|bias| bias.examined.clone()).unwrap_or_default(),
        sentences: census.sentences(),
        sample: sample.collect(),
    })
}

/// What validation said before the first step, where it was asked then.
fn start_point(records: &[log::StepRecord]) -> Option<TrainingPoint> {
    let first = records.first()?;
    let at_start = first.metrics.iter().filter_map(|(name, &value)| {
        let name = name.strip_prefix(START)?;
        Some((name.to_owned(), finite(value)?))
    });
    let extra: BTreeMap<String, f64> = at_start.collect();
    (!extra.is_empty()).then(|| TrainingPoint { step: 0, extra, ..TrainingPoint::default() })
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
        if name.starts_with(START) {
            continue;
        }
        let (sum, n) = extra.entry(name).or_default();
        *sum += value;
        *n += 1;
    }
    let extra = extra.into_iter().map(|(name, (sum, n))| (name.clone(), sum / f64::from(n)));
    let mut extra: BTreeMap<String, f64> = extra.collect();
    // A spike that a mean would hide is what this is looked at for.
    let norm = records.iter().map(|record| record.grad_norm).fold(0.0, f64::max);
    extra.extend(finite(norm).map(|norm| (GRADIENT_NORM.to_owned(), norm)));
    Some(TrainingPoint {
        step: last.step,
        loss: finite(mean(&|record| record.loss)),
        learning_rate: Some(last.learning_rate),
        extra,
    })
}

/// One entry per identifier of the recipe.
pub(super) fn identifiers(
    recipe: &Recipe,
    plan: &Plan,
    folder: &RunFolder,
    corpus: &Corpus,
) -> Result<Vec<IdentifierReport>> {
    let mut reports = Vec::new();
    let exposure = match recipe.identifier.is_empty() {
        true => Vec::new(),
        false => training_exposure(corpus)?,
    };
    for (name, settings) in &recipe.identifier {
        let Some(step) = plan.step(&step_name(Family::Identifier, name)) else { continue };
        let step_folder = folder.step_dir(&step.name, &step.key);
        if settings.it().spans().is_some() {
            reports.push(spans(recipe, plan, folder, (name, settings.kind()))?);
            continue;
        }
        let identifiers = Identifiers::load(&step_folder, None)?;
        let index = step_folder.join(INDEX_FILE);
        let index_bytes = index.metadata().map_err(|e| Error::unreadable(&index, &e))?.len();
        let diagnostics = &identifiers.diagnostics;
        let silent = identifiers.unspelled().map(|code| (1, code));
        let targets =
            Diagnostics::weighted(&identifiers.codes, &identifiers.levels, &exposure, silent);
        // What training aims at is what is spelled: a level that is gone has no targets.
        let targets = |level: usize| {
            let spelled = identifiers.spelled_level(level)?;
            targets.as_ref().and_then(|levels| levels.get(spelled)).map(|one| TargetsReport {
                normalized_entropy: one.normalized_entropy,
                gini: one.gini,
                top_1_share: one.top_1_share,
                top_10_share: Some(one.top_10_share),
                used: Some(u64::from(one.used)),
                deviation: Some(one.deviation()),
            })
        };
        let before =
            std::iter::once(1).chain(diagnostics.levels.iter().map(|l| l.distinct_prefixes));
        reports.push(IdentifierReport {
            name: name.clone(),
            kind: identifiers.kind.clone(),
            items: diagnostics.items as u64,
            fitted: diagnostics.fitted.map(|n| n as u64),
            distinct: Some(diagnostics.distinct as u64),
            collision_rate: Some(diagnostics.collision_rate),
            largest_group: Some(diagnostics.most_items_per_path as u64),
            index_bytes: Some(index_bytes),
            distortion: diagnostics.levels.last().and_then(|level| level.residual),
            path_density: Some(diagnostics.path_density),
            together: diagnostics.together.as_ref().map(|one| TogetherReport {
                pairs: one.pairs as u64,
                shared: one.shared.clone(),
                by_chance: one.by_chance.clone(),
            }),
            outcome: diagnostics.outcome.as_ref().map(|one| OutcomeReport {
                collisions: one.collisions.name().to_owned(),
                removed: identifiers.removed.as_ref().map(Removed::n_codes),
                collision_rate: one.collision_rate,
                moved: one.moved as u64,
                leaves: one.leaves as u64,
                most_items_per_leaf: one.most_items_per_leaf as u64,
                distortion: one.residual,
            }),
            levels: (1..)
                .zip(&diagnostics.levels)
                .zip(before)
                .map(|((depth, level), before)| LevelReport {
                    codes: u64::from(level.codes),
                    used: u64::from(level.used),
                    entropy_bits: level.entropy,
                    normalized_entropy: level.normalized_entropy,
                    gini: level.gini,
                    deviation: Some(level.deviation()),
                    top_1_share: Some(level.top_1_share),
                    top_10_share: Some(level.top_10_share),
                    prefixes: Some(level.distinct_prefixes as u64),
                    fan_out: Some(level.distinct_prefixes as f64 / before.max(1) as f64),
                    // Where tokens were removed, prefixes are others than those that were made.
                    collision_rate: match identifiers.removed {
                        None => Some(shared_prefixes(&identifiers, depth)),
                        Some(_) => None,
                    },
                    targets: targets(depth - 1),
                    usage: level.usage.iter().map(|&n| u64::from(n)).collect(),
                })
                .collect(),
            spans: Vec::new(),
            ceiling: ceiling_of(name, plan, folder)?,
            findings: diagnostics.findings(),
        });
    }
    Ok(reports)
}

/// Spans in the tokens of every model that says them; models that are alike are told of once.
fn spans(
    recipe: &Recipe,
    plan: &Plan,
    folder: &RunFolder,
    (name, kind): (&str, &str),
) -> Result<IdentifierReport> {
    let mut told = BTreeSet::new();
    let (mut spans, mut findings) = (Vec::new(), Vec::new());
    for model in recipe.model.keys() {
        for step in new(plan, &spans_step(model, name), &mut told) {
            let declared = Declared::read(&folder.step_dir(&step.name, &step.key))?;
            let views = declared.settings.views();
            let counts = declared.counts.unwrap_or_default();
            if counts.silent > 0 {
                let silent = grouped(counts.silent);
                findings.push(format!(
                    "{model}: {silent} items have no text that becomes a token: no span finds them"
                ));
            }
            spans.push(SpansReport {
                model: model.clone(),
                views: views.iter().map(|view| view.name().to_owned()).collect(),
                longest: u64::from(declared.settings.tokens),
                items: counts.items,
                silent: counts.silent,
                texts: counts.texts,
                tokens: counts.tokens,
                index_bytes: counts.index_bytes,
            });
        }
    }
    Ok(IdentifierReport {
        name: name.to_owned(),
        kind: kind.to_owned(),
        items: spans.iter().map(|one| one.items).max().unwrap_or_default(),
        index_bytes: Some(spans.iter().map(|one| one.index_bytes).sum()),
        spans,
        findings,
        ..IdentifierReport::default()
    })
}

/// What a search through the codes of an identifier finds; none where that was not measured.
fn ceiling_of(name: &str, plan: &Plan, folder: &RunFolder) -> Result<Option<CeilingReport>> {
    let Some(step) = plan.step(&ceiling_step(name)) else { return Ok(None) };
    ceiling::read(&folder.step_dir(&step.name, &step.key))
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
