//! Checkpoints of a running training: weights, their average where one is kept, moments, step and the course of
//! validation, sealed with a checksum; and the weights of the best validation in a file of their own.
//!
//! A file of best weights is named by its step and never written over, so that the one a checkpoint speaks of
//! is there until the next checkpoint is.

use std::path::{Path, PathBuf};

use candle_core::Tensor;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use trieval_kernels::ops::Moments;

use super::average::Average;
use super::optimizer::AdamW;
use super::validation::{Best, Course};
use crate::error::{Error, Result};
use crate::model::{Parameter, Parameters};
use crate::store::{SealKind, read_sealed, write_sealed};

const KIND: SealKind = SealKind { kind: "ckpt", version: 1 };
const BEST_KIND: SealKind = SealKind { kind: "best", version: 1 };
const STEP: &str = "step";
const WEIGHT: &str = "weight";
/// Absent where no average is kept.
const AVERAGE: &str = "average";
/// Bits of the best value, its step, and the validations since; absent before the first validation.
const COURSE: &str = "course";
/// Name of a file of best weights before and after its step.
const BEST_NAME: (&str, &str) = ("best-", ".bin");

/// Writes weights, their average, moments, the number of finished steps and what validation has seen.
///
/// # Errors
/// [`Error::Environment`] when the disk refuses; the previous checkpoint then stays.
pub fn save(
    path: &Path,
    parameters: &Parameters,
    optimizer: &AdamW,
    average: Option<&Average>,
    done: u64,
    course: &Course,
) -> Result<()> {
    let mut blobs: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::with_capacity(parameters.len() * 3);
    for (Parameter { name, var, .. }, moments) in parameters.iter().zip(optimizer.moments()) {
        let values = var.flatten_all()?.to_vec1::<f32>()?;
        blobs.push((format!("{WEIGHT}/{name}"), var.dims().to_vec(), to_bytes(&values)));
        let [first, second] = moments.values()?;
        blobs.push((format!("first/{name}"), var.dims().to_vec(), to_bytes(&first)));
        blobs.push((format!("second/{name}"), var.dims().to_vec(), to_bytes(&second)));
    }
    for (Parameter { name, .. }, mean) in
        parameters.iter().zip(average.iter().flat_map(|a| a.values()))
    {
        let values = mean.flatten_all()?.to_vec1::<f32>()?;
        blobs.push((format!("{AVERAGE}/{name}"), mean.dims().to_vec(), to_bytes(&values)));
    }
    let step = done.to_le_bytes();
    let course: Vec<u8> = course
        .best
        .iter()
        .flat_map(|best| {
            [best.value.to_bits(), best.step, course.misses].map(u64::to_le_bytes).concat()
        })
        .collect();
    let mut views = Vec::with_capacity(blobs.len() + 2);
    for (name, shape, bytes) in &blobs {
        views.push((name.as_str(), view(Dtype::F32, shape.clone(), bytes, path)?));
    }
    views.push((STEP, view(Dtype::U64, vec![1], &step, path)?));
    if !course.is_empty() {
        views.push((COURSE, view(Dtype::U64, vec![3], &course, path)?));
    }
    let payload = serialize(views, None).map_err(|e| fault(path, &e))?;
    write_sealed(path, KIND, &payload)
}

