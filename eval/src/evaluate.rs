//! Runs against the judgments: a value per metric and request, and their means, or a figure of the whole run. Lists are
//! judged in full against all relevant items; compared runs are judged on the same requests.

use crate::error::{Error, Result};
use crate::judge::{Plan, RunJudge};
use crate::metric::{Catalogue, Metric};
use crate::qrels::Qrels;
use crate::run::Run;
use crate::scores::{Options, ScoreCounts, SystemScores};
use crate::settings::Missing;

/// Scores a run, unanswered requests as 0. Refused where no request has a relevant item: there is nothing to take a mean over.
/// The result does not depend on the number of threads.
pub fn evaluate(
    run: &Run,
    qrels: &Qrels,
    metrics: &[Metric],
    relevant_grade: f64,
) -> Result<SystemScores> {
    let options = Options { relevant_grade, ..Options::default() };
    let requests = Requests::select(std::slice::from_ref(run), qrels, &options)?;
    let plan = Plan::new(metrics, qrels, &options)?;
    requests.score(0, run, &plan)
}

/// Scores several runs on the same requests. Otherwise as [`evaluate`].
pub fn evaluate_all(
    runs: &[Run],
    qrels: &Qrels,
    metrics: &[Metric],
    options: &Options<'_>,
) -> Result<Vec<SystemScores>> {
    evaluate_by(runs, qrels, metrics, options, &[options.catalogue])
}

/// As [`evaluate_all`], with a catalogue for every seed in place of that of the options: the runs of
/// a system, one per seed, stand together, so that run `r` is judged by catalogue `r % S` of `S`.
pub(crate) fn evaluate_by(
    runs: &[Run],
    qrels: &Qrels,
    metrics: &[Metric],
    options: &Options<'_>,
    catalogues: &[Option<&Catalogue>],
) -> Result<Vec<SystemScores>> {
    let requests = Requests::select(runs, qrels, options)?;
    let plan = |&catalogue: &_| Plan::new(metrics, qrels, &Options { catalogue, ..*options });
    let plans: Vec<Plan<'_>> = catalogues.iter().map(plan).collect::<Result<_>>()?;
    let judged = runs.iter().zip(plans.iter().cycle()).enumerate();
    judged.map(|(number, (run, plan))| requests.score(number, run, plan)).collect()
}

/// Which judged requests enter the figures.
struct Requests<'a> {
    qrels: &'a Qrels,
    /// Numbers in the judgments, ascending.
    evaluated: Vec<usize>,
    /// `[run]`: requests with a relevant item that it does not answer.
    unanswered: Vec<usize>,
    skipped: usize,
    without_relevant: usize,
}

impl<'a> Requests<'a> {
    fn select(runs: &[Run], qrels: &'a Qrels, options: &Options<'_>) -> Result<Self> {
        let relevant_grade = options.relevant_grade;
        if !relevant_grade.is_finite() {
            return Err(Error::Qrels {
                what: format!(
                    "the grade of relevance must be a finite number, not {relevant_grade}"
                ),
            });
        }
        let is_relevant = |entry: &(u32, f64)| entry.1 >= relevant_grade;
        let mut evaluated: Vec<usize> = (0..qrels.len())
            .filter(|&number| qrels.at(number).entries().iter().any(is_relevant))
            .collect();
        let n_relevant = evaluated.len();
        if n_relevant == 0 {
            return Err(Error::Qrels {
                what: format!(
                    "none of {} requests has an item of grade {relevant_grade} or above; check the grades, or lower `relevant_grade`",
                    qrels.len()
                ),
            });
        }
        let mut left_out = vec![false; qrels.len()];
        let mut unanswered = Vec::with_capacity(runs.len());
        for run in runs {
            let silent: Vec<usize> = evaluated
                .iter()
                .copied()
                .filter(|&number| {
                    run.get(qrels.at(number).request()).is_none_or(|ranking| ranking.is_empty())
                })
                .collect();
            if options.missing == Missing::Error && !silent.is_empty() {
                return Err(refuse_missing(run, qrels, &silent, n_relevant));
            }
            if options.missing == Missing::Skip {
                silent.iter().for_each(|&number| left_out[number] = true);
            }
            unanswered.push(silent.len());
        }
        evaluated.retain(|&number| !left_out[number]);
        if evaluated.is_empty() {
            return Err(Error::Qrels {
                what: format!(
                    "each of {n_relevant} requests with a relevant item lacks an answer of some run; leave that run out, or set `missing` to `zero`"
                ),
            });
        }
        Ok(Self {
            qrels,
            skipped: n_relevant - evaluated.len(),
            without_relevant: qrels.len() - n_relevant,
            evaluated,
            unanswered,
        })
    }

