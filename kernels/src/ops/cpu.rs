//! Borrowing `f32` slices from candle's storage, and the size of blocks.

use std::sync::{Mutex, MutexGuard, PoisonError};

use candle_core::{CpuStorage, Layout, Result, Storage, Tensor, bail};

/// Entries of one block of element-wise work.
const BLOCK_ENTRIES: usize = 1 << 14;

/// The entries of a contiguous `f32` tensor on the CPU.
pub(super) fn slice<'a>(
    storage: &'a CpuStorage,
    layout: &Layout,
    operation: &str,
) -> Result<&'a [f32]> {
    let CpuStorage::F32(data) = storage else {
        bail!("{operation}: expected f32, got {}", name_of(storage));
    };
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&data[start..end]),
        None => bail!("{operation}: expected a contiguous tensor of shape {:?}", layout.shape()),
    }
}

fn name_of(storage: &CpuStorage) -> &'static str {
    use candle_core::backend::BackendStorage;
    storage.dtype().as_str()
}

/// The tensors, those copied that are not contiguous.
pub(super) fn contiguous<const N: usize>(tensors: [&Tensor; N]) -> Result<[Tensor; N]> {
    let mut tensors = tensors.map(Tensor::clone);
    for tensor in &mut tensors {
        if !tensor.is_contiguous() {
            *tensor = tensor.contiguous()?;
        }
    }
    Ok(tensors)
}

/// Runs `read` on the entries of tensors, which are made contiguous first where they are not.
pub(super) fn with_slices<T, const N: usize>(
    tensors: [&Tensor; N],
    operation: &str,
    read: impl FnOnce([&[f32]; N]) -> Result<T>,
) -> Result<T> {
    let tensors = contiguous(tensors)?;
    let locked = tensors.each_ref().map(Tensor::storage_and_layout);
    let mut slices: [&[f32]; N] = [&[]; N];
    for (entries, (storage, layout)) in slices.iter_mut().zip(&locked) {
        *entries = match &**storage {
            Storage::Cpu(storage) => slice(storage, layout, operation)?,
            _ => bail!("{operation}: expected a tensor on the CPU"),
        };
    }
    read(slices)
}

/// The content of a lock; a panic elsewhere leaves nothing half-written here.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A CPU tensor that owns `data`.
pub(super) fn tensor(data: Vec<f32>, like: &Tensor) -> Result<Tensor> {
    Tensor::from_vec(data, like.shape(), &candle_core::Device::Cpu)
}

/// Gradients in the shapes of the inputs that they belong to.
pub(super) fn gradients<const N: usize>(
    data: [Vec<f32>; N],
    inputs: [&Tensor; N],
) -> Result<[Option<Tensor>; N]> {
    let mut gradients = [const { None }; N];
    for ((gradient, data), input) in gradients.iter_mut().zip(data).zip(inputs) {
        *gradient = Some(tensor(data, input)?);
    }
    Ok(gradients)
}

/// Rows of `width` entries per block so that a block is about 16 thousand entries: enough work for a
/// task, small enough to stay in cache. Depends on the width alone, never on the threads.
pub(super) fn block_rows(width: usize) -> usize {
    (BLOCK_ENTRIES / width.max(1)).max(1)
}
