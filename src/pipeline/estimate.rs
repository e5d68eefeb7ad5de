//! The plan in figures, before anything is loaded: rows, tokens, steps, parameters, memory, bytes.
//!
//! Figures are exact where the corpus is already there or the settings fix them; the others are
//! marked with `≈`. What a step takes, its work says.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use super::folder::step_dir;
use super::plan::{Plan, Status};
use super::runner;
use super::step::{CORPUS, FOLD, Step};
use crate::corpus::Corpus;
use crate::error::Result;
use crate::kind::{Estimate, Role, Sizes};
use crate::memory;
use crate::progress::Context;
use crate::recipe::{LoadedRecipe, Recipe};
use crate::text::bytes;

const SECONDS_PER_HOUR: f64 = 3_600.0;
/// Name of the figure of bytes held.
const MEMORY: &str = "memory";

/// One step with its figures.
#[derive(Debug, Clone, Serialize)]
pub struct StepEstimate {
    /// Name of the step, with its seed where a plan of several has one for each.
    pub step: String,
    /// `done`, `to do`, `continue`, `again: why` or `unknown: why`.
    pub status: String,
    /// Figures by name.
    pub figures: Vec<(String, String)>,
    /// Bytes that the step is likely to hold at most, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Hours that the step takes here, where that was probed and it is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<f64>,
    /// What speaks against doing the step here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// Estimates every step of a plan.
///
/// # Errors
/// When a manifest or the corpus of the run folder is damaged.
pub fn estimate(recipe: &Recipe, plan: &Plan, run_folder: &Path) -> Result<Vec<StepEstimate>> {
    let sizes = sizes(recipe, plan, run_folder)?;
    let allowed = memory::allowed();
    plan.steps
        .iter()
        .map(|step| {
            let status = plan.status(step, run_folder)?;
            let sizes = under(plan, step, &sizes);
            let estimate =
                step.work.as_ref().map_or_else(Estimate::default, |work| work.estimate(&sizes));
            let is_due = status != Status::Cached;
            let warning = if is_due { warning(&estimate, allowed) } else { None };
            Ok(StepEstimate {
                step: plan.label(step),
                status: match status {
                    Status::Cached => "done".into(),
                    Status::New => "to do".into(),
                    Status::Unfinished => "continue".into(),
                    Status::Changed(why) => format!("again: {why}"),
                    Status::Unread => "unknown: it rests on large files that were not read".into(),
                },
                figures: estimate.figures,
                memory: estimate.memory,
                hours: None,
                warning,
            })
        })
        .collect()
}

/// Adds to the estimates of `plan` what each step takes here: the beginning of every step is done, in a folder of its own.
///
/// # Errors
/// Whatever a step meets.
pub fn probe(
    estimates: &mut [StepEstimate],
    loaded: &LoadedRecipe,
    seeds: &[u64],
    run_folder: &Path,
    ctx: &Context,
) -> Result<()> {
    let plan = Plan::under(&loaded.recipe, seeds)?;
    for timed in runner::probe(loaded, &plan, run_folder, ctx)? {
        let Some(step) = plan.with_key(&timed.key) else { continue };
        let label = plan.label(step);
        if let Some(one) = estimates.iter_mut().find(|one| one.step == label) {
            one.hours = Some(timed.seconds / SECONDS_PER_HOUR);
        }
    }
    Ok(())
}

/// Hours as people say them.
fn hours(hours: f64) -> String {
    let seconds = hours * SECONDS_PER_HOUR;
    let text = match seconds {
        _ if seconds < 1.0 => "under 1 s".to_owned(),
        _ if seconds < 60.0 => format!("{seconds:.0} s"),
        _ if hours < 1.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.0} h {:02.0} min", hours.floor(), (hours.fract() * 60.0).floor()),
    };
    format!("≈ {hours:.2} h ({text})")
}

/// The plan as text for a terminal.
pub fn render(estimates: &[StepEstimate]) -> String {
    let width = estimates.iter().map(|one| one.step.len()).max().unwrap_or(0);
    let mut text = String::new();
    for one in estimates {
        let mut figures: Vec<String> =
            one.figures.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let is_told = one.figures.iter().any(|(name, _)| name == MEMORY);
        let memory = one.memory.filter(|_| !is_told);
        figures.extend(memory.map(|memory| format!("{MEMORY} ≈ {}", bytes(memory))));
        figures.extend(one.hours.map(|taken| format!("takes {}", hours(taken))));
        let line = format!("{:width$}  {:<8}  {}", one.step, one.status, figures.join(" · "));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
        if let Some(warning) = &one.warning {
            let _ = writeln!(text, "{:width$}  warning: {warning}", "");
        }
    }
    if estimates.iter().any(|one| one.hours.is_some()) {
        let total: f64 = estimates.iter().filter_map(|one| one.hours).sum();
        let _ = writeln!(text, "{:width$}  {}", "in total", hours(total));
    }
    text
}

