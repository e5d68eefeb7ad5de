//! How much memory there is, how much this process holds, and a limit that long work checks itself
//! against. Known on Linux; elsewhere nothing is known, and nothing is limited.

use std::cell::Cell;
use std::path::Path;

use crate::error::{Error, Result};
use crate::text::bytes;

thread_local! {
    static WATCH: Cell<Option<Watch>> = const { Cell::new(None) };
}

#[derive(Clone, Copy)]
struct Watch {
    limit: u64,
    peak: u64,
}

/// Memory of this process that cannot be dropped and read again, in bytes: mapped files do not count.
pub fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    field(&status, "RssAnon:").or_else(|| field(&status, "VmRSS:"))
}

/// What this process may hold in all, in bytes: what it has, and what machine and container (cgroup) can still
/// give.
pub fn allowed() -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let mut room = field(&info, "MemAvailable:")?;
    if let Ok(groups) = std::fs::read_to_string("/proc/self/cgroup") {
        room = room.min(cgroup_room(&groups, Path::new("/sys/fs/cgroup")).unwrap_or(u64::MAX));
    }
    Some(resident()? + room)
}

/// Does `work`, whose calls of [`check`] on this thread fail beyond `limit` bytes, and returns with its result the
/// most that they saw.
pub fn watched<T>(limit: u64, work: impl FnOnce() -> T) -> (T, u64) {
    let outer = WATCH.replace(Some(Watch { limit, peak: 0 }));
    let result = work();
    let peak = WATCH.replace(outer).map_or(0, |watch| watch.peak);
    (result, peak)
}

/// Looks whether this process holds more than the limit of the work it does; `place` says where in it.
///
/// # Errors
/// [`Error::Memory`] where it does.
pub fn check(place: impl FnOnce() -> String) -> Result<()> {
    let Some(watch) = WATCH.get() else { return Ok(()) };
    let Some(held) = resident() else { return Ok(()) };
    WATCH.set(Some(Watch { peak: watch.peak.max(held), ..watch }));
    if held <= watch.limit {
        return Ok(());
    }
    let (held, limit) = (bytes(held), bytes(watch.limit));
    Err(Error::Memory {
        message: format!("{held} in use {}, {limit} allowed", place()),
        help: String::new(),
    })
}

/// A value in bytes of a table such as `/proc/meminfo`, which counts in KiB.
fn field(table: &str, name: &str) -> Option<u64> {
    let line = table.lines().find(|line| line.starts_with(name))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

/// Bytes that the groups of a process (content of `/proc/self/cgroup`) and those above them leave free.
fn cgroup_room(groups: &str, root: &Path) -> Option<u64> {
    let mut least = None;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (base, limit, usage) = if controllers.is_empty() {
            (root.to_owned(), "memory.max", "memory.current")
        } else if controllers.split(',').any(|one| one == "memory") {
            (root.join("memory"), "memory.limit_in_bytes", "memory.usage_in_bytes")
        } else {
            continue;
        };
        let own = base.join(path.trim_start_matches('/'));
        for folder in own.ancestors().take_while(|folder| folder.starts_with(&base)) {
            let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
            let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
            // A group without a limit says `max`, which is no number.
            let (Some(limit), Some(usage)) = (number(limit), number(usage)) else { continue };
            let stat = read("memory.stat").unwrap_or_default();
            let cached = stat.lines().find_map(|line| line.strip_prefix("inactive_file "));
            let cached = cached.and_then(|value| value.parse::<u64>().ok()).unwrap_or(0);
            let room = limit.saturating_sub(usage.saturating_sub(cached));
            least = Some(least.map_or(room, |least: u64| least.min(room)));
        }
    }
    least
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_group_counts_and_cached_files_do_not() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("a/memory.max", "1000\n");
        write("a/memory.current", "700\n");
        write("a/memory.stat", "anon 3\ninactive_file 50\nactive_file 9\n");
        write("a/b/memory.max", "max\n");
        write("a/b/memory.current", "600\n");
        assert_eq!(cgroup_room("0::/a/b\n", root.path()), Some(350));
        assert_eq!(cgroup_room("0::/other\n", root.path()), None);
        write("memory/c/memory.limit_in_bytes", "500");
        write("memory/c/memory.usage_in_bytes", "480");
        let groups = "4:cpu,cpuacct:/x\n3:memory:/c\n0::/a\n";
        assert_eq!(cgroup_room(groups, root.path()), Some(20));
    }

    #[test]
    fn only_watched_work_is_limited() {
        let somewhere = || "in the test".to_owned();
        assert!(check(somewhere).is_ok());
        let Some(held) = resident() else { return };
        let (outcome, peak) = watched(u64::MAX, || check(somewhere));
        assert!(outcome.is_ok() && peak > 0);
        let (outcome, _) = watched(held / 2, || check(somewhere));
        let error = outcome.unwrap_err();
        assert_eq!(error.exit_code(), 3);
        assert!(error.to_string().contains(" in use in the test, "), "{error}");
        assert!(check(somewhere).is_ok(), "the limit ends with the work");
        assert!(allowed().unwrap() >= held / 2);
    }
}
