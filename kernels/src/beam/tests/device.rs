//! A second engine, written the way one on a GPU must be: arrays of fixed shape, the constraint
//! uploaded as plain numbers, a closed set of rules, nothing called back per candidate.

use std::collections::HashSet;
use std::convert::Infallible;

use super::table::Table;
use super::*;

/// Behind the last token of a sequence.
pub(super) const END: u32 = u32::MAX;

/// A constraint that can lie in the memory of a device.
pub(super) trait DeviceIndex {
    fn upload(&self) -> Uploaded;
}

/// All sequences, ascending.
pub(super) struct Uploaded {
    levels: usize,
    /// `[rows, levels]`, [`END`] behind the sequence.
    tokens: Vec<u32>,
    /// `[rows]`.
    items: Vec<u32>,
}

impl Uploaded {
    /// From sorted sequences, one per item.
    pub(super) fn new(rows: &[(Vec<u32>, u32)]) -> Self {
        let levels = rows.iter().map(|(path, _)| path.len()).max().unwrap_or(0);
        let padded = |path: &Vec<u32>| {
            let mut path = path.clone();
            path.resize(levels, END);
            path
        };
        let tokens = rows.iter().flat_map(|(path, _)| padded(path)).collect();
        Self { levels, tokens, items: rows.iter().map(|row| row.1).collect() }
    }

    fn n_rows(&self) -> usize {
        self.items.len()
    }
}

/// The engine.
pub(super) struct DeviceSearch {
    pub(super) index: Uploaded,
    pub(super) table: Table,
    /// Tokens of the alphabet.
    pub(super) width: usize,
    pub(super) beam: usize,
    pub(super) max_levels: usize,
    pub(super) guide: Option<RowGuide>,
}

/// The guide's numbers.
pub(super) struct RowGuide {
    /// Scored items per request.
    pub(super) scored: Vec<Vec<(u32, f32)>>,
    pub(super) otherwise: f32,
    pub(super) stays: bool,
}

/// The beams of all requests, each array `[requests, beam]`.
#[derive(Clone)]
struct Beams {
    is_live: Vec<bool>,
    is_finished: Vec<bool>,
    lo: Vec<usize>,
    hi: Vec<usize>,
    hash: Vec<u64>,
    plain: Vec<f32>,
    score: Vec<f32>,
}

impl Beams {
    fn new(n: usize) -> Self {
        Self {
            is_live: vec![false; n],
            is_finished: vec![false; n],
            lo: vec![0; n],
            hi: vec![0; n],
            hash: vec![0; n],
            plain: vec![0.0; n],
            score: vec![0.0; n],
        }
    }
}

/// Who continued whom at one level, each array `[requests, beam]`.
struct Step {
    parent: Vec<usize>,
    /// [`END`] for a finished sequence carried on.
    token: Vec<u32>,
    own: Vec<f32>,
}

impl DeviceSearch {
    /// Number of allowed rows before each row, `[rows + 1]`.
    fn allowed(&self, filter: Filter<'_>) -> Vec<usize> {
        let is_allowed = |item: &u32| match filter {
            Filter::All => true,
            Filter::Only(items) => items.contains(item),
            Filter::Without(items) => !items.contains(item),
        };
        let mut counts = vec![0; self.index.n_rows() + 1];
        for (row, item) in self.index.items.iter().enumerate() {
            counts[row + 1] = counts[row] + usize::from(is_allowed(item));
        }
        counts
    }

    /// Bonus of every row of a request, `[rows]`.
    fn bonuses(&self, request: usize) -> Vec<Option<f32>> {
        let Some(guide) = &self.guide else { return Vec::new() };
        let scored = &guide.scored[request];
        let of = |item: &u32| scored.iter().find(|(one, _)| one == item).map(|(_, score)| *score);
        self.index.items.iter().map(of).collect()
    }

    fn bonus(&self, bonuses: &[Option<f32>], lo: usize, hi: usize) -> f32 {
        match &self.guide {
            None => 0.0,
            Some(guide) => {
                let best = bonuses[lo..hi].iter().flatten().copied().reduce(f32::max);
                best.unwrap_or(guide.otherwise)
            }
        }
    }

