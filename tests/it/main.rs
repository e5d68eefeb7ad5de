//! End-to-end tests: they drive the real binary on recipes that take a second or two.

#![allow(clippy::unwrap_used)]

mod bad_input;
mod cli;
mod data;
mod resume;
mod run_folder;
mod support;
