//! Which way is better on a metric, by its name. Knows no value.

/// Metrics on which a lower figure is the better one.
const LOWER_IS_BETTER: &[&str] = &["log_loss", "ece", "rmse", "gini", "popularity", "regret"];

/// Whether a lower figure is the better one: so for errors (`log_loss`, `ece`, `rmse`), for a `regret` given from outside,
/// and for concentration (`gini`, `popularity`). The name may carry options and a cutoff.
pub fn lower_is_better(metric: &str) -> bool {
    let name = metric.split(['(', '@']).next().unwrap_or(metric).trim();
    LOWER_IS_BETTER.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_better_low() {
        assert!(
            lower_is_better("ece(bins=10)")
                && lower_is_better("gini@10")
                && lower_is_better("rmse")
        );
        assert!(!lower_is_better("ndcg(gain=exp)@10") && !lower_is_better("auc"));
    }
}
