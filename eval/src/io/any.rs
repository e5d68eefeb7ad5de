//! Runs and judgments in whatever format the name of the file stands for.

use std::io::Write;
use std::path::Path;

use super::source::Format;
use super::{json, jsonl, parquet, trec_qrels, trec_run};
use crate::error::Result;
use crate::qrels::Qrels;
use crate::run::Run;

/// Reads a run: `.json`, `.jsonl`, `.parquet`, each but the last also with `.gz` or `.zst`; any other name is taken for a TREC
/// run. Its name is TREC's tag, what Parquet says, or else the file's name without its endings.
pub fn read_run(path: &Path) -> Result<Run> {
    match Format::of(path) {
        Format::Trec => trec_run::read_trec_run(path),
        Format::Json => json::read_json_run(path),
        Format::Jsonl => jsonl::read_jsonl_run(path),
        Format::Parquet => parquet::read_parquet_run(path),
    }
}

/// The same, and what is to be said of a file whose ranks contradict its scores: how many lines do, and where the first stands.
/// None where ranks agree, or the format has none.
pub fn read_run_with_ranks(path: &Path) -> Result<(Run, Option<String>)> {
    match Format::of(path) {
        Format::Trec => trec_run::read_trec_run_with_ranks(path),
        _ => Ok((read_run(path)?, None)),
    }
}

/// Reads judgments; names as for [`read_run`].
pub fn read_qrels(path: &Path) -> Result<Qrels> {
    match Format::of(path) {
        Format::Trec => trec_qrels::read_trec_qrels(path),
        Format::Json => json::read_json_qrels(path),
        Format::Jsonl => jsonl::read_jsonl_qrels(path),
        Format::Parquet => parquet::read_parquet_qrels(path),
    }
}

/// Writes a run.
pub fn write_run(run: &Run, format: Format, writer: &mut (impl Write + Send)) -> Result<()> {
    match format {
        Format::Trec => trec_run::write_trec_run(run, writer),
        Format::Json => json::write_json_run(run, writer),
        Format::Jsonl => jsonl::write_jsonl_run(run, writer),
        Format::Parquet => parquet::write_parquet_run(run, writer),
    }
}

/// Writes judgments.
pub fn write_qrels(qrels: &Qrels, format: Format, writer: &mut (impl Write + Send)) -> Result<()> {
    match format {
        Format::Trec => trec_qrels::write_trec_qrels(qrels, writer),
        Format::Json => json::write_json_qrels(qrels, writer),
        Format::Jsonl => jsonl::write_jsonl_qrels(qrels, writer),
        Format::Parquet => parquet::write_parquet_qrels(qrels, writer),
    }
}
