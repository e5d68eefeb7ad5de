//! Whether a metric's name is one that evaluation knows, and how deep it looks.
//!
//! Spelling only: the names themselves are `trieval-eval`'s.

use trieval_eval::Error;
use trieval_eval::metric::Metric;

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

#[cfg(test)]
mod tests {
    use super::{check_metric, cut_off};

    #[test]
    fn known_metrics_pass_and_others_get_advice() {
        for good in ["recall@10", "mrr", "mrr@5", "ndcg(gain=exp)@20", "p@1", "hit_rate@10", "ap"] {
            assert_eq!(check_metric(good), Ok(()), "{good}");
        }
        let advice = check_metric("recal@10").expect_err("misspelt");
        assert!(advice.contains("recall"), "{advice}");
        assert!(check_metric("recall").is_err(), "recall needs a cut-off");
        assert_eq!(cut_off("ndcg@20"), Some(20));
        assert_eq!(cut_off("mrr"), None);
    }
}
