//! Judges all systems: figures with intervals, comparisons, slices, leaks, requests worth showing.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use rand::seq::SliceRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use trieval_eval::contest::{Contest, Rules, Seeded, Telling, hold_seeds, slice_reports_of_seeds};
use trieval_eval::io::{RequestValues, write_trec_qrels, write_values};
use trieval_eval::metric::{Metric, parse_metrics};
use trieval_eval::policy::PolicyOptions;
use trieval_eval::report::model::{
    Comparison, Estimate as Figure, LeakReport, LogReport, ReliabilityReport, SliceReport,
};
use trieval_eval::settings::{EvaluationSettings, LabelSource};
use trieval_eval::significance::{SeedDraws, SignificanceOptions};
use trieval_eval::slice::SliceBy;
use trieval_eval::{Options, Qrels, Run};

use super::Work;
use super::system::SystemFile;
use crate::corpus::{Catalogue, Corpus, Request, RequestIdx};
use crate::error::{Error, Result};
use crate::inputs::StepContext;
use crate::judging::answers::AnswerSpace;
use crate::judging::labelled::{LabelledItems, users};
use crate::judging::leaks::leaks;
use crate::judging::logged::logged;
use crate::judging::measured::measured_catalogue;
use crate::judging::predict::is_wanted;
use crate::judging::runs::{Evaluated, read_answers, unwritten};
use crate::judging::slices::slices;
use crate::judging::truth::judge_truth;
use crate::kind::{Estimate, Role, Sizes};
use crate::store::{write_atomic, write_json};
use crate::text::{grouped, one_line};

/// The result inside the step's folder.
pub const EVALUATION_FILE: &str = "evaluation.json";
/// The value of every metric for every request, one file per system, inside the step's folder.
pub const VALUES_DIR: &str = "values";
/// The judgments inside the step's folder.
pub const QRELS_FILE: &str = "qrels.trec";
/// The texts of the judged requests that have one, beside the judgments: id and query between a tab.
const QUERIES_FILE: &str = "queries.tsv";
/// The labels of shown items, where they are not the judgments, inside the step's folder.
pub const LABELS_FILE: &str = "labels.trec";
/// Answers that are compared with the log where the first metric has no cutoff.
const COUNTED: u32 = 10;
/// Largest wins shown per two systems, in each direction.
const WINS: usize = 3;

/// Content of [`EVALUATION_FILE`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Evaluation {
    /// Version of this layout.
    pub format: u32,
    /// Metric names as reports spell them.
    pub metrics: Vec<String>,
    /// Baseline's name.
    pub baseline: String,
    /// Requests that the figures are means over.
    pub evaluated: u64,
    /// Test requests without a relevant item.
    pub without_relevant: u64,
    /// Requests left out because some system did not answer them.
    pub skipped: u64,
    /// Systems in the order of the recipe.
    pub systems: Vec<SystemResult>,
    /// Each system against the baseline.
    pub comparisons: Vec<Comparison>,
    /// Any two other systems.
    pub pairs: Vec<Comparison>,
    /// Figures over parts of the requests.
    pub slices: Vec<SliceReport>,
    /// Bins behind the calibration error, where it was asked for and no system has several seeds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reliability: Vec<ReliabilityReport>,
    /// What training has seen of the evaluated requests.
    pub leaks: Vec<LeakReport>,
    /// What the log says of the answers, where there is one and answers are items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogReport>,
    /// Requests worth showing.
    pub examples: Vec<Example>,
    /// What limits the tests.
    pub warnings: Vec<String>,
}

impl Evaluation {
    /// Reads it from the folder of the step that judged the systems.
    ///
    /// # Errors
    /// [`Error::Data`] when it is missing or damaged.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(EVALUATION_FILE);
        let text = std::fs::read(&path).map_err(|e| Error::unreadable(&path, &e))?;
        serde_json::from_slice(&text).map_err(|e| Error::data(&path, e.to_string()))
    }
}

