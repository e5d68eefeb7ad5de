//! The identifier artefact: every item's codes, both ways, with all that is needed to use them.
//!
//! A folder of two files: `codes.safetensors` (`codes` u32 `[items, levels]`, `centroids.L` f32
//! `[codes, dim]`, and `encoder.N.weight` and `.bias` where codes lie in a learned space) and `identifier.json` (format, sizes, hashes, diagnostics), written last. Knows
//! items by number and their ids only by the hash of the catalogue.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use trieval_kernels::index::SidIndex;

use super::diagnostics::Diagnostics;
use super::encoder::{Encoder, Layer};
use super::naming::{self, Named, Removed, Space};
use super::settings::{Collisions, Length, NamingSettings};
use super::together::Together;
use crate::error::{Error, Result};
use crate::kind::ItemValue;
use crate::store::{create_dir, write_atomic, write_json};

/// Version of the folder; raised with every change that old readers would misread.
const FORMAT: u32 = 1;
/// That of codes which are not those of the nearest sums of centroids among the vectors, of identifiers that items share, and
/// of those that lack tokens.
const FORMAT_OF_OTHERS: u32 = 2;
const DESCRIPTION_FILE: &str = "identifier.json";
const TENSOR_FILE: &str = "codes.safetensors";
const AGAIN: &str = "make the identifiers again";

/// Levels have letters in their tokens.
const MAX_LEVELS: usize = 26;

/// Identifiers of a whole catalogue.
#[derive(Debug, Clone, PartialEq)]
pub struct Identifiers {
    /// Codes `[items, levels]`; each row unique, but where items share identifiers.
    pub codes: Vec<u32>,
    /// Codes per level, `[levels]`, the dedup level included.
    pub levels: Vec<u32>,
    /// Whether the last level only tells items apart that share all codes before it.
    pub dedup: bool,
    /// Hash of the catalogue's item ids, in hexadecimal.
    pub catalogue: String,
    /// The kind of identifiers, as recipes spell it.
    pub kind: String,
    /// What the levels before the dedup level quantise by; of no level where codes are not made from vectors.
    pub centroids: Centroids,
    /// How well the codes are used, before dedup.
    pub diagnostics: Diagnostics,
    /// How identifiers were made of the codes.
    pub naming: NamingSettings,
    /// What identifiers lack of the second level.
    pub removed: Option<Removed>,
    /// Where items share identifiers: the place of each item among those that share its own, the smaller first.
    pub order: Option<Vec<u32>>,
    /// The items that a model was made with, where others were added behind them.
    pub extends: Option<Known>,
}

/// The first items of identifiers that were extended: those that a run knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Hash of their ids, in hexadecimal.
    pub catalogue: String,
    /// How many they are.
    pub items: usize,
}

/// How codes came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// The kind of identifiers, as recipes spell it.
    pub kind: String,
    /// What vectors were quantised by.
    pub centroids: Centroids,
    /// Mean squared length of what each level leaves over, `[levels]`; empty where nothing is quantised.
    pub residuals: Vec<f64>,
}

impl Made {
    /// Codes of a kind that reads no vectors.
    pub fn by(kind: &str) -> Self {
        Self { kind: kind.into(), centroids: Centroids::default(), residuals: Vec::new() }
    }
}

/// Centroids of a residual quantiser.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Centroids {
    /// Numbers per centroid.
    pub dim: usize,
    /// Per level `[codes, dim]`.
    pub levels: Vec<Vec<f32>>,
    /// By what the centroid of a residual is chosen.
    pub compared: Compared,
    /// Leads vectors into the space of the centroids, where that is not their own.
    pub encoder: Option<Encoder>,
    /// What items the codes of the first level stand for, where these were given and not found.
    pub first: Option<First>,
}

/// Values of items that are codes of the first level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct First {
    /// Of what they are values.
    pub of: ItemValue,
    /// The value of each code; none for items that have no value.
    pub values: Vec<Option<String>>,
}

impl First {
    /// The code of items with a value.
    pub fn code(&self, value: Option<&str>) -> Option<u32> {
        let place = self.values.iter().position(|one| one.as_deref() == value);
        place.map(|place| place as u32)
    }
}

