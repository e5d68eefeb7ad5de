//! The report of an evaluation: its data, and the forms it is shown in. The data (`model`) is the contract with every
//! reader of `trieval report --json`; the other files only show it and compute no figure of their own.

pub mod model;
#[cfg(test)]
mod sample;
