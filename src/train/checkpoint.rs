//! Checkpoints of a running training: weights, moments and step, sealed with a checksum.

use std::path::Path;

use candle_core::{Device, Tensor};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};

use super::Parameters;
use super::optimizer::{AdamW, Moments};
use crate::error::{Error, Result};
use crate::store::{SealKind, read_sealed, write_sealed};

const KIND: SealKind = SealKind { kind: "ckpt", version: 1 };
const STEP: &str = "step";

/// Writes weights, moments and the number of finished steps.
///
/// # Errors
/// [`Error::Environment`] when the disk refuses; the previous checkpoint then stays.
pub fn save(path: &Path, parameters: &Parameters, optimizer: &AdamW, done: u64) -> Result<()> {
    let mut blobs: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::with_capacity(parameters.len() * 3);
    for ((name, var), moments) in parameters.iter().zip(optimizer.moments()) {
        let values = var.flatten_all()?.to_vec1::<f32>()?;
        blobs.push((format!("weight/{name}"), var.dims().to_vec(), to_bytes(&values)));
        blobs.push((format!("first/{name}"), var.dims().to_vec(), to_bytes(&moments.first)));
        blobs.push((format!("second/{name}"), var.dims().to_vec(), to_bytes(&moments.second)));
    }
    let step = done.to_le_bytes();
    let mut views = Vec::with_capacity(blobs.len() + 1);
    for (name, shape, bytes) in &blobs {
        views.push((name.as_str(), view(Dtype::F32, shape.clone(), bytes, path)?));
    }
    views.push((STEP, view(Dtype::U64, vec![1], &step, path)?));
    let payload = serialize(views, None).map_err(|e| fault(path, &e))?;
    write_sealed(path, KIND, &payload)
}

/// Loads a checkpoint into `parameters` and `optimizer` and returns the number of finished steps.
///
/// # Errors
/// [`Error::Data`] when the file is damaged or belongs to other parameters; nothing is changed then.
pub fn load(path: &Path, parameters: &Parameters, optimizer: &mut AdamW) -> Result<u64> {
    let payload = read_sealed(path, KIND)?;
    let tensors = SafeTensors::deserialize(&payload).map_err(|e| fault(path, &e))?;
    let read = |prefix: &str, name: &str, shape: &[usize]| -> Result<Vec<f32>> {
        let tensor = tensors.tensor(&format!("{prefix}/{name}")).map_err(|e| fault(path, &e))?;
        if tensor.shape() != shape || tensor.dtype() != Dtype::F32 {
            let got = tensor.shape();
            return Err(Error::data(
                path,
                format!("{name}: expected shape {shape:?}, got {got:?}"),
            ));
        }
        Ok(from_bytes(tensor.data()))
    };
    let mut weights = Vec::with_capacity(parameters.len());
    let mut moments = Vec::with_capacity(parameters.len());
    for (name, var) in parameters {
        weights.push(Tensor::from_vec(
            read("weight", name, var.dims())?,
            var.shape(),
            &Device::Cpu,
        )?);
        let (first, second) = (read("first", name, var.dims())?, read("second", name, var.dims())?);
        moments.push(Moments { first, second });
    }
    let step = tensors.tensor(STEP).map_err(|e| fault(path, &e))?;
    let step = <[u8; 8]>::try_from(step.data()).map_err(|e| fault(path, &e))?;
    for ((_, var), weight) in parameters.iter().zip(&weights) {
        var.set(weight)?;
    }
    optimizer.restore(moments);
    Ok(u64::from_le_bytes(step))
}

fn view<'a>(
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: &'a [u8],
    path: &Path,
) -> Result<TensorView<'a>> {
    TensorView::new(dtype, shape, bytes).map_err(|e| fault(path, &e))
}

fn fault(path: &Path, cause: &impl std::fmt::Display) -> Error {
    Error::data(path, format!("not a usable checkpoint: {cause}"))
        .with_help("delete this file; the training will start again")
}

fn to_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn from_bytes(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Var};

    use super::*;
    use crate::train::settings::OptimizerSettings;

    fn parameters(value: f64) -> Parameters {
        let ones = |shape: &[usize]| Var::ones(shape, DType::F32, &Device::Cpu).expect("var");
        let list = vec![("a.weight".to_owned(), ones(&[2, 3])), ("b".to_owned(), ones(&[4]))];
        for (_, var) in &list {
            var.set(&(var.as_tensor() * value).expect("product")).expect("set");
        }
        list
    }

    #[test]
    fn round_trips_and_refuses_other_parameters() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("checkpoint");
        let trained = parameters(0.1);
        let mut optimizer = AdamW::new(&OptimizerSettings::default(), &trained);
        let gradients: Vec<Tensor> =
            trained.iter().map(|(_, v)| v.as_tensor().copy().expect("copy")).collect();
        optimizer.step(&trained, &gradients, 1.0, 0.1, 0).expect("step");
        save(&path, &trained, &optimizer, 41).expect("save");

        let fresh = parameters(7.0);
        let mut restored = AdamW::new(&OptimizerSettings::default(), &fresh);
        assert_eq!(load(&path, &fresh, &mut restored).expect("load"), 41);
        for ((_, a), (_, b)) in trained.iter().zip(&fresh) {
            let bits = |v: &Var| v.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("values");
            assert_eq!(bits(a), bits(b));
        }
        assert_eq!(optimizer.moments(), restored.moments());

        let other =
            vec![("a.weight".to_owned(), Var::zeros(&[9], DType::F32, &Device::Cpu).expect("var"))];
        let mut optimizer = AdamW::new(&OptimizerSettings::default(), &other);
        let message = load(&path, &other, &mut optimizer).expect_err("shapes differ").to_string();
        assert!(message.contains("a.weight: expected shape [9]"), "{message}");
    }
}
