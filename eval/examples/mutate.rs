//! Feeds mutated run and judgment files to the readers: none may panic, and what a reader accepts must be what a plain reader
//! of a few lines reads. `cargo run --release -p trieval-eval --example mutate -- 1000000`, seed as second argument. A small
//! share runs as an ordinary test, `tests/mutate`.
#![allow(unreachable_pub)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

#[path = "../tests/mutate/harness.rs"]
mod harness;
#[path = "../tests/mutate/plain.rs"]
mod plain;
#[path = "../tests/mutate/tables.rs"]
mod tables;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let n_cases = arguments.next().and_then(Result::ok).unwrap_or(100_000);
    let seed = arguments.next().and_then(Result::ok).unwrap_or(1);
    let folder = match tempfile::tempdir() {
        Ok(folder) => folder,
        Err(error) => {
            eprintln!("no temporary folder: {error}");
            return ExitCode::FAILURE;
        }
    };
    let tally = harness::mutate(0..n_cases, seed, folder.path());
    for fault in &tally.faults {
        eprintln!("{fault}");
    }
    let (accepted, refused, faults) = (tally.accepted, tally.refused, tally.faults.len());
    println!("{n_cases} files: {accepted} accepted, {refused} refused, {faults} faults");
    if faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
