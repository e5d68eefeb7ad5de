//! How well identifiers use their codes, with the measures of the hourglass study
//! (arXiv 2407.21488; definitions in plain text at each field). Knows nothing of quantisers.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::naming::Outcome;
use super::paths::by_path;
use super::settings::Collisions;
use super::together::Together;

/// Use of the codes of a catalogue, before any dedup level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Diagnostics {
    /// Number of items N.
    pub items: usize,
    /// Number of different code paths.
    pub distinct: usize,
    /// Share of items that no path of their own is left for: `1 - distinct / N`.
    pub collision_rate: f64,
    /// Most items on one path.
    pub most_items_per_path: usize,
    /// `distinct` over the product of the level sizes.
    pub path_density: f64,
    /// One entry per level, first level first.
    pub levels: Vec<LevelDiagnostics>,
    /// What was made of the codes; none where a level numbers the items of a path and nothing else was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Items that the codes were fitted on; none where that is all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fitted: Option<usize>,
    /// How often items that were chosen together share codes; none where nothing was chosen, and of runs of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub together: Option<Together>,
}

/// Use of the codes of one level; `n_k` items have code k of K, `p_k = n_k / N`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LevelDiagnostics {
    /// Number of codes K.
    pub codes: u32,
    /// Codes that at least one item has.
    pub used: u32,
    /// `H = -sum_k p_k log2 p_k`, in bits.
    pub entropy: f64,
    /// `H / log2 K`; 1 where K is 1.
    pub normalized_entropy: f64,
    /// `G = 2 sum_i i n_(i) / (K N) - (K + 1) / K` over ascending `n_(i)`, unused codes included.
    pub gini: f64,
    /// Share of items with the most frequent code.
    pub top_1_share: f64,
    /// Share of items with one of the ten most frequent codes.
    pub top_10_share: f64,
    /// Different prefixes up to and including this level.
    pub distinct_prefixes: usize,
    /// Mean squared length of what is left of the vectors after this level, if known.
    pub residual: Option<f64>,
    /// Items per code, descending, `[codes]`.
    pub usage: Vec<u32>,
}

impl Diagnostics {
    /// Measures codes `[items, levels]`; `residuals` per level where a quantiser knows them.
    pub fn measure(codes: &[u32], codes_per_level: &[u32], residuals: &[f64]) -> Self {
        let n_levels = codes_per_level.len().max(1);
        let items = codes.len() / n_levels;
        // In the order of their paths, items of one prefix stand together.
        let in_order = by_path(codes, n_levels);
        let path = |item: u32| &codes[item as usize * n_levels..][..n_levels];
        let mut prefixes = vec![usize::from(items > 0); n_levels];
        let (mut most, mut run) = (0, usize::from(items > 0));
        for pair in in_order.windows(2) {
            let [before, own] = [path(pair[0]), path(pair[1])];
            let shared = before.iter().zip(own).take_while(|(a, b)| a == b).count();
            prefixes[shared..].iter_mut().for_each(|count| *count += 1);
            most = most.max(run);
            run = if shared == n_levels { run + 1 } else { 1 };
        }
        let most_items_per_path = most.max(run);
        let of_level = |(level, &size): (usize, &u32)| {
            let mut usage = vec![0u32; size as usize];
            for path in codes.chunks_exact(n_levels) {
                if let Some(count) = usage.get_mut(path[level] as usize) {
                    *count += 1;
                }
            }
            LevelDiagnostics::new(usage, prefixes[level], residuals.get(level).copied())
        };
        let levels: Vec<LevelDiagnostics> =
            codes_per_level.iter().enumerate().map(of_level).collect();
        let distinct = levels.last().map_or(0, |level| level.distinct_prefixes);
        Self {
            items,
            distinct,
            collision_rate: 1.0 - distinct as f64 / items.max(1) as f64,
            most_items_per_path,
            path_density: codes_per_level
                .iter()
                .fold(distinct as f64, |density, &size| density / f64::from(size)),
            levels,
            outcome: None,
            fitted: None,
            together: None,
        }
    }
}

impl Diagnostics {
    /// Use of the codes `[items, levels]` of each level where item `i` counts `weights[i]` times; none without any weight.
    /// `silent` is a code of a level that is not spelled, and does not count.
    pub fn weighted(
        codes: &[u32],
        codes_per_level: &[u32],
        weights: &[u64],
        silent: Option<(usize, u32)>,
    ) -> Option<Vec<LevelDiagnostics>> {
        if weights.iter().all(|&weight| weight == 0) {
            return None;
        }
        let n_levels = codes_per_level.len().max(1);
        let of_level = |(level, &size): (usize, &u32)| {
            let mut usage = vec![0u32; size as usize];
            for (path, &weight) in codes.chunks_exact(n_levels).zip(weights) {
                let count = &mut usage[path[level] as usize];
                *count = count.saturating_add(u32::try_from(weight).unwrap_or(u32::MAX));
            }
            if let Some((_, code)) = silent.filter(|silent| silent.0 == level) {
                usage.remove(code as usize);
            }
            LevelDiagnostics::new(usage, 0, None)
        };
        Some(codes_per_level.iter().enumerate().map(of_level).collect())
    }
}

