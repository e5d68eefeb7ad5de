//! Weights on disk: one `model.safetensors` that `transformers` reads, checked when read back.
//!
//! The format is that of <https://huggingface.co/docs/safetensors>: a length, a JSON header, raw
//! little-endian data. The header is written here because the file is streamed, in the order of
//! names, without a second copy in memory. Files in shards are not read.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use candle_core::{DType, Device, Tensor, Var};
use safetensors::{Dtype, SafeTensors};

use crate::error::{Error, Result};
use crate::model::config::DecoderConfig;
use crate::store::write_atomic;

/// Name of the weights in a model folder.
pub const WEIGHTS: &str = "model.safetensors";

/// Writes parameters as `f32`, sorted by name, with the metadata `{"format": "pt"}`.
///
/// # Errors
/// [`Error::Environment`] when the disk refuses, [`Error::Tensor`] when a parameter cannot be read.
pub fn save_weights(path: &Path, params: &BTreeMap<String, Var>) -> Result<()> {
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".into(), serde_json::json!({"format": "pt"}));
    let mut offset = 0;
    for (name, var) in params {
        let end = offset + var.elem_count() * size_of::<f32>();
        let entry =
            serde_json::json!({"dtype": "F32", "shape": var.dims(), "data_offsets": [offset, end]});
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
        for var in params.values() {
            for value in var.flatten_all()?.to_vec1::<f32>()? {
                writer.write_all(&value.to_le_bytes()).map_err(unwritable)?;
            }
        }
        Ok(())
    })
}

/// Reads the parameters of a decoder of the given shape; `BF16` and `F16` become `f32`.
///
/// # Errors
/// [`Error::Data`] when the file is missing or damaged, or a parameter is missing, unknown, of another
/// shape, of an unreadable type, or not finite.
pub fn load_weights(path: &Path, config: &DecoderConfig) -> Result<BTreeMap<String, Tensor>> {
    // A tied head is stored by some writers; the embedding holds the same values.
    let is_tied_head = |name: &str| config.tie_word_embeddings && name == "lm_head.weight";
    load_tensors(path, config.parameters(), is_tied_head)
}

/// Reads named tensors of given shapes as `f32`; `expected` is sorted by name, and names that
/// `ignored` accepts may stand beside them.
///
/// # Errors
/// As [`load_weights`].
pub fn load_tensors(
    path: &Path,
    expected: Vec<(String, Vec<usize>)>,
    ignored: impl Fn(&str) -> bool,
) -> Result<BTreeMap<String, Tensor>> {
    let bytes = std::fs::read(path).map_err(|e| {
        let error = Error::unreadable(path, &e);
        if path.with_extension("safetensors.index.json").exists() {
            return error
                .with_help("weights in several shards are not read; merge them into one file");
        }
        error
    })?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| {
        Error::data(path, format!("damaged or cut off ({} bytes): {e}", bytes.len()))
            .with_help("copy or download the file again")
    })?;
    for name in file.names() {
        if !ignored(name) && expected.binary_search_by(|(n, _)| n.as_str().cmp(name)).is_err() {
            return Err(Error::data(
                path,
                format!("parameter {name} does not belong to the model that is expected here"),
            ));
        }
    }
    let read = |(name, shape): (String, Vec<usize>)| {
        let view = file.tensor(&name).map_err(|_| {
            Error::data(path, format!("parameter {name} is missing; expected shape {shape:?}"))
        })?;
        if view.shape() != shape {
            let got = view.shape();
            return Err(Error::data(
                path,
                format!("{name}: expected shape {shape:?}, got {got:?}"),
            ));
        }
        let dtype = match view.dtype() {
            Dtype::F32 => DType::F32,
            Dtype::BF16 => DType::BF16,
            Dtype::F16 => DType::F16,
            other => {
                return Err(Error::data(
                    path,
                    format!("{name}: expected type F32, BF16 or F16, got {other}"),
                ));
            }
        };
        let tensor = Tensor::from_raw_buffer(view.data(), dtype, &shape, &Device::Cpu)?;
        let tensor = tensor.to_dtype(DType::F32)?;
        let sum = tensor.abs()?.sum_all()?.to_scalar::<f32>()?;
        if !sum.is_finite() {
            return Err(Error::data(path, format!("{name}: holds values that are not finite")));
        }
        Ok((name, tensor))
    };
    expected.into_iter().map(read).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::config::tests::small;
    use crate::model::decoder::Decoder;
    use crate::seed::Seed;

    fn saved(folder: &tempfile::TempDir) -> (std::path::PathBuf, Decoder) {
        let path = folder.path().join(WEIGHTS);
        let decoder = Decoder::init(small(50), Seed::new(1)).unwrap();
        save_weights(&path, decoder.params()).unwrap();
        (path, decoder)
    }

    fn flat(t: &Tensor) -> Vec<f32> {
        t.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn weights_return_bit_by_bit_and_files_repeat() {
        let folder = tempfile::tempdir().unwrap();
        let (path, decoder) = saved(&folder);
        let first = std::fs::read(&path).unwrap();
        let tensors = load_weights(&path, decoder.config()).unwrap();
        for (name, var) in decoder.params() {
            assert_eq!(flat(var), flat(&tensors[name]), "{name}");
        }
        save_weights(&path, decoder.params()).unwrap();
        assert!(first == std::fs::read(&path).unwrap());
        let (header, metadata) = SafeTensors::read_metadata(&first).unwrap();
        assert_eq!(header % 8, 0);
        assert_eq!(metadata.metadata().as_ref().unwrap()["format"], "pt");
    }

    #[test]
    fn damaged_and_foreign_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (path, decoder) = saved(&folder);
        let whole = std::fs::read(&path).unwrap();
        let message = |config: &DecoderConfig| load_weights(&path, config).unwrap_err().to_string();
        for cut in [0, 5, 100, whole.len() - 1] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(message(decoder.config()).contains("damaged or cut off"), "cut at {cut}");
        }
        std::fs::write(&path, &whole).unwrap();
        let deeper = DecoderConfig { num_hidden_layers: 3, ..small(50) };
        assert!(message(&deeper).contains("parameter model.layers.2."), "{}", message(&deeper));
        assert!(message(&deeper).contains("is missing"));
        let shallower = DecoderConfig { num_hidden_layers: 1, ..small(50) };
        assert!(message(&shallower).contains("does not belong to the model"));
        let text = message(&small(51));
        assert!(
            text.contains("embed_tokens.weight: expected shape [51, 24], got [50, 24]"),
            "{text}"
        );
        let mut damaged = whole;
        let end = damaged.len();
        damaged[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        std::fs::write(&path, &damaged).unwrap();
        assert!(message(decoder.config()).contains("not finite"));
    }
}
