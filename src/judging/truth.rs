//! What the truth of a simulated shop says of the lists: how often two items that were shown for a held-out request stand in
//! the order of their true utility, and how often its user would click if the list were the page. A training learns from
//! pages of the past; these it never saw, and no click decides.

use std::collections::HashMap;

use trieval_eval::policy::PolicyOptions;
use trieval_eval::report::model::{Estimate, LogReport, TrueFigure};
use trieval_eval::significance::{interval, randomization_p_value, resample};
use trieval_eval::{Run, Values};

use crate::corpus::{Catalogue, Corpus, Request};
use crate::error::Result;
use crate::ranker::oracle::Oracle;

/// Adds to what the log says of each system how well its lists agree with the truth; nothing where that is not known. `systems`
/// are those of the log, in its order, each with a run for every seed.
///
/// # Errors
/// When the corpus cannot be read.
pub fn judge_truth(
    log: &mut LogReport,
    (corpus, catalogue): (&Corpus, &Catalogue),
    (requests, systems): (&[Request], &[(&str, &[Run])]),
    baseline: &str,
    options: &PolicyOptions,
) -> Result<()> {
    if !Oracle::knows(corpus.folder()) {
        return Ok(());
    }
    let oracle = Oracle::open(corpus.folder())?;
    let pages = shown(&oracle, corpus, requests)?;
    let first = systems.iter().position(|(name, _)| *name == baseline);
    let runs: Vec<&[Run]> = systems.iter().map(|(_, runs)| *runs).collect();
    let order = figures(&runs, first, options, |run| {
        let pages = pages.iter();
        pages.map(|(at, page)| order(run, &requests[*at], page, catalogue)).collect()
    });
    let cutoff = log.cutoff as usize;
    let clicks = figures(&runs, first, options, |run| {
        requests.iter().map(|request| clicks(&oracle, run, request, catalogue, cutoff)).collect()
    });
    for ((system, order), clicks) in log.systems.iter_mut().zip(order).zip(clicks) {
        (system.true_order, system.true_clicks) = (order, clicks);
    }
    Ok(())
}

/// The mean of each system's `values` over requests and seeds, compared with the system at `first`; none without a request.
fn figures(
    systems: &[&[Run]],
    first: Option<usize>,
    options: &PolicyOptions,
    values: impl Fn(&Run) -> Vec<f64>,
) -> Vec<Option<TrueFigure>> {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let of = |runs: &&[Run]| -> Vec<f64> {
        let each: Vec<Vec<f64>> = runs.iter().map(&values).collect();
        let n_requests = each.first().map_or(0, Vec::len);
        let over_seeds = |request| mean(&each.iter().map(|one| one[request]).collect::<Vec<_>>());
        (0..n_requests).map(over_seeds).collect()
    };
    let all: Vec<Vec<f64>> = systems.iter().map(of).collect();
    let figure = |(at, own): (usize, &Vec<f64>)| {
        let value = mean(own);
        let drawn = Values::PerRequest(own.clone());
        let drawn = resample(&[&drawn], own.len(), options.resamples, options.seed);
        let (low, high) = interval(drawn.figures(0), options.confidence).unwrap_or((value, value));
        let against = first.filter(|&first| first != at).map(|first| &all[first]);
        let gain = against.map(|other| value - mean(other));
        let p_value =
            against.map(|other| randomization_p_value(own, other, options.resamples, options.seed));
        let value = Estimate { value, low, high };
        let requests = own.len() as u64;
        (!own.is_empty()).then_some(TrueFigure { value, requests, gain, p_value })
    };
    all.iter().enumerate().map(figure).collect()
}

/// A place among the requests, and what was shown there, with its true utility.
type Page = (usize, Vec<(u32, f32)>);

/// What was shown for each request with its true utility, where two items differ in it: `(place among the requests, page)`.
fn shown(oracle: &Oracle, corpus: &Corpus, requests: &[Request]) -> Result<Vec<Page>> {
    let Some(split) = requests.first().map(|request| request.split) else { return Ok(Vec::new()) };
    let places: HashMap<u32, usize> =
        requests.iter().enumerate().map(|(at, request)| (request.idx, at)).collect();
    let mut pages = Vec::new();
    for page in corpus.impressions_of(split)? {
        let (request, page) = page?;
        let Some(&at) = places.get(&request) else { continue };
        let mut items: Vec<u32> = page.iter().map(|shown| shown.item).collect();
        items.sort_unstable();
        items.dedup();
        let page: Vec<(u32, f32)> =
            items.into_iter().map(|item| (item, oracle.utility(request, item))).collect();
        if page.iter().any(|(_, utility)| *utility != page[0].1) {
            pages.push((at, page));
        }
    }
    Ok(pages)
}

