//! `trieval compare`: finished runs, or run files, side by side.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use trieval_eval::contest::Rules;
use trieval_eval::metric::{Metric, Needs, parse_metrics};

use super::args::CompareArgs;
use super::eval::{DEFAULT_METRICS, Inputs, judge_files};
use super::form::{show, warn};
use super::outputs::check_outside;
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
    args.form.check(inputs.files().iter().map(PathBuf::as_path))?;
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
    if let Some(page) = &args.form.html {
        check_outside("--html", page, args.runs.iter().map(PathBuf::as_path))?;
    }
    let _working = ctx.working("comparing");
    let (runs, paths) = open(args, ctx)?;
    let Some((first, others)) = runs.split_first() else {
        return Err(Error::Usage("name at least one finished run".into()));
    };
    refuse_same(&runs, &paths)?;
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
    let (systems, same) = entrants(&runs, &paths, seeds_only)?;
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
        name: match runs.len() {
            1 => first.recipe().name.clone(),
            n => format!("{n} runs of {}", first.recipe().name),
        },
        systems,
        qrels: &qrels,
        outside: Vec::new(),
        slices: first.slices(&requests)?,
        about: Some(About::new(first.catalogue()?, &requests)),
        fingerprints: Vec::new(),
        warnings: warnings(&runs, &paths)?,
        notes: same.into_iter().collect(),
    };
    let (report, _) = judge(entries, &rules)?;
    warn(&report, ctx);
    show(&report, &args.form)
}

/// Refuses two folders of which one holds nothing that the other does not: all that could be compared is equal.
fn refuse_same(runs: &[FinishedRun], paths: &[&Path]) -> Result<()> {
    let keys: Vec<BTreeSet<&str>> = runs
        .iter()
        .map(|run| run.system_keys().into_iter().map(|(_, key)| key).collect())
        .collect();
    for (at, path) in paths.iter().enumerate() {
        for (other, before) in paths[..at].iter().enumerate() {
            // Seeds of one folder were asked for together.
            let apart = path != before || runs[at].recipe().seed == runs[other].recipe().seed;
            if apart && (keys[at].is_subset(&keys[other]) || keys[other].is_subset(&keys[at])) {
                // A copy that was altered says so: that it is a copy is not what is wrong with it.
                for run in [&runs[other], &runs[at]] {
                    run.corpus()?;
                    run.qrels()?;
                    run.answers()?;
                }
                let (before, path) = (before.display(), path.display());
                return Err(Error::Usage(format!(
                    "{before} and {path} are the same training: the systems of one rest on the same steps, by \
                     their keys, as those of the other, so that there is nothing to compare; name runs of other \
                     seeds or settings, or one of them alone"
                )));
            }
        }
    }
    Ok(())
}

/// The systems of all runs. Where runs differ in their seed only, those of one name are one system with several seeds; what
/// a seed does not change has one run, and is named in the sentence.
fn entrants(
    runs: &[FinishedRun],
    paths: &[&Path],
    seeds_only: bool,
) -> Result<(Vec<Entry>, Option<String>)> {
    let mut systems: Vec<(Entry, BTreeSet<&str>)> = Vec::new();
    let mut same: Vec<String> = Vec::new();
    for (run, path) in runs.iter().zip(paths) {
        let keys = run.system_keys().into_iter().map(|(_, key)| key);
        for (Answers { system: name, kind, path: file, run: list }, key) in
            run.answers()?.into_iter().zip(keys)
        {
            // Runs that differ in their seed only are trainings of the same systems.
            let name = match seeds_only || runs.len() == 1 {
                true => name,
                false => format!("{}/{name}", label(path)),
            };
            let seed = run.recipe().seed;
            match systems.iter_mut().find(|(system, _)| system.name == name) {
                Some((system, known)) => {
                    if known.insert(key) {
                        system.runs.push(list);
                        system.seeds.push(seed);
                    } else if !same.contains(&name) {
                        same.push(name);
                    }
                }
                None => {
                    let path = Some(file.display().to_string());
                    let entry = Entry { name, kind, path, runs: vec![list], seeds: vec![seed] };
                    systems.push((entry, BTreeSet::from([key])));
                }
            }
        }
    }
    same.retain(|name| {
        systems.iter().any(|(system, _)| system.name == *name && system.runs.len() == 1)
    });
    let sentence = (!same.is_empty())
        .then(|| format!("no seed changes what these systems answer: {}", same.join(", ")));
    Ok((systems.into_iter().map(|(system, _)| system).collect(), sentence))
}

/// What a run is called beside others.
fn label(path: &Path) -> String {
    path.file_name()
        .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into())
}

/// What was said when the runs were made, each once, with the run that it was said of where not all say it.
fn warnings(runs: &[FinishedRun], paths: &[&Path]) -> Result<Vec<String>> {
    let all: Vec<Vec<String>> = runs.iter().map(FinishedRun::warnings).collect::<Result<_>>()?;
    let mut told: Vec<String> = Vec::new();
    for (at, (own, path)) in all.iter().zip(paths).enumerate() {
        for warning in own {
            let shared = all.iter().all(|other| other.contains(warning));
            let seed = runs[at].recipe().seed;
            let text = match shared {
                true => warning.clone(),
                false if paths.iter().filter(|other| *other == path).count() > 1 => {
                    format!("{} [seed {seed}]: {warning}", label(path))
                }
                false => format!("{}: {warning}", label(path)),
            };
            if !told.contains(&text) {
                told.push(text);
            }
        }
    }
    Ok(told)
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
