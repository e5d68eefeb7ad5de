//! Whether scores are probabilities that hold: the expected calibration error and the reliability bins behind it. Knows no
//! order of scores and no request beyond its multiplicity.

use crate::error::Result;
use crate::metric::Pooled;
use crate::report::model::ReliabilityBin;

use super::predictions::Predictions;

/// How the range of probabilities is cut into bins. A probability on an edge falls into the lower bin, as in scikit-learn's
/// `calibration_curve`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Binning {
    /// Bins of equal width.
    #[default]
    Width,
    /// Edges at quantiles of the scores, so that bins hold about as many rows; equal quantiles make empty bins.
    Mass,
}

/// Expected calibration error: `Σ_b n_b / n |mean score − share of positives|` over the bins (arXiv 1706.04599, equation 5).
/// The edges stay those of all rows in every resample.
pub(super) struct CalibrationError {
    n_bins: usize,
    /// (request, bin, score minus label): the bin's error is the sum of the last.
    rows: Vec<(u32, u32, f64)>,
}

impl CalibrationError {
    /// Refused where a score is no probability.
    pub(super) fn new(predictions: &Predictions, n_bins: u32, binning: Binning) -> Result<Self> {
        predictions.check_probabilities("ece")?;
        let edges = edges(predictions, n_bins, binning);
        let rows = predictions.rows().iter().map(|row| {
            let label = f64::from(u8::from(row.positive));
            (row.request, bin_of(&edges, row.score) as u32, row.score - label)
        });
        Ok(Self { n_bins: n_bins as usize, rows: rows.collect() })
    }
}

impl Pooled for CalibrationError {
    fn value(&self, times: &[u32]) -> Option<f64> {
        let mut sums = vec![0.0; self.n_bins];
        let mut n_rows = 0_u64;
        for &(request, bin, gap) in &self.rows {
            let times = times[request as usize];
            sums[bin as usize] += f64::from(times) * gap;
            n_rows += u64::from(times);
        }
        let total: f64 = sums.iter().map(|sum: &f64| sum.abs()).sum();
        (n_rows > 0).then(|| total / n_rows as f64)
    }
}

/// The bins that hold a row, lowest first. Refused where a score is no probability.
pub fn reliability(
    predictions: &Predictions,
    n_bins: u32,
    binning: Binning,
) -> Result<Vec<ReliabilityBin>> {
    predictions.check_probabilities("a reliability diagram")?;
    let edges = edges(predictions, n_bins, binning);
    let mut sums = vec![(0.0, 0_u64, 0_u64); n_bins.max(1) as usize];
    for row in predictions.rows() {
        let (scores, positives, count) = &mut sums[bin_of(&edges, row.score)];
        *scores += row.score;
        *positives += u64::from(row.positive);
        *count += 1;
    }
    let bins = edges.windows(2).zip(sums).filter(|(_, sums)| sums.2 > 0);
    Ok(bins
        .map(|(edges, (scores, positives, count))| ReliabilityBin {
            low: edges[0],
            high: edges[1],
            mean_prediction: scores / count as f64,
            share_positive: positives as f64 / count as f64,
            count,
        })
        .collect())
}

/// Edges of the bins, one more than there are bins.
fn edges(predictions: &Predictions, n_bins: u32, binning: Binning) -> Vec<f64> {
    let n_bins = n_bins.max(1);
    match binning {
        Binning::Width => {
            let step = 1.0 / f64::from(n_bins);
            (0..n_bins).map(|bin| f64::from(bin) * step).chain([1.0]).collect()
        }
        Binning::Mass => {
            let mut scores: Vec<f64> = predictions.rows().iter().map(|row| row.score).collect();
            scores.sort_unstable_by(f64::total_cmp);
            let last = scores.len() - 1;
            let quantile = |bin: u32| {
                let position = f64::from(bin) / f64::from(n_bins) * last as f64;
                let lower = (position.floor() as usize).min(last);
                let upper = (lower + 1).min(last);
                let share = position - lower as f64;
                // NumPy's rounding, so that a score on an edge falls to the same side.
                let rise = scores[upper] - scores[lower];
                if share >= 0.5 {
                    scores[upper] - rise * (1.0 - share)
                } else {
                    scores[lower] + rise * share
                }
            };
            (0..=n_bins).map(quantile).collect()
        }
    }
}

/// The bin of a probability: the first whose upper edge is not below it.
fn bin_of(edges: &[f64], score: f64) -> usize {
    edges[1..edges.len() - 1].partition_point(|&edge| edge < score)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn predictions(rows: &[(&str, f64, f64)]) -> Predictions {
        let mut builder = Predictions::builder("x");
        for (index, (request, score, grade)) in rows.iter().enumerate() {
            builder.push(request, &index.to_string(), *grade, *score).unwrap();
        }
        builder.finish(1.0).unwrap()
    }

    #[test]
    fn bins_by_hand() {
        let rows = [("a", 0.1, 0.0), ("a", 0.5, 1.0), ("b", 0.9, 1.0), ("b", 0.7, 0.0)];
        let predictions = predictions(&rows);
        let bins = reliability(&predictions, 2, Binning::Width).unwrap();
        // 0.5 lies on the edge and falls into the lower bin.
        assert_eq!((bins[0].count, bins[0].share_positive, bins[0].high), (2, 0.5, 0.5));
        assert!((bins[0].mean_prediction - 0.3).abs() < 1e-12);
        assert!((bins[1].mean_prediction - 0.8).abs() < 1e-12 && bins[1].share_positive == 0.5);
        let error = CalibrationError::new(&predictions, 2, Binning::Width).unwrap();
        assert!((error.value(&[1, 1]).unwrap() - (0.5 * 0.2 + 0.5 * 0.3)).abs() < 1e-12);
        // Request a three times: both of its rows are in the lower bin.
        assert!((error.value(&[3, 1]).unwrap() - (6.0 * 0.2 + 2.0 * 0.3) / 8.0).abs() < 1e-12);
        assert_eq!(error.value(&[0, 0]), None);
    }

    #[test]
    fn equal_mass_follows_the_scores() {
        let rows: Vec<(&str, f64, f64)> =
            (0..12).map(|i| ("q", f64::from(i * i) / 200.0, f64::from(i % 2))).collect();
        let bins = reliability(&predictions(&rows), 4, Binning::Mass).unwrap();
        assert_eq!(bins.iter().map(|bin| bin.count).collect::<Vec<_>>(), [3; 4]);
        assert_eq!((bins[0].low, bins[3].high), (0.0, 121.0 / 200.0));
        // One score: every quantile is the same, and one bin holds all.
        let bins = reliability(&predictions(&[("q", 0.3, 1.0); 1]), 5, Binning::Mass).unwrap();
        assert_eq!(bins.len(), 1);
    }

    #[test]
    fn scores_beyond_probabilities_are_refused() {
        let predictions = predictions(&[("q", 1.01, 1.0)]);
        assert!(CalibrationError::new(&predictions, 5, Binning::Width).is_err());
        assert!(reliability(&predictions, 5, Binning::Width).is_err());
    }
}
