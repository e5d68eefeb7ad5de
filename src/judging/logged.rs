//! What the corpus's own log says of the lists: which answers nobody was ever shown, so that nobody knows whether they are
//! good, and what the lists would have earned in the places where the log happened to show them.

use std::collections::{HashMap, HashSet};

use trieval_eval::Run;
use trieval_eval::policy::{Estimator, LoggedRow, PolicyLog, PolicyOptions, estimate};
use trieval_eval::report::model::{LogReport, LoggedSystem, PolicyReport};

use super::slices::normalized;
use crate::corpus::{Catalogue, Corpus, Impression, Request, RequestIdx, Split};
use crate::error::{Error, Result};

/// Pages of a log, as far as lists are compared with them.
struct Pages {
    /// Answers of a list that are counted.
    cutoff: u32,
    /// `[items]`: shown to anybody, in any split.
    shown: Vec<bool>,
    /// `[requests]`: a number for each query text; none where a request has none.
    queries: Vec<Option<u32>>,
    /// `[queries]`: whether any page was for it.
    paged: Vec<bool>,
    /// Query and item that stood on one page.
    together: HashSet<(u32, u32)>,
    /// What was shown for the evaluated requests with a propensity, down to the cutoff.
    rows: Vec<Row>,
}

/// An item that was shown with a known propensity.
struct Row {
    /// Place among the evaluated requests.
    request: usize,
    shown: Impression,
}

/// What the log says of the first `cutoff` answers of each system, which has a run for every seed. A system of several
/// seeds is a policy that draws one of them. None where the log recorded no pages.
///
/// # Errors
/// When the corpus cannot be read.
pub fn logged<'a>(
    corpus: &Corpus,
    catalogue: &Catalogue,
    requests: &[Request],
    systems: impl Iterator<Item = (&'a str, &'a [Run])>,
    cutoff: u32,
    options: &PolicyOptions,
) -> Result<Option<LogReport>> {
    if corpus.summary().impressions == 0 {
        return Ok(None);
    }
    let pages = Pages::read(corpus, requests, cutoff)?;
    let systems = systems.map(|(name, runs)| {
        let lists: Vec<_> =
            runs.iter().map(|run| lists(run, requests, catalogue, cutoff)).collect();
        let policies = match pages.log(requests, catalogue, |row| pages.odds(row, &lists))? {
            Some(log) => policies(&log, options)?,
            None => Vec::new(),
        };
        Ok(LoggedSystem { policies, ..pages.shown(name, &lists) })
    });
    let systems = systems.collect::<Result<_>>()?;
    let is_paged = |query: &&Option<u32>| query.is_some_and(|query| pages.paged[query as usize]);
    let own = pages.log(requests, catalogue, |row| f64::from(row.propensity()))?;
    let chosen =
        own.map(|log| estimate(&log, Estimator::Ips, options).map_err(failed)).transpose()?;
    Ok(Some(LogReport {
        cutoff,
        requests: pages.queries.iter().filter(is_paged).count() as u64,
        rows: pages.rows.len() as u64,
        chosen_share: chosen.map(|chosen| chosen.value),
        systems,
    }))
}

#[allow(clippy::needless_pass_by_value)] // as `map_err` wants it
fn failed(error: trieval_eval::Error) -> Error {
    Error::Failed(format!("evaluation: {error}"))
}

/// `[requests][cutoff]`: the first answers of a run; none in place of an item that the catalogue does not hold.
fn lists(
    run: &Run,
    requests: &[Request],
    catalogue: &Catalogue,
    cutoff: u32,
) -> Vec<Vec<Option<u32>>> {
    let list = |request: &Request| {
        let items = run.get(&request.id).map(|list| list.items()).into_iter().flatten();
        items.take(cutoff as usize).map(|(id, _)| catalogue.index_of(id)).collect()
    };
    requests.iter().map(list).collect()
}

/// Estimates from a log; none where the lists show nothing of it.
fn policies(log: &PolicyLog, options: &PolicyOptions) -> Result<Vec<PolicyReport>> {
    if log.rows().iter().all(|row| row.target == 0.0) {
        return Ok(Vec::new());
    }
    let policy = |estimator: Estimator| {
        let found = estimate(log, estimator, options).map_err(failed)?;
        Ok(PolicyReport {
            estimator: estimator.to_string(),
            value: found.value,
            effective_rows: found.effective_rows,
            mean_weight: found.mean_weight,
        })
    };
    [Estimator::Ips, Estimator::Snips].into_iter().map(policy).collect()
}

impl Row {
    /// Known of every row.
    fn propensity(&self) -> f32 {
        self.shown.propensity.unwrap_or(1.0)
    }
}

