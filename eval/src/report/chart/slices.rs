//! A dot plot of one division of the requests: a band per slice, in it one marker with whisker per system.

use super::across::Across;
use super::{Name, Room, both, bounds, color, cut, escape, figure, marker, open};
use crate::report::numbers;

/// One band.
pub(in crate::report) struct SliceRow<'a> {
    pub(in crate::report) label: &'a str,
    /// Second line of the label, such as "903 requests".
    pub(in crate::report) side: String,
    pub(in crate::report) dots: Vec<SliceDot<'a>>,
}

/// One system in a band.
pub(in crate::report) struct SliceDot<'a> {
    /// Position in the row of colors and shapes.
    pub(in crate::report) index: usize,
    pub(in crate::report) label: &'a str,
    pub(in crate::report) value: f64,
    pub(in crate::report) low: f64,
    pub(in crate::report) high: f64,
}

const DOT_STEP: f64 = 15.0;
const BAND_GAP: f64 = 18.0;

/// The chart, on an axis that holds `span`, so that charts beside each other share theirs.
pub(in crate::report) fn slices(name: &Name, rows: &[SliceRow<'_>], span: (f64, f64)) -> String {
    let finite = |dot: &SliceDot<'_>| [dot.value, dot.low, dot.high].iter().all(|v| v.is_finite());
    if !rows.iter().flat_map(|row| &row.dots).any(finite) || !(span.1 - span.0).is_finite() {
        return String::new();
    }
    both(name, |name, room| draw(name, rows, span, room))
}

fn draw(name: &Name, rows: &[SliceRow<'_>], span: (f64, f64), room: Room) -> String {
    let wide = room == Room::Wide;
    let (width, left) = if wide { (480.0, 124.0) } else { (300.0, 12.0) };
    let right = width - 16.0;
    let head = if wide { 0.0 } else { 20.0 };
    let band = |row: &SliceRow<'_>| {
        let least = if wide { 2.2 } else { 1.0 };
        head + DOT_STEP * (row.dots.len() as f64).max(least) + BAND_GAP
    };
    let height = rows.iter().map(band).sum::<f64>() + 30.0;
    let span = bounds([span.0, span.1].into_iter()).unwrap_or((0.0, 1.0));
    let across = Across::new(span, (left, right), if wide { 5 } else { 3 });
    let x = |value: f64| across.x(value);
    let mut svg = open(width, height, name);
    svg.push_str(&across.grid(0.0, height));
    let mut y = 0.0;
    for (index, row) in rows.iter().enumerate() {
        if index > 0 {
            svg.push_str(&format!(
                r#"<line class="grid" x1="0" x2="{right:.1}" y1="{y:.1}" y2="{y:.1}"/>"#
            ));
        }
        let (label, side) = (escape(&cut(row.label, 17)), escape(&row.side));
        let top = y + BAND_GAP / 2.0;
        svg.push_str(&if wide {
            format!(
                r#"<text class="label" x="0" y="{:.1}">{label}</text><text class="tick" x="0" y="{:.1}">{side}</text>"#,
                top + 12.0,
                top + 28.0
            )
        } else {
            format!(
                r#"<text class="label" x="0" y="{0:.1}">{label}</text><text class="tick" x="{right:.1}" y="{0:.1}" text-anchor="end">{side}</text>"#,
                top + 8.0
            )
        });
        for (at, dot) in row.dots.iter().enumerate() {
            let dot_y = top + head + DOT_STEP * (at as f64 + 0.5);
            if ![dot.value, dot.low, dot.high].iter().all(|v| v.is_finite()) {
                continue;
            }
            let color = color(dot.index);
            let marks = format!(
                r#"<line class="whisker {color}" x1="{:.1}" x2="{:.1}" y1="{dot_y:.1}" y2="{dot_y:.1}"/>{}"#,
                x(dot.low),
                x(dot.high),
                marker(dot.index, x(dot.value), dot_y, &color),
            );
            let [value, low, high] = [dot.value, dot.low, dot.high].map(numbers::value);
            let title = format!("{}, {}: {value} ({low} to {high})", row.label, dot.label);
            svg.push_str(&figure("spot-small", &title, None, &marks));
        }
        y += band(row);
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_sound, name};
    use super::*;

    #[test]
    fn any_figures_give_a_sound_chart_or_none() {
        let row = |values: &[f64]| SliceRow {
            label: "a<b",
            side: "9 requests".to_owned(),
            dots: values
                .iter()
                .enumerate()
                .map(|(index, &value)| SliceDot {
                    index,
                    label: "a<b",
                    value,
                    low: value,
                    high: value,
                })
                .collect(),
        };
        assert_eq!(slices(&name(), &[], (0.0, 1.0)), "");
        assert_eq!(slices(&name(), &[row(&[f64::NAN])], (0.0, 1.0)), "");
        assert_eq!(slices(&name(), &[row(&[0.5])], (0.0, f64::NAN)), "");
        assert_sound(&slices(&name(), &[row(&[0.5, f64::NAN]), row(&[])], (0.5, 0.5)));
    }
}
