//! Fused lists: what the runs say about a request is laid side by side once, and weighted as often as wanted. Knows no
//! judgments.

use std::cmp::Ordering;
use std::collections::HashMap;

use rayon::prelude::*;

use super::normalize::contributions;
use super::settings::{FusionMethod, FusionSettings, Normalization, weight_fault};
use crate::error::{Error, Result};
use crate::run::Run;

/// Most runs that can be fused: the runs that return an item are kept as bits.
const MOST_RUNS: usize = 64;

/// How runs are fused.
#[derive(Debug, Clone, PartialEq)]
pub struct Fusion {
    /// How scores of one item are put together.
    pub method: FusionMethod,
    /// How scores of different runs are made comparable.
    pub normalize: Normalization,
    /// Constant of reciprocal rank fusion.
    pub k: f64,
    /// `[run]` weights; empty for equal ones.
    pub weights: Vec<f64>,
    /// Items kept per request; none keeps all.
    pub depth: Option<u32>,
}

impl Default for Fusion {
    fn default() -> Self {
        Self {
            method: FusionMethod::default(),
            normalize: Normalization::default(),
            k: 60.0,
            weights: Vec::new(),
            depth: None,
        }
    }
}

impl From<&FusionSettings> for Fusion {
    fn from(settings: &FusionSettings) -> Self {
        Self {
            method: settings.method,
            normalize: settings.normalize,
            k: settings.k,
            weights: settings.weights.clone(),
            depth: None,
        }
    }
}

/// Fuses runs into one, named after what is in it, such as `rrf(bm25,two-tower)` or
/// `comb-sum(0.7*bm25,0.3*two-tower;z-score)`. Requests are those of any run, in order of appearance; a run that lacks a
/// request adds nothing to it. Sums are taken in the order of the runs and written as `f32`; items whose sums are equal as
/// `f32` are tied, and stand in trec_eval's order, by id descending, so that rounding decides nothing. The same for any
/// number of threads.
pub fn fuse(runs: &[&Run], fusion: &Fusion) -> Result<Run> {
    Prepared::new(runs, fusion)?.run(&fusion.weights, None)
}

/// What all runs say, before weights.
pub(super) struct Prepared<'a> {
    runs: Vec<&'a Run>,
    fusion: Fusion,
    requests: Vec<Candidates<'a>>,
}

/// Items that any run returns for one request.
struct Candidates<'a> {
    request: &'a str,
    items: Vec<&'a str>,
    /// `[item, run]`: 0 where the run does not return the item.
    parts: Vec<f64>,
    /// `[item]`: bit r is set where run r returns the item.
    returned_by: Vec<u64>,
}

