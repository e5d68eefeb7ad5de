//! Weights on disk: safetensors as `transformers` reads and writes them, checked as a whole when read.
//!
//! The format is that of <https://huggingface.co/docs/safetensors>: a length, a JSON header, raw
//! little-endian data. The header is written here because the file is streamed, in the order of
//! names, without a second copy in memory. A folder holds one file or several shards with an index.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use safetensors::{Dtype, SafeTensors, tensor::Metadata};
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::model::config::{DecoderConfig, HEAD};
use crate::model::parameters::{ParameterSpec, Parameters};
use crate::store::{Map, hash_content, known_digest, map, write_atomic};

/// Name of the weights in a model folder.
pub const WEIGHTS: &str = "model.safetensors";
/// Name of the index of weights in shards.
pub const WEIGHTS_INDEX: &str = "model.safetensors.index.json";
/// Endings of files that hold pickled weights.
const PICKLES: [&str; 4] = ["bin", "pt", "pth", "ckpt"];
/// Faults of one kind that a message names; the others are counted.
const NAMED_FAULTS: usize = 6;

/// Writes tensors in the given type, sorted by name, with the metadata `{"format": "pt"}`.
///
/// # Errors
/// [`Error::Environment`] when the disk refuses, [`Error::Tensor`] when a tensor cannot be read.
pub fn save_tensors(path: &Path, tensors: &BTreeMap<String, Tensor>, dtype: DType) -> Result<()> {
    let stated = match dtype {
        DType::BF16 => "BF16",
        DType::F16 => "F16",
        _ => "F32",
    };
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".into(), serde_json::json!({"format": "pt"}));
    let mut offset = 0;
    for (name, tensor) in tensors {
        let end = offset + tensor.elem_count() * dtype.size_in_bytes();
        let entry = serde_json::json!({"dtype": stated, "shape": tensor.dims(), "data_offsets": [offset, end]});
        header.insert(name.clone(), entry);
        offset = end;
    }
    let mut header = serde_json::Value::Object(header).to_string().into_bytes();
    // Blanks align the data to eight bytes, as the format asks.
    header.resize(header.len().next_multiple_of(8), b' ');
    write_atomic(path, |writer| {
        let unwritable = |e: std::io::Error| Error::unwritable(path, &e);
        writer.write_all(&(header.len() as u64).to_le_bytes()).map_err(unwritable)?;
        writer.write_all(&header).map_err(unwritable)?;
        for tensor in tensors.values() {
            writer.write_all(&bytes(&tensor.to_dtype(dtype)?)?).map_err(unwritable)?;
        }
        Ok(())
    })
}

/// As [`save_tensors`], of what trains and as `f32`.
///
/// # Errors
/// As [`save_tensors`].
pub fn save_weights(path: &Path, parameters: &Parameters) -> Result<()> {
    save_tensors(path, &parameters.tensors(), DType::F32)
}

fn bytes(tensor: &Tensor) -> Result<Vec<u8>> {
    let flat = tensor.flatten_all()?;
    Ok(match tensor.dtype() {
        DType::BF16 => flat.to_vec1::<half::bf16>()?.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DType::F16 => flat.to_vec1::<half::f16>()?.iter().flat_map(|v| v.to_le_bytes()).collect(),
        _ => flat.to_vec1::<f32>()?.iter().flat_map(|v| v.to_le_bytes()).collect(),
    })
}

/// Weights of a folder or file, mapped and looked up by name.
pub struct WeightFiles {
    /// What messages name: the folder, or the one file.
    origin: PathBuf,
    files: Vec<WeightFile>,
    /// File of each tensor.
    names: BTreeMap<String, usize>,
}

struct WeightFile {
    path: PathBuf,
    map: Map,
    metadata: Metadata,
    /// Where the data begin.
    start: usize,
}

#[derive(Deserialize)]
struct ShardIndex {
    weight_map: BTreeMap<String, String>,
}

