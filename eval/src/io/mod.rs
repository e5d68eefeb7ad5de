//! Files that hold runs and judgments, one format per file. Readers say where a fault stands; writers take any `Write`, so
//! that the caller decides how the file appears.

mod any;
mod columns;
mod json;
mod json_id;
mod jsonl;
mod lines;
mod parquet;
mod ranks;
mod source;
mod trec_qrels;
mod trec_run;
mod values;

pub use any::{read_qrels, read_run, read_run_with_ranks, write_qrels, write_run};
pub use json::{parse_json_qrels, parse_json_run, write_json_qrels, write_json_run};
pub use jsonl::{parse_jsonl_qrels, parse_jsonl_run, write_jsonl_qrels, write_jsonl_run};
pub use lines::for_each_line;
pub use parquet::{read_parquet_qrels, read_parquet_run, write_parquet_qrels, write_parquet_run};
pub use source::Format;
pub use trec_qrels::{parse_trec_qrels, read_trec_qrels, write_trec_qrels};
pub use trec_run::{parse_trec_run, read_trec_run, write_trec_run};
pub use values::{RequestValues, read_values, write_values};
