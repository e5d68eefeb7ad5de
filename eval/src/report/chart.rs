//! Charts as inline SVG: intervals per system, curves, and code usage. Drawn with the classes of `report.css`, so that they
//! follow light, dark and print; told apart without color, by dash patterns and labels at the lines. Every text is escaped.

use super::numbers;

/// One system of an interval chart.
pub(super) struct Interval<'a> {
    pub(super) label: &'a str,
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) baseline: bool,
    pub(super) ceiling: bool,
}

/// (step, value) pairs of one line.
type Points = Vec<(f64, f64)>;

/// One line of a curve chart.
pub(super) struct Series {
    pub(super) label: String,
    /// (step, value), steps ascending; values that are not finite are left out.
    pub(super) points: Points,
}

/// Dash patterns of the lines, in order; lines beyond them begin again.
const DASHES: [&str; 4] = ["", "6 4", "2 4", "9 3 2 3"];
/// Most points of a drawn line and most bars of a usage chart; more are gathered into means.
const MAX_POINTS: usize = 240;
const MAX_BARS: usize = 64;

/// Means with their intervals, one row per system, and a dashed line at the baseline's mean. The axis begins at 0.
pub(super) fn intervals(title: &str, rows: &[Interval<'_>]) -> String {
    let rows: Vec<&Interval<'_>> = rows
        .iter()
        .filter(|row| [row.value, row.low, row.high].iter().all(|v| v.is_finite()))
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    const WIDTH: f64 = 1020.0;
    const ROW: f64 = 30.0;
    let longest = rows.iter().map(|row| row.label.chars().count().min(28)).max().unwrap_or(0);
    let left = 24.0 + 7.6 * longest as f64;
    let right = WIDTH - 70.0;
    let top = rows.iter().map(|row| row.high.max(row.value)).fold(0.0, f64::max);
    let bottom = rows.iter().map(|row| row.low.min(row.value)).fold(0.0, f64::min);
    let ticks = ticks(bottom, if top > bottom { top } else { bottom + 1.0 }, 6);
    let (first, last) = (bottom.min(ticks[0]), top.max(ticks[ticks.len() - 1]));
    let x = |value: f64| left + (value - first) / (last - first) * (right - left);
    let height = ROW * rows.len() as f64 + 34.0;
    let mut svg = open(WIDTH, height, title);
    for &tick in &ticks {
        let (at, bottom) = (x(tick), height - 24.0);
        svg.push_str(&format!(
            r#"<line class="grid" x1="{at:.1}" x2="{at:.1}" y1="4" y2="{bottom:.1}"/><text class="tick" x="{at:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            height - 8.0,
            numbers::short(tick)
        ));
    }
    if let Some(base) = rows.iter().find(|row| row.baseline) {
        let at = x(base.value);
        let bottom = height - 24.0;
        svg.push_str(&format!(
            r#"<line class="reference" x1="{at:.1}" x2="{at:.1}" y1="4" y2="{bottom:.1}"/>"#
        ));
    }
    for (index, row) in rows.iter().enumerate() {
        let y = 4.0 + ROW * (index as f64 + 0.5);
        let class = match (row.ceiling, row.baseline) {
            (true, _) => "ceiling",
            (_, true) => "base",
            _ => "plain",
        };
        let (low, high, at) = (x(row.low), x(row.high), x(row.value));
        svg.push_str(&format!(
            r#"<g class="row {class}"><title>{label}: {value} ({low_text} to {high_text})</title><text class="label" x="{label_x:.1}" y="{text_y:.1}" text-anchor="end">{short_label}</text><line class="whisker" x1="{low:.1}" x2="{high:.1}" y1="{y:.1}" y2="{y:.1}"/><circle class="dot" cx="{at:.1}" cy="{y:.1}" r="5"/><text class="figure" x="{figure_x:.1}" y="{text_y:.1}">{value}</text></g>"#,
            label = escape(row.label),
            value = numbers::value(row.value),
            low_text = numbers::value(row.low),
            high_text = numbers::value(row.high),
            label_x = left - 14.0,
            text_y = y + 4.5,
            short_label = escape(&cut(row.label, 28)),
            figure_x = right + 16.0,
        ));
    }
    svg.push_str("</svg>");
    svg
}

/// Curves over steps, each labeled at its end. A span of values beyond 50 to 1 is drawn on a logarithmic axis, and says so.
pub(super) fn curves(title: &str, series: &[Series]) -> String {
    const WIDTH: f64 = 460.0;
    const HEIGHT: f64 = 230.0;
    const LEFT: f64 = 48.0;
    const RIGHT: f64 = 340.0;
    const TOP: f64 = 14.0;
    const BOTTOM: f64 = 190.0;
    let drawn: Vec<(usize, &Series, Points)> = series
        .iter()
        .enumerate()
        .map(|(index, one)| (index, one, thin(&one.points)))
        .filter(|(_, _, points)| !points.is_empty())
        .collect();
    let all = || drawn.iter().flat_map(|(_, _, points)| points.iter().copied());
    let Some((x_low, x_high)) = bounds(all().map(|point| point.0)) else {
        return String::new();
    };
    let Some((low, high)) = bounds(all().map(|point| point.1)) else {
        return String::new();
    };
    let logarithmic = low > 0.0 && high / low > 50.0;
    let scale = |value: f64| if logarithmic { value.log10() } else { value };
    let ticks = if logarithmic {
        (low.log10().floor() as i32..=high.log10().ceil() as i32)
            .map(|power| 10.0_f64.powi(power))
            .collect()
    } else {
        ticks(low, if high > low { high } else { low + low.abs().max(1.0) }, 4)
    };
    let first = scale(low).min(scale(ticks[0]));
    let last = scale(high).max(scale(ticks[ticks.len() - 1]));
    let x = |step: f64| LEFT + (step - x_low) / (x_high - x_low).max(1.0) * (RIGHT - LEFT);
    let y = |value: f64| BOTTOM - (scale(value) - first) / (last - first) * (BOTTOM - TOP);
    let mut svg = open(WIDTH, HEIGHT, title);
    for &tick in &ticks {
        let at = y(tick);
        svg.push_str(&format!(
            r#"<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{at:.1}" y2="{at:.1}"/><text class="tick" x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
            LEFT - 8.0,
            at + 4.0,
            numbers::short(tick)
        ));
    }
    for (step, anchor) in [(x_low, "start"), (x_high, "end")] {
        svg.push_str(&format!(
            r#"<text class="tick" x="{:.1}" y="{:.1}" text-anchor="{anchor}">{}</text>"#,
            x(step),
            BOTTOM + 18.0,
            numbers::count(step.max(0.0) as u64)
        ));
    }
    let axis = if logarithmic { "steps; logarithmic scale" } else { "steps" };
    svg.push_str(&format!(
        r#"<text class="tick" x="{:.1}" y="{:.1}" text-anchor="middle">{axis}</text>"#,
        (LEFT + RIGHT) / 2.0,
        BOTTOM + 34.0
    ));
    // Labels stand at the ends of their lines, pushed apart where ends are close.
    let mut labels: Vec<(f64, usize)> = drawn
        .iter()
        .enumerate()
        .map(|(at, (_, _, points))| (points.last().map_or(BOTTOM, |point| y(point.1)), at))
        .collect();
    labels.sort_by(|left, right| left.0.total_cmp(&right.0));
    let mut lowest = f64::NEG_INFINITY;
    for (label_y, at) in labels {
        let (index, one, points) = &drawn[at];
        let path: Vec<String> =
            points.iter().map(|point| format!("{:.1},{:.1}", x(point.0), y(point.1))).collect();
        let dash = DASHES[index % DASHES.len()];
        let class = index % DASHES.len();
        if let [point] = points.as_slice() {
            svg.push_str(&format!(
                r#"<circle class="line-dot" cx="{:.1}" cy="{:.1}" r="3.5"/>"#,
                x(point.0),
                y(point.1)
            ));
        } else {
            svg.push_str(&format!(
                r#"<polyline class="line line-{class}" stroke-dasharray="{dash}" points="{}"/>"#,
                path.join(" ")
            ));
        }
        let label_y = label_y.max(lowest + 30.0).min(BOTTOM + 20.0);
        lowest = label_y;
        let end = points.last().map_or(f64::NAN, |point| point.1);
        svg.push_str(&format!(
            r#"<text class="line-label" x="{lx:.1}" y="{label_y:.1}">{}</text><text class="tick" x="{lx:.1}" y="{:.1}">{}</text>"#,
            escape(&cut(&one.label.replace('_', " "), 17)),
            label_y + 14.0,
            numbers::short(end),
            lx = RIGHT + 10.0,
        ));
    }
    svg.push_str("</svg>");
    svg
}

/// Items per code, highest first, codes gathered where there are many. Bars share one height scale: the highest is full.
pub(super) fn usage(title: &str, counts: &[u64], codes: u64) -> String {
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
    let mut svg = open(WIDTH, HEIGHT + 2.0, title);
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

fn open(width: f64, height: f64, title: &str) -> String {
    let title = escape(title);
    format!(
        r#"<svg class="chart" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{title}"><title>{title}</title>"#
    )
}

/// Round numbers that cover the span, about `wanted` of them, at least two. Both ends must be finite, `low < high`.
fn ticks(low: f64, high: f64, wanted: usize) -> Vec<f64> {
    let rough = (high - low) / wanted.max(1) as f64;
    let power = 10.0_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].iter().map(|m| m * power).find(|step| *step >= rough);
    let step = step.unwrap_or(rough);
    let (first, last) = ((low / step).floor(), (high / step).ceil());
    if !(step.is_finite() && step > 0.0 && last - first < 100.0) {
        return vec![low, high];
    }
    (0..=(last - first) as usize).map(|index| (first + index as f64) * step).collect()
}

/// Finite points only, gathered into means where there are more than can be seen.
fn thin(points: &[(f64, f64)]) -> Points {
    let finite: Points = points
        .iter()
        .copied()
        .filter(|point| point.0.is_finite() && point.1.is_finite() && point.1.abs() < 1e12)
        .collect();
    let size = finite.len().div_ceil(MAX_POINTS).max(1);
    let gather = |chunk: &[(f64, f64)]| {
        let mean = chunk.iter().map(|point| point.1).sum::<f64>() / chunk.len() as f64;
        (chunk[chunk.len() - 1].0, mean)
    };
    finite.chunks(size).map(gather).collect()
}

fn bounds(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |bounds, value| match bounds {
        None => Some((value, value)),
        Some((low, high)) => Some((value.min(low), value.max(high))),
    })
}