impl WeightFiles {
    /// Opens the weights of a model folder: one file, or all shards that its index names.
    ///
    /// # Errors
    /// [`Error::Data`] when there are none, a shard is missing or damaged, the index and its shards
    /// disagree, or the folder holds pickled weights only.
    pub fn open(folder: &Path) -> Result<Self> {
        let single = folder.join(WEIGHTS);
        if single.is_file() {
            return Self::open_file(&single);
        }
        let index = folder.join(WEIGHTS_INDEX);
        if index.is_file() {
            return Self::open_shards(folder, &index);
        }
        if let Some(pickle) = pickled(folder) {
            return Err(Error::data(
                pickle,
                "weights in pickle format, which can run any program when it is read, are refused",
            )
            .with_help("convert the folder to safetensors: in Python, load the model and call save_pretrained"));
        }
        Err(Error::data(folder, format!("holds neither {WEIGHTS} nor {WEIGHTS_INDEX}"))
            .with_help("give a model folder in the layout of Hugging Face"))
    }

    /// Opens one file.
    ///
    /// # Errors
    /// [`Error::Data`] when it is missing or damaged.
    pub fn open_file(path: &Path) -> Result<Self> {
        let file = WeightFile::open(path)?;
        let names = file.metadata.tensors().keys().map(|name| (name.clone(), 0)).collect();
        Ok(Self { origin: path.to_owned(), files: vec![file], names })
    }

    fn open_shards(folder: &Path, index: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(index).map_err(|e| Error::unreadable(index, &e))?;
        let map: ShardIndex = serde_json::from_str(&text).map_err(|e| {
            Error::data_at(index, e.line() as u64, format!("not an index of shards: {e}"))
        })?;
        let mut shards: Vec<&String> = map.weight_map.values().collect();
        shards.sort();
        shards.dedup();
        let plain = |shard: &&&String| Path::new(shard).components().count() != 1;
        if let Some(shard) = shards.iter().find(plain) {
            return Err(Error::data(index, format!("shard `{shard}` is not a plain file name")));
        }
        let absent: Vec<&str> = shards
            .iter()
            .filter(|shard| !folder.join(shard).is_file())
            .map(|shard| shard.as_str())
            .collect();
        if !absent.is_empty() {
            let (n, all) = (absent.len(), shards.len());
            return Err(Error::data(
                folder,
                format!("{n} of {all} shards are missing: {}", named(&absent)),
            )
            .with_help("copy or download the whole folder again"));
        }
        let files: Vec<WeightFile> = shards
            .iter()
            .map(|shard| WeightFile::open(&folder.join(shard)))
            .collect::<Result<_>>()?;
        let mut names = BTreeMap::new();
        for (name, shard) in &map.weight_map {
            // Every shard of the map is in the sorted list.
            let file = shards.binary_search(&shard).unwrap_or(0);
            if files[file].metadata.info(name).is_none() {
                return Err(Error::data(
                    &files[file].path,
                    format!("lacks {name}, which {WEIGHTS_INDEX} places there"),
                ));
            }
            names.insert(name.clone(), file);
        }
        Ok(Self { origin: folder.to_owned(), files, names })
    }

    /// BLAKE3 of all bytes, file by file in the order of their names; that of a single file may be
    /// known.
    ///
    /// # Errors
    /// [`Error::Data`] when a file cannot be read.
    pub fn digest(&self) -> Result<String> {
        if let [file] = self.files.as_slice() {
            return Ok(known_digest(&file.path)?.blake3);
        }
        let mut hasher = blake3::Hasher::new();
        for file in &self.files {
            hash_content(&mut hasher, &file.path)?;
        }
        Ok(hasher.finalize().to_hex().to_string())
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// Shape of a tensor, where there is one of this name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        let file = &self.files[*self.names.get(name)?];
        file.metadata.info(name).map(|info| info.shape.as_slice())
    }

    /// Values of all tensors together.
    pub fn n_values(&self) -> u64 {
        let shapes = self.names().filter_map(|name| self.shape(name));
        shapes.map(|shape| shape.iter().product::<usize>() as u64).sum()
    }

