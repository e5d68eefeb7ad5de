//! What the truth of a simulated shop says of the lists: how often two items that were shown for a held-out request stand in
//! the order of their true utility. A training learns from pages of the past; these pages it never saw, and no click decides.

use std::collections::HashMap;

use trieval_eval::policy::PolicyOptions;
use trieval_eval::report::model::{Estimate, LogReport, OrderReport};
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
pub fn judge_order(
    log: &mut LogReport,
    (corpus, catalogue): (&Corpus, &Catalogue),
    (requests, systems): (&[Request], &[(&str, &[Run])]),
    baseline: &str,
    options: &PolicyOptions,
) -> Result<()> {
    if !Oracle::knows(corpus.folder()) {
        return Ok(());
    }
    let pages = shown(corpus, requests)?;
    let values: Vec<Vec<f64>> = systems
        .iter()
        .map(|(_, runs)| {
            let values = |run: &Run| -> Vec<f64> {
                let pages = pages.iter();
                pages.map(|(at, page)| of(run, &requests[*at], page, catalogue)).collect()
            };
            let each: Vec<Vec<f64>> = runs.iter().map(values).collect();
            let mean = |page: usize| {
                each.iter().map(|values| values[page]).sum::<f64>() / each.len().max(1) as f64
            };
            (0..pages.len()).map(mean).collect()
        })
        .collect();
    let first = systems.iter().position(|(name, _)| *name == baseline);
    for ((at, own), system) in values.iter().enumerate().zip(&mut log.systems) {
        let value = own.iter().sum::<f64>() / own.len().max(1) as f64;
        let drawn = Values::PerRequest(own.clone());
        let drawn = resample(&[&drawn], own.len(), options.resamples, options.seed);
        let (low, high) = interval(drawn.figures(0), options.confidence).unwrap_or((value, value));
        let against = first.filter(|&first| first != at).map(|first| &values[first]);
        let gain = against.map(|other| {
            own.iter().zip(other).map(|(own, other)| own - other).sum::<f64>()
                / own.len().max(1) as f64
        });
        let p_value =
            against.map(|other| randomization_p_value(own, other, options.resamples, options.seed));
        system.true_order = (!own.is_empty()).then_some(OrderReport {
            share: Estimate { value, low, high },
            requests: own.len() as u64,
            gain,
            p_value,
        });
    }
    Ok(())
}

/// A place among the requests, and what was shown there, with its true utility.
type Page = (usize, Vec<(u32, f32)>);

/// What was shown for each request with its true utility, where two items differ in it: `(place among the requests, page)`.
fn shown(corpus: &Corpus, requests: &[Request]) -> Result<Vec<Page>> {
    let Some(split) = requests.first().map(|request| request.split) else { return Ok(Vec::new()) };
    let oracle = Oracle::open(corpus.folder())?;
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
fn of(run: &Run, request: &Request, page: &[(u32, f32)], catalogue: &Catalogue) -> f64 {
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
        let pages = shown(&corpus, &requests).unwrap();
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
        let mut log = LogReport::default();
        log.systems.resize_with(3, Default::default);
        let options = PolicyOptions { clip: None, resamples: 200, confidence: 0.95, seed: 1 };
        let all = (requests.as_slice(), &systems[..]);
        judge_order(&mut log, (&corpus, &catalogue), all, "none", &options).unwrap();
        let found: Vec<OrderReport> =
            log.systems.iter().map(|system| system.true_order.unwrap()).collect();
        assert_eq!((found[0].share.value, found[1].share.value), (1.0, 0.0));
        assert_eq!((found[2].share.value, found[2].gain, found[2].p_value), (0.5, None, None));
        assert_eq!((found[0].gain, found[0].requests), (Some(0.5), pages.len() as u64));
        assert!(found[0].p_value.unwrap() < 0.05 && pages.len() > 20);
        // What the oracle answers agrees with the truth, but for what grades put first.
        let (at, page) = &pages[0];
        let ranked = oracle.retrieve(&requests[*at].ask, 300, &[]).unwrap();
        assert!(page.iter().any(|(item, _)| ranked.iter().any(|(other, _)| other == item)));
    }
}
