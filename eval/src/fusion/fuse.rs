//! Whole runs fused, request by request. What they say is laid side by side once, so that weights
//! can be tried cheaply. Knows no judgments.

use std::collections::HashSet;

use rayon::prelude::*;

use super::lists::{Candidates, Fault, Fusion, Unfit};
use super::settings::FusionMethod;
use crate::error::{Error, Result};
use crate::run::Run;

/// Fuses runs into one, named after what is in it, such as `rrf(bm25,two-tower)` or
/// `comb-sum(0.7*bm25,0.3*two-tower;z-score)`. Requests are those of any run, in order of
/// appearance; a run that lacks a request adds nothing to it. Sums are taken in the order of the
/// runs and written as `f32`; items whose sums are equal as `f32` are tied, and stand in
/// trec_eval's order, by id descending, so that rounding decides nothing. The same for any number
/// of threads.
pub fn fuse(runs: &[&Run], fusion: &Fusion) -> Result<Run> {
    Prepared::new(runs, fusion)?.run(&fusion.weights, None)
}

/// What all runs say, before weights.
pub(super) struct Prepared<'a> {
    runs: Vec<&'a Run>,
    fusion: Fusion,
    /// Requests with the items that any run returns for them.
    requests: Vec<(&'a str, Candidates<&'a str>)>,
}

impl<'a> Prepared<'a> {
    pub(super) fn new(runs: &[&'a Run], fusion: &Fusion) -> Result<Self> {
        fusion.check(runs.len())?;
        let mut seen: HashSet<&str> = HashSet::new();
        let requests: Vec<&str> = runs
            .iter()
            .flat_map(|run| run.rankings())
            .map(|ranking| ranking.request())
            .filter(|request| seen.insert(request))
            .collect();
        let requests = requests
            .into_par_iter()
            .map(|request| Ok((request, candidates(runs, request, fusion)?)))
            .collect::<Result<_>>()?;
        Ok(Self { runs: runs.to_vec(), fusion: fusion.clone(), requests })
    }

    /// The run under these weights; empty for equal ones. With `only`, just those requests.
    pub(super) fn run(
        &self,
        weights: &[f64],
        only: Option<&(dyn Fn(&str) -> bool + Sync)>,
    ) -> Result<Run> {
        let used = self.fusion.weights_of(weights, self.runs.len())?;
        let lists: Vec<(&str, Vec<(&str, f32)>)> = self
            .requests
            .par_iter()
            .filter(|(request, _)| only.is_none_or(|only| only(request)))
            .map(|(request, candidates)| (*request, candidates.list(&used, &self.fusion)))
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

/// What the runs say about one request.
fn candidates<'a>(
    runs: &[&'a Run],
    request: &'a str,
    fusion: &Fusion,
) -> Result<Candidates<&'a str>> {
    let answered = |(index, run): (usize, &&'a Run)| {
        run.get(request).map(|ranking| (index, ranking.items().collect()))
    };
    let lists: Vec<(usize, Vec<(&str, f32)>)> =
        runs.iter().enumerate().filter_map(answered).collect();
    Candidates::new(runs.len(), &lists, fusion).map_err(|Fault { index, item, what, .. }| {
        let run = runs[index].name();
        match what {
            Unfit::Score(score) => Error::Run {
                run: run.to_owned(),
                what: format!(
                    "the score of item {item} for request {request} is {score}, which cannot be normalized; use `rrf`, or finite scores"
                ),
            },
            Unfit::Twice => Error::Duplicate {
                place: format!("run {run}"),
                request: request.to_owned(),
                item: item.to_owned(),
            },
        }
    })
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
        let infinite = run("sys", &[("q", &[("a", f32::INFINITY), ("b", 7.5)])]);
        assert!(fuse(&[&infinite], &Fusion::default()).is_ok());
        let comb = Fusion { method: FusionMethod::CombSum, ..Fusion::default() };
        let message = fuse(&[&infinite], &comb).unwrap_err().to_string();
        assert!(message.contains("run sys: the score of item a for request q is inf"), "{message}");
    }
}