/// By what a residual and a centroid are compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compared {
    /// By their distance.
    #[default]
    Distance,
    /// By the angle between them.
    Direction,
}

impl Compared {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Centroids {
    /// Numbers of the vectors that codes are made from.
    pub fn reads(&self) -> usize {
        self.encoder
            .as_ref()
            .and_then(|encoder| encoder.widths().first().copied())
            .unwrap_or(self.dim)
    }

    /// Vectors `[n, reads]` in the space of the centroids, `[n, dim]`.
    pub fn meet<'v>(&self, vectors: &'v [f32]) -> Cow<'v, [f32]> {
        match &self.encoder {
            Some(encoder) => Cow::Owned(encoder.encode(vectors)),
            None => Cow::Borrowed(vectors),
        }
    }
}

/// What `identifier.json` holds.
#[derive(Debug, Serialize, Deserialize)]
struct Description {
    format: u32,
    kind: String,
    catalogue: String,
    items: usize,
    levels: Vec<u32>,
    dedup: bool,
    dim: usize,
    #[serde(default, skip_serializing_if = "Compared::is_default")]
    compared: Compared,
    /// Widths of the encoder, from the vectors to the codes; empty where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    encoder: Vec<usize>,
    /// blake3 of the tensor file.
    tensors: String,
    diagnostics: Diagnostics,
    #[serde(default, skip_serializing_if = "NamingSettings::is_plain")]
    naming: NamingSettings,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    removed: Option<Removed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    extends: Option<Known>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first: Option<First>,
}

impl Identifiers {
    /// From codes `[items, levels]` below `levels`, codes per level, that may collide; adds the dedup level if they do.
    ///
    /// # Errors
    /// [`Error::Failed`] when codes, levels and centroids do not fit together.
    pub fn new(codes: Vec<u32>, levels: Vec<u32>, made: Made, catalogue: &str) -> Result<Self> {
        Self::named(codes, levels, made, catalogue, (&NamingSettings::default(), None))
    }

    /// As [`Identifiers::new`], where identifiers are made of the codes as settings say; `vectors` `[items, dim]` are
    /// those that the codes were made from, where distances to them decide.
    ///
    /// # Errors
    /// [`Error::Failed`] when codes, levels, centroids and vectors do not fit together; [`Error::Usage`] when the codes do
    /// not suffice.
    pub fn named(
        codes: Vec<u32>,
        levels: Vec<u32>,
        made: Made,
        catalogue: &str,
        (naming, vectors): (&NamingSettings, Option<&[f32]>),
    ) -> Result<Self> {
        let Made { kind, centroids, residuals } = made;
        if levels.is_empty() || codes.is_empty() || !codes.len().is_multiple_of(levels.len()) {
            let message = format!("{} codes do not form {} levels", codes.len(), levels.len());
            return Err(Error::Failed(message));
        }
        let n_items = codes.len() / levels.len();
        let fits =
            |(level, &n_codes): (&Vec<f32>, &u32)| level.len() == n_codes as usize * centroids.dim;
        let n_quantized = centroids.levels.len();
        let leads = |encoder: &Encoder| encoder.widths().last() == Some(&centroids.dim);
        if !centroids.encoder.as_ref().is_none_or(leads) {
            return Err(Error::Failed("the encoder does not lead to the centroids".into()));
        }
        if n_quantized > 0
            && !(n_quantized == levels.len()
                && centroids.levels.iter().zip(&levels).all(fits)
                && vectors.is_none_or(|vectors| vectors.len() == n_items * centroids.dim))
        {
            return Err(Error::Failed("centroids do not fit the levels of codes".into()));
        }
        let mut diagnostics = Diagnostics::measure(&codes, &levels, &residuals);
        let dim = centroids.dim;
        let space = vectors.filter(|_| n_quantized > 0);
        let space = space.map(|vectors| Space { dim, vectors, centroids: &centroids.levels });
        let Named { codes, levels, dedup, removed, outcome } =
            naming::name(codes, levels, naming, space)?;
        diagnostics.outcome = outcome;
        let is_shared = naming.collisions() == Collisions::Shared;
        Ok(Self {
            codes,
            levels,
            dedup,
            catalogue: catalogue.to_owned(),
            kind,
            centroids,
            diagnostics,
            naming: naming.clone(),
            removed,
            order: is_shared.then(|| (0..n_items as u32).collect()),
            extends: None,
        })
    }

