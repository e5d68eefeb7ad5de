//! `trieval eval`: run files against judgments, without a recipe.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use trieval_eval::contest::{Contest, Rules};
use trieval_eval::fusion::{Fusion, FusionMethod, fuse};
use trieval_eval::io::{
    RequestValues, for_each_line, read_qrels, read_run_with_ranks, write_values,
};
use trieval_eval::labelled::read_values;
use trieval_eval::metric::{Better, better_of, parse_metrics};
use trieval_eval::report::Report;
use trieval_eval::report::model::Fingerprint;
use trieval_eval::slice::{Keep, Slice};
use trieval_eval::{Catalogue, Run};

use super::args::{EvalArgs, JudgingArgs};
use super::form::{show, warn};
use super::outputs::{check_folder, check_output};
use crate::error::{Error, Result};
use crate::judging::judge::{Entries, Entry, judge};
use crate::progress::Context;
use crate::ranker::run_file::RUN_FILE_KIND;
use crate::store::{Digest, digest, write_atomic};
use crate::vectors::Vectors;

/// Metrics where none is asked for.
pub(super) const DEFAULT_METRICS: [&str; 4] = ["ndcg@10", "recall@10", "recall@100", "mrr@10"];

/// Run files to be judged, and what goes with them.
pub(super) struct Inputs<'a> {
    /// Judgments.
    pub(super) qrels: &'a Path,
    /// `[NAME=]FILE` of every run.
    pub(super) runs: Vec<String>,
    /// Metrics.
    pub(super) metrics: &'a [String],
    /// How to judge and test.
    pub(super) judging: &'a JudgingArgs,
    /// Fusions of all runs.
    pub(super) fuse: &'a [FusionMethod],
    /// `RUN:METRIC=FILE` of values from outside.
    pub(super) values: &'a [String],
    /// Metrics of `values` of which less is better.
    pub(super) lower_is_better: &'a [String],
    /// File of slices.
    pub(super) slices: Option<&'a Path>,
    /// File of items and counts.
    pub(super) catalog: Option<&'a Path>,
    /// File of item vectors.
    pub(super) vectors: Option<&'a Path>,
}

impl Inputs<'_> {
    /// All files that are read.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let runs = self.runs.iter().map(|text| named(text).1);
        // What is not of this form is told when it is read.
        let values = self.values.iter().filter_map(|text| Some(text.split_once('=')?.1.into()));
        let given = [Some(self.qrels), self.slices, self.catalog, self.vectors];
        runs.chain(values).chain(given.into_iter().flatten().map(Path::to_owned)).collect()
    }
}

pub(super) fn execute(args: &EvalArgs, qrels: &Path, ctx: &Context) -> Result<()> {
    let inputs = Inputs {
        qrels,
        runs: args.runs.clone(),
        metrics: &args.metrics,
        judging: &args.judging,
        fuse: &args.fuse,
        values: &args.values,
        lower_is_better: &args.lower_is_better,
        slices: args.slices.as_deref(),
        catalog: args.catalog.as_deref(),
        vectors: args.vectors.as_deref(),
    };
    let files = inputs.files();
    let files = || files.iter().map(PathBuf::as_path);
    args.form.check(files())?;
    if let Some(folder) = &args.per_request {
        check_folder("--per-request", folder)?;
    }
    let working = ctx.working("judging");
    let (report, contest) = judge_files(&inputs, ctx)?;
    drop(working);
    if let Some(folder) = &args.per_request {
        let page = args.form.html.as_deref();
        write_per_request(&contest, folder, &files().chain(page))?;
    }
    show(&report, &args.form)
}