    /// Judges one run, by its place among those that were selected for.
    fn score(&self, number: usize, run: &Run, plan: &Plan<'_>) -> Result<SystemScores> {
        let judge = RunJudge::new(plan, self.qrels, run)?;
        let columns = judge.columns(&self.evaluated)?;
        let requests = self.evaluated.iter().map(|&at| self.qrels.at(at).request().to_owned());
        let counts = ScoreCounts {
            evaluated: self.evaluated.len(),
            unanswered: self.unanswered[number],
            skipped: self.skipped,
            without_relevant: self.without_relevant,
            unjudged: run
                .rankings()
                .filter(|ranking| self.qrels.get(ranking.request()).is_none())
                .count(),
        };
        Ok(SystemScores {
            system: run.name().to_owned(),
            requests: requests.collect(),
            columns,
            counts,
        })
    }
}

fn refuse_missing(run: &Run, qrels: &Qrels, silent: &[usize], n_relevant: usize) -> Error {
    let shown: Vec<&str> =
        silent.iter().take(3).map(|&number| qrels.at(number).request()).collect();
    let which = if shown.len() < silent.len() { "such as " } else { "" };
    Error::Run {
        run: run.name().to_owned(),
        what: format!(
            "{} of {n_relevant} judged requests have no answer: {which}{}; answer them, or set `missing` to `zero` or `skip`",
            silent.len(),
            shown.join(", ")
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metric::parse_metrics;
    use crate::scores::{Column, Values};
    use crate::settings::Ties;

    fn qrels(entries: &[(&str, &str, f64)]) -> Qrels {
        let mut builder = Qrels::builder();
        for (request, item, grade) in entries {
            builder.push(request, item, *grade).unwrap();
        }
        builder.finish().unwrap()
    }

    fn values(scores: &SystemScores) -> Vec<Vec<f64>> {
        let of = |column: &Column| match &column.values {
            Values::PerRequest(values) => values.clone(),
            Values::Pooled(_) => panic!("{} is pooled", column.metric),
        };
        scores.columns.iter().map(of).collect()
    }

    #[test]
    fn every_kind_of_request_is_counted() {
        let qrels = qrels(&[
            ("found", "a", 1.0),
            ("missing", "a", 1.0),
            ("empty", "a", 1.0),
            ("hopeless", "a", 0.0),
        ]);
        let mut builder = Run::builder("s");
        builder.push_list("found", [("a", 1.0), ("z", 2.0)]).unwrap();
        builder.push_list("stranger", [("a", 1.0)]).unwrap();
        builder.push_list::<&str>("empty", []).unwrap();
        let run = builder.finish().unwrap();
        let metrics = parse_metrics(&["mrr", "recall@1"]).unwrap();
        let scores = evaluate(&run, &qrels, &metrics, 1.0).unwrap();
        let counts = ScoreCounts {
            evaluated: 3,
            unanswered: 2,
            skipped: 0,
            without_relevant: 1,
            unjudged: 1,
        };
        assert_eq!(scores.counts, counts);
        assert_eq!(scores.requests, ["empty", "found", "missing"]);
        assert_eq!(values(&scores), [[0.0, 0.5, 0.0], [0.0, 0.0, 0.0]]);
        assert_eq!(scores.mean(&metrics[0]), Some(0.5 / 3.0));
    }

    #[test]
    fn the_threshold_reaches_every_metric() {
        let qrels = qrels(&[("q", "a", 1.0), ("q", "b", 2.0)]);
        let mut builder = Run::builder("s");
        builder.push_list("q", [("a", 2.0), ("b", 1.0)]).unwrap();
        let run = builder.finish().unwrap();
        let metrics = parse_metrics(&["mrr", "ndcg@2"]).unwrap();
        let scores = evaluate(&run, &qrels, &metrics, 2.0).unwrap();
        assert_eq!(scores.columns[0].value, 0.5);
        assert!((scores.columns[1].value - 1.0 / 3.0_f64.log2()).abs() < 1e-12);
    }

    #[test]
    fn nothing_to_evaluate_is_an_error() {
        let run = Run::builder("s").finish().unwrap();
        let metrics = parse_metrics(&["mrr"]).unwrap();
        let message = evaluate(&run, &qrels(&[("q", "a", 1.0)]), &metrics, 3.0).unwrap_err();
        assert!(message.to_string().contains("grade 3 or above"));
        assert!(evaluate(&run, &qrels(&[("q", "a", 1.0)]), &metrics, f64::NAN).is_err());
    }

    #[test]
    fn grades_too_large_for_a_gain_are_an_error() {
        let mut builder = Run::builder("s");
        builder.push("q", "a", 1.0).unwrap();
        let run = builder.finish().unwrap();
        let metrics = parse_metrics(&["ndcg@5", "ndcg(gain=exp)@5"]).unwrap();
        let error = evaluate(&run, &qrels(&[("q", "a", 5000.0)]), &metrics, 1.0).unwrap_err();
        assert!(error.to_string().contains("request q are too large to compute ndcg(gain=exp)@5"));
    }

    fn run(name: &str, entries: &[(&str, &str, f32)]) -> Run {
        let mut builder = Run::builder(name);
        for (request, item, score) in entries {
            builder.push(request, item, *score).unwrap();
        }
        builder.finish().unwrap()
    }

    #[test]
    fn missing_requests_score_0_are_skipped_or_refused() {
        let qrels = qrels(&[("a", "x", 1.0), ("b", "x", 1.0), ("c", "x", 1.0), ("d", "x", 0.0)]);
        let runs = [
            run("full", &[("a", "x", 1.0), ("b", "y", 1.0), ("c", "x", 1.0)]),
            run("half", &[("a", "x", 1.0), ("b", "x", 1.0), ("d", "x", 1.0)]),
        ];
        let metrics = parse_metrics(&["mrr"]).unwrap();
        let score = |missing| {
            let options = Options { missing, ..Options::default() };
            evaluate_all(&runs, &qrels, &metrics, &options)
        };
        let zero = score(Missing::Zero).unwrap();
        assert_eq!(values(&zero[0]), [[1.0, 0.0, 1.0]]);
        assert_eq!(values(&zero[1]), [[1.0, 1.0, 0.0]]);
        assert_eq!((zero[1].counts.unanswered, zero[1].counts.skipped), (1, 0));
        let skip = score(Missing::Skip).unwrap();
        assert_eq!(skip[0].requests, ["a", "b"]);
        assert_eq!(values(&skip[0]), [[1.0, 0.0]]);
        assert_eq!(skip[0].counts.unanswered, 0);
        assert_eq!(skip[1].counts.unanswered, 1);
        for one in &skip {
            let counts = &one.counts;
            assert_eq!((counts.evaluated, counts.skipped, counts.without_relevant), (2, 1, 1));
        }
        assert_eq!(
            score(Missing::Error).unwrap_err().to_string(),
            "run half: 1 of 3 judged requests have no answer: c; answer them, or set `missing` to `zero` or `skip`"
        );
        let silent = [runs[0].clone(), run("silent", &[])];
        let options = Options { missing: Missing::Skip, ..Options::default() };
        assert!(evaluate_all(&silent, &qrels, &metrics, &options).is_err());
    }

    #[test]
    fn ties_by_id_or_in_expectation() {
        let qrels = qrels(&[("q", "a", 1.0)]);
        let runs =
            [run("r", &[("q", "a", 1.0), ("q", "b", 1.0), ("q", "c", 1.0), ("q", "d", 0.0)])];
        let metrics = parse_metrics(&["mrr", "recall@2", "ndcg"]).unwrap();
        let score = |ties| {
            let options = Options { ties, ..Options::default() };
            let scores = evaluate_all(&runs, &qrels, &metrics, &options).unwrap();
            scores[0].columns.iter().map(|column| column.value).collect::<Vec<_>>()
        };
        assert_eq!(score(Ties::ItemId), [1.0 / 3.0, 0.0, 0.5]);
        let expected =
            [(1.0 + 0.5 + 1.0 / 3.0) / 3.0, 2.0 / 3.0, (1.0 + 1.0 / 3.0_f64.log2() + 0.5) / 3.0];
        for (value, expected) in score(Ties::Expected).iter().zip(expected) {
            assert!((value - expected).abs() < 1e-12, "{value} instead of {expected}");
        }
        let options = Options { ties: Ties::Expected, ..Options::default() };
        let metrics = parse_metrics(&["bpref"]).unwrap();
        let error = evaluate_all(&runs, &qrels, &metrics, &options).unwrap_err();
        assert!(error.to_string().contains("`bpref`: it has no closed form"), "{error}");
    }

    #[test]
    fn beyond_accuracy_by_hand() {
        let qrels = qrels(&[("p", "a", 1.0), ("q", "a", 1.0)]);
        let runs = [run(
            "r",
            &[("p", "a", 3.0), ("p", "b", 2.0), ("p", "d", 1.0), ("q", "a", 2.0), ("q", "c", 1.0)],
        )];
        let metrics = parse_metrics(&[
            "coverage@2",
            "gini@2",
            "popularity@2",
            "novelty@2",
            "tail_share@3",
            "diversity@2",
        ])
        .unwrap();
        let bare = Catalogue::new(["a", "b", "c", "d"]).unwrap();
        let vectors = vec![1.0, 0.0, 0.0, 1.0, -1.0, 0.0, 0.0, 0.0];
        let full = bare.clone().with_exposures(vec![8, 1, 0, 1]).unwrap();
        let full = full.with_vectors(vectors, 2).unwrap();
        let score = |catalogue| {
            let options = Options { catalogue, ..Options::default() };
            evaluate_all(&runs, &qrels, &metrics, &options)
        };
        let scores = score(Some(&full)).unwrap();
        // Listed counts 2 1 1 0; popularity 1, 0.5, 0, 0.5; p = 9/14, 2/14, 1/14, 2/14; the head is item a.
        let bits = |p: f64| -(p / 14.0).log2();
        let expected = [
            0.75,
            6.0 / 16.0,
            (0.75 + 0.5) / 2.0,
            (bits(9.0) + bits(2.0) + bits(9.0) + bits(1.0)) / 4.0,
            (2.0 / 3.0 + 0.5) / 2.0,
            1.5,
        ];
        for (column, expected) in scores[0].columns.iter().zip(expected) {
            let Column { metric, value, .. } = column;
            assert!((value - expected).abs() < 1e-12, "{metric}: {value} instead of {expected}");
        }
        assert!(
            matches!(&scores[0].columns[1].values, Values::Pooled(gini) if gini.value(&[0, 1]) == Some(0.5))
        );
        let message = score(Some(&bare)).unwrap_err().to_string();
        assert!(message.contains(
            "`popularity@2`: it needs a catalogue of all item ids with their training counts"
        ));
        assert!(
            score(None).unwrap_err().to_string().contains("`coverage@2`: it needs a catalogue")
        );
        let small = Catalogue::new(["a", "b", "c"]).unwrap();
        let options = Options { catalogue: Some(&small), ..Options::default() };
        let error = evaluate_all(&runs, &qrels, &metrics[..1], &options).unwrap_err();
        assert!(error.to_string().contains("item d is not in the catalogue"), "{error}");
    }

    #[test]
    fn labelled_figures_are_judged_apart() {
        let qrels = qrels(&[("p", "a", 1.0)]);
        let metrics = parse_metrics(&["mrr, auc"]).unwrap();
        let error = evaluate(&run("r", &[("p", "a", 0.9)]), &qrels, &metrics, 1.0).unwrap_err();
        assert!(error.to_string().contains("labelled::evaluate"), "{error}");
    }

    #[test]
    fn a_highest_grade_below_the_judgments_is_refused() {
        let metrics = parse_metrics(&["err(max=2)@5"]).unwrap();
        let error =
            evaluate(&run("r", &[]), &qrels(&[("q", "a", 3.0)]), &metrics, 1.0).unwrap_err();
        assert!(error.to_string().contains("grade 3, above `max=2`"), "{error}");
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let mut judged = Qrels::builder();
        let mut builder = Run::builder("r");
        for request in 0..2_000_u32 {
            for item in 0..7_u32 {
                let at = request.wrapping_mul(2_654_435_761).wrapping_add(item * 97) % 1_000;
                judged.push(&request.to_string(), &at.to_string(), f64::from(at % 4)).unwrap();
                builder.push(&request.to_string(), &(at + item % 3).to_string(), at as f32).ok();
            }
        }
        let (qrels, run) = (judged.finish().unwrap(), builder.finish().unwrap());
        let metrics = parse_metrics(&["ndcg@5", "ap", "mrr", "bpref"]).unwrap();
        let score = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let scores = pool.install(|| evaluate(&run, &qrels, &metrics, 1.0)).unwrap();
            let means: Vec<u64> = scores.columns.iter().map(|one| one.value.to_bits()).collect();
            (means, values(&scores))
        };
        assert_eq!(score(1), score(3));
    }

    proptest! {
        #[test]
        fn values_stay_between_0_and_1_and_a_perfect_run_reaches_1(
            grades in prop::collection::btree_map((0_u8..5, 0_u8..12), -2_i8..5, 1..40),
            scores in prop::collection::btree_map((0_u8..6, 0_u8..15), -3_i8..3, 0..60),
            threshold in 0_i8..4,
        ) {
            let mut builder = Qrels::builder();
            let mut perfect = Run::builder("perfect");
            for ((request, item), grade) in &grades {
                builder.push(&request.to_string(), &item.to_string(), f64::from(*grade)).unwrap();
                perfect.push(&request.to_string(), &item.to_string(), f32::from(*grade)).unwrap();
            }
            let qrels = builder.finish().unwrap();
            let mut run = Run::builder("run");
            for ((request, item), score) in &scores {
                run.push(&request.to_string(), &item.to_string(), f32::from(*score)).unwrap();
            }
            let names = ["recall@3", "precision@3", "hit_rate@3", "mrr", "ap", "ndcg", "ndcg(gain=exp)@3"];
            let metrics = parse_metrics(&names).unwrap();
            let threshold = f64::from(threshold);
            if let Ok(scores) = evaluate(&run.finish().unwrap(), &qrels, &metrics, threshold) {
                prop_assert!(values(&scores).into_iter().flatten().all(|value| (0.0..=1.0).contains(&value)));
            }
            if let Ok(scores) = evaluate(&perfect.finish().unwrap(), &qrels, &metrics, threshold) {
                let values = values(&scores);
                prop_assert!(values[3].iter().chain(&values[4]).all(|&value| value == 1.0));
                if threshold > 0.0 {
                    prop_assert!(values[5].iter().all(|&value| (value - 1.0).abs() < 1e-12));
                }
            }
        }
    }
}
