//! What a search through the codes of items finds: the ceiling of a decoder that knows of requests what their vectors say.
//!
//! Such a decoder can do no better than search through the codes by the vector; one that learns more from its training
//! requests can. Measured on validation requests, before any decoder is trained, beside the exact search over the vectors,
//! and beside that search with the items found put in order by their vectors.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::path::Path;

use rayon::prelude::*;
use trieval_eval::report::model::CeilingReport;
use trieval_kernels::beam::{Filter, Filtered, Frontier, HostSearch, Scorer, Search, SearchError};
use trieval_kernels::index::SidIndex;
use trieval_kernels::ops::dot;
use trieval_kernels::top::top;

use super::nearness::Nearness;
use crate::corpus::{Ask, newest};
use crate::error::{Error, Result};
use crate::identifier::{Centroids, Identifiers};
use crate::train::held_out::HeldOut;
use crate::vectors::{Encoded, RequestEncoder, Vectors, exact_all};

/// Requests that are searched together.
const BATCH: usize = 64;

/// The ceiling of identifiers, inside its step's folder.
pub const CEILING_FILE: &str = "ceiling.json";

/// Measures the ceiling of identifiers; `held_out` are validation requests whose lists `metric` judges.
///
/// # Errors
/// When a request cannot be encoded, or an interrupt.
pub fn measure(
    items: &Encoded,
    identifiers: &Identifiers,
    held_out: &dyn HeldOut,
    metric: &str,
    beam: u32,
) -> Result<CeilingReport> {
    let centroids = &identifiers.spelled_centroids();
    if centroids.reads() != items.vectors.dim {
        return Err(Error::Failed(format!(
            "codes made from vectors of {} numbers cannot be searched by vectors of {}",
            centroids.reads(),
            items.vectors.dim
        )));
    }
    let index = identifiers.index()?;
    let depth = held_out.depth();
    let requests = held_out.requests().par_chunks(BATCH);
    let lists: Vec<[Vec<List>; 3]> = requests
        .zip(held_out.exclude().par_chunks(BATCH))
        .map(|(requests, exclude)| {
            let vector = |ask| items.encoder.vector(ask, &items.vectors);
            let queries =
                requests.iter().map(|request| vector(&request.ask)).collect::<Result<Vec<_>>>()?;
            let through = search(&index, centroids, &queries, exclude, beam)?;
            let ranked = through.iter().zip(&queries).map(|(list, query)| {
                let row = |item: u32| items.vectors.row(item as usize);
                top(list.iter().map(|&(item, _)| (item, dot(row(item), query))), depth, &[])
            });
            let ranked = ranked.collect();
            Ok([exact_all(&items.vectors, &queries, depth, exclude), through, ranked])
        })
        .collect::<Result<_>>()?;
    let figure = |which: usize| {
        let lists: Vec<List> = lists.iter().flat_map(|batch| batch[which].clone()).collect();
        held_out.measure(&lists)
    };
    Ok(CeilingReport {
        metric: metric.to_owned(),
        beam,
        requests: held_out.requests().len() as u64,
        exact: figure(0)?,
        codes: figure(1)?,
        ranked: figure(2)?,
    })
}

/// Reads it from its step's folder; none where it could not be measured.
///
/// # Errors
/// [`Error::Data`] when it is missing or damaged.
pub fn read(folder: &Path) -> Result<Option<CeilingReport>> {
    let path = folder.join(CEILING_FILE);
    let text = std::fs::read(&path).map_err(|e| Error::unreadable(&path, &e))?;
    serde_json::from_slice(&text).map_err(|e| Error::data(&path, e.to_string()))
}

/// Encodes requests by their histories, for vectors that have no encoder: the mean vector of the newest items.
pub struct HistoryMean;

/// Items of a history that are looked at.
const NEWEST: u32 = 20;

impl RequestEncoder for HistoryMean {
    fn vector(&self, ask: &Ask, items: &Vectors) -> Result<Vec<f32>> {
        let history = newest(&ask.history, NEWEST);
        let mut mean = vec![0.0; items.dim];
        for &item in history {
            for (sum, x) in mean.iter_mut().zip(items.row(item as usize)) {
                *sum += x / history.len() as f32;
            }
        }
        Ok(mean)
    }
}

/// Items with their scores, best first.
type List = Vec<(u32, f32)>;