/// Reads and judges run files.
///
/// # Errors
/// [`Error::Usage`] and [`Error::Data`] for what cannot be read, understood or compared.
pub(super) fn judge_files(args: &Inputs<'_>, ctx: &Context) -> Result<(Report, Contest)> {
    let metrics = parse_metrics(args.metrics).map_err(usage)?;
    let (qrels, checksum) = read_and_digest(args.qrels, read_qrels)?;
    if qrels.is_empty() {
        let what = if checksum.bytes == 0 { "the file is empty" } else { "it holds no judgment" };
        let refused = Error::data(args.qrels, format!("qrels: {what}"));
        return Err(refused.with_help("expected lines of request, 0, item and grade"));
    }
    let mut systems = Vec::new();
    let mut fingerprints = vec![fingerprint("qrels", checksum)];
    for text in &args.runs {
        let (name, path) = named(text);
        let ((run, conflict), checksum) = read_and_digest(&path, read_run_with_ranks)?;
        let run = match name {
            Some(name) => run.renamed(name),
            None => run,
        };
        if let Some(conflict) = conflict {
            ctx.warn(conflict);
        }
        fingerprints.push(fingerprint(&format!("run {}", run.name()), checksum));
        systems.push(Entry {
            name: run.name().to_owned(),
            kind: RUN_FILE_KIND.into(),
            path: Some(path.display().to_string()),
            runs: vec![run],
            seeds: Vec::new(),
        });
    }
    let n_inputs = systems.len();
    if !args.fuse.is_empty() && n_inputs < 2 {
        return Err(Error::Usage("--fuse needs two runs or more: give --run again".into()));
    }
    for &method in args.fuse {
        let runs: Vec<&Run> =
            systems[..n_inputs].iter().flat_map(|system: &Entry| &system.runs).collect();
        let run = fuse(&runs, &Fusion { method, ..Fusion::default() }).map_err(usage)?;
        systems.push(Entry {
            name: run.name().to_owned(),
            kind: "fusion".into(),
            path: None,
            runs: vec![run],
            seeds: Vec::new(),
        });
    }
    let mut outside = Vec::new();
    for text in args.values {
        let (run, rest) = text.split_once(':').ok_or_else(|| values_form(text))?;
        let (metric, path) = rest.split_once('=').ok_or_else(|| values_form(text))?;
        let names: Vec<&str> = systems.iter().map(|system| system.name.as_str()).collect();
        let system = names.iter().position(|name| *name == run).ok_or_else(|| {
            Error::Usage(format!("--values: {run} is none of the runs {}", names.join(", ")))
        })?;
        let path = PathBuf::from(path);
        let better = match args.lower_is_better.iter().any(|one| one == metric) {
            true => Better::Lower,
            // A file may hold a metric that the table knows.
            false => better_of(metric).unwrap_or(Better::Higher),
        };
        let values = read_values(&path, metric, better).map_err(|e| unusable(&path, e))?;
        outside.push((system, values));
    }
    let is_unknown = |name: &&String| !outside.iter().any(|(_, values)| values.name() == *name);
    if let Some(name) = args.lower_is_better.iter().find(is_unknown) {
        return Err(Error::Usage(format!("--lower-is-better: no --values are called {name}")));
    }
    let catalogue = args.catalog.map(|path| catalogue(path, args.vectors));
    let catalogue = catalogue.transpose()?;
    let names: Vec<&str> = systems.iter().map(|system| system.name.as_str()).collect();
    let rules = Rules {
        metrics: &metrics,
        options: args.judging.options(catalogue.as_ref()),
        significance: args.judging.significance(),
        labels: None,
        users: None,
        baseline: args.judging.baseline(&names)?,
    };
    let entries = Entries {
        name: args.qrels.file_stem().map_or("eval".into(), |stem| stem.to_string_lossy().into()),
        systems,
        qrels: &qrels,
        outside,
        slices: args.slices.map(slices).transpose()?.unwrap_or_default(),
        about: None,
        fingerprints,
        warnings: Vec::new(),
        notes: Vec::new(),
    };
    let (report, contest) = judge(entries, &rules)?;
    warn(&report, ctx);
    Ok((report, contest))
}

/// The value of every metric for every request, one file per system.
fn write_per_request<'a>(
    contest: &Contest,
    folder: &Path,
    others: &(impl Iterator<Item = &'a Path> + Clone),
) -> Result<()> {
    let path = |system: &str| folder.join(format!("{}.parquet", file_name(system)));
    // All are looked at before the first is written.
    for (at, scores) in contest.lists.iter().enumerate() {
        let own = path(&scores.system);
        check_output("--per-request", &own, others.clone())?;
        if let Some(before) = contest.lists[..at].iter().find(|one| path(&one.system) == own) {
            return Err(Error::Usage(format!(
                "--per-request: the values of {} and {} would both be written to {}; name the runs apart with \
                 --run NAME=FILE",
                before.system,
                scores.system,
                own.display()
            )));
        }
    }
    for scores in &contest.lists {
        let path = path(&scores.system);
        let values = RequestValues::of(scores);
        write_atomic(&path, |writer| {
            write_values(&values, writer).map_err(|e| match e {
                trieval_eval::Error::Unwritable { source, .. } => Error::unwritable(&path, &source),
                other => usage(other),
            })
        })?;
    }
    Ok(())
}