/// Share of the pairs of a page, of different utility, that a list puts in the order of it; what is not in the list stands
/// below all that is, and two such items in no order, which counts one half.
fn order(run: &Run, request: &Request, page: &[(u32, f32)], catalogue: &Catalogue) -> f64 {
    let list = run.get(&request.id).map(|list| list.items()).into_iter().flatten();
    let place: HashMap<u32, usize> = list
        .enumerate()
        .filter_map(|(place, (id, _))| Some((catalogue.index_of(id)?, place)))
        .collect();
    let place = |item: u32| place.get(&item).copied().unwrap_or(usize::MAX);
    let (mut agreed, mut pairs) = (0.0, 0.0);
    for (at, (one, utility)) in page.iter().enumerate() {
        for (other, less) in &page[at + 1..] {
            if utility == less {
                continue;
            }
            pairs += 1.0;
            let (one, other) = (place(*one), place(*other));
            agreed += match one.cmp(&other) {
                std::cmp::Ordering::Equal => 0.5,
                order => f64::from(u8::from(order.is_lt() == (utility > less))),
            };
        }
    }
    agreed / pairs
}

/// Clicks that the user of a request is expected to make on the first `cutoff` items of its list, were that the page.
fn clicks(
    oracle: &Oracle,
    run: &Run,
    request: &Request,
    catalogue: &Catalogue,
    cutoff: usize,
) -> f64 {
    let list = run.get(&request.id).map(|list| list.items()).into_iter().flatten().take(cutoff);
    let items = list.enumerate().filter_map(|(at, (id, _))| Some((at, catalogue.index_of(id)?)));
    items.map(|(at, item)| oracle.click(request.idx, item, at + 1)).sum()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::corpus::kinds::CorpusSettings;
    use crate::corpus::settings::SimulatorSettings;
    use crate::corpus::{Split, build};
    use crate::progress::Context;
    use crate::ranker::Retrieve;
    use crate::seed::Seed;

    #[test]
    fn the_truth_agrees_with_itself_and_its_reverse_with_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let settings =
            SimulatorSettings { items: 300, requests: 600, users: 50, ..Default::default() };
        let settings = CorpusSettings::Simulator(settings);
        build(&settings, Seed::new(3), folder.path(), &Context::silent()).unwrap();
        let corpus = Corpus::open(folder.path()).unwrap();
        let catalogue = corpus.catalogue().unwrap();
        let requests = corpus.requests(Split::Test).unwrap();
        let oracle = Oracle::open(folder.path()).unwrap();
        let pages = shown(&oracle, &corpus, &requests).unwrap();
        let run = |sign: f32| {
            let mut run = Run::builder("x");
            for (at, page) in &pages {
                let scored = page.iter().map(|(item, utility)| {
                    (catalogue.ids[*item as usize].as_str(), sign * utility)
                });
                run.push_list(&requests[*at].id, scored).unwrap();
            }
            run.finish().unwrap()
        };
        let (right, wrong, none) = ([run(1.0)], [run(-1.0)], [Run::builder("x").finish().unwrap()]);
        let systems = [("right", &right[..]), ("wrong", &wrong[..]), ("none", &none[..])];
        let mut log = LogReport { cutoff: 2, ..LogReport::default() };
        log.systems.resize_with(3, Default::default);
        let options = PolicyOptions { clip: None, resamples: 200, confidence: 0.95, seed: 1 };
        let all = (requests.as_slice(), &systems[..]);
        judge_truth(&mut log, (&corpus, &catalogue), all, "none", &options).unwrap();
        let found: Vec<TrueFigure> =
            log.systems.iter().map(|system| system.true_order.unwrap()).collect();
        assert_eq!((found[0].value.value, found[1].value.value), (1.0, 0.0));
        assert_eq!((found[2].value.value, found[2].gain, found[2].p_value), (0.5, None, None));
        assert_eq!((found[0].gain, found[0].requests), (Some(0.5), pages.len() as u64));
        assert!(found[0].p_value.unwrap() < 0.05 && pages.len() > 20);
        // By hand: an item is seen with probability 1 / place, and clicked as its utility says.
        let expected = |page: &[(u32, f32)], sign: f32, request: u32| -> f64 {
            let mut page: Vec<(u32, f32)> = page.iter().map(|one| (one.0, sign * one.1)).collect();
            page.sort_by(|a, b| {
                b.1.total_cmp(&a.1)
                    .then(catalogue.ids[a.0 as usize].cmp(&catalogue.ids[b.0 as usize]))
            });
            let click = |item: u32| oracle.click(request, item, 1);
            page.iter().take(2).zip([1.0, 0.5]).map(|((item, _), seen)| click(*item) * seen).sum()
        };
        for (system, sign) in [(0, 1.0), (1, -1.0)] {
            let sum: f64 =
                pages.iter().map(|(at, page)| expected(page, sign, requests[*at].idx)).sum();
            let figure = log.systems[system].true_clicks.unwrap();
            assert_eq!(figure.requests as usize, requests.len());
            assert!((figure.value.value - sum / requests.len() as f64).abs() < 1e-6);
        }
        let found = [0, 1, 2].map(|at| log.systems[at].true_clicks.unwrap());
        assert!(found[0].value.value > found[1].value.value && found[2].value.value == 0.0);
        // What the oracle answers agrees with the truth, but for what grades put first.
        let (at, page) = &pages[0];
        let ranked = oracle.retrieve(&requests[*at].ask, 300, &[]).unwrap();
        assert!(page.iter().any(|(item, _)| ranked.iter().any(|(other, _)| other == item)));
    }
}