    /// Compares names, shapes and types with what is expected, all of it at once. `expected` is sorted by name;
    /// names that `ignored` accepts may stand beside them.
    ///
    /// # Errors
    /// [`Error::Data`] with every missing, unknown and misshapen tensor (the first ones by name).
    pub fn check(&self, expected: &[ParameterSpec], ignored: impl Fn(&str) -> bool) -> Result<()> {
        let mut missing = Vec::new();
        let mut misshapen = Vec::new();
        for ParameterSpec { name, shape, .. } in expected {
            match self.shape(name) {
                None => missing.push(format!("{name} {shape:?}")),
                Some(got) if got != shape => {
                    misshapen.push(format!("{name}: expected shape {shape:?}, got {got:?}"));
                }
                Some(_) => {}
            }
        }
        let known =
            |name: &str| expected.binary_search_by(|spec| spec.name.as_str().cmp(name)).is_ok();
        let unknown: Vec<&str> =
            self.names().filter(|name| !known(name) && !ignored(name)).collect();
        let mut faults = Vec::new();
        if !missing.is_empty() {
            faults.push(format!("{} missing: {}", count(&missing), named(&missing)));
        }
        if !unknown.is_empty() {
            let text = named(&unknown);
            faults.push(format!("{} not part of this model: {text}", count(&unknown)));
        }
        if !misshapen.is_empty() {
            faults.push(format!("{} of another shape: {}", count(&misshapen), named(&misshapen)));
        }
        if faults.is_empty() {
            return Ok(());
        }
        Err(Error::data(&self.origin, faults.join("; "))
            .with_help("config.json and the weights do not describe the same model"))
    }

    /// A tensor in the given type; `None` keeps that of the file.
    ///
    /// # Errors
    /// [`Error::Data`] when there is none of this name, its type is not readable, or a value is not finite.
    pub fn tensor(&self, name: &str, dtype: Option<DType>) -> Result<Tensor> {
        self.stored(name)?.tensor(dtype)
    }

    /// The values of a tensor, row by row.
    ///
    /// # Errors
    /// As [`WeightFiles::tensor`].
    pub fn values(&self, name: &str) -> Result<Vec<f32>> {
        self.stored(name)?.values()
    }

    fn stored(&self, name: &str) -> Result<Stored<'_>> {
        let Some(&file) = self.names.get(name) else {
            return Err(Error::data(&self.origin, format!("tensor {name} is missing")));
        };
        self.files[file].stored(name)
    }
}

impl WeightFile {
    fn open(path: &Path) -> Result<Self> {
        let map = map(path)?;
        let (header, metadata) = SafeTensors::read_metadata(&map).map_err(|e| {
            Error::data(path, format!("damaged or cut off ({} bytes): {e}", map.len()))
                .with_help("copy or download the file again")
        })?;
        let start = header + size_of::<u64>();
        Ok(Self { path: path.to_owned(), map, metadata, start })
    }

    fn stored(&self, name: &str) -> Result<Stored<'_>> {
        let fault = |message: String| Error::data(&self.path, format!("{name}: {message}"));
        let info = self.metadata.info(name).ok_or_else(|| fault("is missing".into()))?;
        let stored = match info.dtype {
            Dtype::F32 => DType::F32,
            Dtype::BF16 => DType::BF16,
            Dtype::F16 => DType::F16,
            other => return Err(fault(format!("expected type F32, BF16 or F16, got {other}"))),
        };
        let (begin, end) = info.data_offsets;
        let data = &self.map[self.start + begin..self.start + end];
        if !is_finite(data, stored) {
            return Err(fault("holds values that are not finite".into()));
        }
        Ok(Stored { data, dtype: stored, shape: &info.shape })
    }
}

/// A tensor as its file holds it, all of its values finite.
struct Stored<'a> {
    data: &'a [u8],
    dtype: DType,
    shape: &'a [usize],
}

impl Stored<'_> {
    fn tensor(&self, dtype: Option<DType>) -> Result<Tensor> {
        let tensor = Tensor::from_raw_buffer(self.data, self.dtype, self.shape, &Device::Cpu)?;
        Ok(tensor.to_dtype(dtype.unwrap_or(self.dtype))?)
    }

    /// Copied once, without a tensor between.
    fn values(&self) -> Result<Vec<f32>> {
        if self.dtype != DType::F32 {
            return Ok(self.tensor(Some(DType::F32))?.flatten_all()?.to_vec1()?);
        }
        let (values, _) = self.data.as_chunks();
        Ok(values.iter().map(|value| f32::from_le_bytes(*value)).collect())
    }
}

