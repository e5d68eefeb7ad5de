//! From a checked recipe to a finished run: a DAG of named steps, cached by content.
//!
//! [`plan`] derives the steps and their keys, `replicates` those of several seeds as one plan,
//! [`folder`] owns the run folder (lock, manifests, verification), [`runner`] does what is not there
//! yet, [`estimate`] gives figures before a run, [`finished`] opens one to be asked, `added`
//! is a folder of items that came after one, `later` adds them, [`report`] gathers what a run shows. Knows kinds of components as [`crate::kind::Kind`]s, and none by name.

mod added;
mod builder;
pub mod clean;
pub mod estimate;
pub mod finished;
pub mod folder;
pub mod later;
mod locate;
mod manifest;
mod needs;
pub mod outside;
mod parts;
pub mod plan;
pub mod record;
mod replicates;
pub mod report;
pub mod runner;
pub mod step;
