//! Which examples form which step: a pure function of seed and step, so that a resumed run needs
//! no replay.
//!
//! Examples are permuted once per epoch, by a function of their number that takes no memory
//! ([`Permutation`]). A window of `WINDOW_STEPS` steps is sorted by length before it is cut into
//! steps, which keeps padding small; the steps of a window are then shuffled.

use rand::seq::SliceRandom;

use super::permutation::Permutation;
use crate::seed::Seed;

/// Steps whose examples are grouped by length together.
const WINDOW_STEPS: u64 = 16;

/// One drawn example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    /// Which example, in `0..n_examples`.
    pub example: u64,
    /// `epoch * n_examples + example`: the key of the draw's random streams.
    pub global: u64,
}

/// Deals examples to steps.
pub struct Sampler {
    n_examples: u64,
    step_examples: u64,
    n_steps: u64,
    seed: Seed,
    window: Option<(u64, Vec<Vec<Draw>>)>,
}

impl Sampler {
    /// Deals `step_examples` out of `n_examples` (at least one of each) per step, for `epochs` passes.
    pub fn new(n_examples: u64, step_examples: u64, epochs: f64, seed: Seed) -> Self {
        let n_steps = n_steps(n_examples, step_examples, epochs);
        Self { n_examples, step_examples, n_steps, seed, window: None }
    }

    /// Steps in all.
    pub fn n_steps(&self) -> u64 {
        self.n_steps
    }

    /// The examples of one step; `length` gives an example's length for grouping.
    pub fn step(&mut self, step: u64, length: impl Fn(u64) -> u32) -> &[Draw] {
        let window_idx = step / WINDOW_STEPS;
        if self.window.as_ref().is_none_or(|(idx, _)| *idx != window_idx) {
            let window = self.deal(window_idx, length);
            self.window = Some((window_idx, window));
        }
        match &self.window {
            Some((_, steps)) => {
                steps.get((step % WINDOW_STEPS) as usize).map_or(&[], Vec::as_slice)
            }
            None => &[],
        }
    }

    fn deal(&self, window_idx: u64, length: impl Fn(u64) -> u32) -> Vec<Vec<Draw>> {
        let window_examples = WINDOW_STEPS * self.step_examples;
        let first = window_idx * window_examples;
        // The last window ends with the training: else examples beyond the end would take the
        // places of some that are due.
        let end = (first + window_examples).min(self.n_steps * self.step_examples);
        let mut draws: Vec<Draw> = Vec::with_capacity((end - first) as usize);
        let mut position = first;
        while position < end {
            let epoch = position / self.n_examples;
            let order = Permutation::new(self.n_examples, self.seed.purpose("epoch").index(epoch));
            let epoch_end = end.min((epoch + 1) * self.n_examples);
            draws.extend((position..epoch_end).map(|position| {
                let example = order.at(position % self.n_examples);
                Draw { example, global: epoch * self.n_examples + example }
            }));
            position = epoch_end;
        }
        draws.sort_by_key(|draw| (length(draw.example), draw.global));
        let mut steps: Vec<Vec<Draw>> =
            draws.chunks(self.step_examples as usize).map(<[Draw]>::to_vec).collect();
        steps.shuffle(&mut self.seed.purpose("steps").index(window_idx).rng());
        steps
    }
}

/// Steps of `step_examples` that `epochs` passes over `n_examples` take; at least one.
pub fn n_steps(n_examples: u64, step_examples: u64, epochs: f64) -> u64 {
    ((epochs * n_examples as f64 / step_examples as f64).round() as u64).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(n_examples: u64, step_examples: u64, steps: std::ops::Range<u64>) -> Vec<Vec<Draw>> {
        let epochs = (60 * step_examples) as f64 / n_examples as f64;
        let mut sampler = Sampler::new(n_examples, step_examples, epochs, Seed::new(3));
        steps.map(|step| sampler.step(step, |example| (example % 5) as u32).to_vec()).collect()
    }

    #[test]
    fn every_example_is_drawn_once_per_epoch() {
        // 16 steps of 4 are exactly one window and one epoch of 64 examples.
        for epoch in 0..3 {
            let steps = collect(64, 4, epoch * 16..(epoch + 1) * 16);
            let mut seen: Vec<u64> = steps.concat().iter().map(|draw| draw.example).collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..64).collect::<Vec<_>>());
            assert!(steps.concat().iter().all(|draw| draw.global / 64 == epoch));
        }
    }

    #[test]
    fn seeking_equals_running() {
        let all = collect(37, 5, 0..60);
        for start in [1, 16, 31, 59] {
            assert_eq!(collect(37, 5, start..60), all[start as usize..]);
        }
    }

    #[test]
    fn one_epoch_that_ends_inside_a_window_draws_every_example_once() {
        let mut sampler = Sampler::new(60, 6, 1.0, Seed::new(5));
        assert_eq!(sampler.n_steps(), 10);
        let mut seen: Vec<u64> = (0..10)
            .flat_map(|step| sampler.step(step, |example| (example % 7) as u32).to_vec())
            .map(|draw| draw.example)
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..60).collect::<Vec<_>>());
        assert!(sampler.step(10, |_| 0).is_empty(), "nothing is dealt behind the end");
    }

    #[test]
    fn steps_group_similar_lengths() {
        let steps = collect(640, 8, 0..16);
        let spread = |draws: &[Draw]| {
            let lengths: Vec<u64> = draws.iter().map(|draw| draw.example % 5).collect();
            lengths.iter().max().copied().unwrap_or(0) - lengths.iter().min().copied().unwrap_or(0)
        };
        assert!(steps.iter().all(|draws| spread(draws) <= 1));
    }

    #[test]
    fn more_examples_per_step_than_examples_wraps_over_epochs() {
        let steps = collect(3, 8, 0..2);
        assert!(steps.iter().all(|draws| draws.len() == 8));
    }
}