impl Pages {
    fn read(corpus: &Corpus, requests: &[Request], cutoff: u32) -> Result<Self> {
        let mut numbers: HashMap<String, u32> = HashMap::new();
        let number = |request: &Request| {
            let query = normalized(request.ask.query.as_deref()?);
            let next = numbers.len() as u32;
            Some(*numbers.entry(query).or_insert(next))
        };
        let queries: Vec<Option<u32>> = requests.iter().map(number).collect();
        let places: HashMap<RequestIdx, usize> =
            requests.iter().enumerate().map(|(place, request)| (request.idx, place)).collect();
        let mut pages = Self {
            cutoff,
            shown: vec![false; corpus.summary().items as usize],
            queries,
            paged: vec![false; numbers.len()],
            together: HashSet::new(),
            rows: Vec::new(),
        };
        for split in Split::ALL {
            let mut asked = corpus.request_iter(split)?;
            let mut at = corpus.request_range(split).start;
            for page in corpus.impressions_of(split)? {
                let (idx, page) = page?;
                let request = asked.nth((idx - at) as usize).transpose()?;
                at = idx + 1;
                let query = request.and_then(|request| request.ask.query);
                let query = query.and_then(|query| numbers.get(&normalized(&query)).copied());
                pages.add(query, places.get(&idx).copied(), &page);
            }
        }
        Ok(pages)
    }

    fn add(&mut self, query: Option<u32>, request: Option<usize>, page: &[Impression]) {
        for shown in page {
            self.shown[shown.item as usize] = true;
        }
        if let Some(query) = query {
            self.paged[query as usize] = true;
            self.together.extend(page.iter().map(|shown| (query, shown.item)));
        }
        if let Some(request) = request {
            let counts = |shown: &&Impression| {
                shown.propensity.is_some() && u32::from(shown.position) <= self.cutoff
            };
            self.rows.extend(page.iter().filter(counts).map(|&shown| Row { request, shown }));
        }
    }

    /// Which answers anybody was shown. `lists` is `[seeds][requests][cutoff]`.
    fn shown(&self, system: &str, lists: &[Vec<Vec<Option<u32>>>]) -> LoggedSystem {
        let (mut answers, mut never, mut of_paged, mut unshown) = (0_u64, 0_u64, 0_u64, 0_u64);
        for (list, query) in lists.iter().flat_map(|lists| lists.iter().zip(&self.queries)) {
            let query = query.filter(|&query| self.paged[query as usize]);
            for item in list {
                answers += 1;
                never += u64::from(!item.is_some_and(|item| self.shown[item as usize]));
                let Some(query) = query else { continue };
                of_paged += 1;
                let stood = item.is_some_and(|item| self.together.contains(&(query, item)));
                unshown += u64::from(!stood);
            }
        }
        let share = |count: u64, of: u64| (of > 0).then(|| count as f64 / of as f64);
        LoggedSystem {
            true_order: None,
            true_clicks: None,
            system: system.to_owned(),
            answers,
            never_shown_share: share(never, answers),
            unshown_share: share(unshown, of_paged),
            policies: Vec::new(),
        }
    }

    /// How likely the lists show an item where the log showed it: the share of the seeds that do.
    fn odds(&self, row: &Row, lists: &[Vec<Vec<Option<u32>>>]) -> f64 {
        let place = usize::from(row.shown.position).checked_sub(1);
        let shows = |list: &&Vec<Vec<Option<u32>>>| {
            let item = place.and_then(|place| list[row.request].get(place).copied().flatten());
            item == Some(row.shown.item)
        };
        lists.iter().filter(shows).count() as f64 / lists.len().max(1) as f64
    }

