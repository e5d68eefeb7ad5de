//! One run against the judgments: a value per metric and request, and their means. Lists are judged in full against all
//! relevant items. Knows no other system.

use std::fmt;
use std::sync::Arc;

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::metric::{Judged, JudgedList, Metric, Pooled};
use crate::qrels::Qrels;
use crate::run::Run;

/// Figures of one system.
#[derive(Debug, Clone)]
pub struct SystemScores {
    /// Name of the run.
    pub system: String,
    /// Ids of the evaluated requests, in byte order: those with at least one relevant item.
    pub requests: Vec<String>,
    /// One per metric, in the order asked for.
    pub columns: Vec<Column>,
    /// What was left out or missing.
    pub counts: ScoreCounts,
}

/// One system on one metric.
#[derive(Debug, Clone)]
pub struct Column {
    /// Name of the metric.
    pub metric: String,
    /// The mean over the requests, summed in their order, or the pooled figure.
    pub value: f64,
    /// What the figure was made from.
    pub values: Values,
}

/// What a figure was made from.
#[derive(Clone)]
pub enum Values {
    /// `[request]`: the figure is their mean.
    PerRequest(Vec<f64>),
    /// A figure of the whole run.
    Pooled(Arc<dyn Pooled>),
}

/// Requests by how they entered the means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScoreCounts {
    /// Requests in the means.
    pub evaluated: usize,
    /// Evaluated requests that the run does not hold, or answers by nothing; they score 0.
    pub unanswered: usize,
    /// Judged requests left out because no item is relevant.
    pub without_relevant: usize,
    /// Requests of the run left out because they were never judged.
    pub unjudged: usize,
}

impl SystemScores {
    /// The mean, or the pooled figure, of a metric, if it was measured.
    pub fn mean(&self, metric: &Metric) -> Option<f64> {
        let name = metric.to_string();
        self.columns.iter().find(|column| column.metric == name).map(|column| column.value)
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PerRequest(values) => f.debug_tuple("PerRequest").field(values).finish(),
            Self::Pooled(_) => f.write_str("Pooled"),
        }
    }
}

/// Scores a run. An item is relevant from `relevant_grade` on; in ndcg it gains its grade, and grades below gain 0.
/// Refused where no request has a relevant item: there is nothing to take a mean over. The result does not depend on the
/// number of threads.
pub fn evaluate(
    run: &Run,
    qrels: &Qrels,
    metrics: &[Metric],
    relevant_grade: f64,
) -> Result<SystemScores> {
    if !relevant_grade.is_finite() {
        return Err(Error::Qrels {
            what: format!("the grade of relevance must be a finite number, not {relevant_grade}"),
        });
    }
    // `[run item]` → its number in the judgments: each distinct id is looked up once.
    let judged_numbers: Vec<Option<u32>> =
        run.item_names().iter().map(|item| qrels.item_number(item)).collect();
    let scored: Vec<Option<(Vec<f64>, bool)>> = (0..qrels.len())
        .into_par_iter()
        .map(|number| score_request(run, qrels, number, metrics, relevant_grade, &judged_numbers))
        .collect();

    let mut counts = ScoreCounts {
        unjudged: run.rankings().filter(|ranking| qrels.get(ranking.request()).is_none()).count(),
        ..ScoreCounts::default()
    };
    let mut requests = Vec::with_capacity(scored.len());
    let mut values = vec![Vec::with_capacity(scored.len()); metrics.len()];
    for (judgments, scored) in qrels.judgments().zip(scored) {
        match scored {
            None => counts.without_relevant += 1,
            Some((row, answered)) => {
                if let Some(at) = row.iter().position(|value| !value.is_finite()) {
                    return Err(Error::Qrels {
                        what: format!(
                            "the grades of request {} are too large to compute {}",
                            judgments.request(),
                            metrics[at]
                        ),
                    });
                }
                requests.push(judgments.request().to_owned());
                counts.unanswered += usize::from(!answered);
                for (column, value) in values.iter_mut().zip(row) {
                    column.push(value);
                }
            }
        }
    }
    counts.evaluated = requests.len();
    if requests.is_empty() {
        return Err(Error::Qrels {
            what: format!(
                "none of {} requests has an item of grade {relevant_grade} or above; check the grades, or lower `relevant_grade`",
                qrels.len()
            ),
        });
    }
    let columns = metrics
        .iter()
        .zip(values)
        .map(|(metric, values)| Column {
            metric: metric.to_string(),
            value: values.iter().sum::<f64>() / requests.len() as f64,
            values: Values::PerRequest(values),
        })
        .collect();
    Ok(SystemScores { system: run.name().to_owned(), requests, columns, counts })
}

/// `[metric]` values of one judged request and whether the run answered it; none without a relevant item.
fn score_request(
    run: &Run,
    qrels: &Qrels,
    number: usize,
    metrics: &[Metric],
    relevant_grade: f64,
    judged_numbers: &[Option<u32>],
) -> Option<(Vec<f64>, bool)> {
    let judgments = qrels.at(number);
    let mut ideal: Vec<f64> = judgments
        .entries()
        .iter()
        .map(|entry| entry.1)
        .filter(|&grade| grade >= relevant_grade)
        .collect();
    if ideal.is_empty() {
        return None;
    }
    ideal.sort_unstable_by(|left, right| right.total_cmp(left));
    let judge = |&(item, _): &(u32, f32)| {
        let grade = judged_numbers[item as usize].and_then(|item| judgments.grade_of(item));
        match grade {
            Some(grade) if grade >= relevant_grade => Judged { relevant: true, grade },
            _ => Judged { relevant: false, grade: 0.0 },
        }
    };
    let ranked: Vec<Judged> = run
        .get(judgments.request())
        .map_or_else(Vec::new, |ranking| ranking.entries().iter().map(judge).collect());
    let list = JudgedList { ranked: &ranked, ideal: &ideal };
    Some((metrics.iter().map(|metric| metric.value(&list)).collect(), !ranked.is_empty()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metric::parse_metrics;

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
        let counts = ScoreCounts { evaluated: 3, unanswered: 2, without_relevant: 1, unjudged: 1 };
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
