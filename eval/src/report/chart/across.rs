//! A value axis across a chart whose rows stand below each other: where values lie, and the grid
//! with its ticks. Knows no row.

use super::ticks;
use crate::report::numbers;

/// Space below the grid, for the ticks.
const FOOT: f64 = 24.0;

/// The axis.
pub(super) struct Across {
    left: f64,
    right: f64,
    first: f64,
    last: f64,
    ticks: Vec<f64>,
}

impl Across {
    /// From `left` to `right`, holding the values from `low` to `high`, with about `wanted` ticks.
    pub(super) fn new((low, high): (f64, f64), (left, right): (f64, f64), wanted: usize) -> Self {
        let ticks = ticks(low, if high > low { high } else { low + 1.0 }, wanted);
        let (first, last) = (low.min(ticks[0]), high.max(ticks[ticks.len() - 1]));
        Self { left, right, first, last, ticks }
    }

    /// Where a value lies.
    pub(super) fn x(&self, value: f64) -> f64 {
        let share = (value - self.first) / (self.last - self.first);
        self.left + share * (self.right - self.left)
    }

    /// Where the grid of a chart of this height ends.
    pub(super) fn foot(height: f64) -> f64 {
        height - FOOT
    }

    /// A line with its number for every tick, from `top` down.
    pub(super) fn grid(&self, top: f64, height: f64) -> String {
        let foot = Self::foot(height);
        let line = |&tick: &f64| {
            format!(
                r#"<line class="grid" x1="{at:.1}" x2="{at:.1}" y1="{top}" y2="{foot:.1}"/><text class="tick" aria-hidden="true" x="{at:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
                height - 8.0,
                numbers::short(tick),
                at = self.x(tick),
            )
        };
        self.ticks.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lie_between_the_ends_and_ticks_on_the_grid() {
        let across = Across::new((0.0, 0.71), (10.0, 90.0), 6);
        assert_eq!((across.x(0.0), across.x(0.8)), (10.0, 90.0));
        assert_eq!(across.grid(4.0, 100.0).matches(r#"y1="4" y2="76.0""#).count(), 5);
        // One value alone is given room to its right.
        let single = Across::new((0.5, 0.5), (0.0, 1.0), 3);
        assert!(single.x(0.5) >= 0.0 && single.x(0.5) < 1.0);
    }
}