    /// The rows with what a policy would have done; none where no propensity is known.
    fn log(
        &self,
        requests: &[Request],
        catalogue: &Catalogue,
        target: impl Fn(&Row) -> f64,
    ) -> Result<Option<PolicyLog>> {
        if self.rows.is_empty() {
            return Ok(None);
        }
        let mut log = PolicyLog::builder("the corpus");
        for row in &self.rows {
            let logged = LoggedRow {
                request: requests[row.request].id.clone(),
                item: catalogue.ids[row.shown.item as usize].clone(),
                reward: f64::from(u8::from(row.shown.level.is_chosen())),
                propensity: f64::from(row.propensity()),
                target: target(row),
                estimate: None,
                expectation: None,
            };
            log.push(logged).map_err(failed)?;
        }
        log.finish().map(Some).map_err(failed)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::corpus::testing::Shop;
    use crate::corpus::{Ask, Level};

    const NO_CLIP: PolicyOptions =
        PolicyOptions { clip: None, resamples: 200, confidence: 0.95, seed: 1 };

    fn run(lists: &[(&str, &[&str])]) -> Run {
        let mut run = Run::builder("x");
        for (request, items) in lists {
            let scores = (0..items.len()).map(|place| -(place as f32));
            run.push_list(request, items.iter().zip(scores)).unwrap();
        }
        run.finish().unwrap()
    }

    /// The shop showed both items, and to the test request `r3` only `i1`. Nobody asked in words.
    #[test]
    fn a_log_without_queries_and_propensities_still_tells_what_was_shown() {
        let shop = Shop::written();
        let catalogue = shop.corpus.catalogue().unwrap();
        let requests = shop.corpus.requests(Split::Test).unwrap();
        let runs = [run(&[("r3", &["i0", "i1", "gone"])])];
        let of = |cutoff| {
            let systems = std::iter::once(("x", &runs[..]));
            logged(&shop.corpus, &catalogue, &requests, systems, cutoff, &NO_CLIP).unwrap().unwrap()
        };
        let log = of(3);
        assert_eq!((log.requests, log.rows, log.chosen_share), (0, 0, None));
        let expected = LoggedSystem {
            system: "x".into(),
            answers: 3,
            // What the catalogue does not hold was shown to nobody.
            never_shown_share: Some(1.0 / 3.0),
            ..LoggedSystem::default()
        };
        assert_eq!(log.systems, [expected]);
        assert_eq!(of(2).systems[0].never_shown_share, Some(0.0));
    }

    fn pages(queries: &[&str]) -> (Pages, Vec<Request>) {
        let request = |(idx, query): (u32, &&str)| {
            let ask = Ask { query: Some((*query).into()), ..Ask::default() };
            Request { ask, ..Request::bare(idx) }
        };
        let requests: Vec<Request> = (0..).zip(queries).map(request).collect();
        let pages = Pages {
            cutoff: 2,
            shown: vec![false; 4],
            queries: (0..queries.len() as u32).map(Some).collect(),
            paged: vec![false; queries.len()],
            together: HashSet::new(),
            rows: Vec::new(),
        };
        (pages, requests)
    }

    fn shown(item: u32, position: u16, propensity: Option<f32>, level: u8) -> Impression {
        Impression { item, position, propensity, level: Level(level), ..Impression::default() }
    }

    #[test]
    fn answers_are_compared_with_the_pages_of_their_query() {
        let (mut pages, _) = pages(&["lamp", "table"]);
        pages.add(Some(0), None, &[shown(0, 1, None, 0), shown(1, 2, None, 1)]);
        pages.add(None, None, &[shown(2, 1, None, 0)]);
        let lists = vec![vec![vec![Some(0), Some(2), Some(3)], vec![Some(2)]]];
        let found = pages.shown("x", &lists);
        // Item 3 never stood anywhere, item 2 never for "lamp"; nobody is known to have asked "table".
        assert_eq!((found.answers, found.never_shown_share), (4, Some(0.25)));
        assert_eq!(found.unshown_share, Some(2.0 / 3.0));
        assert_eq!(pages.rows.len(), 0);
    }

    /// A shop shuffles two of three items; what is chosen depends on item and place. The estimate for a fixed order comes
    /// to the truth, and that for two seeds to the mean of theirs.
    #[test]
    fn estimates_come_to_what_lists_would_have_earned() {
        const CHOSEN: [[f64; 2]; 3] = [[0.7, 0.3], [0.4, 0.2], [0.1, 0.05]];
        let queries = vec!["lamp"; 4_000];
        let (mut pages, requests) = pages(&queries);
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for request in 0..requests.len() {
            // Item 0 stands first with .5, second with .25; the others share the rest evenly.
            let first = [0, 0, 1, 2][rng.random_range(0..4)];
            let rest: Vec<usize> = (0..3).filter(|&item| item != first).collect();
            let second = rest[rng.random_range(0..2)];
            let odds = [[0.5, 0.25], [0.25, 0.375], [0.25, 0.375]];
            let page: Vec<Impression> = [first, second]
                .iter()
                .enumerate()
                .map(|(place, &item)| {
                    let level = u8::from(rng.random::<f64>() < CHOSEN[item][place]);
                    shown(item as u32, place as u16 + 1, Some(odds[item][place]), level)
                })
                .collect();
            pages.add(Some(0), Some(request), &page);
        }
        let catalogue = Catalogue::from_items(["a", "b", "c", "d"].map(|id| (id, id, ""))).unwrap();
        let of = |lists: &[[u32; 2]]| {
            let lists: Vec<_> =
                lists.iter().map(|list| vec![list.map(Some).to_vec(); requests.len()]).collect();
            let log = pages.log(&requests, &catalogue, |row| pages.odds(row, &lists)).unwrap();
            policies(&log.unwrap(), &NO_CLIP).unwrap()
        };
        let truth = |list: [usize; 2]| (CHOSEN[list[0]][0] + CHOSEN[list[1]][1]) / 2.0;
        for (lists, truth) in [
            (vec![[0, 1]], truth([0, 1])),
            (vec![[2, 0]], truth([2, 0])),
            (vec![[0, 1], [2, 0]], (truth([0, 1]) + truth([2, 0])) / 2.0),
        ] {
            for policy in of(&lists) {
                let error = (policy.value.value - truth).abs();
                assert!(error < 0.03, "{} says {:?}, not {truth}", policy.estimator, policy.value);
                assert!((policy.mean_weight - 1.0).abs() < 0.06 && policy.effective_rows > 1_000.0);
            }
        }
        assert_eq!(of(&[[3, 3]]), []);
    }
}