    /// One level of one request: all continuations into a matrix `[beam, width + 1]`, whose last
    /// column is the finished sequence itself, then the best of the matrix.
    fn level(
        &self,
        (prompt, level, request): (u32, usize, usize),
        beams: &Beams,
        (allowed, bonuses): (&[usize], &[Option<f32>]),
        (next, step): (&mut Beams, &mut Step),
    ) -> Result<(), SearchError<Infallible>> {
        let columns = self.width + 1;
        let excluded = f32::NEG_INFINITY;
        let mut score = vec![excluded; self.beam * columns];
        let mut own = vec![0.0; self.beam * columns];
        let mut range = vec![(0, 0); self.beam * columns];
        for beam in 0..self.beam {
            let seat = request * self.beam + beam;
            if !beams.is_live[seat] {
                continue;
            }
            if beams.is_finished[seat] {
                score[beam * columns + self.width] = beams.score[seat];
                continue;
            }
            for token in 0..self.width as u32 {
                let at = |row: &usize| self.index.tokens[row * self.index.levels + level] == token;
                let rows: Vec<usize> = (beams.lo[seat]..beams.hi[seat]).filter(at).collect();
                let (Some(&lo), Some(&last)) = (rows.first(), rows.last()) else { continue };
                if allowed[last + 1] == allowed[lo] {
                    continue;
                }
                let hash = self.table.next(beams.hash[seat], token);
                let cell = beam * columns + token as usize;
                own[cell] = self.table.score(hash, prompt, level, token);
                let plain = self.table.rule.combine(beams.plain[seat], own[cell]);
                score[cell] = plain + self.bonus(bonuses, lo, last + 1);
                range[cell] = (lo, last + 1);
                if own[cell].is_nan() || plain.is_nan() {
                    return Err(SearchError::NotANumber { request, level, token });
                }
            }
        }
        for rank in 0..self.beam {
            // The first largest cell: rows are parents, columns are tokens.
            let best = (0..score.len()).reduce(|a, b| if score[b] > score[a] { b } else { a });
            let Some(cell) = best.filter(|&cell| score[cell] > excluded) else { break };
            let (beam, token) = (cell / columns, (cell % columns) as u32);
            let (from, to) = (request * self.beam + beam, request * self.beam + rank);
            let is_carried = token as usize == self.width;
            next.is_live[to] = true;
            next.score[to] = score[cell];
            step.parent[to] = from;
            if is_carried {
                (next.lo[to], next.hi[to]) = (beams.lo[from], beams.hi[from]);
                (next.is_finished[to], next.plain[to]) = (true, beams.plain[from]);
                step.token[to] = END;
            } else {
                (next.lo[to], next.hi[to]) = range[cell];
                next.hash[to] = self.table.next(beams.hash[from], token);
                next.plain[to] = self.table.rule.combine(beams.plain[from], own[cell]);
                let after = range[cell].0 * self.index.levels + level + 1;
                next.is_finished[to] =
                    level + 1 == self.index.levels || self.index.tokens[after] == END;
                (step.token[to], step.own[to]) = (token, own[cell]);
            }
            score[cell] = excluded;
        }
        Ok(())
    }

    fn hits(&self, request: usize, beams: &Beams, steps: &[Step], allowed: &[usize]) -> Vec<Hit> {
        let seats = request * self.beam..(request + 1) * self.beam;
        let mut finished: Vec<usize> =
            seats.filter(|&seat| beams.is_live[seat] && beams.is_finished[seat]).collect();
        let stays = self.guide.as_ref().is_none_or(|guide| guide.stays);
        let score = if stays { &beams.score } else { &beams.plain };
        finished.sort_by(|&a, &b| score[b].total_cmp(&score[a]));
        let (mut hits, mut known) = (Vec::new(), HashSet::new());
        for seat in finished {
            let (mut tokens, mut token_scores) = (Vec::new(), Vec::new());
            let mut at = seat;
            for step in steps.iter().rev() {
                if step.token[at] != END {
                    tokens.insert(0, step.token[at]);
                    token_scores.insert(0, step.own[at]);
                }
                at = step.parent[at];
            }
            for row in beams.lo[seat]..beams.hi[seat] {
                let item = self.index.items[row];
                if allowed[row + 1] > allowed[row] && known.insert(item) {
                    let (tokens, token_scores) = (tokens.clone(), token_scores.clone());
                    hits.push(Hit { item, score: score[seat], tokens, token_scores });
                }
            }
        }
        hits
    }
}

impl Search<u32> for DeviceSearch {
    type Error = SearchError<Infallible>;

    fn search(
        &mut self,
        prompts: &[u32],
        filters: &[Filter<'_>],
    ) -> Result<Vec<Vec<Hit>>, Self::Error> {
        let filter = |request: usize| filters.get(request).copied().unwrap_or_default();
        let requests = 0..prompts.len();
        let allowed: Vec<_> = requests.clone().map(|r| self.allowed(filter(r))).collect();
        let bonuses: Vec<_> = requests.clone().map(|r| self.bonuses(r)).collect();
        let n = prompts.len() * self.beam;
        let mut beams = Beams::new(n);
        for (request, &prompt) in prompts.iter().enumerate() {
            let seat = request * self.beam;
            beams.is_live[seat] = true;
            beams.hi[seat] = self.index.n_rows();
            beams.hash[seat] = self.table.start(prompt);
            beams.plain[seat] = self.table.rule.start();
        }
        let mut steps = Vec::new();
        for level in 0..self.index.levels.min(self.max_levels) {
            let mut next = Beams::new(n);
            let mut step = Step { parent: vec![0; n], token: vec![END; n], own: vec![0.0; n] };
            for (request, &prompt) in prompts.iter().enumerate() {
                let about = (allowed[request].as_slice(), bonuses[request].as_slice());
                self.level((prompt, level, request), &beams, about, (&mut next, &mut step))?;
            }
            beams = next;
            steps.push(step);
        }
        Ok(requests.map(|r| self.hits(r, &beams, &steps, &allowed[r])).collect())
    }
}