/// One system's figures.
#[derive(Debug, Serialize, Deserialize)]
pub struct SystemResult {
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: String,
    /// One estimate per metric.
    pub estimates: Vec<Figure>,
    /// What answering cost, and what it left behind.
    pub file: SystemFile,
    /// Evaluated requests without an answer; of several seeds, the most that one left.
    pub unanswered: u64,
    /// Seeds that the estimates are means over; none where the system has one run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seeds: Vec<u64>,
    /// The figure of every seed by metric, in the order of the seeds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub seed_values: BTreeMap<String, Vec<f64>>,
}

/// A request worth showing.
#[derive(Debug, Serialize, Deserialize)]
pub struct Example {
    /// Id of the request.
    pub request: String,
    /// Why it is shown.
    pub why: String,
    /// The first metric's value by system.
    pub values: BTreeMap<String, f64>,
}

/// A system that is judged.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Judged {
    /// Name in the report.
    pub name: String,
    /// Kind in the report.
    pub kind: String,
}

/// Judges all systems.
#[derive(Serialize, JsonSchema)]
pub struct Evaluate {
    /// What is measured, and how differences are tested.
    pub settings: EvaluationSettings,
    /// The requests.
    pub evaluated: Evaluated,
    /// The systems, in the order of the recipe.
    pub systems: Vec<Judged>,
    /// Requests drawn for the report.
    pub examples: u32,
}

#[allow(clippy::needless_pass_by_value)] // as `map_err` wants it
fn failed(error: trieval_eval::Error) -> Error {
    Error::Failed(format!("evaluation: {error}"))
}

/// What is judged: the runs of every system, and what measures them.
pub(super) struct Entries<'a> {
    /// Seeds of the replicates; none where there is one recipe's seed only.
    pub seeds: &'a [u64],
    /// `[system]`: how many runs it has.
    pub n_runs: Vec<usize>,
    /// `[system, seed]`
    pub runs: Vec<Run>,
    /// `[system]`
    pub files: Vec<SystemFile>,
    /// Folder of the item vectors: one for all runs, or one for every seed.
    pub vectors: Vec<Option<&'a Path>>,
}

impl Work for Evaluate {
    fn run(&self, step: &StepContext<'_>) -> Result<()> {
        let mut entries = Entries {
            seeds: &[],
            n_runs: vec![1; self.systems.len()],
            runs: Vec::new(),
            files: Vec::new(),
            vectors: vec![step.inputs.find(Role::Vectors)],
        };
        for (place, system) in self.systems.iter().enumerate() {
            let folder = step.inputs.folder(Role::System(place))?;
            entries.runs.push(read_answers(folder)?.renamed(&system.name));
            entries.files.push(SystemFile::read(folder)?);
        }
        let contest = self.judge(step, entries)?;
        for scores in &contest.lists {
            let path = step.out.join(VALUES_DIR).join(format!("{}.parquet", scores.system));
            write_atomic(&path, |writer| {
                write_values(&RequestValues::of(scores), writer).map_err(|e| unwritten(&path, e))
            })?;
        }
        Ok(())
    }

    fn estimate(&self, _sizes: &Sizes) -> Estimate {
        Estimate::default()
            .figure("systems", self.systems.len().to_string())
            .figure("metrics", self.settings.metrics.len().to_string())
            .figure("resamples", grouped(u64::from(self.settings.bootstrap)))
    }
}

