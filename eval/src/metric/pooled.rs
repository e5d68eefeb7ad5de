//! What a figure of a whole run must answer, so that it can be resampled like a mean. Knows no metric.

/// A figure of a whole run that is no mean over requests, such as AUC or catalog coverage.
pub trait Pooled: Send + Sync {
    /// The figure when evaluated request `r` counts `times[r]` times (`[requests]`); none where it is undefined.
    fn value(&self, times: &[u32]) -> Option<f64>;
}
