//! From a checked recipe to a finished run: a DAG of named steps, cached by content.
//!
//! [`plan`] derives the steps and their keys, [`folder`] owns the run folder (lock, manifests,
//! verification), [`runner`] executes what is not there yet, and `steps/` holds one file per kind
//! of step. Nothing here computes anything itself.

mod acting;
pub mod answer;
pub mod estimate;
pub mod finished;
pub mod folder;
mod fused;
pub mod judge;
mod keyed;
mod leaks;
mod measured;
pub mod oracle;
mod outside;
pub mod plan;
mod predict;
pub mod report;
pub mod runner;
mod slices;
mod steps;
mod tuning;
