//! `trieval compare`: finished runs, or run files, side by side.

use std::path::Path;

use trieval_eval::contest::Rules;
use trieval_eval::metric::{Metric, Needs, parse_metrics};

use super::args::CompareArgs;
use super::eval::{DEFAULT_METRICS, Inputs, judge_files};
use super::form::show;
use crate::error::{Error, Result};
use crate::judging::examples::About;
use crate::judging::judge::{Entries, Entry, judge};
use crate::judging::labelled::users;
use crate::pipeline::finished::{Answers, FinishedRun};

use crate::progress::Context;

pub(super) fn execute(args: &CompareArgs, ctx: &Context) -> Result<()> {
    match &args.qrels {
        Some(qrels) => run_files(args, qrels, ctx),
        None => run_folders(args, ctx),
    }
}

/// Run files are what `eval` judges.
fn run_files(args: &CompareArgs, qrels: &Path, ctx: &Context) -> Result<()> {
    let metrics = match args.metrics.is_empty() {
        true => DEFAULT_METRICS.map(str::to_owned).to_vec(),
        false => args.metrics.clone(),
    };
    let inputs = Inputs {
        qrels,
        runs: args.runs.iter().map(|path| path.display().to_string()).collect(),
        metrics: &metrics,
        judging: &args.judging,
        fuse: &[],
        values: &[],
        lower_is_better: &[],
        slices: None,
        catalog: None,
        vectors: None,
    };
    let (report, _) = judge_files(&inputs, ctx)?;
    show(&report, &args.form)
}

fn run_folders(args: &CompareArgs, ctx: &Context) -> Result<()> {
    if let Some(file) = args.runs.iter().find(|path| path.is_file()) {
        return Err(Error::Usage(format!(
            "{} is a file: to compare run files give their judgments with --qrels FILE",
            file.display()
        )));
    }
    let _working = ctx.working("comparing");
    let (runs, paths) = open(args, ctx)?;
    let Some((first, others)) = runs.split_first() else {
        return Err(Error::Usage("name at least one finished run".into()));
    };
    let qrels = first.qrels()?;
    let by = |run: &FinishedRun| run.recipe().evaluation.answers.clone();
    for (other, path) in others.iter().zip(&paths[1..]) {
        if by(other) != by(first) {
            let named = |run| by(run).unwrap_or_else(|| "items".into());
            return Err(Error::Usage(format!(
                "{} was judged by {} and {} by {}: give both the same evaluation.answers",
                args.runs[0].display(),
                named(first),
                path.display(),
                named(other),
            )));
        }
        if other.qrels()? != qrels {
            return Err(Error::Usage(format!(
                "{} and {} were judged on different requests or judgments and cannot be compared; \
                 a simulated shop is another one for every seed, unless corpus.seed fixes it",
                args.runs[0].display(),
                path.display(),
            )));
        }
    }
    let labels = first.labels()?;
    for (other, path) in others.iter().zip(&paths[1..]) {
        if other.labels()? != labels {
            return Err(Error::Usage(format!(
                "{} and {} were judged by different labels and cannot be compared; give both the \
                 same evaluation.labels",
                args.runs[0].display(),
                path.display(),
            )));
        }
    }
    let evaluation = &first.recipe().evaluation;
    let metrics = if args.metrics.is_empty() { &evaluation.metrics } else { &args.metrics };
    let metrics = parse_metrics(metrics).map_err(|e| Error::Usage(e.to_string()))?;
    let is_of_items = |one: &&Metric| one.needs() != Needs::Nothing || one.labelled().is_some();
    if let (Some(column), Some(metric)) = (&evaluation.answers, metrics.iter().find(is_of_items)) {
        return Err(Error::Usage(format!(
            "{metric} is measured on items, and the runs were judged by `{column}`: ask for metrics of lists and judgments"
        )));
    }
    let seeds_only = runs.iter().all(|run| run.recipe().differs_in_seed_only(first.recipe()));
    let mut systems: Vec<Entry> = Vec::new();
    for (run, path) in runs.iter().zip(&paths) {
        let label = path
            .file_name()
            .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into());
        for Answers { system: name, kind, path, run } in run.answers()? {
            // Runs that differ in their seed only are trainings of the same systems.
            let name = if seeds_only || runs.len() == 1 { name } else { format!("{label}/{name}") };
            match systems.iter_mut().find(|system| system.name == name) {
                Some(system) => system.runs.push(run),
                None => {
                    let path = Some(path.display().to_string());
                    systems.push(Entry { name, kind, path, runs: vec![run] });
                }
            }
        }
    }
    let names: Vec<&str> = systems.iter().map(|system| system.name.as_str()).collect();
    let mut judging = args.judging.clone();
    if judging.baseline.is_none() && seeds_only {
        judging.baseline.clone_from(&evaluation.baseline);
    }
    if judging.relevant_grade.is_none() {
        judging.relevant_grade = Some(evaluation.relevant_grade);
    }
    let catalogue = first.measured_catalogue(&metrics)?;
    let requests = first.evaluated_requests()?;
    let users = users(&requests);
    let rules = Rules {
        metrics: &metrics,
        options: judging.options(catalogue.as_ref()),
        significance: judging.significance(),
        labels: labels.as_ref(),
        users: Some(&users),
        baseline: judging.baseline(&names)?,
    };
    let entries = Entries {
        name: format!("{} runs of {}", runs.len(), first.recipe().name),
        systems,
        qrels: &qrels,
        outside: Vec::new(),
        slices: first.slices(&requests)?,
        about: Some(About::new(first.catalogue()?, &requests)),
        fingerprints: Vec::new(),
    };
    let (report, _) = judge(entries, &rules)?;
    for warning in &report.warnings {
        ctx.warn(warning);
    }
    show(&report, &args.form)
}

/// The runs with their folders, one for every seed where all are asked for.
fn open<'a>(args: &'a CompareArgs, ctx: &Context) -> Result<(Vec<FinishedRun>, Vec<&'a Path>)> {
    let (mut runs, mut paths) = (Vec::new(), Vec::new());
    for path in &args.runs {
        let first = FinishedRun::open(path, None)?;
        let seeds = first.seeds();
        runs.push(first);
        paths.push(path.as_path());
        for &seed in &seeds[1..] {
            if args.all_seeds {
                runs.push(FinishedRun::open(path, Some(seed))?);
                paths.push(path.as_path());
            }
        }
        if seeds.len() > 1 && !args.all_seeds {
            let (path, n, seed) = (path.display(), seeds.len(), seeds[0]);
            ctx.say(format!(
                "{path} has {n} seeds, of which {seed} is compared; --all-seeds takes all"
            ));
        }
    }
    Ok((runs, paths))
}
