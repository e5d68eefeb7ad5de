//! Whether a metric's name is one that evaluation knows, how deep it looks, and what it needs.
//!
//! Spelling only: the names themselves are `trieval-eval`'s.

use trieval_eval::Error;
use trieval_eval::labelled::{LabelledMetric, PairOrder};
use trieval_eval::metric::{Metric, Needs};
use trieval_eval::slice::SliceBy;

/// Checks a metric expression; the fault says what to do.
pub(super) fn check_metric(text: &str) -> Result<(), String> {
    match text.parse::<Metric>() {
        Ok(_) => Ok(()),
        Err(Error::Metric { what, .. }) => Err(what),
        Err(other) => Err(other.to_string()),
    }
}

/// The cut-off of a metric, if it states one.
pub(super) fn cut_off(text: &str) -> Option<u32> {
    text.parse::<Metric>().ok()?.cutoff()
}

/// Whether a metric looks at item vectors.
pub(super) fn needs_vectors(text: &str) -> bool {
    let metric = text.parse::<Metric>();
    matches!(metric, Ok(metric) if metric.needs() == Needs::Vectors)
}

/// Whether a metric can be computed from probabilities only.
pub(super) fn needs_probabilities(text: &str) -> bool {
    let labelled = text.parse::<Metric>().ok().and_then(|metric| metric.labelled());
    matches!(labelled, Some(LabelledMetric::LogLoss | LabelledMetric::CalibrationError { .. }))
}

/// Whether a metric is one of labelled items.
pub(super) fn is_labelled(text: &str) -> bool {
    text.parse::<Metric>().is_ok_and(|metric| metric.labelled().is_some())
}

/// Whether a metric looks at more than lists and judgments: at items, or at labels of them.
pub(super) fn is_of_items(text: &str) -> bool {
    check_metric(text).is_ok() && check_tuned(text).is_err()
}

/// Checks that a metric over judged pairs finds both kinds of them, where `grades` are all that a judged item can have. What
/// such a corpus does not hold, a figure of two classes cannot be computed from.
pub(super) fn check_classes(text: &str, grades: &[f64], relevant_grade: f64) -> Result<(), String> {
    let Ok(metric) = text.parse::<Metric>() else { return Ok(()) };
    let Some(labelled) = metric.labelled() else { return Ok(()) };
    let listed = || {
        let grades: Vec<String> = grades.iter().map(f64::to_string).collect();
        grades.join(", ")
    };
    match labelled {
        LabelledMetric::Auc | LabelledMetric::UserAuc(_) | LabelledMetric::PrAuc => {
            let threshold = metric.relevant_grade().unwrap_or(relevant_grade);
            if grades.iter().any(|&grade| grade < threshold) {
                return Ok(());
            }
            let above = grades.iter().copied().find(|&grade| grade > threshold);
            let above = above.or(grades.last().copied().filter(|_| grades.len() > 1));
            Err(match above {
                Some(grade) => format!(
                    "judged items have grades {} and all count as relevant; set \
                     `evaluation.relevant_grade` to {grade}, or leave it out",
                    listed()
                ),
                None => "every judged item of this corpus is relevant; leave it out, lists are \
                         judged by metrics such as `ndcg@10`"
                    .into(),
            })
        }
        LabelledMetric::Pairwise(PairOrder::Two { higher, lower })
            if !(grades.contains(&higher) && grades.contains(&lower)) =>
        {
            Err(format!("judged items of this corpus have only these grades: {}", listed()))
        }
        LabelledMetric::Pairwise(_) if grades.len() < 2 => {
            Err(format!("all judged items of this corpus have the grade {}", listed()))
        }
        _ => Ok(()),
    }
}

/// Checks a metric that settings can be tuned for: one of lists that needs nothing but judgments.
pub(super) fn check_tuned(text: &str) -> Result<(), String> {
    check_metric(text)?;
    match text.parse::<Metric>() {
        Ok(metric) if metric.needs() == Needs::Nothing && metric.labelled().is_none() => Ok(()),
        _ => Err("it must be a metric of lists and judgments, such as `ndcg@10`".into()),
    }
}

/// Reads a way to divide requests; the fault says what is legal.
pub(super) fn check_slice(text: &str) -> Result<SliceBy, String> {
    text.parse().map_err(|error| match error {
        Error::Slice { what, .. } => what,
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_metrics_pass_and_others_get_advice() {
        let good = [
            "recall@10",
            "mrr",
            "mrr@5",
            "ndcg(gain=exp)@20",
            "p(rel=2)@1",
            "hit_rate@10",
            "ap",
            "auc",
            "coverage@10",
        ];
        for good in good {
            assert_eq!(check_metric(good), Ok(()), "{good}");
        }
        let advice = check_metric("recal@10").expect_err("misspelt");
        assert!(advice.contains("recall"), "{advice}");
        assert!(check_metric("success").is_err(), "success needs a cut-off");
        assert_eq!(cut_off("ndcg@20"), Some(20));
        assert_eq!(cut_off("mrr"), None);
        assert!(needs_vectors("diversity@10") && !needs_vectors("coverage@10"));
    }

    #[test]
    fn what_cannot_be_measured_or_tuned_for_in_a_recipe_is_refused() {
        assert!(is_labelled("auc") && !is_labelled("ndcg@10") && !needs_probabilities("auc"));
        assert!(needs_probabilities("ece") && needs_probabilities("log_loss"));
        assert_eq!(check_tuned("ndcg@10"), Ok(()));
        for bad in ["auc", "coverage@10", "ndgc@10"] {
            assert!(check_tuned(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn classes_that_no_judgment_has_are_told_before_any_work() {
        for bad in ["auc", "user_auc", "user_auc(weight=users)", "pr_auc", "pairwise(pair=1:0)"] {
            let help = check_classes(bad, &[1.0], 1.0).expect_err(bad);
            assert!(
                help.contains("relevant; leave it out") || help.contains("grades: 1"),
                "{help}"
            );
        }
        let help = check_classes("auc", &[1.0, 2.0, 3.0], 1.0).expect_err("all relevant");
        assert!(help.contains("`evaluation.relevant_grade` to 2"), "{help}");
        for (good, grades, relevant_grade) in [
            ("auc", &[1.0, 2.0, 3.0][..], 2.0),
            ("pairwise", &[1.0, 2.0], 1.0),
            ("pairwise(pair=3:1)", &[1.0, 2.0, 3.0], 1.0),
            ("rmse", &[1.0], 1.0),
            ("ndcg@10", &[1.0], 1.0),
        ] {
            assert_eq!(check_classes(good, grades, relevant_grade), Ok(()), "{good}");
        }
    }

    #[test]
    fn ways_to_divide_are_known() {
        assert_eq!(check_slice("attribute:brand"), Ok(SliceBy::Attribute("brand".into())));
        assert!(check_slice("query").expect_err("unknown").contains("query-length"));
    }
}
