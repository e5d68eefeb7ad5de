//! The report of an evaluation: its data, and the forms it is shown in. The data (`model`) is the contract with every
//! reader of `trieval report --json`; the other files only show it and compute no figure of their own.

mod characters;
mod chart;
mod csv;
mod html;
mod latex;
mod link;
mod logged;
mod markdown;
pub mod model;
mod numbers;
#[cfg(any(test, feature = "browser"))]
#[doc(hidden)]
pub mod sample;
mod sentence;
mod table;
mod text;
mod words;

pub use csv::csv;
pub use html::html;
pub use latex::latex;
pub use markdown::markdown;
pub use model::{Report, json_schema};
pub use text::{text_table, text_table_within, wrapped};
