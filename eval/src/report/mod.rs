//! The report of an evaluation: its data, and the forms it is shown in. The data (`model`) is the contract with every
//! reader of `trieval report --json`; the other files only show it and compute no figure of their own.

mod chart;
mod html;
mod markdown;
pub mod model;
mod numbers;
#[cfg(test)]
pub(crate) mod sample;
mod table;
mod text;
mod words;

pub use html::html;
pub use markdown::markdown;
pub use model::{Report, json_schema};
pub use text::text_table;
