//! Vectors that are drawn, for catalogues of any size.
//!
//! Item i of leaf l with attribute values v has the vector
//!
//! ```text
//! x_i = leaf · c(l) + attribute · Σ_v o(v) + r_i · u_i      ln r_i ~ N(ln noise, noise_spread²)
//! ```
//!
//! with directions c(l), o(v) and u_i uniform on the unit sphere. A leaf is a whole category path; a value belongs to its
//! attribute. Clumps of such vectors leave tiny residuals behind in their middle and large ones around it, which is what
//! makes the second level of residual quantization narrow (arXiv 2407.21488).

mod kind;
pub mod settings;

use std::collections::HashMap;

use rayon::prelude::*;

use self::settings::SimulatedVectorsSettings;
use super::{Vectors, norm};
use crate::corpus::{Corpus, ItemRow};
use crate::error::{Error, Result};
use crate::model::decoder::normal;
use crate::progress::Context;
use crate::seed::Seed;

/// Items drawn at a time.
const CHUNK: usize = 8_192;

/// Draws the vectors of all items of a corpus, `[items, dim]`. The vector of an item depends on the seed, its row and what
/// it is, never on other items.
///
/// # Errors
/// [`Error::Data`] when the items cannot be read or have no category; [`Error::Interrupted`].
pub fn draw(
    corpus: &Corpus,
    settings: &SimulatedVectorsSettings,
    seed: Seed,
    ctx: &Context,
) -> Result<Vectors> {
    let n_items = corpus.summary().items;
    let mut data = Vec::with_capacity(n_items as usize * settings.dim as usize);
    let mut mixture = Mixture { settings, seed, known: HashMap::new() };
    let mut bar = ctx.bar("draw vectors", n_items, "item");
    let mut rows = corpus.items()?;
    loop {
        ctx.check_interrupt()?;
        let chunk: Vec<ItemRow> = rows.by_ref().take(CHUNK).collect::<Result<_>>()?;
        if chunk.is_empty() {
            break;
        }
        if let Some(bare) = chunk.iter().find(|item| item.category.is_empty()) {
            let message = format!("item {} has no category", bare.id);
            return Err(Error::data(corpus.folder(), message)
                .with_help("simulated vectors lie around the center of an item's category"));
        }
        mixture.learn(&chunk);
        let first = data.len() / settings.dim as usize;
        let drawn: Vec<Vec<f32>> = (first..)
            .zip(&chunk)
            .collect::<Vec<_>>()
            .into_par_iter()
            .map(|(i, item)| mixture.of(i, item))
            .collect();
        data.extend(drawn.into_iter().flatten());
        bar.advance(chunk.len() as u64);
    }
    Vectors::new(settings.dim as usize, data, "simulated vectors")
}

/// Centers and offsets met so far.
struct Mixture<'s> {
    settings: &'s SimulatedVectorsSettings,
    seed: Seed,
    /// Scaled directions by what they stand for.
    known: HashMap<String, Vec<f32>>,
}

impl Mixture<'_> {
    /// Draws what items need and nobody drew before.
    fn learn(&mut self, items: &[ItemRow]) {
        for item in items {
            for (name, length) in parts(self.settings, item) {
                let (dim, seed) = (self.settings.dim as usize, self.seed);
                self.known
                    .entry(name)
                    .or_insert_with_key(|name| direction(dim, length, seed.purpose(name)));
            }
        }
    }

    /// The vector of the item in a row.
    fn of(&self, row: usize, item: &ItemRow) -> Vec<f32> {
        let seed = self.seed.purpose("item").index(row as u64);
        let spread = f64::from(normal(1, 1.0, seed.purpose("length"))[0]);
        let length = self.settings.noise * (self.settings.noise_spread * spread).exp();
        let mut vector = direction(self.settings.dim as usize, length, seed.purpose("direction"));
        for (name, _) in parts(self.settings, item) {
            vector.iter_mut().zip(&self.known[&name]).for_each(|(x, part)| *x += part);
        }
        vector
    }
}

