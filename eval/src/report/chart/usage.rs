//! How evenly codes are used: items per code, highest first, as bars small enough for a cell of a table.

use super::{Name, open};

/// Most bars; more are gathered into means.
const MAX_BARS: usize = 64;

/// Items per code, highest first, codes gathered where there are many. Bars share one height scale: the highest is full.
pub(in crate::report) fn usage(name: &Name, counts: &[u64], codes: u64) -> String {
    let mut sorted = counts.to_vec();
    sorted.sort_unstable_by(|left, right| right.cmp(left));
    // Codes that the table left out are unused ones.
    let missing = usize::try_from(codes).unwrap_or(0).saturating_sub(sorted.len()).min(1 << 20);
    sorted.extend(std::iter::repeat_n(0, missing));
    let highest = sorted.first().copied().unwrap_or(0);
    if highest == 0 {
        return String::new();
    }
    const WIDTH: f64 = 320.0;
    const HEIGHT: f64 = 56.0;
    let n_bars = sorted.len().min(MAX_BARS);
    let step = WIDTH / n_bars as f64;
    let mut svg = open(WIDTH, HEIGHT + 2.0, name);
    for bar in 0..n_bars {
        let group = &sorted[bar * sorted.len() / n_bars..(bar + 1) * sorted.len() / n_bars];
        let mean = group.iter().sum::<u64>() as f64 / group.len().max(1) as f64;
        if mean <= 0.0 {
            continue;
        }
        let height = (mean / highest as f64 * HEIGHT).max(1.5);
        svg.push_str(&format!(
            r#"<rect class="bar" x="{:.2}" y="{:.2}" width="{:.2}" height="{height:.2}"/>"#,
            bar as f64 * step,
            HEIGHT - height,
            (step * 0.78).max(0.5),
        ));
    }
    svg.push_str(&format!(
        r#"<line class="axis" x1="0" x2="{WIDTH}" y1="{HEIGHT}" y2="{HEIGHT}"/></svg>"#
    ));
    svg
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_sound, name};
    use super::*;

    #[test]
    fn unused_codes_take_their_room() {
        assert_eq!(usage(&name(), &[], 4), "");
        assert_eq!(usage(&name(), &[0, 0], 4), "");
        let chart = usage(&name(), &[3, 0, 9], 4);
        assert_sound(&chart);
        assert_eq!(chart.matches("<rect").count(), 2);
        assert!(chart.contains(r#"width="62.40""#), "{chart}");
        assert_sound(&usage(&name(), &[3, 0, 9], 1_000));
    }
}
