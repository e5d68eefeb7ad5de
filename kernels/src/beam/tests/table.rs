//! A random table in closed form as the scorer: the same numbers on the host, on the device stub
//! and in the reference, with many ties and sums that are exact.

use std::convert::Infallible;

use super::*;

/// What is scored, and what is broken about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    pub(super) seed: u64,
    pub(super) rule: Rule,
    /// Whether an eighth of the scores is negative infinity.
    pub(super) has_holes: bool,
    /// Whether sums are so large that they round: scores that differ then join to the same.
    pub(super) is_coarse: bool,
    /// A (prompt, level, token) whose score is not a number.
    pub(super) poison: Option<(u32, usize, u32)>,
}

impl Table {
    pub(super) fn new(seed: u64, rule: Rule) -> Self {
        Self { seed, rule, has_holes: false, is_coarse: false, poison: None }
    }

    /// The hash of the empty sequence.
    pub(super) fn start(&self, prompt: u32) -> u64 {
        self.seed ^ (u64::from(prompt) << 32)
    }

    /// The hash of a sequence one token longer.
    pub(super) fn next(&self, hash: u64, token: u32) -> u64 {
        (hash ^ u64::from(token)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
    }

    /// Score of the last token of the sequence with this hash.
    pub(super) fn score(&self, hash: u64, prompt: u32, level: usize, token: u32) -> f32 {
        if self.poison == Some((prompt, level, token)) {
            return f32::NAN;
        }
        let value = hash.wrapping_mul(0xd6e8_feb8_6659_fd93) >> 57;
        if self.has_holes && value.is_multiple_of(8) {
            return f32::NEG_INFINITY;
        }
        match self.rule {
            Rule::Add if self.is_coarse && level == 0 => -1e8,
            Rule::Add | Rule::Replace => -((value / 8) as f32) / 4.0,
            Rule::Multiply => 0.5f32.powi((value / 8 % 4) as i32),
        }
    }

    /// Score of the last token of a path.
    pub(super) fn of(&self, prompt: u32, path: &[u32]) -> f32 {
        let hash = path.iter().fold(self.start(prompt), |hash, &token| self.next(hash, token));
        self.score(hash, prompt, path.len() - 1, path[path.len() - 1])
    }
}

/// The table on the host. Follows the beams by their parent slots alone, as a cache of keys would.
pub(super) struct TableScorer {
    pub(super) table: Table,
    /// Tokens of the alphabet, if it gives rows.
    pub(super) width: Option<usize>,
    prompts: Vec<u32>,
    hashes: Vec<u64>,
    calls: usize,
}

impl TableScorer {
    pub(super) fn new(table: Table, width: Option<usize>) -> Self {
        Self { table, width, prompts: Vec::new(), hashes: Vec::new(), calls: 0 }
    }

    fn advance(&mut self, frontier: &Frontier) {
        assert_eq!(frontier.level(), self.calls, "one call per level");
        let hash = |beam: &FrontierBeam| match self.calls {
            0 => {
                assert_eq!(beam.parent, beam.request);
                self.table.start(self.prompts[beam.request as usize])
            }
            _ => self.table.next(self.hashes[beam.parent as usize], beam.token),
        };
        self.hashes = frontier.beams().iter().map(hash).collect();
        self.calls += 1;
    }

    fn score_of(&self, frontier: &Frontier, slot: usize, token: u32) -> f32 {
        let prompt = self.prompts[frontier.beams()[slot].request as usize];
        let hash = self.table.next(self.hashes[slot], token);
        self.table.score(hash, prompt, frontier.level(), token)
    }
}

impl Scorer<u32> for TableScorer {
    type Error = Infallible;

    fn start(&mut self, prompts: &[u32]) -> Result<(), Infallible> {
        self.prompts = prompts.to_vec();
        self.calls = 0;
        Ok(())
    }

    fn score(&mut self, frontier: &Frontier, scores: &mut [f32]) -> Result<(), Infallible> {
        self.advance(frontier);
        for slot in 0..frontier.beams().len() {
            for at in frontier.children(slot) {
                scores[at] = self.score_of(frontier, slot, frontier.tokens()[at]);
            }
        }
        Ok(())
    }

    fn width(&self, _level: usize) -> Option<usize> {
        self.width
    }

    fn rows(&mut self, frontier: &Frontier, rows: &mut [f32]) -> Result<(), Infallible> {
        assert!(frontier.tokens().is_empty(), "rows are asked for without children");
        self.advance(frontier);
        let width = self.width.unwrap();
        for (slot, row) in rows.chunks_exact_mut(width).enumerate() {
            for (token, score) in (0..).zip(row) {
                *score = self.score_of(frontier, slot, token);
            }
        }
        Ok(())
    }
}
