//! Files that hold runs and judgments, one format per file. Readers name the line of a fault; writers take any `Write`, so
//! that the caller decides how the file appears.

mod lines;
mod trec_qrels;
mod trec_run;

pub use trec_qrels::{parse_trec_qrels, read_trec_qrels, write_trec_qrels};
pub use trec_run::{parse_trec_run, read_trec_run, write_trec_run};
