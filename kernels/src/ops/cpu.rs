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

/// Runs `read` on the entries of tensors, which are made contiguous first where they are not.
pub(super) fn with_slices<T, const N: usize>(
    tensors: [&Tensor; N],
    operation: &str,
    read: impl FnOnce([&[f32]; N]) -> Result<T>,
) -> Result<T> {
    let tensors = tensors.iter().map(|tensor| tensor.contiguous()).collect::<Result<Vec<_>>>()?;
    let locked: Vec<_> = tensors.iter().map(Tensor::storage_and_layout).collect();
    let mut slices: [&[f32]; N] = [&[]; N];
    for (entries, (storage, layout)) in slices.iter_mut().zip(&locked) {
        *entries = match &**storage {
            Storage::Cpu(storage) => slice(storage, layout, operation)?,
            _ => bail!("{operation}: the backward pass has no implementation on this device"),
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

/// Rows of `width` entries per block so that a block is about 16 thousand entries: enough work for a
/// task, small enough to stay in cache. Depends on the width alone, never on the threads.
pub(super) fn block_rows(width: usize) -> usize {
    (BLOCK_ENTRIES / width.max(1)).max(1)
}
