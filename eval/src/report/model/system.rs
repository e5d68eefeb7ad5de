//! One system's figures: means with intervals, time, memory and what else running it costs. It knows no other system.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CEILING_KIND;

/// One system's figures.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SystemReport {
    /// Name in the recipe, or tag of the run file.
    pub name: String,
    /// Kind of system, such as `bm25` or `generative`; `run-file` for a run handed in, `oracle` for a ceiling.
    pub kind: String,
    /// Figures by metric name, such as `recall@10`.
    pub metrics: BTreeMap<String, Estimate>,
    /// Time per request; null when it was not measured, as with run files.
    #[serde(default)]
    pub latency_ms: Option<Latency>,
    /// Most memory that answering took, in bytes; null when it was not measured.
    #[serde(default)]
    pub peak_bytes: Option<u64>,
    /// Evaluated requests for which the system returned nothing; they score 0.
    #[serde(default)]
    pub unanswered: u64,
    /// Path of the run file that the figures come from, relative to the report.
    #[serde(default)]
    pub run: Option<String>,
    /// Operational figures by name, such as `qps` (requests per second where each is asked alone,
    /// on all threads), `qps_batch` (where `batch` of them come at once), `build_seconds`,
    /// `bytes_per_item`, `invalid_rate` or `duplicate_rate`. Names
    /// tell the unit: `…_ms`, `…_seconds`, `bytes…`, `…_bytes`, and `…_rate` or `…_share` for shares in [0, 1]. Of a system that
    /// searches an approximate index: `index_recall_at_10`, the share of the ten nearest items of exact search that it finds, and
    /// `index_speedup`, how many times faster its search alone is.
    #[serde(default)]
    pub operational: BTreeMap<String, f64>,
    /// Bytes of its index or model; null when unknown.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// Figures of the single trainings by metric, where the system was given with several seeds:
    /// `metrics` are their means.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub seed_values: BTreeMap<String, Vec<f64>>,
    /// Seeds of these trainings, in the same order; empty where they are not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seeds: Vec<u64>,
}

/// A mean over requests with its bootstrap interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// The mean.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// Time from request to ranked list, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// Median.
    pub p50: f64,
    /// 95th percentile; null in reports that did not keep it.
    #[serde(default)]
    pub p95: Option<f64>,
    /// 99th percentile.
    pub p99: f64,
}

impl SystemReport {
    /// Whether the system knows the truth and so shows the ceiling, not a result.
    pub fn is_ceiling(&self) -> bool {
        self.kind == CEILING_KIND
    }
}

impl Latency {
    /// Median, 95th and 99th percentile (nearest rank) of times in milliseconds; none without a finite time.
    pub fn from_milliseconds(times: &[f64]) -> Option<Self> {
        let mut sorted: Vec<f64> = times.iter().copied().filter(|time| time.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let rank = (share * sorted.len() as f64).ceil() as usize;
            sorted.get(rank.saturating_sub(1)).copied()
        };
        Some(Self { p50: at(0.50)?, p95: Some(at(0.95)?), p99: at(0.99)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_rank() {
        let times: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(
            Latency::from_milliseconds(&times),
            Some(Latency { p50: 100.0, p95: Some(190.0), p99: 198.0 })
        );
        assert_eq!(
            Latency::from_milliseconds(&[3.0]),
            Some(Latency { p50: 3.0, p95: Some(3.0), p99: 3.0 })
        );
        assert_eq!(Latency::from_milliseconds(&[f64::NAN]), None);
    }
}