/// Evenness that a level may fall short of its neighbors before that is an hourglass.
const WAIST: f64 = 0.05;
/// Share of unused codes, and of items that share a path, that a reader should know of.
const NOTABLE: f64 = 0.1;

impl Diagnostics {
    /// What the figures show, in sentences; nothing where nothing stands out.
    pub fn findings(&self) -> Vec<String> {
        let mut findings = Vec::new();
        let even = |level: &LevelDiagnostics| 100.0 * level.normalized_entropy;
        for (number, around) in (2..).zip(self.levels.windows(3)) {
            let [before, level, after] = around else { continue };
            let least = before.normalized_entropy.min(after.normalized_entropy);
            if level.normalized_entropy + WAIST < least {
                findings.push(format!(
                    "hourglass: level {number} is narrower than its neighbors, its evenness {:.0} % against {:.0} % and \
                     {:.0} %",
                    even(level),
                    even(before),
                    even(after)
                ));
            }
        }
        for (number, level) in (1..).zip(&self.levels) {
            if f64::from(level.used) < (1.0 - NOTABLE) * f64::from(level.codes) {
                let LevelDiagnostics { used, codes, .. } = level;
                findings.push(format!("level {number} uses {used} of {codes} codes"));
            }
        }
        if self.collision_rate > NOTABLE {
            let then = match self.outcome.as_ref().map(|outcome| outcome.collisions) {
                None | Some(Collisions::Dedup | Collisions::Sinkhorn) => {
                    "a decoder tells them apart by a token that means nothing"
                }
                Some(Collisions::Nearest | Collisions::Matching) => {
                    "all but one of those get codes that are further from their vectors"
                }
                Some(Collisions::Shared) => "a decoder does not tell them apart",
            };
            findings.push(format!(
                "{:.0} % of the items find their path taken: up to {} share one, and {then}",
                100.0 * self.collision_rate,
                self.most_items_per_path
            ));
        }
        findings
    }
}

impl LevelDiagnostics {
    /// `sigma = sqrt(mean_k (n_k - N / K)^2)`, unused codes included.
    pub fn deviation(&self) -> f64 {
        let codes = self.usage.len().max(1) as f64;
        let mean = self.usage.iter().map(|&n| f64::from(n)).sum::<f64>() / codes;
        (self.usage.iter().map(|&n| (f64::from(n) - mean).powi(2)).sum::<f64>() / codes).sqrt()
    }

    fn new(mut usage: Vec<u32>, distinct_prefixes: usize, residual: Option<f64>) -> Self {
        usage.sort_unstable_by(|a, b| b.cmp(a));
        let codes = usage.len() as f64;
        let items = usage.iter().map(|&n| f64::from(n)).sum::<f64>().max(1.0);
        let used = usage.iter().filter(|&&n| n > 0);
        let bits = used.clone().map(|&n| f64::from(n) / items).map(|p| -p * p.log2()).sum::<f64>();
        // Of one code it is zero, not the negative zero that the sum gives.
        let entropy = bits.max(0.0);
        let ranked: f64 =
            usage.iter().rev().zip(1..).map(|(&n, i)| f64::from(i) * f64::from(n)).sum();
        let share = |n: usize| usage.iter().take(n).map(|&n| f64::from(n)).sum::<f64>() / items;
        Self {
            codes: usage.len() as u32,
            used: used.count() as u32,
            entropy,
            normalized_entropy: if usage.len() > 1 { entropy / codes.log2() } else { 1.0 },
            gini: 2.0 * ranked / (codes * items) - (codes + 1.0) / codes,
            top_1_share: share(1),
            top_10_share: share(10),
            distinct_prefixes,
            residual,
            usage,
        }
    }
}

