//! Means with their intervals, one row per system: the first thing that a reader looks at.

use super::across::Across;
use super::{Name, Room, both, color, cut, escape, figure, marker, open_linked};
use crate::report::numbers;

/// One system of an interval chart.
pub(in crate::report) struct Interval<'a> {
    /// Position in the row of colors and shapes.
    pub(in crate::report) index: usize,
    pub(in crate::report) label: &'a str,
    pub(in crate::report) value: f64,
    pub(in crate::report) low: f64,
    pub(in crate::report) high: f64,
    pub(in crate::report) baseline: bool,
    pub(in crate::report) ceiling: bool,
    /// Address of its run.
    pub(in crate::report) link: Option<String>,
}

/// Means with their intervals and a dashed line at the baseline's mean. The axis begins at 0.
pub(in crate::report) fn intervals(name: &Name, rows: &[Interval<'_>]) -> String {
    both(name, |name, room| draw(name, rows, room))
}

fn draw(name: &Name, rows: &[Interval<'_>], room: Room) -> String {
    let rows: Vec<&Interval<'_>> = rows
        .iter()
        .filter(|row| [row.value, row.low, row.high].iter().all(|v| v.is_finite()))
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let wide = room == Room::Wide;
    let (width, row_height) = if wide { (1020.0, 30.0) } else { (300.0, 50.0) };
    let longest = rows.iter().map(|row| row.label.chars().count().min(28)).max().unwrap_or(0);
    let left = if wide { 24.0 + 7.6 * longest as f64 } else { 8.0 };
    let right = width - if wide { 70.0 } else { 12.0 };
    let top = rows.iter().map(|row| row.high.max(row.value)).fold(0.0, f64::max);
    let bottom = rows.iter().map(|row| row.low.min(row.value)).fold(0.0, f64::min);
    let wanted = if wide { 6 } else { 3 };
    let across = Across::new((bottom, top), (left, right), wanted);
    let x = |value: f64| across.x(value);
    let height = row_height * rows.len() as f64 + 34.0;
    let linked = rows.iter().any(|row| row.link.is_some());
    let mut svg = open_linked(width, height, name, linked);
    svg.push_str(&across.grid(4.0, height));
    if let Some(base) = rows.iter().find(|row| row.baseline) {
        let (at, foot) = (x(base.value), Across::foot(height));
        svg.push_str(&format!(
            r#"<line class="reference" x1="{at:.1}" x2="{at:.1}" y1="4" y2="{foot:.1}"/>"#
        ));
    }
    for (index, row) in rows.iter().enumerate() {
        let middle = 4.0 + row_height * (index as f64 + 0.5);
        let class = match (row.ceiling, row.baseline) {
            (true, _) => "ceiling",
            (_, true) => "base",
            _ => "plain",
        };
        // In a narrow chart a dot stands under its name, nearer to it than to the next one.
        let y = if wide { middle } else { middle + 7.0 };
        let text_y = if wide { middle + 4.5 } else { middle - 8.0 };
        let (label_x, label_end) = if wide { (left - 14.0, "end") } else { (left, "start") };
        let (figure_x, figure_end) = if wide { (right + 16.0, "start") } else { (right, "end") };
        let [value, low_text, high_text] = [row.value, row.low, row.high].map(numbers::value);
        // A ceiling is a hollow dot, whatever stands beside it.
        let (shape, color) = match row.ceiling {
            true => (0, String::new()),
            false => (row.index, color(row.index)),
        };
        let rule = match wide || index == 0 {
            true => String::new(),
            false => {
                let at = 4.0 + row_height * index as f64;
                format!(r#"<line class="grid" x1="0" x2="{width:.1}" y1="{at:.1}" y2="{at:.1}"/>"#)
            }
        };
        let marks = format!(
            r#"{rule}<text class="label" x="{label_x:.1}" y="{text_y:.1}" text-anchor="{label_end}">{short_label}</text><line class="whisker {color}" x1="{low:.1}" x2="{high:.1}" y1="{y:.1}" y2="{y:.1}"/>{mark}<text class="figure" x="{figure_x:.1}" y="{text_y:.1}" text-anchor="{figure_end}">{value}</text>"#,
            low = x(row.low),
            high = x(row.high),
            mark = marker(shape, x(row.value), y, &color),
            short_label = escape(&cut(row.label, 28)),
        );
        let title = format!("{}: {value} ({low_text} to {high_text})", row.label);
        svg.push_str(&figure(&format!("row {class}"), &title, row.link.as_deref(), &marks));
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
        let one = |value: f64| Interval {
            index: 1,
            label: "a<b",
            value,
            low: value,
            high: value,
            baseline: true,
            ceiling: false,
            link: (value > 0.0).then(|| "./a%20b".to_owned()),
        };
        assert_eq!(intervals(&name(), &[one(f64::NAN)]), "");
        for rows in [vec![one(0.0)], vec![one(0.3), one(-0.5)], vec![one(1e12), one(f64::INFINITY)]]
        {
            assert_sound(&intervals(&name(), &rows));
        }
    }
}
