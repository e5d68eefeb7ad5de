//! Arguments in, exit code out.

use std::process::ExitCode;

/// glibc returns large buffers to the kernel after every tensor operation and faults them in again;
/// mimalloc keeps them. The figures are in `docs/benchmarks.md`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    trieval_kernels::threads::calm_candle_pool();
    trieval::cli::main()
}