impl<'a> Prepared<'a> {
    pub(super) fn new(runs: &[&'a Run], fusion: &Fusion) -> Result<Self> {
        let refuse = |what: String| Err(Error::Comparison { what: format!("fusion: {what}") });
        if runs.is_empty() || runs.len() > MOST_RUNS {
            return refuse(format!("from 1 to {MOST_RUNS} runs can be fused, not {}", runs.len()));
        }
        if !(fusion.k >= 0.0 && fusion.k.is_finite()) {
            return refuse(format!("`k` must be a number from 0 on, not {}", fusion.k));
        }
        if fusion.depth == Some(0) {
            return refuse("a depth of 0 keeps no item".to_owned());
        }
        let mut seen: HashMap<&str, ()> = HashMap::new();
        let requests: Vec<&str> = runs
            .iter()
            .flat_map(|run| run.rankings())
            .map(|ranking| ranking.request())
            .filter(|request| seen.insert(request, ()).is_none())
            .collect();
        let requests = requests
            .into_par_iter()
            .map(|request| Candidates::new(runs, request, fusion))
            .collect::<Result<_>>()?;
        Ok(Self { runs: runs.to_vec(), fusion: fusion.clone(), requests })
    }

    /// The run under these weights; empty for equal ones. With `only`, just those requests.
    pub(super) fn run(
        &self,
        weights: &[f64],
        only: Option<&(dyn Fn(&str) -> bool + Sync)>,
    ) -> Result<Run> {
        let equal = vec![1.0; self.runs.len()];
        let used = if weights.is_empty() { &equal } else { weights };
        let refuse = |what: String| Err(Error::Comparison { what: format!("fusion: {what}") });
        if used.len() != self.runs.len() {
            return refuse(format!(
                "{} weights for {} runs; give one for each",
                used.len(),
                self.runs.len()
            ));
        }
        if let Some(what) = weight_fault(used) {
            return refuse(what);
        }
        let lists: Vec<(&str, Vec<(&str, f32)>)> = self
            .requests
            .par_iter()
            .filter(|candidates| only.is_none_or(|only| only(candidates.request)))
            .map(|candidates| (candidates.request, candidates.list(used, &self.fusion)))
            .collect();
        let mut builder = Run::builder(self.name(weights));
        for (request, list) in lists {
            builder.push_list(request, list)?;
        }
        builder.finish()
    }

    /// What is in the run.
    fn name(&self, weights: &[f64]) -> String {
        let equal = weights.windows(2).all(|pair| pair[0] == pair[1]);
        let parts: Vec<String> = self
            .runs
            .iter()
            .enumerate()
            .map(|(index, run)| match weights.get(index) {
                Some(weight) if !equal => format!("{weight}*{}", run.name()),
                _ => run.name().to_owned(),
            })
            .collect();
        let how = match self.fusion.method {
            FusionMethod::Rrf => String::new(),
            FusionMethod::CombSum | FusionMethod::CombMnz => {
                format!(";{}", self.fusion.normalize.name())
            }
        };
        format!("{}({}{how})", self.fusion.method.name(), parts.join(","))
    }
}

impl<'a> Candidates<'a> {
    fn new(runs: &[&'a Run], request: &'a str, fusion: &Fusion) -> Result<Self> {
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let mut found =
            Self { request, items: Vec::new(), parts: Vec::new(), returned_by: Vec::new() };
        for (index, run) in runs.iter().enumerate() {
            let Some(ranking) = run.get(request) else { continue };
            let parts =
                contributions(run.name(), ranking, fusion.method, fusion.normalize, fusion.k)?;
            for ((item, _), part) in ranking.items().zip(parts) {
                let number = *numbers.entry(item).or_insert_with(|| {
                    found.items.push(item);
                    found.parts.resize(found.parts.len() + runs.len(), 0.0);
                    found.returned_by.push(0);
                    found.items.len() - 1
                });
                found.parts[number * runs.len() + index] = part;
                found.returned_by[number] |= 1 << index;
            }
        }
        Ok(found)
    }

    /// Items with fused scores, cut to the depth. An item that only runs of weight 0 return is left out.
    fn list(&self, weights: &[f64], fusion: &Fusion) -> Vec<(&'a str, f32)> {
        let weighted = weights
            .iter()
            .enumerate()
            .fold(0_u64, |bits, (run, &weight)| bits | u64::from(weight > 0.0) << run);
        let mut list: Vec<(&str, f32)> = Vec::with_capacity(self.items.len());
        for ((item, parts), returned_by) in
            self.items.iter().zip(self.parts.chunks(weights.len())).zip(&self.returned_by)
        {
            let n_runs = (returned_by & weighted).count_ones();
            if n_runs == 0 {
                continue;
            }
            let sum: f64 = parts.iter().zip(weights).map(|(part, weight)| part * weight).sum();
            let fused = match fusion.method {
                FusionMethod::CombMnz => sum * f64::from(n_runs),
                FusionMethod::Rrf | FusionMethod::CombSum => sum,
            };
            list.push((item, fused as f32));
        }
        if let Some(depth) = fusion.depth {
            // The order of a run: score descending, then id descending.
            list.sort_unstable_by(|left, right| {
                right
                    .1
                    .partial_cmp(&left.1)
                    .unwrap_or(Ordering::Equal)
                    .then_with(|| right.0.cmp(left.0))
            });
            list.truncate(depth as usize);
        }
        list
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn run(name: &str, lists: &[(&str, &[(&str, f32)])]) -> Run {
        let mut builder = Run::builder(name);
        for (request, items) in lists {
            builder.push_list(request, items.iter().copied()).unwrap();
        }
        builder.finish().unwrap()
    }

    fn order(run: &Run, request: &str) -> Vec<(String, f32)> {
        run.get(request).unwrap().items().map(|(item, score)| (item.to_owned(), score)).collect()
    }

    fn two() -> (Run, Run) {
        let left = run("bm25", &[("q", &[("a", 9.0), ("b", 5.0), ("c", 1.0)]), ("empty", &[])]);
        let right = run("two-tower", &[("q", &[("c", 0.9), ("d", 0.5)]), ("p", &[("x", 1.0)])]);
        (left, right)
    }

    #[test]
    fn ranks_are_fused_by_hand() {
        let (left, right) = two();
        let fused = fuse(&[&left, &right], &Fusion::default()).unwrap();
        assert_eq!(fused.name(), "rrf(bm25,two-tower)");
        let expected = [
            ("c", 1.0 / 63.0 + 1.0 / 61.0),
            ("a", 1.0 / 61.0),
            // b and d are both second once: tied, the later id first.
            ("d", 1.0 / 62.0),
            ("b", 1.0 / 62.0),
        ];
        let expected: Vec<(String, f32)> =
            expected.iter().map(|&(item, score)| (item.to_owned(), score as f32)).collect();
        assert_eq!(order(&fused, "q"), expected);
        // Requests of either run, also one answered by nothing.
        assert_eq!(fused.len(), 3);
        assert!(fused.get("empty").unwrap().is_empty());
        assert_eq!(fused.get("p").unwrap().len(), 1);
        let cut = fuse(&[&left, &right], &Fusion { depth: Some(3), ..Fusion::default() }).unwrap();
        assert_eq!(order(&cut, "q"), expected[..3]);
    }

    #[test]
    fn scores_are_summed_and_multiplied() {
        let (left, right) = two();
        let fusion = Fusion { method: FusionMethod::CombSum, ..Fusion::default() };
        let fused = fuse(&[&left, &right], &fusion).unwrap();
        assert_eq!(fused.name(), "comb-sum(bm25,two-tower;min-max)");
        let got: Vec<f32> = order(&fused, "q").iter().map(|one| one.1).collect();
        // c 0 + 1 and a 1 are tied, c first; b 0.5; d 0.
        assert_eq!((got, order(&fused, "q")[0].0.as_str()), (vec![1.0, 1.0, 0.5, 0.0], "c"));
        let fusion = Fusion { method: FusionMethod::CombMnz, weights: vec![0.5, 0.25], ..fusion };
        let fused = fuse(&[&left, &right], &fusion).unwrap();
        assert_eq!(fused.name(), "comb-mnz(0.5*bm25,0.25*two-tower;min-max)");
        let got = order(&fused, "q");
        // a 0.5 × 1 and c 0.25 × 2 are tied.
        assert_eq!((got[0].0.as_str(), got[0].1, got[1].1, got[2].1), ("c", 0.5, 0.5, 0.25));
    }

    #[test]
    fn a_run_of_weight_0_adds_nothing() {
        let (left, right) = two();
        let fusion = Fusion { weights: vec![1.0, 0.0], ..Fusion::default() };
        let fused = fuse(&[&left, &right], &fusion).unwrap();
        let items: Vec<String> = order(&fused, "q").into_iter().map(|one| one.0).collect();
        assert_eq!(items, ["a", "b", "c"]);
        assert!(fused.get("p").unwrap().is_empty());
    }

    #[test]
    fn sums_that_differ_by_rounding_are_ties() {
        // 0.1 + 0.2 + 0.3 and 0.3 + 0.2 + 0.1 differ as f64.
        let lists: [&[(&str, f32)]; 3] = [
            &[("top", 1.0), ("x", 0.3), ("y", 0.1), ("z", 0.0)],
            &[("top", 1.0), ("x", 0.2), ("y", 0.2), ("z", 0.0)],
            &[("top", 1.0), ("x", 0.1), ("y", 0.3), ("z", 0.0)],
        ];
        let runs: Vec<Run> = lists.iter().map(|list| run("r", &[("q", list)])).collect();
        let fusion = Fusion { method: FusionMethod::CombSum, ..Fusion::default() };
        let fused = fuse(&runs.iter().collect::<Vec<_>>(), &fusion).unwrap();
        let got = order(&fused, "q");
        assert_eq!((got[1].0.as_str(), got[2].0.as_str()), ("y", "x"));
        assert_eq!(got[1].1, got[2].1);
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let (left, right) = two();
        let fused = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| fuse(&[&left, &right], &Fusion::default()).unwrap())
        };
        assert_eq!(fused(1), fused(2));
    }

    #[test]
    fn what_cannot_be_fused_is_refused() {
        let (left, right) = two();
        let both = [&left, &right];
        for (fusion, part) in [
            (Fusion { weights: vec![1.0], ..Fusion::default() }, "1 weights for 2 runs"),
            (Fusion { weights: vec![1.0, -1.0], ..Fusion::default() }, "not -1"),
            (Fusion { weights: vec![0.0, 0.0], ..Fusion::default() }, "above 0"),
            (Fusion { k: f64::NAN, ..Fusion::default() }, "`k`"),
            (Fusion { depth: Some(0), ..Fusion::default() }, "depth of 0"),
        ] {
            let message = fuse(&both, &fusion).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
        assert!(fuse(&[], &Fusion::default()).is_err());
    }
}
