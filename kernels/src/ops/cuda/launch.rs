//! A door to our kernels: tensors and numbers in, a launch on the device's stream out.

use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::cudarc::driver::{
    CudaSlice, DevicePtr, LaunchConfig, PushKernelArg,
};
use candle_core::cuda_backend::{CudaStorageSlice, WrapErr};
use candle_core::{CudaStorage, DType, Device, Result, Shape, Storage, Tensor, bail};

/// Threads of a block where each takes one entry.
const BLOCK: u32 = 256;

/// Rows of a block where each warp takes one.
const WARPS: u32 = 8;

/// A file of kernels.
pub(super) struct Module {
    name: &'static str,
    ptx: &'static str,
}

macro_rules! module {
    ($name:literal) => {
        $crate::ops::cuda::launch::Module::new(
            $name,
            include_str!(concat!(env!("OUT_DIR"), "/", $name, ".ptx")),
        )
    };
}
pub(super) use module;

/// What a kernel is given; its parameters must be of exactly these types, in this order.
pub(super) enum Argument<'a> {
    /// A pointer to the first entry of a contiguous tensor, which the kernel may read, and write where its header says so.
    Tensor(&'a Tensor),
    /// As `Tensor`, or a null pointer.
    Optional(Option<&'a Tensor>),
    /// `uint32_t`.
    U32(usize),
    /// `uint64_t`.
    U64(u64),
    /// `float`.
    F32(f32),
}

/// How the work is cut.
pub(super) enum Grid {
    /// A thread per entry.
    Entries(usize),
    /// A warp per row.
    Rows(usize),
    /// A block of so many threads per row.
    Blocks(usize, u32),
    /// Blocks of 8 warps, so many in each direction.
    Plane(usize, usize),
}

impl Grid {
    fn config(&self) -> Result<LaunchConfig> {
        let (grid, block) = match *self {
            Self::Entries(n) => ((n.div_ceil(BLOCK as usize), 1), (BLOCK, 1)),
            Self::Rows(n) => ((n.div_ceil(WARPS as usize), 1), (32, WARPS)),
            Self::Blocks(n, threads) => ((n, 1), (threads, 1)),
            Self::Plane(x, y) => ((x, y), (32, WARPS)),
        };
        let (Ok(x), Ok(y)) = (i32::try_from(grid.0), u16::try_from(grid.1)) else {
            bail!("cuda: {} x {} blocks are more than a launch can have", grid.0, grid.1);
        };
        Ok(LaunchConfig {
            grid_dim: (x as u32, u32::from(y), 1),
            block_dim: (block.0, block.1, 1),
            shared_mem_bytes: 0,
        })
    }

    fn is_empty(&self) -> bool {
        match *self {
            Self::Entries(n) | Self::Rows(n) | Self::Blocks(n, _) => n == 0,
            Self::Plane(x, y) => x == 0 || y == 0,
        }
    }
}

impl Module {
    pub(super) const fn new(name: &'static str, ptx: &'static str) -> Self {
        Self { name, ptx }
    }

    /// Runs the kernel `name` of this file for activations of `dtype` on the device of its arguments, once what was
    /// launched before is done.
    ///
    /// # Safety
    /// The arguments must be of the types and have the entries that the kernel reads and writes at this grid.
    pub(super) unsafe fn launch(
        &self,
        name: &str,
        dtype: DType,
        grid: &Grid,
        arguments: &[Argument<'_>],
    ) -> Result<()> {
        // SAFETY: the caller's duty.
        unsafe { self.launch_as(name, suffix(dtype)?, grid, arguments) }
    }

    /// As [`Module::launch`], for a kernel whose name ends in `suffix`.
    ///
    /// # Safety
    /// As there.
    pub(super) unsafe fn launch_as(
        &self,
        name: &str,
        suffix: &str,
        grid: &Grid,
        arguments: &[Argument<'_>],
    ) -> Result<()> {
        if grid.is_empty() {
            return Ok(());
        }
        let device = arguments.iter().find_map(|argument| match argument {
            Argument::Tensor(tensor) => Some(tensor.device()),
            _ => None,
        });
        let Some(Device::Cuda(device)) = device else {
            bail!("{name}: no argument lies on a GPU");
        };
        let function =
            device.get_or_load_custom_func(&format!("{name}_{suffix}"), self.name, self.ptx)?;
        let values = arguments.iter().map(value).collect::<Result<Vec<_>>>()?;
        let mut builder = function.builder();
        for value in &values {
            match value {
                Value::Word(word) => builder.arg(word),
                Value::Half(half) => builder.arg(half),
                Value::Real(real) => builder.arg(real),
            };
        }
        // SAFETY: the caller answers for types and bounds; the tensors outlive the call, and memory that is freed later
        // is freed on the same stream.
        unsafe { builder.launch(grid.config()?) }.w()?;
        Ok(())
    }
}

/// An argument as the driver copies it.
enum Value {
    Word(u64),
    Half(u32),
    Real(f32),
}

fn value(argument: &Argument<'_>) -> Result<Value> {
    Ok(match argument {
        Argument::Tensor(tensor) | Argument::Optional(Some(tensor)) => {
            Value::Word(address(tensor)?)
        }
        Argument::Optional(None) => Value::Word(0),
        Argument::U32(number) => match u32::try_from(*number) {
            Ok(number) => Value::Half(number),
            Err(_) => bail!("cuda: {number} does not fit into 32 bits"),
        },
        Argument::U64(number) => Value::Word(*number),
        Argument::F32(number) => Value::Real(*number),
    })
}

/// Where a contiguous tensor begins in the memory of its device.
fn address(tensor: &Tensor) -> Result<u64> {
    let (storage, layout) = tensor.storage_and_layout();
    let (Storage::Cuda(storage), Some((start, _))) = (&*storage, layout.contiguous_offsets())
    else {
        bail!("cuda: expected a contiguous tensor on a GPU, got {:?}", tensor.layout());
    };
    let stream = storage.device().cuda_stream();
    fn begin<T>(
        slice: &CudaSlice<T>,
        stream: &std::sync::Arc<candle_core::cuda_backend::cudarc::driver::CudaStream>,
    ) -> u64 {
        slice.device_ptr(stream).0
    }
    let begin = match &storage.slice {
        CudaStorageSlice::F32(slice) => begin(slice, &stream),
        CudaStorageSlice::BF16(slice) => begin(slice, &stream),
        CudaStorageSlice::U32(slice) => begin(slice, &stream),
        CudaStorageSlice::I64(slice) => begin(slice, &stream),
        _ => bail!("cuda: no kernel takes {}", tensor.dtype().as_str()),
    };
    Ok(begin + (start * tensor.dtype().size_in_bytes()) as u64)
}

fn suffix(dtype: DType) -> Result<&'static str> {
    match dtype {
        DType::F32 => Ok("f32"),
        DType::BF16 => Ok("bf16"),
        other => bail!("cuda: activations are f32 or bf16, got {}", other.as_str()),
    }
}

/// The storage of a tensor that is dropped next; an entry of nothing stays in its place.
pub(in crate::ops) fn take(storage: &mut CudaStorage) -> Result<CudaStorage> {
    let device = storage.device.clone();
    let nothing = CudaStorage::wrap_cuda_slice(device.alloc_zeros::<u8>(1)?, device);
    Ok(std::mem::replace(storage, nothing))
}

/// A new tensor whose content is arbitrary.
///
/// # Safety
/// Every entry must be written before it is read.
pub(super) unsafe fn uninitialized(
    shape: impl Into<Shape>,
    dtype: DType,
    device: &Device,
) -> Result<Tensor> {
    // SAFETY: the caller's duty.
    unsafe { Tensor::empty(shape, dtype, device) }
}