/// The items that a search through the codes finds for each query, at most `beam`, best first.
fn search(
    index: &SidIndex,
    centroids: &Centroids,
    queries: &[Vec<f32>],
    exclude: &[Vec<u32>],
    beam: u32,
) -> Result<Vec<List>> {
    let beam = beam.min(u32::try_from(index.n_items()).unwrap_or(u32::MAX));
    let Some(beam) = NonZeroU32::new(beam) else { return Ok(vec![List::new(); queries.len()]) };
    let queries: Vec<Cow<'_, [f32]>> = queries.iter().map(|query| centroids.meet(query)).collect();
    let queries: Vec<&[f32]> = queries.iter().map(|query| &**query).collect();
    match centroids.encoder {
        None => {
            let scorer = CodeScorer { centroids, tables: Vec::new() };
            search_by(index, scorer, &queries, exclude, beam)
        }
        Some(_) => search_by(index, Nearness::new(centroids), &queries, exclude, beam),
    }
}

fn search_by<'q, S: Scorer<&'q [f32], Error = Error>>(
    index: &SidIndex,
    scorer: S,
    queries: &[&'q [f32]],
    exclude: &[Vec<u32>],
    beam: NonZeroU32,
) -> Result<Vec<List>> {
    let mut search = HostSearch::new(Filtered::new(index), scorer, beam);
    let filters: Vec<Filter<'_>> = exclude.iter().map(|items| Filter::Without(items)).collect();
    let found = search.search(queries, &filters).map_err(|error| match error {
        SearchError::Scorer(error) => error,
        other => Error::Failed(format!("search through codes: {other}")),
    })?;
    let list = |hits: Vec<trieval_kernels::beam::Hit>| {
        hits.into_iter().map(|hit| (hit.item, hit.score)).collect()
    };
    Ok(found.into_iter().map(list).collect())
}

/// Scores a path by the inner product of a request's vector with the sum of the centroids of its codes.
struct CodeScorer<'a> {
    centroids: &'a Centroids,
    /// `[requests][levels][codes]`: a request's inner product with each centroid.
    tables: Vec<Vec<Vec<f32>>>,
}

