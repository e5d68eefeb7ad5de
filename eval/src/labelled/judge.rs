//! A run's judged and scored pairs as figures. Knows no metric by name.

use super::predictions::Predictions;
use crate::error::{Error, Result};
use crate::metric::Metric;
use crate::qrels::Qrels;
use crate::run::Run;
use crate::scores::{Column, ScoreCounts, SystemScores, Values};

/// A figure of these predictions as a column, ready to be resampled by requests. Refused for a metric of lists, and where the
/// figure is undefined, or needs probabilities and gets other scores.
pub fn column(metric: &Metric, predictions: &Predictions) -> Result<Column> {
    let labelled = metric.labelled().ok_or_else(|| Error::Metric {
        text: metric.to_string(),
        what: "it is a metric of lists, and needs no scores of judged pairs: see `evaluate`"
            .to_owned(),
    })?;
    let pooled = labelled.pooled(predictions)?;
    let value = pooled.value(&vec![1; predictions.requests().len()]).ok_or_else(|| Error::Run {
        run: predictions.name().to_owned(),
        what: format!("{metric} is undefined: {}", labelled.needs()),
    })?;
    let values = Values::Pooled(pooled);
    Ok(Column { metric: metric.to_string(), better: metric.better(), value, values })
}

/// Figures of a run's judged and scored pairs, over all judged requests: also those without a relevant item, whose rows are
/// negatives. To set them beside metrics of lists, take [`Predictions::for_requests`] and [`column()`].
pub fn evaluate(
    run: &Run,
    qrels: &Qrels,
    metrics: &[Metric],
    relevant_grade: f64,
) -> Result<SystemScores> {
    score(run, qrels, metrics, &Predictions::from_run(run, qrels, relevant_grade)?)
}

/// The same of predictions that were made of the run.
pub(crate) fn score(
    run: &Run,
    qrels: &Qrels,
    metrics: &[Metric],
    predictions: &Predictions,
) -> Result<SystemScores> {
    let columns =
        metrics.iter().map(|metric| column(metric, predictions)).collect::<Result<_>>()?;
    let requests = predictions.requests();
    let mut answered = vec![false; requests.len()];
    for row in predictions.rows() {
        answered[row.request as usize] = true;
    }
    let counts = ScoreCounts {
        evaluated: requests.len(),
        unanswered: answered.iter().filter(|&&one| !one).count(),
        unjudged: run.rankings().filter(|ranking| qrels.get(ranking.request()).is_none()).count(),
        ..ScoreCounts::default()
    };
    Ok(SystemScores { system: run.name().to_owned(), requests: requests.to_vec(), columns, counts })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::metric::parse_metrics;

    #[test]
    fn a_run_is_judged_over_all_judged_requests() {
        let mut qrels = Qrels::builder();
        let mut run = Run::builder("sys");
        for (request, item, grade, score) in
            [("a", "1", 1.0, 0.75), ("a", "2", 0.0, 0.5), ("b", "1", 0.0, 0.25)]
        {
            qrels.push(request, item, grade).unwrap();
            run.push(request, item, score).unwrap();
        }
        qrels.push("c", "1", 1.0).unwrap();
        run.push("stranger", "1", 0.5).unwrap();
        let (qrels, run) = (qrels.finish().unwrap(), run.finish().unwrap());
        let metrics = parse_metrics(&["auc", "rmse"]).unwrap();
        let scores = evaluate(&run, &qrels, &metrics, 1.0).unwrap();
        assert_eq!(scores.requests, ["a", "b", "c"]);
        assert_eq!(
            (scores.counts.evaluated, scores.counts.unanswered, scores.counts.unjudged),
            (3, 1, 1)
        );
        assert_eq!(scores.columns[0].value, 1.0);
        assert!((scores.columns[1].value - (0.375_f64 / 3.0).sqrt()).abs() < 1e-12);
        let message = evaluate(&run, &qrels, &metrics[..1], 5.0).unwrap_err().to_string();
        assert!(message.contains("auc is undefined"), "{message}");
        let lists = parse_metrics(&["mrr"]).unwrap();
        let message = evaluate(&run, &qrels, &lists, 1.0).unwrap_err().to_string();
        assert!(message.contains("a metric of lists"), "{message}");
    }
}