/// The table that users see.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} items on {} paths: {:.2} % collide, at most {} on one path",
            self.items,
            self.distinct,
            100.0 * self.collision_rate,
            self.most_items_per_path
        )?;
        write!(
            f,
            "level codes  used entropy of max  gini deviation  top 1 top 10 prefixes residual"
        )?;
        for (number, level) in self.levels.iter().enumerate() {
            write!(
                f,
                "\n{:>5} {:>5} {:>5} {:>7.2} {:>6.3} {:>5.3} {:>9.1} {:>5.1}% {:>5.1}% {:>8} {:>8}",
                number + 1,
                level.codes,
                level.used,
                level.entropy,
                level.normalized_entropy,
                level.gini,
                level.deviation(),
                100.0 * level.top_1_share,
                100.0 * level.top_10_share,
                level.distinct_prefixes,
                level.residual.map_or_else(|| "-".into(), |residual| format!("{residual:.4}")),
            )?;
        }
        if let Some(fitted) = self.fitted {
            let others = self.items - fitted;
            write!(
                f,
                "\nfitted on {fitted} items; {others} others got the codes nearest to their vectors"
            )?;
        }
        if let Some(together) = &self.together {
            write!(f, "\n{together}")?;
        }
        if let Some(outcome) = &self.outcome {
            write!(f, "\n{outcome}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// `sum_i sum_j |n_i - n_j| / (2 K sum n)`, the definition.
    fn gini_by_definition(usage: &[u32]) -> f64 {
        let n: Vec<f64> = usage.iter().map(|&n| f64::from(n)).collect();
        let differences: f64 = n.iter().flat_map(|a| n.iter().map(move |b| (a - b).abs())).sum();
        differences / (2.0 * n.len() as f64 * n.iter().sum::<f64>())
    }

    #[test]
    fn equals_values_worked_by_hand() {
        // Level 0: counts 4, 2, 2, 0; level 1: counts 4, 4.
        let codes = [0, 0, 0, 0, 0, 1, 0, 1, 1, 0, 1, 1, 2, 0, 2, 1];
        let measured = Diagnostics::measure(&codes, &[4, 2], &[0.5]);
        assert_eq!((measured.items, measured.distinct), (8, 6));
        assert_eq!(measured.collision_rate, 0.25);
        assert_eq!(measured.most_items_per_path, 2);
        assert_eq!(measured.path_density, 0.75);
        let [first, second] = &measured.levels[..] else { panic!("two levels") };
        assert_eq!((first.used, first.distinct_prefixes, second.distinct_prefixes), (3, 3, 6));
        assert_eq!((first.entropy, first.normalized_entropy), (1.5, 0.75));
        assert!((first.gini - gini_by_definition(&[4, 2, 2, 0])).abs() < 1e-12);
        assert!((second.gini).abs() < 1e-12 && second.entropy == 1.0);
        assert_eq!((first.top_1_share, first.top_10_share), (0.5, 1.0));
        assert_eq!((first.residual, second.residual), (Some(0.5), None));
        assert_eq!(first.usage, [4, 2, 2, 0]);
    }

    #[test]
    fn one_code_has_no_entropy_and_rows_fit_a_terminal() {
        let measured = Diagnostics::measure(&[3, 3, 3], &[65_536], &[123.456]);
        let level = &measured.levels[0];
        assert!(level.entropy.is_sign_positive() && level.normalized_entropy.is_sign_positive());
        assert_eq!((measured.distinct, measured.most_items_per_path), (1, 3));
        let told = measured.to_string();
        assert!(told.contains("    1 65536     1    0.00  0.000"), "{told}");
        for row in told.lines().skip(1) {
            assert!(row.len() <= 80, "{row}");
        }
    }

    #[test]
    fn half_dead_codes_give_a_gini_of_at_least_half() {
        let codes: Vec<u32> = (0..32).collect();
        let level = &Diagnostics::measure(&codes, &[64], &[]).levels[0];
        assert!((level.gini - 0.5).abs() < 1e-12);
        assert!((level.gini - gini_by_definition(&level.usage)).abs() < 1e-12);
    }

    #[test]
    fn weights_count_items_as_often_as_they_were_chosen() {
        let codes = [0, 0, 0, 1, 1, 0];
        let levels = Diagnostics::weighted(&codes, &[2, 2], &[1, 0, 3], None).unwrap();
        assert_eq!(
            (levels[0].usage.as_slice(), levels[1].usage.as_slice()),
            (&[3, 1][..], &[4, 0][..])
        );
        assert_eq!((levels[0].top_1_share, levels[1].entropy), (0.75, 0.0));
        assert_eq!(Diagnostics::weighted(&codes, &[2, 2], &[0, 0, 0], None), None);
        // Deviations from the mean 2: 1 and 1.
        assert_eq!(levels[0].deviation(), 1.0);
        let silent = Diagnostics::weighted(&codes, &[2, 2], &[1, 0, 3], Some((0, 1))).unwrap();
        assert_eq!((silent[0].usage.as_slice(), silent[0].codes), (&[1][..], 1));
    }

    #[test]
    fn findings_name_a_waist_unused_codes_and_shared_paths() {
        // 64 items: the middle level has one code for nearly all.
        let path = |item: u32| [item % 8, u32::from(item.is_multiple_of(16)), item / 8];
        let codes: Vec<u32> = (0..64).flat_map(path).collect();
        let found = Diagnostics::measure(&codes, &[8, 2, 16], &[]).findings();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("hourglass: level 2 is narrower"), "{}", found[0]);
        assert_eq!(found[1], "level 3 uses 8 of 16 codes");
        let shared = Diagnostics::measure(&[0, 0, 0, 1], &[2], &[]).findings();
        assert!(shared[0].starts_with("50 % of the items find their path taken: up to 3"));
        let even: Vec<u32> = (0..27).flat_map(|i| [i % 3, i / 3 % 3, i / 9]).collect();
        assert_eq!(Diagnostics::measure(&even, &[3, 3, 3], &[]).findings(), [""; 0]);
    }

    #[test]
    fn the_table_has_a_line_per_level() {
        let text = Diagnostics::measure(&[0, 0, 1, 0], &[2, 1], &[0.25, 0.125]).to_string();
        assert_eq!(text.lines().count(), 4);
        assert!(text.starts_with("2 items on 2 paths: 0.00 % collide"));
        assert!(text.contains("0.1250"));
    }
}
