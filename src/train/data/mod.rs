//! What trainings read: prompts rendered once, pairs of chosen and rejected items, requests made of titles.

pub mod pairs;
pub mod prompts;
pub mod pseudo;
