//! What this process has used so far: CPU time and memory, as Linux tells it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Time between two looks at the memory.
const LOOKS: Duration = Duration::from_millis(10);

/// Processor time of all threads that are alive, in milliseconds; none where the system does not tell.
pub(super) fn cpu_ms() -> Option<f64> {
    let mut total = 0.0;
    for task in std::fs::read_dir("/proc/self/task").ok()? {
        // A thread that ended meanwhile is left out.
        let Ok(text) = std::fs::read_to_string(task.ok()?.path().join("schedstat")) else {
            continue;
        };
        total += text.split_whitespace().next()?.parse::<f64>().ok()? / 1e6;
    }
    Some(total)
}

/// Resident memory in bytes.
pub(super) fn resident_bytes() -> Option<u64> {
    status("VmRSS:")
}

/// The largest resident memory in bytes since the start, or since [`forget_peak`].
pub(super) fn peak_bytes() -> Option<u64> {
    status("VmHWM:")
}

/// Lets [`peak_bytes`] begin anew from what is resident now; without effect where the system refuses.
pub(super) fn forget_peak() {
    // 5 is "reset the peak" (proc(5), clear_refs). A refusal leaves a peak that is too high, never too low.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// What work gives, and the largest memory seen meanwhile that is no part of a file; looked at now and then.
pub(super) fn own_peak<T>(work: impl FnOnce() -> T) -> (T, Option<u64>) {
    let (peak, is_done) = (AtomicU64::new(0), AtomicBool::new(false));
    let look = || peak.fetch_max(status("RssAnon:").unwrap_or(0), Ordering::Relaxed);
    let given = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                look();
                std::thread::sleep(LOOKS);
            }
        });
        // Dropped in any case: without it the other thread would look for ever.
        let _done = Done(&is_done);
        work()
    });
    look();
    (given, Some(peak.into_inner()).filter(|&bytes| bytes > 0))
}

/// Says when it goes that something is done.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn status(key: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn time_and_memory_grow_with_use() {
        let cpu = cpu_ms().unwrap();
        let mut block = vec![0u8; 64 << 20];
        let mut state = 1u8;
        for byte in &mut block {
            state = state.wrapping_mul(31).wrapping_add(7);
            *byte = state;
        }
        // Looked at here, so that it is not filled only later.
        std::hint::black_box(&block);
        // The kernel counts in ticks, and on a busy machine late.
        let started = std::time::Instant::now();
        while cpu_ms().unwrap() <= cpu && started.elapsed().as_secs() < 20 {
            std::hint::black_box(block.iter().map(|&byte| u64::from(byte)).sum::<u64>());
        }
        assert!(cpu_ms().unwrap() > cpu);
        // Another test may forget the peak meanwhile: it then begins anew with this block in it.
        assert!(resident_bytes().unwrap() > 64 << 20 && peak_bytes().unwrap() > 64 << 20);
        let (given, own) = own_peak(|| 7);
        assert!(given == 7 && own.unwrap() > 64 << 20);
        drop(std::hint::black_box(block));
    }
}