impl Evaluate {
    /// Judges the runs, writes judgments and figures, and returns the contest for its values.
    pub(super) fn judge(&self, step: &StepContext<'_>, entries: Entries<'_>) -> Result<Contest> {
        let settings = &self.settings;
        let (corpus, catalogue) = (step.inputs.corpus()?, step.inputs.catalogue()?);
        let metrics = parse_metrics(&settings.metrics).map_err(|e| Error::Usage(e.to_string()))?;
        // Requests that no system was asked (a sample was drawn) are not judged either; one that was
        // asked and got no answer is.
        let requests = self.evaluated.requests(corpus)?;
        let space = AnswerSpace::of(settings.answers.as_deref(), corpus, catalogue)?;
        let (qrels, relevant) = self.judgments(corpus, &space, &requests)?;
        let path = step.out.join(QRELS_FILE);
        write_atomic(&path, |writer| {
            write_trec_qrels(&qrels, writer).map_err(|e| unwritten(&path, e))
        })?;

        write_queries(&step.out.join(QUERIES_FILE), &requests, &qrels)?;
        let Entries { seeds, n_runs, runs, files, vectors } = entries;
        let measured =
            |vectors: &Option<&Path>| measured_catalogue(corpus, catalogue, *vectors, &metrics);
        let contexts: Vec<_> = vectors.iter().map(measured).collect::<Result<_>>()?;
        let first = contexts.first().and_then(Option::as_ref);
        let labels = self.labels(corpus, catalogue, &requests)?;
        if let Some((labels, _)) = &labels {
            let path = step.out.join(LABELS_FILE);
            write_atomic(&path, |writer| {
                write_trec_qrels(labels, writer).map_err(|e| unwritten(&path, e))
            })?;
        }
        let users = users(&requests);
        let rules = Rules {
            labels: labels.as_ref().map(|labels| &labels.0),
            users: Some(&users),
            ..self.rules(step, &metrics, first)
        };
        let of_seeds: Vec<&trieval_eval::Catalogue> = contexts.iter().flatten().collect();
        let names: Vec<String> = self.systems.iter().map(|system| system.name.clone()).collect();
        let entrants = Seeded {
            names: &names,
            n_seeds: &n_runs,
            runs: &runs,
            draws: SeedDraws::Together,
            catalogues: if contexts.len() > 1 { &of_seeds } else { &[] },
        };
        let mut contest = hold_seeds(&entrants, &qrels, &rules).map_err(|e| match e {
            trieval_eval::Error::Qrels { .. } => Error::data(corpus.folder(), e.to_string()),
            other => failed(other),
        })?;

        let wanted = settings.slices.iter().map(|by| by.parse());
        let wanted: Vec<SliceBy> = wanted.collect::<Result<_, _>>().map_err(failed)?;
        let named = settings.slicing_identifiers().into_iter().enumerate();
        let folder =
            |(place, name)| Ok((name, step.inputs.folder(Role::Identifier(place))?.to_owned()));
        let folders = named.map(folder).collect::<Result<_>>()?;
        let slices = slices(corpus, catalogue, &requests, &wanted, &folders)?;
        let slices = slice_reports_of_seeds(&entrants, &qrels, &slices, &rules).map_err(failed)?;
        let examples = examples(step, &contest, self.examples as usize);
        let leaks = leaks(corpus, catalogue, &requests, &relevant)?;
        let log = match settings.answers {
            Some(_) => None,
            None => {
                let cutoff = metrics.first().and_then(Metric::cutoff).unwrap_or(COUNTED);
                let options = PolicyOptions {
                    clip: None,
                    resamples: settings.bootstrap,
                    confidence: settings.confidence,
                    seed: step.seed.to_u64(),
                };
                let mut rest = runs.as_slice();
                let of_systems = names.iter().zip(&n_runs).map(|(name, &n_runs)| {
                    let (own, others) = rest.split_at(n_runs);
                    rest = others;
                    (name.as_str(), own)
                });
                let of_systems: Vec<(&str, &[Run])> = of_systems.collect();
                let each = of_systems.iter().copied();
                let mut log = logged(corpus, catalogue, &requests, each, cutoff, &options)?;
                if let Some(log) = &mut log {
                    let all = (requests.as_slice(), of_systems.as_slice());
                    judge_truth(log, (corpus, catalogue), all, self.baseline(), &options)?;
                }
                log
            }
        };

        let counts = contest.lists.iter().chain(&contest.labels).map(|one| one.counts);
        let counts: Vec<_> = counts.collect();
        let mut rest = counts.iter();
        let mut seed_values = contest.seed_values().into_iter();
        let estimates = std::mem::take(&mut contest.estimates);
        let systems = self
            .systems
            .iter()
            .zip(files)
            .zip(n_runs.iter().zip(estimates))
            .map(|((judged, file), (&n_runs, estimates))| {
                let unanswered = rest.by_ref().take(n_runs).map(|one| one.unanswered as u64);
                let unanswered = unanswered.max().unwrap_or(0);
                let values = seed_values.next().unwrap_or_default();
                let has_seeds = n_runs > 1;
                SystemResult {
                    name: judged.name.clone(),
                    kind: judged.kind.clone(),
                    estimates,
                    file,
                    unanswered,
                    seeds: if has_seeds { seeds.to_vec() } else { Vec::new() },
                    seed_values: if has_seeds { values } else { BTreeMap::new() },
                }
            })
            .collect();
        let warnings = std::mem::take(&mut contest.warnings);
        let first = counts.first().copied().unwrap_or_default();
        let unjudged = (requests.len() - qrels.len()) as u64;
        let evaluation = Evaluation {
            format: 2,
            metrics: contest.metrics.clone(),
            baseline: self.baseline().to_owned(),
            evaluated: first.evaluated as u64,
            without_relevant: first.without_relevant as u64 + unjudged,
            skipped: first.skipped as u64,
            systems,
            comparisons: std::mem::take(&mut contest.comparisons),
            pairs: std::mem::take(&mut contest.pairs),
            slices,
            reliability: std::mem::take(&mut contest.reliability),
            leaks,
            log,
            examples,
            warnings: space
                .told()
                .map(str::to_owned)
                .into_iter()
                .chain(labels.map(|labels| labels.1))
                .chain(warnings)
                .collect(),
        };
        write_json(&step.out.join(EVALUATION_FILE), &evaluation)?;
        Ok(contest)
    }