#[allow(clippy::needless_pass_by_value)] // It is what `map_err` hands over.
fn usage(error: trieval_eval::Error) -> Error {
    Error::Usage(error.to_string())
}

/// A file that could not be read; its place is in the message already.
#[allow(clippy::needless_pass_by_value)] // It is what `map_err` hands over.
pub(super) fn unusable(path: &Path, error: trieval_eval::Error) -> Error {
    match &error {
        trieval_eval::Error::Unreadable { source, .. } => Error::unreadable(path, source),
        _ => Error::Usage(error.to_string()),
    }
}

fn values_form(text: &str) -> Error {
    Error::Usage(format!("--values is written RUN:METRIC=FILE, not `{text}`"))
}

/// `NAME=FILE`, or a file alone; a file whose name holds `=` is a file.
pub(super) fn named(text: &str) -> (Option<&str>, PathBuf) {
    match text.split_once('=') {
        Some((name, path)) if !Path::new(text).exists() && !name.contains('/') => {
            (Some(name), path.into())
        }
        _ => (None, text.into()),
    }
}

/// A system's name as the name of a file.
fn file_name(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect()
}

/// Reads a file, and takes its checksum meanwhile; of a pipe afterwards, whose bytes two readers would take from each other.
fn read_and_digest<T: Send>(
    path: &Path,
    read: impl FnOnce(&Path) -> trieval_eval::Result<T> + Send,
) -> Result<(T, Digest)> {
    let read = || read(path).map_err(|e| unusable(path, e));
    if !path.is_file() {
        return Ok((read()?, digest(path)?));
    }
    let (value, checksum) = rayon::join(read, || digest(path));
    Ok((value?, checksum?))
}

pub(super) fn fingerprint(name: &str, Digest { bytes, blake3 }: Digest) -> Fingerprint {
    let checksum = format!("BLAKE3 {blake3}");
    Fingerprint { name: name.to_owned(), checksum, bytes: Some(bytes) }
}

/// Lines of a text file, packed or not, with their fields between tabs; blank lines are left out.
fn rows<const N: usize>(path: &Path, expected: &str) -> Result<Vec<(u64, [String; N])>> {
    let mut rows = Vec::new();
    for_each_line(path, |number, line| {
        let fields: Vec<String> = line.split('\t').map(|field| field.trim().to_owned()).collect();
        let fields = <[String; N]>::try_from(fields).map_err(|fields: Vec<String>| {
            format!("expected {N} fields between tabs, {expected}, got {}", fields.len())
        })?;
        rows.push((number as u64, fields));
        Ok(())
    })
    .map_err(|e| unusable(path, e))?;
    Ok(rows)
}

fn slices(path: &Path) -> Result<Vec<Slice>> {
    let mut parts: BTreeMap<(String, String), HashSet<String>> = BTreeMap::new();
    for (_, [request, by, value]) in rows(path, "request, attribute and value")? {
        parts.entry((by, value)).or_default().insert(request);
    }
    let slice = |((by, value), requests): ((String, String), HashSet<String>)| Slice {
        meaning: format!("requests with {by} {value}"),
        by,
        value,
        keep: Keep::Requests(requests),
    };
    Ok(parts.into_iter().map(slice).collect())
}

fn catalogue(path: &Path, vectors: Option<&Path>) -> Result<Catalogue> {
    let mut ids = Vec::new();
    let mut counts = Vec::new();
    for (number, [item, count]) in rows(path, "item and number of training clicks")? {
        let count: u64 = count.parse().map_err(|_| {
            let message = format!("the count must be a whole number from 0, not `{count}`");
            Error::data_at(path, number, message)
        })?;
        ids.push(item);
        counts.push(count);
    }
    let n_items = ids.len();
    let failed = |e: trieval_eval::Error| Error::data(path, e.to_string());
    let mut catalogue =
        Catalogue::new(&ids).and_then(|one| one.with_exposures(counts)).map_err(failed)?;
    if let Some(path) = vectors {
        let vectors = Vectors::read(path, Some(n_items))?;
        catalogue = catalogue.with_vectors(vectors.data.into_vec(), vectors.dim).map_err(failed)?;
    }
    Ok(catalogue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_may_be_named() {
        assert_eq!(named("ours=a/b.run"), (Some("ours"), "a/b.run".into()));
        assert_eq!(named("a/b.run"), (None, "a/b.run".into()));
        assert_eq!(named("a/x=1.run"), (None, "a/x=1.run".into()));
        assert_eq!(file_name("rrf(a,b)"), "rrf_a_b_");
    }
}
