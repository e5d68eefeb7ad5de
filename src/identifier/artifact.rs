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

use super::dedup::deduplicate;
use super::diagnostics::Diagnostics;
use super::encoder::{Encoder, Layer};
use crate::error::{Error, Result};
use crate::store::{create_dir, write_atomic, write_json};

/// Version of the folder; raised with every change that old readers would misread.
const FORMAT: u32 = 1;
/// That of codes which are not those of the nearest sums of centroids among the vectors.
const FORMAT_OF_OTHER_SPACES: u32 = 2;
const DESCRIPTION_FILE: &str = "identifier.json";
const TENSOR_FILE: &str = "codes.safetensors";
const AGAIN: &str = "make the identifiers again";

/// Levels have letters in their tokens.
const MAX_LEVELS: usize = 26;

/// Identifiers of a whole catalogue.
#[derive(Debug, Clone, PartialEq)]
pub struct Identifiers {
    /// Codes `[items, levels]`, each row unique.
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
}

impl Identifiers {
    /// From codes `[items, levels]` below `levels`, codes per level, that may collide; adds the dedup level if they do.
    ///
    /// # Errors
    /// [`Error::Failed`] when codes, levels and centroids do not fit together.
    pub fn new(codes: Vec<u32>, mut levels: Vec<u32>, made: Made, catalogue: &str) -> Result<Self> {
        let Made { kind, centroids, residuals } = made;
        if levels.is_empty() || codes.is_empty() || !codes.len().is_multiple_of(levels.len()) {
            let message = format!("{} codes do not form {} levels", codes.len(), levels.len());
            return Err(Error::Failed(message));
        }
        let fits =
            |(level, &n_codes): (&Vec<f32>, &u32)| level.len() == n_codes as usize * centroids.dim;
        let n_quantized = centroids.levels.len();
        let leads = |encoder: &Encoder| encoder.widths().last() == Some(&centroids.dim);
        if !centroids.encoder.as_ref().is_none_or(leads) {
            return Err(Error::Failed("the encoder does not lead to the centroids".into()));
        }
        if n_quantized > 0
            && !(n_quantized == levels.len() && centroids.levels.iter().zip(&levels).all(fits))
        {
            return Err(Error::Failed("centroids do not fit the levels of codes".into()));
        }
        let diagnostics = Diagnostics::measure(&codes, &levels, &residuals);
        let unique = deduplicate(codes, levels.len());
        levels.extend(unique.level);
        Ok(Self {
            codes: unique.codes,
            levels,
            dedup: unique.level.is_some(),
            catalogue: catalogue.to_owned(),
            kind,
            centroids,
            diagnostics,
        })
    }

    /// Number of items.
    pub fn n_items(&self) -> usize {
        self.codes.len() / self.levels.len()
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
        SidIndex::build(&self.codes, &self.levels)
            .map_err(|e| Error::Failed(format!("identifiers cannot be indexed: {e}")))
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

    /// BLAKE3 of all codes, in hexadecimal: tells identifiers of one shape apart.
    pub fn hash(&self) -> String {
        let codes: Vec<u8> = self.codes.iter().flat_map(|code| code.to_le_bytes()).collect();
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
        let Centroids { dim, compared, encoder, .. } = &self.centroids;
        let is_plain = compared.is_default() && encoder.is_none();
        let description = Description {
            format: if is_plain { FORMAT } else { FORMAT_OF_OTHER_SPACES },
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
        let shape = vec![self.n_items(), self.n_levels()];
        let mut views = vec![("codes".to_owned(), TensorView::new(Dtype::U32, shape, &codes)?)];
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
            Some(format)
                if (FORMAT..=FORMAT_OF_OTHER_SPACES).any(|one| format == u64::from(one)) => {}
            Some(format) => {
                return Err(fault(format!(
                    "format {format}, but this program reads {FORMAT} to {FORMAT_OF_OTHER_SPACES}"
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
        let n_quantized = n_levels.saturating_sub(usize::from(description.dedup));
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
        let mut levels = Vec::new();
        for (level, &n_codes) in self.levels.iter().take(n_quantized).enumerate() {
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
            centroids: Centroids { dim: self.dim, levels, compared: self.compared, encoder },
            diagnostics: self.diagnostics,
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