/// Whether all values are finite: of others all bits of the exponent are set.
fn is_finite(data: &[u8], dtype: DType) -> bool {
    let half = |exponent: u16| {
        let (values, _) = data.as_chunks();
        all(values, |value| u16::from_le_bytes(*value) & exponent != exponent)
    };
    match dtype {
        DType::BF16 => half(0x7f80),
        DType::F16 => half(0x7c00),
        _ => all(data.as_chunks().0, |value| f32::from_le_bytes(*value).is_finite()),
    }
}

/// Whether all values pass, block by block: inside a block nothing branches, so that one instruction looks at several.
fn all<T>(values: &[T], pass: impl Fn(&T) -> bool) -> bool {
    values.chunks(1024).all(|block| block.iter().fold(true, |so_far, value| so_far & pass(value)))
}

fn pickled(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension().and_then(|e| e.to_str()).is_some_and(|e| PICKLES.contains(&e))
        })
        .collect();
    found.sort();
    found.into_iter().next()
}

fn count<T>(all: &[T]) -> String {
    if all.len() == 1 { "1 tensor".into() } else { format!("{} tensors", all.len()) }
}

/// The first few of a list, and how many more there are.
fn named<S: AsRef<str>>(all: &[S]) -> String {
    let first: Vec<&str> = all.iter().take(NAMED_FAULTS).map(AsRef::as_ref).collect();
    let rest = all.len() - first.len();
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{}{more}", first.join(", "))
}

/// Whether a stored tensor may stand beside those of a configuration: some writers store a tied head,
/// whose values are the embedding's, and older ones the frequencies of the rotary embedding.
pub fn is_redundant(config: &DecoderConfig, name: &str) -> bool {
    (config.tie_word_embeddings && name == HEAD) || name.ends_with("rotary_emb.inv_freq")
}

/// Reads what [`save_weights`] wrote; `expected` is sorted by name.
///
/// # Errors
/// As [`WeightFiles::open_file`], [`WeightFiles::check`] and [`WeightFiles::tensor`].
pub fn load_parameters(path: &Path, expected: Vec<ParameterSpec>) -> Result<Parameters> {
    let file = WeightFiles::open_file(path)?;
    file.check(&expected, |_| false)?;
    let read = |spec: ParameterSpec| {
        let values = file.tensor(&spec.name, Some(DType::F32))?;
        spec.filled(&values)
    };
    expected.into_iter().map(read).collect()
}

