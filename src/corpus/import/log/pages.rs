//! What was shown for each request, in the order of positions.

use super::collected::{Collected, Met, NONE, Shown};
use super::fields::MOST_SHOWN;

/// Rows of the log by request, each page in order.
pub(super) struct Pages {
    /// Row numbers, request by request.
    rows: Vec<u32>,
    /// `[requests + 1]`: where each begins.
    starts: Vec<u32>,
    /// What is added to positions: 1 where the log counts from 0.
    shift: u32,
    pub(super) remarks: PageRemarks,
}

/// What is to be said of pages.
#[derive(Default)]
pub(super) struct PageRemarks {
    /// Whether positions were counted from 0.
    pub(super) from_zero: bool,
    /// Requests of which some items have a position and some have none.
    pub(super) missing: Met,
    /// Requests with two items at one position.
    pub(super) doubled: Met,
    /// Requests with more items than fit a page.
    pub(super) too_long: Met,
}

impl Pages {
    pub(super) fn of(log: &Collected) -> Self {
        let mut starts = vec![0; log.asked.len() + 1];
        for shown in &log.shown {
            starts[shown.request as usize + 1] += 1;
        }
        for place in 1..starts.len() {
            starts[place] += starts[place - 1];
        }
        let mut next = starts.clone();
        let mut rows = vec![0; log.shown.len()];
        for (row, shown) in (0..).zip(&log.shown) {
            let place = &mut next[shown.request as usize];
            rows[*place as usize] = row;
            *place += 1;
        }
        let positions = || log.shown.iter().map(|shown| shown.position);
        let from_zero = positions().any(|position| position == 0);
        let mut remarks = PageRemarks { from_zero, ..PageRemarks::default() };
        let shift = u32::from(from_zero);
        for (request, window) in (0..).zip(starts.windows(2)) {
            let page = &mut rows[window[0] as usize..window[1] as usize];
            let position = |row: &u32| log.shown[*row as usize].position;
            let n_known = page.iter().filter(|row| position(row) != NONE).count();
            let key = || log.keys.text(request).replace('\u{1f}', " · ");
            if n_known > 0 {
                // Stable: rows without a position come last, in the order of the log.
                page.sort_by_key(position);
                if n_known < page.len() {
                    remarks.missing.one(key);
                }
                let known = &page[..n_known];
                if known.windows(2).any(|pair| position(&pair[0]) == position(&pair[1])) {
                    remarks.doubled.one(key);
                }
            }
            if page.len() > MOST_SHOWN || page.iter().any(|row| beyond(position(row), shift)) {
                remarks.too_long.one(key);
            }
        }
        Self { rows, starts, shift, remarks }
    }

    /// Rows shown for a request with their positions, 1-based; what does not fit a page is left out.
    pub(super) fn page<'p>(
        &'p self,
        log: &'p Collected,
        request: u32,
    ) -> impl Iterator<Item = (u32, &'p Shown, u16)> {
        let range =
            self.starts[request as usize] as usize..self.starts[request as usize + 1] as usize;
        let mut last = 0;
        self.rows[range].iter().filter_map(move |&row| {
            let shown = &log.shown[row as usize];
            let position = match shown.position {
                NONE => last + 1,
                position => position.saturating_add(self.shift),
            };
            let position = u16::try_from(position).ok()?;
            last = u32::from(position);
            Some((row, shown, position))
        })
    }
}

fn beyond(position: u32, shift: u32) -> bool {
    position != NONE && position.saturating_add(shift) > MOST_SHOWN as u32
}
