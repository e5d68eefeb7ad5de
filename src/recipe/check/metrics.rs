//! Whether a metric's name is one that evaluation knows, and how deep it looks.
//!
//! Spelling only: the names themselves are `trieval-eval`'s.

use trieval_eval::Error;
use trieval_eval::metric::{Metric, Needs};
use trieval_eval::settings::Ties;

/// Checks a metric expression; the fault says what to do.
pub(super) fn check_metric(text: &str) -> Result<(), String> {
    match text.parse::<Metric>() {
        Ok(_) => Ok(()),
        Err(Error::Metric { what, .. }) => Err(what),
        Err(other) => Err(other.to_string()),
    }
}

/// Why a metric that is spelt well cannot be computed by a recipe's evaluation, and what to do.
pub(super) fn unavailable(text: &str, ties: Ties) -> Option<(&'static str, &'static str)> {
    let metric = text.parse::<Metric>().ok()?;
    if metric.needs() == Needs::Vectors {
        let help = "a recipe hands no vectors to the evaluation: leave it out";
        return Some(("needs a vector per item", help));
    }
    if ties == Ties::Expected && !metric.expects_ties() {
        let help = "leave it out, or set `evaluation.ties` to \"item-id\"";
        return Some(("has no closed form under ties in random order", help));
    }
    None
}

/// The cut-off of a metric, if it states one.
pub(super) fn cut_off(text: &str) -> Option<u32> {
    text.parse::<Metric>().ok()?.cutoff()
}

#[cfg(test)]
mod tests {
    use trieval_eval::settings::Ties;

    use super::{check_metric, cut_off, unavailable};

    #[test]
    fn known_metrics_pass_and_others_get_advice() {
        for good in ["recall@10", "mrr", "mrr@5", "ndcg(gain=exp)@20", "p@1", "hit_rate@10", "ap"] {
            assert_eq!(check_metric(good), Ok(()), "{good}");
        }
        let advice = check_metric("recal@10").expect_err("misspelt");
        assert!(advice.contains("recall"), "{advice}");
        assert!(check_metric("hit_rate").is_err(), "hit_rate needs a cut-off");
        assert_eq!(cut_off("ndcg@20"), Some(20));
        assert_eq!(cut_off("mrr"), None);
    }

    #[test]
    fn metrics_that_a_recipe_cannot_compute_are_known() {
        assert_eq!(unavailable("bpref", Ties::ItemId), None);
        assert_eq!(unavailable("coverage@10", Ties::ItemId), None);
        assert!(unavailable("bpref", Ties::Expected).is_some());
        assert!(unavailable("diversity@10", Ties::ItemId).is_some());
    }
}
