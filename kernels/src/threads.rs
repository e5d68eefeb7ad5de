//! How many threads candle's own pool may use.
//!
//! candle adds gradients on a pool of its own whose threads spin while they wait; on two cores that
//! doubled the CPU time of a training step. There is no setter, only an environment variable.

/// Keeps candle's own pool to one thread, unless the user has chosen a number. The operations of this
/// crate run on rayon's pool and are not affected.
///
/// Does nothing when the process has other threads already, or where the system does not tell: call
/// it first of all.
pub fn calm_candle_pool() {
    const VARIABLE: &str = "CANDLE_NUM_THREADS";
    if std::env::var_os(VARIABLE).is_none() && is_only_thread() {
        // SAFETY: no other thread exists that could read or write the environment meanwhile, and
        // none can appear, since only this one could start it.
        unsafe { std::env::set_var(VARIABLE, "1") };
    }
}

/// Whether the process is known to have one thread (Linux).
fn is_only_thread() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() == 1)
}