/// Loads a checkpoint into `parameters`, `optimizer` and `average` and returns the number of finished steps and what
/// validation has seen.
///
/// # Errors
/// [`Error::Data`] when the file is damaged, belongs to other parameters or has no average; nothing is changed then.
pub fn load(
    path: &Path,
    parameters: &Parameters,
    optimizer: &mut AdamW,
    average: Option<&mut Average>,
) -> Result<(u64, Course)> {
    let payload = read_sealed(path, KIND)?;
    let tensors = SafeTensors::deserialize(&payload).map_err(|e| fault(path, &e))?;
    let read =
        |prefix: &str, name: &str, shape: &[usize]| values(&tensors, prefix, name, shape, path);
    let mut weights = Vec::with_capacity(parameters.len());
    let mut moments = Vec::with_capacity(parameters.len());
    let mut means = Vec::new();
    for Parameter { name, var, .. } in parameters {
        let values = read(WEIGHT, name, var.dims())?;
        weights.push(Tensor::from_vec(values, var.shape(), var.device())?);
        let (first, second) = (read("first", name, var.dims())?, read("second", name, var.dims())?);
        moments.push(Moments::new(var, first, second)?);
        if average.is_some() {
            let values = read(AVERAGE, name, var.dims())?;
            means.push(Tensor::from_vec(values, var.shape(), var.device())?);
        }
    }
    let step = tensors.tensor(STEP).map_err(|e| fault(path, &e))?;
    let step = <[u8; 8]>::try_from(step.data()).map_err(|e| fault(path, &e))?;
    let course = match tensors.tensor(COURSE) {
        Ok(tensor) => {
            let word = |i: usize| -> Result<u64> {
                let bytes = tensor.data().get(8 * i..8 * (i + 1)).unwrap_or_default();
                Ok(u64::from_le_bytes(bytes.try_into().map_err(|e| fault(path, &e))?))
            };
            let best = Best { value: f64::from_bits(word(0)?), step: word(1)? };
            Course { best: Some(best), misses: word(2)? }
        }
        Err(_) => Course::default(),
    };
    for (var, weight) in parameters.vars().zip(&weights) {
        var.set(weight)?;
    }
    optimizer.restore(moments);
    if let Some(average) = average {
        average.restore(means);
    }
    Ok((u64::from_le_bytes(step), course))
}

/// Writes the weights of a validation that is the best so far.
///
/// # Errors
/// [`Error::Environment`] when the disk refuses.
pub fn save_best(folder: &Path, parameters: &Parameters, step: u64) -> Result<()> {
    let path = best_path(folder, step);
    let mut blobs = Vec::with_capacity(parameters.len());
    for Parameter { name, var, .. } in parameters {
        let values = var.flatten_all()?.to_vec1::<f32>()?;
        blobs.push((format!("{WEIGHT}/{name}"), var.dims().to_vec(), to_bytes(&values)));
    }
    let mut views = Vec::with_capacity(blobs.len());
    for (name, shape, bytes) in &blobs {
        views.push((name.as_str(), view(Dtype::F32, shape.clone(), bytes, &path)?));
    }
    write_sealed(&path, BEST_KIND, &serialize(views, None).map_err(|e| fault(&path, &e))?)
}

/// Loads the weights of the best validation, which was after `step` steps.
///
/// # Errors
/// [`Error::Data`] when they are not there, damaged, or belong to other parameters.
pub fn load_best(folder: &Path, parameters: &Parameters, step: u64) -> Result<()> {
    let path = best_path(folder, step);
    let payload = read_best(folder, &path)?;
    let tensors = SafeTensors::deserialize(&payload).map_err(|e| fault(&path, &e))?;
    for Parameter { name, var, .. } in parameters {
        let values = values(&tensors, WEIGHT, name, var.dims(), &path)?;
        var.set(&Tensor::from_vec(values, var.shape(), var.device())?)?;
    }
    Ok(())
}

/// Looks whether the best weights of step `step` are there and whole: a training that goes on must
/// not learn at its end that they are not.
///
/// # Errors
/// [`Error::Data`] when they are missing or damaged.
pub fn check_best(folder: &Path, step: u64) -> Result<()> {
    read_best(folder, &best_path(folder, step)).map(drop)
}

fn read_best(folder: &Path, path: &Path) -> Result<Vec<u8>> {
    let again = format!("delete the folder {}: the training will start again", folder.display());
    read_sealed(path, BEST_KIND).map_err(|error| error.with_help(again))
}

