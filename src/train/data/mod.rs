//! What trainings read: prompts rendered once, pairs of chosen and rejected items, requests made of titles, answers of a
//! teacher.

pub mod pairs;
pub mod prompts;
pub mod pseudo;
pub mod spans;
pub mod taught;
