//! The one integration binary: the shape of the source tree, generated documents, and the program as
//! its users meet it, on recipes that take a second or two.

#![allow(clippy::unwrap_used)]

mod alignment;
mod answers;
mod architecture;
mod bad_input;
mod baselines;
mod cascade;
mod ceiling;
mod circles;
mod cli;
mod click_rate;
mod collisions;
mod data;
mod docs;
mod eval;
mod folders;
mod identifiers;
mod index;
mod known_codes;
mod logistic;
mod new_items;
mod outputs;
mod own_log;
mod places;
mod pretrained;
mod quantizers;
mod resume;
mod run_folder;
mod said;
mod search;
mod seeds;
mod source;
mod spans;
mod support;
mod talk;
mod teacher;
mod tidy;
mod tracking;
mod training;
mod trainings;
mod vectors;
mod verbs;
mod verified;
