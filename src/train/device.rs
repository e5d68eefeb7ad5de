//! Opening what a training computes on.

use candle_core::{DType, Device};
use trieval_kernels::gpu;

use super::course::settings::{Precision, TrainDevice};
use crate::error::{Error, Result};

impl TrainDevice {
    /// Opens the device.
    ///
    /// # Errors
    /// [`Error::Device`] when there is none of its kind.
    pub fn open(self) -> Result<Device> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda => gpu::open().map_err(|error| {
                // Behind its first line, candle prints where it came from.
                let text = error.to_string();
                Error::Device(text.lines().next().unwrap_or_default().to_owned())
            }),
        }
    }
}

impl Precision {
    /// The type as candle names it.
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
        }
    }
}