fn cut(text: &str, n_chars: usize) -> String {
    if text.chars().count() <= n_chars {
        return text.to_owned();
    }
    text.chars().take(n_chars.saturating_sub(1)).chain(['…']).collect()
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover_the_span() {
        let ticks = ticks(0.0, 0.71, 6);
        assert_eq!(ticks.len(), 5, "{ticks:?}");
        assert!((ticks[4] - 0.8).abs() < 1e-12);
    }

    #[test]
    fn charts_hold_no_number_that_is_not_one() {
        let series = |points: Vec<(f64, f64)>| vec![Series { label: "loss".to_owned(), points }];
        let one = |value: f64| Interval {
            label: "a<b",
            value,
            low: value,
            high: value,
            baseline: true,
            ceiling: false,
        };
        let charts = [
            curves("t", &series(vec![])),
            curves("t", &series(vec![(1.0, 2.0)])),
            curves("t", &series(vec![(1.0, 2.0), (2.0, 2.0)])),
            curves(
                "t",
                &series(vec![(1.0, f64::NAN), (2.0, f64::INFINITY), (3.0, 1.0), (4.0, 1e9)]),
            ),
            curves("t", &series((0..5_000).map(|i| (f64::from(i), f64::from(i % 7))).collect())),
            curves("t", &series(vec![(1.0, -1e-30), (2.0, 1e11)])),
            intervals("t", &[one(0.0)]),
            intervals("t", &[one(f64::NAN)]),
            intervals("t", &[one(0.3), one(-0.5)]),
            usage("t", &[], 4),
            usage("t", &[3, 0, 9], 1_000),
        ];
        for chart in charts {
            for bad in ["NaN", "inf", "a<b"] {
                assert!(!chart.contains(bad), "{bad} in {chart}");
            }
        }
    }
}