    /// Where items share identifiers, names those with the greater weight `[items]` first.
    pub fn order_by(&mut self, weights: &[u64]) {
        let Some(order) = &mut self.order else { return };
        let mut items: Vec<u32> = (0..order.len() as u32).collect();
        items.sort_by_key(|&item| std::cmp::Reverse(weights.get(item as usize).copied()));
        for (place, item) in (0..).zip(items) {
            order[item as usize] = place;
        }
    }

    /// The code of the second level that is not spelled, where identifiers are of different lengths.
    pub fn unspelled(&self) -> Option<u32> {
        let skip = self.removed.as_ref().and_then(Removed::skip);
        skip.filter(|_| self.naming.length() != Length::Skip)
    }

    /// The level of identifiers that spells a level of the codes that were made; none where it is gone.
    pub fn spelled_level(&self, made: usize) -> Option<usize> {
        let is_gone = self.removed.as_ref().is_some_and(|removed| removed.tokens.is_none());
        match made {
            _ if !is_gone => Some(made),
            0 => Some(0),
            1 => None,
            later => Some(later - 1),
        }
    }

    /// What the levels of identifiers stand for, `[codes, dim]` each; none of the dedup level. A code that stands for
    /// removed ones is their mean.
    pub fn spelled_centroids(&self) -> Centroids {
        let mut centroids = self.centroids.clone();
        let (dim, levels) = (centroids.dim, &mut centroids.levels);
        match &self.removed {
            Some(removed) if levels.len() > 1 => match &removed.tokens {
                None => {
                    levels.remove(1);
                }
                Some(tokens) => {
                    let mut mean = vec![0.0; dim];
                    for &token in tokens {
                        let centroid = &levels[1][token as usize * dim..][..dim];
                        let n = tokens.len() as f32;
                        mean.iter_mut().zip(centroid).for_each(|(sum, x)| *sum += x / n);
                    }
                    levels[1].extend(mean);
                }
            },
            _ => {}
        }
        centroids
    }

    /// Number of items.
    pub fn n_items(&self) -> usize {
        self.codes.len() / self.levels.len()
    }

    /// How often the items of pairs share codes.
    pub fn together(&self, pairs: &[(u32, u32)]) -> Option<Together> {
        let n_levels = self.n_levels();
        Together::measure(&self.codes, (n_levels, n_levels - usize::from(self.dedup)), pairs)
    }

    /// Number of levels, the dedup level included: tokens per identifier.
    pub fn n_levels(&self) -> usize {
        self.levels.len()
    }

    /// Codes `[levels]` of an item.
    pub fn codes_of(&self, item: usize) -> Option<&[u32]> {
        self.codes.chunks_exact(self.levels.len()).nth(item)
    }

    /// The constraint index, which also leads from codes to items.
    ///
    /// # Errors
    /// [`Error::Failed`] when two items share a path or a code is out of range.
    pub fn index(&self) -> Result<SidIndex> {
        let index = match &self.order {
            None => SidIndex::build(&self.codes, &self.levels),
            Some(order) => SidIndex::build_shared(&self.codes, &self.levels, order),
        };
        index.map_err(|e| Error::Failed(format!("identifiers cannot be indexed: {e}")))
    }

    /// The token of a code: `<a_12>` at the first level, `<b_3>` at the second, and so on.
    pub fn token(level: usize, code: u32) -> String {
        // Levels are at most 26, checked when identifiers are loaded and far above any recipe.
        let letter = char::from(b'a' + (level % MAX_LEVELS) as u8);
        format!("<{letter}_{code}>")
    }

    /// All tokens, level by level, codes ascending: what a tokenizer must learn.
    pub fn tokens(&self) -> Vec<String> {
        let levels = self.levels.iter().enumerate();
        levels.flat_map(|(level, &n)| (0..n).map(move |code| Self::token(level, code))).collect()
    }

    /// Hash of the ids of the items that a model of these identifiers was made with, in hexadecimal.
    pub fn catalogue_of_run(&self) -> &str {
        self.extends.as_ref().map_or(&self.catalogue, |known| &known.catalogue)
    }

