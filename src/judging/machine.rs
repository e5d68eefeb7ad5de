//! Where this process runs, for reports.

use trieval_eval::report::model::Machine;

/// Processor, threads, memory and version.
pub fn machine() -> Machine {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let memory = field(&read("/proc/meminfo"), "MemTotal")
        .and_then(|value| value.split_whitespace().next()?.parse::<u64>().ok());
    Machine {
        os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        cpu: field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown".into()),
        threads: rayon::current_num_threads() as u32,
        gpu: None,
        memory_bytes: memory.map(|kib| kib * 1024),
        version: env!("CARGO_PKG_VERSION").into(),
        commit: option_env!("TRIEVAL_COMMIT").map(str::to_owned),
    }
}
