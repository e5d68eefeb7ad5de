//! A corpus in figures for people: what came in, where clicks fall, what repeats.

use std::collections::HashSet;

use serde::Serialize;

use super::folder::Corpus;
use super::summary::{CorpusSummary, SplitCounts};
use super::types::Split;
use crate::error::Result;

/// Positions whose click rate is told one by one.
const POSITIONS: usize = 10;

/// What a corpus holds.
#[derive(Debug, Serialize)]
pub struct Profile {
    /// Counts, splits, leaks, malformed rows, remarks.
    pub summary: CorpusSummary,
    /// Different query texts.
    pub queries: u64,
    /// Requests with a history.
    pub with_history: SplitCounts,
    /// Requests for which something was chosen.
    pub with_choice: SplitCounts,
    /// Items that were shown to anybody.
    pub shown_items: u64,
    /// First and last day of each split, where the corpus has days.
    pub days: Vec<(Split, i32, i32)>,
    /// Share of shown items that were clicked, at positions 1 to 10; none where nothing was shown.
    pub click_rate: Vec<Option<f64>>,
    /// The same below position 10.
    pub click_rate_below: Option<f64>,
}

impl Profile {
    /// Reads the tables once.
    ///
    /// # Errors
    /// [`crate::Error::Data`] when a table cannot be read.
    pub fn of(corpus: &Corpus) -> Result<Self> {
        let mut queries = HashSet::new();
        let [mut with_history, mut with_choice] = [SplitCounts::default(); 2];
        let mut shown = vec![false; corpus.summary().items as usize];
        let mut days = Vec::new();
        let mut clicked = [(0_u64, 0_u64); POSITIONS + 1];
        for split in Split::ALL {
            let mut range: Option<(i32, i32)> = None;
            for request in corpus.request_iter(split)? {
                let request = request?;
                queries.extend(request.ask.query);
                if !request.ask.history.is_empty() {
                    with_history.add(split);
                }
                let (first, last) = range.unwrap_or((request.day, request.day));
                range = Some((first.min(request.day), last.max(request.day)));
            }
            days.extend(range.map(|(first, last)| (split, first, last)));
            for page in corpus.impressions_of(split)? {
                let (_, page) = page?;
                if page.iter().any(|one| one.level.is_chosen()) {
                    with_choice.add(split);
                }
                for one in page {
                    shown[one.item as usize] = true;
                    let place = usize::from(one.position).saturating_sub(1).min(POSITIONS);
                    clicked[place].0 += u64::from(one.click);
                    clicked[place].1 += 1;
                }
            }
        }
        if days.iter().all(|(_, first, last)| (*first, *last) == (0, 0)) {
            days.clear();
        }
        let rate = |(clicks, of): (u64, u64)| (of > 0).then(|| clicks as f64 / of as f64);
        Ok(Self {
            summary: corpus.summary().clone(),
            queries: queries.len() as u64,
            with_history,
            with_choice,
            shown_items: shown.iter().filter(|shown| **shown).count() as u64,
            days,
            click_rate: clicked[..POSITIONS].iter().map(|one| rate(*one)).collect(),
            click_rate_below: rate(clicked[POSITIONS]),
        })
    }
}
