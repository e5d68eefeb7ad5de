//! Arguments in, exit code out.

use std::process::ExitCode;

/// glibc returns large buffers to the kernel after every tensor operation and faults them in again;
/// mimalloc keeps them. The figures are in `docs/benchmarks.md`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[allow(unsafe_code)]
fn main() -> ExitCode {
    // SAFETY: nothing has run yet, so this is the only thread.
    unsafe { trieval_kernels::threads::calm_candle_pool() };
    trieval::cli::main()
}
