//! Figures that sum an error over rows: log-loss and root mean squared error. Sums are kept per request, so that a resample
//! costs one pass over the requests. Knows no order of scores.

use crate::error::Result;
use crate::metric::Pooled;

use super::predictions::{Predictions, Row};

/// A mean of an error over rows, perhaps under a root.
pub(super) struct MeanError {
    /// `[request]`: (sum over its rows, number of its rows).
    requests: Vec<(f64, f64)>,
    /// Taken of the mean at the end.
    root: bool,
}

impl MeanError {
    /// `−y ln p − (1 − y) ln(1 − p)` averaged over rows, in nats; p is kept 2.2e-16 away from 0 and 1, as scikit-learn does.
    /// Refused where a score is no probability.
    pub(super) fn log_loss(predictions: &Predictions) -> Result<Self> {
        predictions.check_probabilities("log_loss")?;
        let loss = |row: &Row| {
            let p = row.score.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
            if row.positive { -p.ln() } else { -(1.0 - p).ln() }
        };
        Ok(Self::new(predictions, false, loss))
    }

    /// Root of the mean squared distance between score and grade.
    pub(super) fn rmse(predictions: &Predictions) -> Self {
        Self::new(predictions, true, |row| (row.score - row.grade).powi(2))
    }

    fn new(predictions: &Predictions, root: bool, error: impl Fn(&Row) -> f64) -> Self {
        let mut requests = vec![(0.0, 0.0); predictions.requests().len()];
        for row in predictions.rows() {
            let (sum, n_rows) = &mut requests[row.request as usize];
            *sum += error(row);
            *n_rows += 1.0;
        }
        Self { requests, root }
    }
}

impl Pooled for MeanError {
    fn value(&self, times: &[u32]) -> Option<f64> {
        let (mut sum, mut n_rows) = (0.0, 0.0);
        for (&(of_request, rows), &times) in self.requests.iter().zip(times) {
            sum += f64::from(times) * of_request;
            n_rows += f64::from(times) * rows;
        }
        let mean = (n_rows > 0.0).then(|| sum / n_rows)?;
        Some(if self.root { mean.sqrt() } else { mean })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn errors_by_hand() {
        let mut builder = Predictions::builder("x");
        builder.push("a", "1", 1.0, 0.5).unwrap();
        builder.push("a", "2", 0.0, 0.25).unwrap();
        builder.push("b", "1", 2.0, 1.0).unwrap();
        let predictions = builder.finish(1.0).unwrap();
        let log_loss = MeanError::log_loss(&predictions).unwrap();
        let expected = (2.0_f64.ln() - 0.75_f64.ln() + f64::EPSILON) / 3.0;
        assert!((log_loss.value(&[1, 1]).unwrap() - expected).abs() < 1e-12);
        assert_eq!(log_loss.value(&[0, 0]), None);
        // Squared errors 0.25, 0.0625 once, 1 three times.
        let rmse = MeanError::rmse(&predictions);
        assert!((rmse.value(&[1, 3]).unwrap() - (3.3125_f64 / 5.0).sqrt()).abs() < 1e-12);
    }
}
