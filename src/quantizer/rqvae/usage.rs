//! How many codes of a level are used, and how evenly: what a training shows, when it warns and when it gives up.

use std::collections::BTreeMap;

/// Names of the figures of each level: codes that are used, and the perplexity of their use.
const NAMES: [[&str; 2]; 8] = [
    ["codes_used/1", "codes_perplexity/1"],
    ["codes_used/2", "codes_perplexity/2"],
    ["codes_used/3", "codes_perplexity/3"],
    ["codes_used/4", "codes_perplexity/4"],
    ["codes_used/5", "codes_perplexity/5"],
    ["codes_used/6", "codes_perplexity/6"],
    ["codes_used/7", "codes_perplexity/7"],
    ["codes_used/8", "codes_perplexity/8"],
];

/// Of the codes that could be used, the share below which a level is scarcely used, and that below which it says nothing.
const SCARCE: f64 = 0.2;
const COLLAPSED: f64 = 0.02;

/// The use of a level's codes by some items.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Usage {
    /// Codes that could be used.
    all: usize,
    used: usize,
    /// `2^H` of the shares of the codes: as many codes, evenly used, would say as much.
    perplexity: f64,
}

impl Usage {
    /// Of the codes that some items chose out of `n_codes`.
    pub(super) fn of(chosen: &[u32], n_codes: usize) -> Self {
        let mut counts = vec![0_u32; n_codes];
        chosen.iter().for_each(|&code| counts[code as usize] += 1);
        let shares = counts.iter().filter(|count| **count > 0);
        let shares = shares.map(|&count| f64::from(count) / chosen.len() as f64);
        let entropy: f64 = shares.map(|share| -share * share.ln()).sum();
        let used = counts.iter().filter(|count| **count > 0).count();
        Self { all: n_codes.min(chosen.len()), used, perplexity: entropy.exp() }
    }

    /// For the log, under the names of a level.
    pub(super) fn figures(&self, level: usize) -> [(&'static str, f64); 2] {
        let [used, perplexity] = NAMES[level];
        [(used, self.used as f64), (perplexity, self.perplexity)]
    }

    /// Whether the level says next to nothing.
    pub(super) fn is_collapsed(&self) -> bool {
        self.perplexity < bound(COLLAPSED, self.all)
    }

    /// What to say when a training ends for it.
    pub(super) fn collapse(&self, level: usize, step: u64) -> String {
        format!(
            "the codes of level {} collapsed: {} of {} are used after step {step} (perplexity {:.1}), so that they say next \
             to nothing of an item; lower `revive_steps` (above 0) so that idle codes move to where items are, lower \
             `optimizer.learning_rate` or `commitment`, or use fewer `codes`",
            level + 1,
            self.used,
            self.all,
            self.perplexity,
        )
    }
}

fn bound(share: f64, all: usize) -> f64 {
    1.0 + share * all.saturating_sub(1) as f64
}

/// What to say of the figures of a level in a record, `all` codes of which could be used; none where they are well used or
/// were not looked at.
pub(super) fn remark(figures: &BTreeMap<String, f64>, level: usize, all: usize) -> Option<String> {
    let [used, perplexity] = NAMES[level].map(|name| figures.get(name).copied());
    let (used, perplexity) = (used?, perplexity?);
    (perplexity < bound(SCARCE, all)).then(|| {
        format!(
            "level {} uses {used} of {all} codes, as evenly as {perplexity:.1} would be: lower `revive_steps` (above 0), \
             train longer, use fewer `codes`, or spread items over them (`balanced`)",
            level + 1
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn perplexity_counts_codes_as_evenly_as_they_are_used() {
        let even = Usage::of(&[0, 1, 2, 3], 4);
        assert_eq!(even.used, 4);
        assert!((even.perplexity - 4.0).abs() < 1e-12);
        // Shares 3/4 and 1/4: exp(0.5623).
        let skewed = Usage::of(&[7, 7, 7, 2], 256);
        assert_eq!((skewed.used, skewed.all), (2, 4));
        assert!((skewed.perplexity - 1.7547).abs() < 1e-4);
        assert!(!skewed.is_collapsed());
    }

    #[test]
    fn a_level_that_says_nothing_is_told_with_the_keys_that_help() {
        let mut chosen = vec![3; 1_000];
        chosen[0] = 4;
        let usage = Usage::of(&chosen, 64);
        assert!(usage.is_collapsed());
        let told = usage.collapse(1, 500);
        for part in ["level 2", "2 of 64", "step 500", "revive_steps", "learning_rate"] {
            assert!(told.contains(part), "{told}");
        }
        let figures = usage.figures(1).map(|(name, value)| (name.to_owned(), value)).into();
        assert!(remark(&figures, 1, 64).is_some_and(|told| told.contains("level 2 uses 2 of 64")));
        assert_eq!(remark(&figures, 0, 64), None, "level 1 was not looked at");
        let well = Usage::of(&(0..64).collect::<Vec<_>>(), 64);
        let figures = well.figures(1).map(|(name, value)| (name.to_owned(), value)).into();
        assert_eq!(remark(&figures, 1, 64), None);
    }
}