/// What an item's place is made of, and how long each part is.
fn parts(settings: &SimulatedVectorsSettings, item: &ItemRow) -> Vec<(String, f64)> {
    let leaf = (format!("leaf {:?}", item.category), settings.leaf);
    let value = |(name, value): &(String, String)| {
        (format!("value {name:?} {value:?}"), settings.attribute)
    };
    std::iter::once(leaf).chain(item.attributes.iter().map(value)).collect()
}

/// A direction, uniform on the sphere, of a length.
fn direction(dim: usize, length: f64, seed: Seed) -> Vec<f32> {
    let mut vector = normal(dim, 1.0, seed);
    // Normal numbers are all zero with probability zero.
    let scale = length / norm(&vector).max(f64::MIN_POSITIVE);
    vector.iter_mut().for_each(|x| *x = (f64::from(*x) * scale) as f32);
    vector
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::corpus::build;
    use crate::corpus::kinds::CorpusSettings;

    fn shop(items: u32) -> (tempfile::TempDir, Corpus) {
        let text = format!("kind = \"simulator\"\nitems = {items}\nusers = 10\nrequests = 300");
        let settings: CorpusSettings = toml::from_str(&text).unwrap();
        let folder = tempfile::tempdir().unwrap();
        build(&settings, Seed::new(1), folder.path(), &Context::silent()).unwrap();
        let corpus = Corpus::open(folder.path()).unwrap();
        (folder, corpus)
    }

    fn drawn(items: u32, settings: &SimulatedVectorsSettings) -> (Vec<ItemRow>, Vectors) {
        let (_folder, corpus) = shop(items);
        let vectors = draw(&corpus, settings, Seed::new(5), &Context::silent()).unwrap();
        (corpus.items().unwrap().map(Result::unwrap).collect(), vectors)
    }

    fn distance(a: &[f32], b: &[f32]) -> f64 {
        norm(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<f32>>())
    }

    #[test]
    fn noise_is_what_items_of_one_place_differ_by() {
        let settings = SimulatedVectorsSettings { dim: 32, ..Default::default() };
        let still = SimulatedVectorsSettings { noise: 0.0, ..settings.clone() };
        let (items, vectors) = drawn(3_000, &settings);
        let (_, places) = drawn(3_000, &still);
        let mut lengths: Vec<f64> = (0..items.len())
            .map(|item| distance(vectors.row(item), places.row(item)).ln())
            .collect();
        lengths.sort_by(f64::total_cmp);
        let mean = lengths.iter().sum::<f64>() / lengths.len() as f64;
        let squares = lengths.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
        let deviation = (squares / lengths.len() as f64).sqrt();
        let median = lengths[lengths.len() / 2];
        assert!((median - settings.noise.ln()).abs() < 0.08, "median {median}");
        assert!((deviation - 1.0).abs() < 0.05, "deviation {deviation}");
        // Equal items have one place; another leaf, or one other value, moves it by the length of what differs.
        let mut by_place = HashMap::new();
        for (row, item) in items.iter().enumerate() {
            let place = (item.category.as_slice(), item.attributes.as_slice());
            if let Some(&other) = by_place.get(&place) {
                assert_eq!(places.row(row), places.row(other));
            }
            by_place.insert(place, row);
        }
        let bare = SimulatedVectorsSettings { attribute: 0.0, leaf: 2.0, ..still };
        let (_, leaves) = drawn(3_000, &bare);
        assert!(leaves.rows().all(|row| (norm(row) - 2.0).abs() < 1e-5));
    }

    #[test]
    fn more_items_leave_the_first_ones_where_they_are() {
        let settings = SimulatedVectorsSettings { dim: 8, ..Default::default() };
        let ((_, few), (_, many)) = (drawn(50, &settings), drawn(20_000, &settings));
        let shared = (0..50).filter(|&item| few.row(item) == many.row(item)).count();
        assert_eq!(shared, 50);
    }

    #[test]
    fn items_without_a_category_have_no_place() {
        let corpus = crate::corpus::testing::Shop::written();
        let settings = SimulatedVectorsSettings::default();
        let error = draw(&corpus.corpus, &settings, Seed::new(1), &Context::silent()).unwrap_err();
        assert!(error.to_string().contains("item i0 has no category"), "{error}");
    }
}