    /// Name of the system that the others are compared with: the first, where none is named.
    fn baseline(&self) -> &str {
        let first = self.systems.first().map_or("", |system| system.name.as_str());
        self.settings.baseline.as_deref().unwrap_or(first)
    }

    fn rules<'a>(
        &self,
        step: &StepContext<'_>,
        metrics: &'a [Metric],
        catalogue: Option<&'a trieval_eval::Catalogue>,
    ) -> Rules<'a> {
        let settings = &self.settings;
        let baseline = self.systems.iter().position(|system| system.name == self.baseline());
        Rules {
            metrics,
            options: Options {
                relevant_grade: settings.relevant_grade,
                ties: settings.ties,
                missing: settings.missing,
                catalogue,
            },
            significance: SignificanceOptions {
                resamples: settings.bootstrap,
                confidence: settings.confidence,
                seed: step.seed.to_u64(),
                test: settings.test,
                correction: settings.correction,
                margin: settings.margin,
            },
            baseline: baseline.unwrap_or(0),
            labels: None,
            users: None,
        }
    }

    /// Labels of shown items and what they are, in words; none where labels are the judgments, or
    /// nobody asks for them.
    fn labels(
        &self,
        corpus: &Corpus,
        catalogue: &Catalogue,
        requests: &[Request],
    ) -> Result<Option<(Qrels, String)>> {
        let LabelSource::Impressions { signal, from } = &self.settings.labels else {
            return Ok(None);
        };
        if !is_wanted(&self.settings.metrics) {
            return Ok(None);
        }
        let split = self.evaluated.split();
        let labelled = LabelledItems::read(corpus, split, &self.settings.labels)?;
        let qrels = labelled.qrels(requests, catalogue)?;
        let grades = || qrels.judgments().flat_map(|one| one.grades().map(|(_, grade)| grade));
        let (of, positive) = (grades().count(), grades().filter(|&grade| grade > 0.0).count());
        let named = match *from {
            1.0 => signal.clone(),
            from => format!("{signal} of {from} or more"),
        };
        let mut told = format!(
            "labels are those of {} shown items, {} of them positive ({named})",
            grouped(of as u64),
            grouped(positive as u64)
        );
        if labelled.unknown > 0 {
            let unknown = grouped(labelled.unknown);
            told.push_str(&format!("; {unknown} more without a recorded {signal} are left out"));
        }
        Ok(Some((qrels, told)))
    }

    /// Judgments of the evaluated requests, and the relevant ones among them as rows.
    fn judgments(
        &self,
        corpus: &Corpus,
        space: &AnswerSpace<'_>,
        requests: &[Request],
    ) -> Result<(Qrels, Vec<(RequestIdx, u32)>)> {
        let ids: BTreeMap<RequestIdx, &str> =
            requests.iter().map(|request| (request.idx, request.id.as_str())).collect();
        // An answer is as relevant as the most relevant item that stands for it.
        let mut grades: BTreeMap<(RequestIdx, u32), f64> = BTreeMap::new();
        let mut order = Vec::new();
        let mut relevant = Vec::new();
        let mut judged = false;
        for (request, item, grade) in corpus.judgements(self.evaluated.split())? {
            if ids.contains_key(&request) {
                judged = true;
                let grade = f64::from(grade);
                for &answer in space.of_item(item).iter() {
                    let best = grades.entry((request, answer)).or_insert_with(|| {
                        order.push((request, answer));
                        grade
                    });
                    *best = best.max(grade);
                }
                if grade >= self.settings.relevant_grade {
                    relevant.push((request, item));
                }
            }
        }
        if !judged {
            return Err(Error::data(
                corpus.folder(),
                "no request of the evaluated split has a judged item, so nothing can be evaluated",
            )
            .with_help("check the split and the grades of the corpus"));
        }
        let mut qrels = Qrels::builder();
        for (request, answer) in order {
            let (id, name) = (ids[&request], &space.names()[answer as usize]);
            qrels.push(id, name, grades[&(request, answer)]).map_err(failed)?;
        }
        Ok((qrels.finish().map_err(failed)?, relevant))
    }
}