    /// BLAKE3 of all codes of those items, in hexadecimal: tells identifiers of one shape apart.
    pub fn hash(&self) -> String {
        let items = self.extends.as_ref().map_or(self.n_items(), |known| known.items);
        let codes = self.codes.iter().take(items * self.n_levels());
        let codes: Vec<u8> = codes.flat_map(|code| code.to_le_bytes()).collect();
        blake3::hash(&codes).to_hex().to_string()
    }

    /// Writes the folder; the description last, so that a folder with one is whole.
    ///
    /// # Errors
    /// [`Error::Environment`] when the disk refuses.
    pub fn save(&self, folder: &Path) -> Result<()> {
        create_dir(folder)?;
        let path = folder.join(TENSOR_FILE);
        let file = self.tensors().map_err(|e| Error::Failed(format!("identifiers: {e}")))?;
        write_atomic(&path, |out| out.write_all(&file).map_err(|e| Error::unwritable(&path, &e)))?;
        let Centroids { dim, compared, encoder, first, .. } = &self.centroids;
        let is_plain = compared.is_default()
            && encoder.is_none()
            && self.order.is_none()
            && self.removed.is_none();
        let description = Description {
            format: if is_plain { FORMAT } else { FORMAT_OF_OTHERS },
            kind: self.kind.clone(),
            catalogue: self.catalogue.clone(),
            items: self.n_items(),
            levels: self.levels.clone(),
            dedup: self.dedup,
            dim: *dim,
            compared: *compared,
            encoder: encoder.as_ref().map(Encoder::widths).unwrap_or_default(),
            tensors: blake3::hash(&file).to_hex().to_string(),
            diagnostics: self.diagnostics.clone(),
            naming: self.naming.clone(),
            removed: self.removed.clone(),
            extends: self.extends.clone(),
            first: first.clone(),
        };
        write_json(&folder.join(DESCRIPTION_FILE), &description)
    }

    fn tensors(&self) -> Result<Vec<u8>, safetensors::SafeTensorError> {
        let codes: Vec<u8> = self.codes.iter().flat_map(|code| code.to_le_bytes()).collect();
        let levels: Vec<Vec<u8>> = self
            .centroids
            .levels
            .iter()
            .map(|level| level.iter().flat_map(|x| x.to_le_bytes()).collect())
            .collect();
        let order: Option<Vec<u8>> = self
            .order
            .as_ref()
            .map(|order| order.iter().flat_map(|place| place.to_le_bytes()).collect());
        let shape = vec![self.n_items(), self.n_levels()];
        let mut views = vec![("codes".to_owned(), TensorView::new(Dtype::U32, shape, &codes)?)];
        if let Some(order) = &order {
            let shape = vec![self.n_items(), 1];
            views.push(("order".to_owned(), TensorView::new(Dtype::U32, shape, order)?));
        }
        for (level, bytes) in levels.iter().enumerate() {
            let dim = self.centroids.dim;
            let shape = vec![bytes.len() / (4 * dim), dim];
            let view = TensorView::new(Dtype::F32, shape, bytes)?;
            views.push((format!("centroids.{level}"), view));
        }
        let layers = self.centroids.encoder.iter().flat_map(|encoder| &encoder.layers);
        let bytes = |numbers: &[f32]| numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        let layers: Vec<[Vec<u8>; 2]> =
            layers.map(|layer| [bytes(&layer.weight), bytes(&layer.bias)]).collect();
        for (number, [weight, bias]) in layers.iter().enumerate() {
            let out = bias.len() / 4;
            let shapes = [vec![out, weight.len() / bias.len()], vec![1, out]];
            for (what, (bytes, shape)) in [weight, bias].into_iter().zip(shapes).enumerate() {
                let view = TensorView::new(Dtype::F32, shape, bytes)?;
                views.push((layer_tensor(number)[what].clone(), view));
            }
        }
        safetensors::serialize(views, None::<HashMap<String, String>>)
    }

