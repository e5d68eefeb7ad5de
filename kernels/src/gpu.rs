//! NVIDIA GPUs: opening one, and what its memory has held.
//!
//! Without the feature `cuda` there are none, and opening one says so.

use candle_core::{Device, Result};

/// The first GPU, all of whose work is in one stream.
///
/// # Errors
/// When this build has no CUDA, or there is no GPU or no driver for it.
pub fn open() -> Result<Device> {
    driver::open()
}

/// Most bytes that tensors on `device` have held at a time since the start or since [`forget_peak`]; none on a CPU.
pub fn peak_bytes(device: &Device) -> Option<u64> {
    match device {
        Device::Cuda(device) => driver::peak(device),
        _ => None,
    }
}

/// Lets [`peak_bytes`] begin anew from what is held now.
pub fn forget_peak(device: &Device) {
    if let Device::Cuda(device) = device {
        driver::forget(device);
    }
}

#[cfg(not(feature = "cuda"))]
mod driver {
    //! In a build that has no GPU.

    use candle_core::{CudaDevice, Device, Result, bail};

    pub(super) fn open() -> Result<Device> {
        bail!("this build has no CUDA: build with --features cuda")
    }

    pub(super) fn peak(_: &CudaDevice) -> Option<u64> {
        None
    }

    pub(super) fn forget(_: &CudaDevice) {}
}

#[cfg(feature = "cuda")]
mod driver {
    //! What candle does not ask of the driver.

    use candle_core::cuda_backend::cudarc::driver::sys;
    use candle_core::{CudaDevice, Device, Result};

    pub(super) fn open() -> Result<Device> {
        let device = Device::new_cuda_with_stream(0)?;
        if let Device::Cuda(device) = &device {
            keep(device);
            // SAFETY: events order work on several streams; all work of this device is on its one
            // stream.
            unsafe { device.disable_event_tracking() };
        }
        Ok(device)
    }

    /// The pool that candle's allocations come from.
    fn pool(device: &CudaDevice) -> Option<sys::CUmemoryPool> {
        let device = device.cuda_stream().context().cu_device();
        let mut pool = std::ptr::null_mut();
        // SAFETY: the device is one that was opened, and the pointer is that of a local variable.
        unsafe { sys::cuDeviceGetDefaultMemPool(&mut pool, device) }.result().ok()?;
        Some(pool)
    }

    /// Lets the pool keep freed memory: by default all of it goes back to the driver whenever the host waits for the
    /// device, several times in a training step.
    fn keep(device: &CudaDevice) {
        let mut all = u64::MAX;
        let attribute = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
        if let Some(pool) = pool(device) {
            // A refusal costs time and nothing else.
            // SAFETY: this attribute is a 64-bit number, and the pointer is that of a local variable.
            let _ = unsafe { sys::cuMemPoolSetAttribute(pool, attribute, (&raw mut all).cast()) };
        }
    }

    pub(super) fn peak(device: &CudaDevice) -> Option<u64> {
        let mut bytes = 0u64;
        let attribute = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH;
        // SAFETY: this attribute is a 64-bit number, and the pointer is that of a local variable.
        unsafe { sys::cuMemPoolGetAttribute(pool(device)?, attribute, (&raw mut bytes).cast()) }
            .result()
            .ok()?;
        Some(bytes)
    }

    pub(super) fn forget(device: &CudaDevice) {
        let mut zero = 0u64;
        let attribute = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH;
        if let Some(pool) = pool(device) {
            // A refusal leaves a peak that is too high, never too low.
            // SAFETY: as above; 0 is the one value that may be written.
            let _ = unsafe { sys::cuMemPoolSetAttribute(pool, attribute, (&raw mut zero).cast()) };
        }
    }
}