/// As [`load_parameters`], into parameters that are there.
///
/// # Errors
/// As [`load_parameters`].
pub fn load_weights(path: &Path, parameters: &Parameters) -> Result<()> {
    let stored = load_parameters(path, parameters.specs())?;
    for (own, stored) in parameters.vars().zip(stored.vars()) {
        own.set(stored.as_tensor())?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::config::tests::small;
    use crate::model::decoder::Decoder;
    use crate::seed::Seed;

    fn saved(folder: &tempfile::TempDir) -> (PathBuf, Decoder) {
        let path = folder.path().join(WEIGHTS);
        let decoder = Decoder::init(small(50), Seed::new(1)).unwrap();
        save_tensors(&path, &decoder.weights().unwrap(), DType::F32).unwrap();
        (path, decoder)
    }

    fn flat(t: &Tensor) -> Vec<f32> {
        t.flatten_all().unwrap().to_vec1().unwrap()
    }

    fn load(path: &Path, config: &DecoderConfig) -> Result<BTreeMap<String, Tensor>> {
        Ok(load_parameters(path, config.parameters())?.tensors())
    }

    #[test]
    fn weights_return_bit_by_bit_and_files_repeat() {
        let folder = tempfile::tempdir().unwrap();
        let (path, decoder) = saved(&folder);
        let first = std::fs::read(&path).unwrap();
        let tensors = load(&path, decoder.config()).unwrap();
        for (name, tensor) in &decoder.weights().unwrap() {
            assert_eq!(flat(tensor), flat(&tensors[name]), "{name}");
        }
        save_tensors(&path, &decoder.weights().unwrap(), DType::F32).unwrap();
        assert!(first == std::fs::read(&path).unwrap());
        let (header, metadata) = SafeTensors::read_metadata(&first).unwrap();
        assert_eq!(header % 8, 0);
        assert_eq!(metadata.metadata().as_ref().unwrap()["format"], "pt");
    }

    #[test]
    fn half_precision_is_stored_and_widened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let tensor = Tensor::new(&[1.0f32, -0.333_333_34, 1e-3], &Device::Cpu).unwrap();
        let all = BTreeMap::from([("x".to_owned(), tensor.clone())]);
        for dtype in [DType::BF16, DType::F16] {
            save_tensors(&path, &all, dtype).unwrap();
            let file = WeightFiles::open_file(&path).unwrap();
            assert_eq!(file.tensor("x", None).unwrap().dtype(), dtype);
            let rounded = tensor.to_dtype(dtype).unwrap().to_dtype(DType::F32).unwrap();
            assert_eq!(flat(&file.tensor("x", Some(DType::F32)).unwrap()), flat(&rounded));
        }
    }

    #[test]
    fn damaged_and_foreign_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (path, decoder) = saved(&folder);
        let whole = std::fs::read(&path).unwrap();
        let message = |config: &DecoderConfig| load(&path, config).unwrap_err().to_string();
        for cut in [5, 100, whole.len() - 1] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(message(decoder.config()).contains("damaged or cut off"), "cut at {cut}");
        }
        std::fs::write(&path, "").unwrap();
        assert!(message(decoder.config()).contains("the file is empty"));
        std::fs::write(&path, &whole).unwrap();
        let mut damaged = whole;
        let end = damaged.len();
        damaged[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        std::fs::write(&path, &damaged).unwrap();
        assert!(message(decoder.config()).contains("not finite"));
    }

    #[test]
    fn all_faults_are_named_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _) = saved(&folder);
        let other = DecoderConfig {
            num_hidden_layers: 3,
            tie_word_embeddings: false,
            vocab_size: 51,
            family: crate::model::config::Family::Llama,
            ..small(50)
        };
        let text = load(&path, &other).unwrap_err().to_string();
        assert!(text.contains("10 tensors missing: lm_head.weight [51, 24]"), "{text}");
        assert!(text.contains("and 4 more"), "{text}");
        assert!(text.contains("4 tensors not part of this model: model.layers.0.self_attn.k_norm"));
        let shape = "embed_tokens.weight: expected shape [51, 24], got [50, 24]";
        assert!(text.contains(shape), "{text}");
    }

    #[test]
    fn shards_are_read_and_missing_ones_named() {
        let folder = tempfile::tempdir().unwrap();
        let (path, decoder) = saved(&folder);
        let all = decoder.weights().unwrap();
        std::fs::remove_file(&path).unwrap();
        let mut map = serde_json::Map::new();
        for shard in 0..3 {
            let file = format!("model-{shard}.safetensors");
            let part: BTreeMap<String, Tensor> = all
                .iter()
                .enumerate()
                .filter(|(i, _)| i % 3 == shard)
                .map(|(_, (name, tensor))| (name.clone(), tensor.clone()))
                .collect();
            map.extend(part.keys().map(|name| (name.clone(), file.clone().into())));
            save_tensors(&folder.path().join(file), &part, DType::F32).unwrap();
        }
        let index = serde_json::json!({ "weight_map": map });
        std::fs::write(folder.path().join(WEIGHTS_INDEX), index.to_string()).unwrap();
        let files = WeightFiles::open(folder.path()).unwrap();
        files.check(&decoder.config().parameters(), |_| false).unwrap();
        for (name, tensor) in &all {
            assert_eq!(flat(&files.tensor(name, None).unwrap()), flat(tensor));
        }
        let shard = folder.path().join("model-1.safetensors");
        let whole = std::fs::read(&shard).unwrap();
        std::fs::write(&shard, &whole[..whole.len() / 2]).unwrap();
        let message = || WeightFiles::open(folder.path()).err().unwrap().to_string();
        assert!(message().contains("model-1.safetensors: damaged or cut off"), "{}", message());
        std::fs::remove_file(&shard).unwrap();
        assert!(message().contains("1 of 3 shards are missing: model-1.safetensors"));
    }

    #[test]
    fn pickled_weights_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let message = || WeightFiles::open(folder.path()).err().unwrap().to_string();
        assert!(message().contains("holds neither model.safetensors nor"));
        std::fs::write(folder.path().join("pytorch_model.bin"), "x").unwrap();
        assert!(message().contains("can run any program"), "{}", message());
    }
}