    /// Reads a folder and checks it; `catalogue` is the hash that the item ids must have.
    ///
    /// # Errors
    /// [`Error::Data`] naming the file and what is wrong: missing, another format, changed content,
    /// sizes that do not fit, or another catalogue.
    pub fn load(folder: &Path, catalogue: Option<&str>) -> Result<Self> {
        let path = folder.join(DESCRIPTION_FILE);
        let fault = |message: String| Error::data(&path, message).with_help(AGAIN);
        let text = std::fs::read(&path).map_err(|e| Error::unreadable(&path, &e))?;
        let value: serde_json::Value = serde_json::from_slice(&text)
            .map_err(|e| fault(format!("not a description of identifiers: {e}")))?;
        match value.get("format").and_then(serde_json::Value::as_u64) {
            Some(format) if (FORMAT..=FORMAT_OF_OTHERS).any(|one| format == u64::from(one)) => {}
            Some(format) => {
                return Err(fault(format!(
                    "format {format}, but this program reads {FORMAT} to {FORMAT_OF_OTHERS}"
                )));
            }
            None => return Err(fault("expected a format number, found none".into())),
        }
        let description: Description = serde_json::from_value(value)
            .map_err(|e| fault(format!("not a description of identifiers: {e}")))?;
        if catalogue.is_some_and(|catalogue| catalogue != description.catalogue) {
            return Err(fault("these identifiers were made for another catalogue".into()));
        }
        let n_levels = description.levels.len();
        let n_spelled = n_levels.saturating_sub(usize::from(description.dedup));
        let is_gone = description.removed.as_ref().is_some_and(|removed| removed.tokens.is_none());
        let n_quantized = n_spelled + usize::from(is_gone && n_spelled > 0);
        if n_quantized == 0 || n_levels > MAX_LEVELS {
            return Err(fault(format!("{n_levels} levels, expected 1 to {MAX_LEVELS}")));
        }
        // Codes that are not made from vectors have no centroids.
        let n_quantized = if description.dim == 0 { 0 } else { n_quantized };
        description.read_tensors(&folder.join(TENSOR_FILE), n_quantized)
    }
}

/// Names of the weight and the bias of a layer.
fn layer_tensor(number: usize) -> [String; 2] {
    ["weight", "bias"].map(|what| format!("encoder.{number}.{what}"))
}

