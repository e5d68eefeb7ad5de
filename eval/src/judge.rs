//! One run judged request by request: looks up grades, and hands lists to metrics. Requests are spread over threads, each
//! value is computed by one of them, and means are summed in the order of requests.

use std::sync::Arc;

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::ids::NONE;
use crate::metric::exposure::{Exposure, Spread};
use crate::metric::{Asked, Basis, Catalogue, JudgedList, Metric, Needs, Pooled, item_figure};
use crate::qrels::Qrels;
use crate::run::{Ranking, Run};
use crate::scores::{Column, Options, Values};
use crate::settings::Ties;

/// Requests that a thread takes at a time.
const BLOCK: usize = 256;

/// What is computed, checked before any run is looked at.
pub(crate) struct Plan<'a> {
    metrics: &'a [Metric],
    /// `[metric]`.
    sources: Vec<Source<'a>>,
    ties: Ties,
    catalogue: Option<&'a Catalogue>,
}

/// Where the values of a metric come from: its basis in the table, with what it needs at hand.
enum Source<'a> {
    /// The grades of the list.
    Grades(fn(&JudgedList<'_>, &Asked) -> f64, Asked),
    /// `[items]`: a figure that each item of the catalogue has.
    Figures(Vec<f64>),
    /// The vectors of the listed items.
    Vectors(fn(&Catalogue, &[u32], usize, &mut Vec<f64>) -> f64, &'a Catalogue),
    /// All lists together.
    Lists(Spread, &'a Catalogue),
}

/// One run beside the judgments.
pub(crate) struct RunJudge<'a> {
    plan: &'a Plan<'a>,
    qrels: &'a Qrels,
    run: &'a Run,
    /// `[run item]` → its number in the judgments, [`NONE`] where it was never judged: each distinct id is looked up once.
    judged: Vec<u32>,
    /// `[run item]` → its number in the catalogue; empty where no metric asks.
    catalogued: Vec<u32>,
}

/// Buffers of one thread.
#[derive(Default)]
struct Scratch {
    ranked: Vec<Option<f64>>,
    ideal: Vec<f64>,
    tie_ends: Vec<usize>,
    items: Vec<u32>,
    sums: Vec<f64>,
}

impl<'a> Plan<'a> {
    /// Refuses metrics that need what was not given, or that cannot be computed as asked.
    pub(crate) fn new(metrics: &'a [Metric], qrels: &Qrels, options: &Options<'a>) -> Result<Self> {
        let highest = qrels.highest_grade().unwrap_or(0.0);
        let sources = metrics
            .iter()
            .map(|metric| {
                check(metric, highest, options)
                    .map_err(|what| Error::Metric { text: metric.to_string(), what })
            })
            .collect::<Result<_>>()?;
        Ok(Self { metrics, sources, ties: options.ties, catalogue: options.catalogue })
    }
}

fn check<'a>(
    metric: &Metric,
    highest: f64,
    options: &Options<'a>,
) -> std::result::Result<Source<'a>, String> {
    if options.ties == Ties::Expected && !metric.expects_ties() {
        return Err(
            "it has no closed form under ties in random order; leave it out, or break ties by item id"
                .to_owned(),
        );
    }
    if let Some(own) = metric.parameters().highest
        && highest > own
    {
        return Err(format!(
            "the judgments hold the grade {highest}, above `max={own}`; raise `max`, or leave it out"
        ));
    }
    let needs = metric.needs();
    let catalogue = || match options.catalogue {
        Some(catalogue) if catalogue.holds(needs) => Ok(catalogue),
        _ => Err(format!("it needs {}, which was not given", needs.advice())),
    };
    Ok(match metric.definition().basis {
        Basis::Grades(value) => {
            Source::Grades(value, metric.asked(options.relevant_grade, highest))
        }
        Basis::Figures(figures) => Source::Figures(figures(catalogue()?, metric.parameters())),
        Basis::Vectors(value) => Source::Vectors(value, catalogue()?),
        Basis::Lists(spread) => Source::Lists(spread, catalogue()?),
        Basis::Labelled(_) => {
            return Err(
                "it is a figure of all judged pairs, those of requests without a relevant item too: see `labelled::evaluate`"
                    .to_owned(),
            );
        }
    })
}

impl<'a> RunJudge<'a> {
    /// Refused where a metric needs the catalogue and the run holds an item that is not in it.
    pub(crate) fn new(plan: &'a Plan<'a>, qrels: &'a Qrels, run: &'a Run) -> Result<Self> {
        let items = run.items();
        let numbers = 0..items.len() as u32;
        let judged = qrels.items().numbers_of(items);
        let asked = plan.metrics.iter().any(|metric| metric.needs() != Needs::Nothing);
        let catalogued = match plan.catalogue {
            Some(catalogue) if asked => numbers
                .map(|item| {
                    let name = items.name(item);
                    catalogue.number(name).ok_or_else(|| Error::Run {
                        run: run.name().to_owned(),
                        what: format!("item {name} is not in the catalogue; give all items that could be returned"),
                    })
                })
                .collect::<Result<_>>()?,
            _ => Vec::new(),
        };
        Ok(Self { plan, qrels, run, judged, catalogued })
    }

