//! A few thousand mutated files with a fixed seed, so that every change of a reader meets them. The same harness with any
//! number of files: `cargo run --release -p trieval-eval --example mutate -- 1000000`.
#![allow(unreachable_pub)]

mod harness;
mod plain;
mod tables;

#[test]
fn readers_survive_mutated_files_and_read_what_is_there() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tally = harness::mutate(0..4_000, 1, folder.path());
    assert_eq!(tally.faults, Vec::<String>::new());
    // Both outcomes are common, so that neither check runs empty.
    assert!(tally.accepted > 800 && tally.refused > 800, "{tally:?}");
}
