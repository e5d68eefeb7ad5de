//! How many threads candle's own pool may use.
//!
//! candle adds gradients on a pool of its own whose threads spin while they wait; on two cores that
//! doubled the CPU time of a training step. There is no setter, only an environment variable.

/// Keeps candle's own pool to one thread, unless the user has chosen a number. The operations of this
/// crate run on rayon's pool and are not affected.
///
/// # Safety
/// Must be called before the process has a second thread.
pub unsafe fn calm_candle_pool() {
    const VARIABLE: &str = "CANDLE_NUM_THREADS";
    if std::env::var_os(VARIABLE).is_none() {
        // SAFETY: the caller guarantees that no other thread exists that could read the environment.
        unsafe { std::env::set_var(VARIABLE, "1") };
    }
}