impl Description {
    fn read_tensors(self, path: &Path, n_quantized: usize) -> Result<Identifiers> {
        let fault = |message: String| Error::data(path, message).with_help(AGAIN);
        let file = std::fs::read(path).map_err(|e| Error::unreadable(path, &e))?;
        if blake3::hash(&file).to_hex().as_str() != self.tensors {
            return Err(fault("the content is not what was written (checksum differs)".into()));
        }
        let tensors = SafeTensors::deserialize(&file).map_err(|e| fault(e.to_string()))?;
        let read = |name: &str, dtype: Dtype, shape: [usize; 2]| -> Result<Vec<[u8; 4]>> {
            let tensor = tensors.tensor(name).map_err(|e| fault(e.to_string()))?;
            if tensor.dtype() != dtype || tensor.shape() != shape {
                let [rows, columns] = shape;
                return Err(fault(format!("{name}: expected {dtype} [{rows}, {columns}]")));
            }
            Ok(tensor.data().chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]]).collect())
        };
        let n_levels = self.levels.len();
        let codes = read("codes", Dtype::U32, [self.items, n_levels])?;
        let codes: Vec<u32> = codes.into_iter().map(u32::from_le_bytes).collect();
        let in_range = |(at, &code): (usize, &u32)| code < self.levels[at % n_levels];
        if codes.is_empty() || !codes.iter().enumerate().all(in_range) {
            return Err(fault("codes are missing or out of range".into()));
        }
        if self.extends.as_ref().is_some_and(|known| known.items > self.items) {
            return Err(fault("fewer items than those that were added to".into()));
        }
        let order = match self.naming.collisions() {
            Collisions::Shared => {
                let order = read("order", Dtype::U32, [self.items, 1])?;
                Some(order.into_iter().map(u32::from_le_bytes).collect())
            }
            _ => None,
        };
        let mut made = self.levels.clone();
        if let Some(removed) = &self.removed {
            let fits = removed.tokens.as_ref().is_none_or(|tokens| {
                self.levels.get(1) == removed.codes.checked_add(1).as_ref()
                    && tokens.windows(2).all(|pair| pair[0] < pair[1])
                    && tokens.iter().all(|&token| token < removed.codes)
            });
            if !fits || removed.codes == 0 {
                return Err(fault("what was removed does not fit the second level".into()));
            }
            // The level before tokens were taken from it.
            match removed.tokens {
                None => made.insert(1.min(made.len()), removed.codes),
                Some(_) => made[1] = removed.codes,
            }
        }
        let mut levels = Vec::new();
        for (level, &n_codes) in made.iter().take(n_quantized).enumerate() {
            let shape = [n_codes as usize, self.dim];
            let numbers = read(&format!("centroids.{level}"), Dtype::F32, shape)?;
            levels.push(numbers.into_iter().map(f32::from_le_bytes).collect());
        }
        let mut layers = Vec::new();
        for (number, widths) in self.encoder.windows(2).enumerate() {
            let [weight, bias] = layer_tensor(number);
            let numbers = |name: &str, shape| -> Result<Vec<f32>> {
                Ok(read(name, Dtype::F32, shape)?.into_iter().map(f32::from_le_bytes).collect())
            };
            let weight = numbers(&weight, [widths[1], widths[0]])?;
            layers.push(Layer { weight, bias: numbers(&bias, [1, widths[1]])? });
        }
        let n_values = self.first.as_ref().map(|first| first.values.len());
        if n_values.is_some_and(|n| self.levels.first().map(|&codes| codes as usize) != Some(n)) {
            return Err(fault("what was given as first codes does not fit the first level".into()));
        }
        let encoder = (!layers.is_empty()).then_some(Encoder { layers });
        if encoder.is_some() && self.encoder.last() != Some(&self.dim) {
            return Err(fault("the encoder does not lead to the centroids".into()));
        }
        Ok(Identifiers {
            codes,
            levels: self.levels,
            dedup: self.dedup,
            catalogue: self.catalogue,
            kind: self.kind,
            centroids: Centroids {
                dim: self.dim,
                levels,
                compared: self.compared,
                encoder,
                first: self.first,
            },
            diagnostics: self.diagnostics,
            naming: self.naming,
            removed: self.removed,
            order,
            extends: self.extends,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn sample() -> Identifiers {
        let levels = vec![vec![0.0, 1.0, 2.5, 3.0], vec![-1.0; 6]];
        let centroids = Centroids { dim: 2, levels, ..Centroids::default() };
        let kind = "residual-k-means".into();
        let made = Made { kind, centroids, residuals: vec![0.75, 0.1] };
        Identifiers::new(vec![0, 2, 1, 0, 0, 2], vec![2, 3], made, "cafe").unwrap()
    }

    #[test]
    fn comes_back_with_both_maps_and_tokens() {
        let folder = tempfile::tempdir().unwrap();
        let ids = sample();
        ids.save(folder.path()).unwrap();
        let back = Identifiers::load(folder.path(), Some("cafe")).unwrap();
        assert_eq!(back, ids);
        assert_eq!(back.codes_of(2), Some(&[0, 2, 1][..]));
        assert_eq!(back.codes_of(3), None);
        assert_eq!(back.index().unwrap().find(&[0, 2, 1]), Some(2));
        let tokens = ["<a_0>", "<a_1>", "<b_0>", "<b_1>", "<b_2>", "<c_0>", "<c_1>"];
        assert_eq!(back.tokens(), tokens);
    }

    #[test]
    fn what_was_removed_and_shared_comes_back_and_is_checked() {
        let folder = tempfile::tempdir().unwrap();
        let dim = 1;
        let centroids = Centroids {
            dim,
            levels: vec![vec![0.0, 1.0], vec![2.0, 4.0, 9.0], vec![0.5, 1.5]],
            ..Centroids::default()
        };
        let text =
            "collisions = \"shared\"\nlength = \"sum\"\nremove = { kind = \"top\", codes = 2 }";
        let naming: NamingSettings = toml::from_str(text).unwrap();
        let made = Made { kind: "residual-k-means".into(), centroids, residuals: vec![] };
        let codes = vec![0, 0, 1, 0, 1, 1, 1, 2, 0];
        let mut ids =
            Identifiers::named(codes, vec![2, 3, 2], made, "cafe", (&naming, None)).unwrap();
        ids.order_by(&[1, 7, 0]);
        assert_eq!(
            (ids.codes.as_slice(), &ids.order),
            (&[0, 3, 1, 0, 3, 1, 1, 2, 0][..], &Some(vec![1, 0, 2]))
        );
        // The code that stands for 2 and 4 is their mean.
        assert_eq!(ids.spelled_centroids().levels[1], [2.0, 4.0, 9.0, 3.0]);
        ids.save(folder.path()).unwrap();
        let back = Identifiers::load(folder.path(), Some("cafe")).unwrap();
        assert_eq!(back, ids);
        assert_eq!((back.spell(0), back.spell(2)), ("<a_0><c_1>".into(), "<a_1><b_2><c_0>".into()));
        assert_eq!(back.parse_tokens("<a_0><c_1>"), Ok(vec![0, 3, 1]));
        assert_eq!(back.parse_tokens("<a_1> <b_2><c_0>"), Ok(vec![1, 2, 0]));
        let path = folder.path().join(DESCRIPTION_FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        let description: serde_json::Value = serde_json::from_str(&text).unwrap();
        for (key, value) in
            [("tokens", "[0, 3]"), ("tokens", "[1, 0]"), ("codes", "4"), ("codes", "0")]
        {
            let mut wrong = description.clone();
            wrong["removed"][key] = serde_json::from_str(value).unwrap();
            std::fs::write(&path, wrong.to_string()).unwrap();
            let told = Identifiers::load(folder.path(), None).unwrap_err().to_string();
            assert!(told.contains("what was removed does not fit"), "{key} {value}: {told}");
        }
    }

    #[test]
    fn codes_of_a_learned_space_come_back_with_what_leads_there() {
        let folder = tempfile::tempdir().unwrap();
        let mut ids = sample();
        ids.centroids.compared = Compared::Direction;
        let layers = vec![
            Layer { weight: vec![1.0, -1.0, 0.5], bias: vec![0.25] },
            Layer { weight: vec![2.0, 3.0], bias: vec![0.0, 1.0] },
        ];
        ids.centroids.encoder = Some(Encoder { layers });
        assert_eq!(ids.centroids.reads(), 3);
        assert_eq!(*ids.centroids.meet(&[1.0, 0.0, 1.0]), [3.5, 6.25]);
        ids.save(folder.path()).unwrap();
        assert_eq!(Identifiers::load(folder.path(), None).unwrap(), ids);
        let json = folder.path().join(DESCRIPTION_FILE);
        let text = std::fs::read_to_string(&json).unwrap();
        assert!(text.contains("\"format\": 2"), "other readers must not take it for plain: {text}");
        std::fs::write(&json, text.replacen("\"encoder\": [\n    3", "\"encoder\": [\n    4", 1))
            .unwrap();
        let told = Identifiers::load(folder.path(), None).unwrap_err().to_string();
        assert!(told.contains("encoder.0.weight: expected F32 [1, 4]"), "{told}");
    }

    #[test]
    fn damage_and_mix_ups_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        sample().save(folder.path()).unwrap();
        let message = || Identifiers::load(folder.path(), None).unwrap_err().to_string();
        let other = Identifiers::load(folder.path(), Some("beef")).unwrap_err().to_string();
        assert!(other.contains("another catalogue"), "{other}");

        let tensors = folder.path().join(TENSOR_FILE);
        let whole = std::fs::read(&tensors).unwrap();
        std::fs::write(&tensors, &whole[..whole.len() - 4]).unwrap();
        assert!(message().contains("checksum differs"));
        std::fs::write(&tensors, whole).unwrap();

        let json = folder.path().join(DESCRIPTION_FILE);
        let text = std::fs::read_to_string(&json).unwrap();
        let with = |from: &str, to: &str| {
            assert!(text.contains(from), "{text}");
            std::fs::write(&json, text.replacen(from, to, 1)).unwrap();
            message()
        };
        assert!(
            with("\"format\": 1", "\"format\": 3")
                .contains("format 3, but this program reads 1 to 2")
        );
        assert!(with("\"items\": 3", "\"items\": 4").contains("codes: expected U32 [4, 3]"));
        assert!(with("\"format\": 1,", "").contains("expected a format number"));
        assert!(with("{", "").contains("not a description"));
        std::fs::remove_file(&json).unwrap();
        assert!(message().contains("cannot be read"));
    }
}