    /// `[metric]`: figures over the evaluated requests, given by their numbers in the judgments.
    pub(crate) fn columns(&self, evaluated: &[usize]) -> Result<Vec<Column>> {
        let width = self.plan.metrics.len();
        let rankings: Vec<Option<Ranking<'_>>> = evaluated
            .par_iter()
            .map(|&number| self.run.get(self.qrels.at(number).request()))
            .collect();
        // `[request, metric]`.
        let mut rows = vec![0.0; evaluated.len() * width];
        rows.par_chunks_mut(BLOCK * width.max(1))
            .zip(evaluated.par_chunks(BLOCK))
            .zip(rankings.par_chunks(BLOCK))
            .for_each_init(Scratch::default, |scratch, ((rows, numbers), rankings)| {
                for ((row, &number), ranking) in
                    rows.chunks_exact_mut(width.max(1)).zip(numbers).zip(rankings)
                {
                    self.score(number, ranking.as_ref(), scratch, row);
                }
            });
        if let Some(at) = rows.iter().position(|value| !value.is_finite()) {
            let request = self.qrels.at(evaluated[at / width]).request();
            return Err(Error::Qrels {
                what: format!(
                    "the grades of request {request} are too large to compute {}",
                    self.plan.metrics[at % width]
                ),
            });
        }
        let column = |index: usize| {
            let metric = &self.plan.metrics[index];
            let (value, values) = match &self.plan.sources[index] {
                Source::Lists(spread, catalogue) => {
                    let pooled = self.lists(metric, *spread, catalogue, &rankings);
                    let value = pooled.value(&vec![1; rankings.len()]).unwrap_or(0.0);
                    (value, Values::Pooled(pooled))
                }
                Source::Grades(..) | Source::Figures(_) | Source::Vectors(..) => {
                    let values: Vec<f64> =
                        rows.iter().skip(index).step_by(width).copied().collect();
                    let mean = values.iter().sum::<f64>() / values.len() as f64;
                    (mean, Values::PerRequest(values))
                }
            };
            Column { metric: metric.to_string(), better: metric.better(), value, values }
        };
        Ok((0..width).into_par_iter().map(column).collect())
    }

    /// Fills `row`, `[metric]`, for one request.
    fn score(
        &self,
        number: usize,
        ranking: Option<&Ranking<'_>>,
        scratch: &mut Scratch,
        row: &mut [f64],
    ) {
        let plan = self.plan;
        let judgments = self.qrels.at(number);
        let entries = ranking.map_or(&[][..], |ranking| ranking.entries());
        let Scratch { ranked, ideal, tie_ends, items, sums } = scratch;
        ideal.clear();
        ideal.extend(judgments.entries().iter().map(|entry| entry.1));
        ideal.sort_unstable_by(|left, right| right.total_cmp(left));
        ranked.clear();
        ranked.extend(entries.iter().map(|&(item, _)| match self.judged[item as usize] {
            NONE => None,
            item => judgments.grade_of(item),
        }));
        items.clear();
        if !self.catalogued.is_empty() {
            items.extend(entries.iter().map(|&(item, _)| self.catalogued[item as usize]));
        }
        tie_ends.clear();
        if plan.ties == Ties::Expected {
            let starts = (1..entries.len()).filter(|&at| entries[at - 1].1 != entries[at].1);
            tie_ends.extend(starts.chain((!entries.is_empty()).then_some(entries.len())));
        }
        let tie_ends = (plan.ties == Ties::Expected).then_some(tie_ends.as_slice());
        let list = JudgedList { ranked, ideal, tie_ends };
        for ((value, metric), source) in row.iter_mut().zip(plan.metrics).zip(&plan.sources) {
            let cutoff = metric.cutoff().map_or(usize::MAX, |k| k as usize);
            *value = match source {
                Source::Grades(of_list, asked) => of_list(&list, asked),
                Source::Figures(figures) => item_figure::mean(figures, items, cutoff, tie_ends),
                Source::Vectors(of_items, catalogue) => of_items(catalogue, items, cutoff, sums),
                Source::Lists(..) => 0.0,
            };
        }
    }

    fn lists(
        &self,
        metric: &Metric,
        spread: Spread,
        catalogue: &Catalogue,
        rankings: &[Option<Ranking<'_>>],
    ) -> Arc<Exposure> {
        let cutoff = metric.cutoff().map_or(usize::MAX, |k| k as usize);
        let mut starts = Vec::with_capacity(rankings.len() + 1);
        let mut listed = Vec::new();
        starts.push(0);
        for ranking in rankings {
            let entries = ranking.map_or(&[][..], |ranking| ranking.entries());
            let top = entries.iter().take(cutoff);
            listed.extend(top.map(|&(item, _)| self.catalogued[item as usize]));
            starts.push(listed.len());
        }
        Arc::new(Exposure::new(spread, catalogue.len(), starts, listed))
    }
}
