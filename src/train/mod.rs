//! Training: one loop for every objective, with exact resume.
//!
//! The loop ([`engine`]) draws examples by index ([`sampler`]), asks an objective for a loss,
//! checks that every parameter received a gradient (`gradients`), clips, moves the weights ([`optimizer`])
//! keeps their mean where one is wanted ([`average`]) and looks at data that is not trained on ([`validation`]).
//! It does not know what is being trained: decoders and encoders are [`crate::model::Parameters`].

pub mod average;
pub mod checkpoint;
pub mod course;
pub mod data;
mod device;
pub mod engine;
mod faults;
pub(crate) mod gradients;
pub mod held_out;
pub mod log;
pub mod objective;
pub mod optimizer;
pub mod permutation;
pub mod rows;
pub mod sampler;
pub mod schedule;
#[cfg(test)]
mod seam_tests;
pub mod settings;
pub mod track;
pub mod validation;
pub mod world;
