//! Asking systems and judging what they say: everything between an opened system and a figure.
//!
//! `answer` lets a system answer with the clock running, `acting` lets a cascade choose, `predict` asks for scores of
//! `labelled` items, `answers` what they are judged by, `runs` turns them
//! into run files. `held_out` is what trainings are given of the validation requests,
//! `tuning` the one way to choose settings on them. `slices` and `leaks` say what the corpus says of the evaluated
//! requests, `logged` what its log says of the lists, `truth` what that of a simulated shop does, `measured` what metrics beyond accuracy need, `examples` what a report shows. `judge` is the report of runs
//! from anywhere. `ceiling` is what a search through codes can find before any decoder is trained, `nearness` how it
//! scores codes of a learned space. Knows no recipe, no plan and no step.

pub mod acting;
pub mod answer;
pub mod answers;
pub mod ceiling;
pub mod evidence;
pub mod examples;
pub mod held_out;
pub mod judge;
pub mod labelled;
pub mod leaks;
pub mod logged;
pub mod machine;
pub mod measured;
mod nearness;
pub mod predict;
pub mod runs;
pub mod slices;
pub mod truth;
pub mod tuning;