impl Scorer<&[f32]> for CodeScorer<'_> {
    type Error = Error;

    fn start(&mut self, queries: &[&[f32]]) -> Result<()> {
        let Centroids { dim, levels, .. } = self.centroids;
        let products = |query: &[f32], level: &Vec<f32>| {
            level.chunks_exact(*dim).map(|centroid| dot(centroid, query)).collect()
        };
        let table = |query: &&[f32]| levels.iter().map(|level| products(query, level)).collect();
        self.tables = queries.iter().map(table).collect();
        Ok(())
    }

    fn score(&mut self, frontier: &Frontier, scores: &mut [f32]) -> Result<()> {
        for (slot, beam) in frontier.beams().iter().enumerate() {
            let children = frontier.children(slot);
            // A level that only tells items apart says nothing of them.
            let table = self.tables[beam.request as usize].get(frontier.level());
            for (score, &code) in
                scores[children.clone()].iter_mut().zip(&frontier.tokens()[children])
            {
                *score = table.map_or(0.0, |table| table[code as usize]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::corpus::Request;
    use crate::identifier::{Encoder, Layer};
    use crate::progress::Context;
    use crate::quantizer::fit;
    use crate::quantizer::settings::ResidualKMeansSettings;
    use crate::seed::Seed;

    fn random(n: usize, dim: usize, seed: u64) -> Vec<f32> {
        let mut rng = Seed::new(seed).rng();
        (0..n * dim).map(|_| rng.random_range(-1.0f32..1.0)).collect()
    }

    fn identifiers(vectors: &Vectors, levels: u32, codes: u32) -> Identifiers {
        let text = format!("vectors = \"v\"\nlevels = {levels}\ncodes = {codes}\niterations = 20");
        let settings: ResidualKMeansSettings = toml::from_str(&text).unwrap();
        fit(&settings, vectors, "c", Seed::new(1), &Context::silent()).unwrap()
    }

    /// With beams for all items, the order is that of what the codes stand for.
    #[test]
    fn a_wide_search_orders_items_by_their_reconstruction() {
        let vectors = Vectors::new(6, random(300, 6, 2), "test").unwrap();
        let ids = identifiers(&vectors, 2, 12);
        let index = ids.index().unwrap();
        let query = random(1, 6, 3);
        let found =
            search(&index, &ids.centroids, std::slice::from_ref(&query), &[vec![4, 7]], 300)
                .unwrap();
        let score = |item: u32| -> f32 {
            let codes = ids.codes_of(item as usize).unwrap();
            let levels = ids.centroids.levels.iter().zip(codes);
            levels.map(|(level, &code)| dot(&level[code as usize * 6..][..6], &query)).sum()
        };
        assert_eq!(found[0].len(), 298);
        for pair in found[0].windows(2) {
            assert!(pair[0].1 >= pair[1].1 && (score(pair[0].0) - pair[0].1).abs() < 1e-5);
        }
        assert!(found[0].iter().all(|(item, _)| ![4, 7].contains(item)));
    }

    /// Codes of a learned space: requests pass the encoder, and the nearest reconstruction wins.
    #[test]
    fn behind_an_encoder_the_nearest_reconstruction_comes_first() {
        let vectors = Vectors::new(6, random(300, 6, 2), "test").unwrap();
        let mut ids = identifiers(&vectors, 3, 8);
        // Twice as long and shifted: what a request is compared with is not what it is.
        let mut weight = vec![0.0; 36];
        (0..6).for_each(|at| weight[at * 7] = 2.0);
        let layers = vec![Layer { weight, bias: vec![0.25; 6] }];
        ids.centroids.encoder = Some(Encoder { layers });
        let index = ids.index().unwrap();
        let query = random(1, 6, 3);
        let found =
            search(&index, &ids.centroids, std::slice::from_ref(&query), &[vec![4, 7]], 300)
                .unwrap();
        assert_eq!(found[0].len(), 298);
        let met: Vec<f32> = query.iter().map(|x| 2.0 * x + 0.25).collect();
        let score = |item: u32| -> f32 {
            let mut left = met.clone();
            for (level, &code) in
                ids.centroids.levels.iter().zip(ids.codes_of(item as usize).unwrap())
            {
                left.iter_mut().zip(&level[code as usize * 6..]).for_each(|(x, c)| *x -= c);
            }
            dot(&met, &met) - dot(&left, &left)
        };
        for pair in found[0].windows(2) {
            assert!(pair[0].1 >= pair[1].1 && (score(pair[0].0) - pair[0].1).abs() < 1e-4);
        }
    }

    /// Each request asks for the item of its number.
    struct Own(Vec<Request>, Vec<Vec<u32>>);

    impl HeldOut for Own {
        fn requests(&self) -> &[Request] {
            &self.0
        }
        fn answers(&self) -> &[(usize, u32)] {
            &[]
        }
        fn exclude(&self) -> &[Vec<u32>] {
            &self.1
        }
        fn depth(&self) -> usize {
            5
        }
        /// Recall at 5.
        fn measure(&self, lists: &[List]) -> Result<f64> {
            let is_found = |(request, list): (&Request, &List)| {
                list.iter().take(5).any(|one| one.0 == request.idx)
            };
            let n_found = self.0.iter().zip(lists).filter(|pair| is_found(*pair)).count();
            Ok(n_found as f64 / self.0.len() as f64)
        }
    }

    struct ItsVector;

    impl RequestEncoder for ItsVector {
        fn vector(&self, ask: &Ask, items: &Vectors) -> Result<Vec<f32>> {
            Ok(items.row(ask.row.unwrap() as usize).to_vec())
        }
    }

    #[test]
    fn coarse_codes_lose_what_order_by_vectors_wins_back() {
        let mut data = random(400, 8, 5);
        for row in data.chunks_exact_mut(8) {
            let norm = dot(row, row).sqrt();
            row.iter_mut().for_each(|x| *x /= norm);
        }
        let items = Encoded::new(ItsVector, Vectors::new(8, data, "test").unwrap());
        let own = Own((0..150).map(Request::bare).collect(), vec![Vec::new(); 150]);
        let of = |levels, codes, beam| {
            let ids = identifiers(&items.vectors, levels, codes);
            measure(&items, &ids, &own, "recall@5", beam).unwrap()
        };
        let coarse = of(1, 4, 400);
        assert_eq!((coarse.exact, coarse.requests), (1.0, 150));
        // Four codes: all items of the nearest code are alike.
        assert!(coarse.codes < 0.3 && coarse.is_low(), "{coarse:?}");
        assert_eq!(coarse.ranked, 1.0, "all items were found, and are ordered by their vectors");
        let fine = of(3, 64, 400);
        assert!(fine.codes > 0.9 && !fine.is_low(), "{fine:?}");
        let narrow = of(1, 4, 10);
        assert!(narrow.ranked < 0.5, "what is not found cannot be ordered: {narrow:?}");
    }
}