/// What is known of the tables that a step reads: those of the corpus, or what is left of them where a fold is held out.
fn under(plan: &Plan, step: &Step, whole: &Sizes) -> Sizes {
    let tables = step.inputs.get(&Role::Corpus.text()).and_then(|key| plan.with_key(key));
    let Some(fold) = tables.filter(|tables| tables.purpose == FOLD) else { return whole.clone() };
    let before = under(plan, fold, whole);
    let of = fold.settings["fold"]["of"].as_u64().unwrap_or(1).max(1);
    let kept = |n: Option<u64>| n.map(|n| n - n / of);
    Sizes {
        // Parts are nearly of one size.
        exact: false,
        test: before.train.map(|n| n / of),
        train: kept(before.train),
        clicks: kept(before.clicks),
        impressions: kept(before.impressions),
        ..before
    }
}

fn sizes(recipe: &Recipe, plan: &Plan, run_folder: &Path) -> Result<Sizes> {
    let cached = plan
        .step(CORPUS)
        .filter(|step| plan.status(step, run_folder).is_ok_and(|status| status == Status::Cached));
    if let Some(step) = cached {
        let summary = Corpus::read_summary(&step_dir(run_folder, &step.name, &step.key))?;
        // Clicks and impressions are counted over all splits; training has its share of them.
        let share = summary.requests.train as f64 / summary.requests.total().max(1) as f64;
        return Ok(Sizes {
            exact: true,
            items: Some(summary.items),
            train: Some(summary.requests.train),
            test: Some(summary.requests.test),
            clicks: Some((summary.clicks as f64 * share) as u64),
            impressions: Some((summary.impressions as f64 * share) as u64),
            sequences: summary.sequences,
        });
    }
    let corpus = recipe.corpus.it();
    let guess = corpus.sizes();
    let mut sizes = Sizes {
        exact: false,
        items: guess.items,
        train: guess.train_requests,
        test: guess.test_requests,
        clicks: None,
        impressions: None,
        sequences: corpus.is_sequences(),
    };
    let requests = [guess.train_requests, guess.validation_requests, guess.test_requests];
    let requests = requests.into_iter().flatten().sum::<u64>().max(1) as f64;
    let of_training = |all: Option<u64>| {
        sizes.train.zip(all).map(|(train, all)| (all as f64 * train as f64 / requests) as u64)
    };
    let (clicks, impressions) = (of_training(guess.clicks), of_training(guess.impressions));
    let assumed = sizes.train.map(|n| (n as f64 * sizes.clicks_per_request()) as u64);
    sizes = Sizes { clicks: clicks.or(assumed), impressions, ..sizes };
    Ok(sizes)
}

/// What to say of a step that is likely to need more than there is.
fn warning(estimate: &Estimate, allowed: Option<u64>) -> Option<String> {
    let (needed, allowed) = (estimate.memory?, estimate.allowed.or(allowed)?);
    (needed > allowed).then(|| {
        format!(
            "needs about {} of memory, and there are {}: {}",
            bytes(needed),
            bytes(allowed),
            estimate.advice
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_said_as_people_say_them() {
        assert_eq!(hours(0.0001), "≈ 0.00 h (under 1 s)");
        assert_eq!(hours(0.01), "≈ 0.01 h (36 s)");
        assert_eq!(hours(0.21), "≈ 0.21 h (13 min)");
        assert_eq!(hours(2.25), "≈ 2.25 h (2 h 15 min)");
    }

    #[test]
    fn what_does_not_fit_is_told_with_the_keys_to_change() {
        let estimate = |needed| Estimate::default().holds(Some(needed), "set `recompute = true`");
        assert_eq!(warning(&estimate(100), Some(100)), None);
        let told = warning(&estimate(3 << 30), Some(2 << 30)).expect("too large");
        assert_eq!(
            told,
            "needs about 3.0 GiB of memory, and there are 2.0 GiB: set `recompute = true`"
        );
        let limited = Estimate { allowed: Some(99), ..estimate(100) };
        assert!(warning(&limited, Some(1_000)).is_some(), "the recipe's own limit counts");
    }
}