/// Removes best weights that the checkpoint does not speak of.
pub fn sweep_best(folder: &Path, kept: Option<u64>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let step = name.to_str().and_then(|name| name.strip_prefix(BEST_NAME.0));
        let step = step.and_then(|name| name.strip_suffix(BEST_NAME.1)?.parse::<u64>().ok());
        if step.is_some() && step != kept {
            // Best effort: a file too many does no harm.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn best_path(folder: &Path, step: u64) -> PathBuf {
    folder.join(format!("{}{step}{}", BEST_NAME.0, BEST_NAME.1))
}

fn values(
    tensors: &SafeTensors<'_>,
    prefix: &str,
    name: &str,
    shape: &[usize],
    path: &Path,
) -> Result<Vec<f32>> {
    let tensor = tensors.tensor(&format!("{prefix}/{name}")).map_err(|e| fault(path, &e))?;
    if tensor.shape() != shape || tensor.dtype() != Dtype::F32 {
        let got = tensor.shape();
        return Err(Error::data(path, format!("{name}: expected shape {shape:?}, got {got:?}")));
    }
    Ok(from_bytes(tensor.data()))
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
    use candle_core::{DType, Device, Var};

    use super::*;
    use crate::model::ParameterSpec;
    use crate::train::course::settings::OptimizerSettings;
    use crate::train::rows::Gradient;

    fn parameters(value: f64) -> Parameters {
        let specs = [ParameterSpec::matrix("a.weight", [2, 3]), ParameterSpec::vector("b", 4)];
        let filled = |spec: ParameterSpec| {
            let ones = Tensor::ones(spec.shape.as_slice(), DType::F32, &Device::Cpu);
            spec.filled(&(ones.expect("ones") * value).expect("product")).expect("a parameter")
        };
        specs.map(filled).into_iter().collect()
    }

    #[test]
    fn round_trips_and_refuses_other_parameters() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("checkpoint");
        let trained = parameters(0.1);
        let mut optimizer = AdamW::new(&OptimizerSettings::default(), &trained).expect("optimizer");
        let copy = |v: &Var| Gradient::Dense(v.as_tensor().copy().expect("copy"));
        let gradients: Vec<Gradient> = trained.vars().map(copy).collect();
        optimizer.step(&trained, &gradients, 1.0, 0.1, 0).expect("step");
        let course = Course { best: Some(Best { value: 0.1 + 0.2, step: 40 }), misses: 1 };
        save(&path, &trained, &optimizer, None, 41, &course).expect("save");

        let fresh = parameters(7.0);
        let mut restored = AdamW::new(&OptimizerSettings::default(), &fresh).expect("optimizer");
        assert_eq!(load(&path, &fresh, &mut restored, None).expect("load"), (41, course));
        for (a, b) in trained.vars().zip(fresh.vars()) {
            let bits = |v: &Var| v.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("values");
            assert_eq!(bits(a), bits(b));
        }
        for (a, b) in optimizer.moments().iter().zip(restored.moments()) {
            assert_eq!(a.values().expect("values"), b.values().expect("values"));
        }

        let zeros = Tensor::zeros(9, DType::F32, &Device::Cpu).expect("zeros");
        let other = ParameterSpec::vector("a.weight", 9).filled(&zeros).expect("a parameter");
        let other = [other].into_iter().collect();
        let mut optimizer = AdamW::new(&OptimizerSettings::default(), &other).expect("optimizer");
        let message = load(&path, &other, &mut optimizer, None).expect_err("shapes differ");
        assert!(message.to_string().contains("a.weight: expected shape [9]"), "{message}");
        let mut average = Average::new(0.5, &fresh).expect("average");
        let message =
            load(&path, &fresh, &mut restored, Some(&mut average)).expect_err("no average");
        assert!(message.to_string().contains("not a usable checkpoint"), "{message}");
    }

    #[test]
    fn best_weights_stay_until_the_checkpoint_speaks_of_others() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let folder = folder.path();
        save_best(folder, &parameters(0.5), 10).expect("save");
        save_best(folder, &parameters(0.25), 20).expect("save");
        let loaded = parameters(7.0);
        load_best(folder, &loaded, 10).expect("load");
        let b = || loaded.var("b").and_then(|b| Ok(b.to_vec1::<f32>()?)).expect("values");
        assert_eq!(b(), [0.5; 4]);
        sweep_best(folder, Some(20));
        load_best(folder, &loaded, 10).expect_err("swept");
        load_best(folder, &loaded, 20).expect("load");
        check_best(folder, 20).expect("whole");
        let path = best_path(folder, 20);
        let mut bytes = std::fs::read(&path).expect("read");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).expect("write");
        let message = check_best(folder, 20).expect_err("damaged").to_string();
        assert!(message.contains("delete the folder"), "{message}");
        assert_eq!(b(), [0.25; 4]);
    }
}