/// Writes what the judged requests ask, one line each; nothing where none has a text.
fn write_queries(path: &Path, requests: &[Request], qrels: &Qrels) -> Result<()> {
    let is_judged = |request: &&Request| qrels.get(&request.id).is_some();
    let query = |request: &Request| {
        let query = one_line(request.ask.query.as_deref()?);
        Some(format!("{}\t{query}\n", request.id))
    };
    let lines: String = requests.iter().filter(is_judged).filter_map(query).collect();
    if lines.is_empty() {
        return Ok(());
    }
    write_atomic(path, |writer| {
        std::io::Write::write_all(writer, lines.as_bytes()).map_err(|e| Error::unwritable(path, &e))
    })
}

/// The largest wins of any two systems over each other, and `n_random` requests drawn by the seed.
fn examples(step: &StepContext<'_>, contest: &Contest, n_random: usize) -> Vec<Example> {
    let telling = contest.telling(WINS);
    let shown: HashSet<String> = telling.iter().map(|one| one.request.clone()).collect();
    let n_requests = contest.lists.first().map_or(0, |one| one.requests.len());
    let mut order: Vec<usize> = (0..n_requests).collect();
    order.shuffle(&mut step.seed.purpose("examples").rng());
    let random = order
        .into_iter()
        .map(|request| contest.tell(request, "drawn at random".into()))
        .filter(|one| !shown.contains(&one.request))
        .take(n_random);
    let example = |one: Telling| Example { request: one.request, why: one.why, values: one.values };
    random.chain(telling).map(example).collect()
}
