//! The simulated shop: one world, known truth. Every law with its constants: `docs/simulator.md`.
//!
//! - `vocabulary`, `taxonomy`: words, leaves, attributes; `item`: items and titles
//! - `intent`, `query`: what shoppers want and how they say it; `policy`: what they are shown
//! - `feedback`: what they do; `world`: all of it with the oracles; `write`: the corpus folder

mod draw;
mod feedback;
mod intent;
mod item;
mod kind;
mod policy;
mod query;
mod taxonomy;
mod vocabulary;
mod world;
mod write;

pub use intent::Intent;
pub use world::World;
pub use write::JUDGEMENT_CAPS;
use write::{estimate, write};
