//! Curves over steps, for trainings. Lines differ in dash pattern and color, and carry their label at their end.

use super::{Name, Room, both, bounds, color, cut, escape, open, ticks};
use crate::report::numbers;

/// (step, value) pairs of one line.
type Points = Vec<(f64, f64)>;

/// One line of a curve chart.
pub(in crate::report) struct Series {
    pub(in crate::report) label: String,
    /// (step, value), steps ascending; values that are not finite are left out.
    pub(in crate::report) points: Points,
}

/// Dash patterns of the lines, in order; lines beyond them begin again.
const DASHES: [&str; 4] = ["", "6 4", "2 4", "9 3 2 3"];
/// Points from which on a line is smoothed, and neighbours that its ends have at least.
const SMOOTHED: usize = 40;
const END: usize = 2;
/// Most points of a drawn line; more are gathered into means.
const MAX_POINTS: usize = 240;

/// Curves over steps, each labeled at its end. A span of values beyond 50 to 1 is drawn on a logarithmic axis, and says so.
pub(in crate::report) fn curves(name: &Name, series: &[Series]) -> String {
    both(name, |name, room| draw(name, series, room))
}

fn draw(name: &Name, series: &[Series], room: Room) -> String {
    const HEIGHT: f64 = 230.0;
    const LEFT: f64 = 48.0;
    const TOP: f64 = 14.0;
    const BOTTOM: f64 = 190.0;
    let width = if room == Room::Wide { 460.0 } else { 300.0 };
    let right = width - 110.0;
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
    let x = |step: f64| LEFT + (step - x_low) / (x_high - x_low).max(1.0) * (right - LEFT);
    let y = |value: f64| BOTTOM - (scale(value) - first) / (last - first) * (BOTTOM - TOP);
    let mut svg = open(width, HEIGHT, name);
    for &tick in &ticks {
        let at = y(tick);
        svg.push_str(&format!(
            r#"<line class="grid" x1="{LEFT}" x2="{right:.0}" y1="{at:.1}" y2="{at:.1}"/><text class="tick" x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
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
        (LEFT + right) / 2.0,
        BOTTOM + 34.0
    ));
    // Labels stand at the ends of their lines, pushed apart where ends are close.
    let mut labels: Vec<(f64, usize)> = drawn
        .iter()
        .enumerate()
        .map(|(at, (_, _, points))| (smooth(points).last().map_or(BOTTOM, |one| y(one.1)), at))
        .collect();
    labels.sort_by(|left, right| left.0.total_cmp(&right.0));
    let mut lowest = f64::NEG_INFINITY;
    for (label_y, at) in labels {
        let (index, one, points) = &drawn[at];
        let path = |points: &Points| -> String {
            let places = points.iter().map(|point| format!("{:.1},{:.1}", x(point.0), y(point.1)));
            places.collect::<Vec<_>>().join(" ")
        };
        let dash = DASHES[index % DASHES.len()];
        let color = color(*index);
        if let [point] = points.as_slice() {
            svg.push_str(&format!(
                r#"<circle class="dot {color}" cx="{:.1}" cy="{:.1}" r="3.5"/>"#,
                x(point.0),
                y(point.1)
            ));
        } else {
            // What single steps did stands faint behind what they did on average.
            if points.len() >= SMOOTHED {
                svg.push_str(&format!(
                    r#"<polyline class="line raw {color}" points="{}"/>"#,
                    path(points)
                ));
            }
            svg.push_str(&format!(
                r#"<polyline class="line {color}" stroke-dasharray="{dash}" points="{}"/>"#,
                path(&smooth(points))
            ));
        }
        let label_y = label_y.max(lowest + 30.0).min(BOTTOM + 20.0);
        lowest = label_y;
        let end = smooth(points).last().map_or(f64::NAN, |point| point.1);
        svg.push_str(&format!(
            r#"<text class="line-label" x="{lx:.1}" y="{label_y:.1}">{}</text><text class="tick" x="{lx:.1}" y="{:.1}">{}</text>"#,
            escape(&cut(&one.label.replace('_', " "), 17)),
            label_y + 14.0,
            numbers::short(end),
            lx = right + 10.0,
        ));
    }
    svg.push_str("</svg>");
    svg
}

/// Each point's mean with its neighbours, a twentieth of the line on either side, fewer at its ends.
fn smooth(points: &Points) -> Points {
    if points.len() < SMOOTHED {
        return points.clone();
    }
    let reach = points.len() / 20;
    let around = |at: usize| {
        let reach = reach.min(at).min(points.len() - 1 - at).max(usize::from(reach > 0) * END);
        let near = &points[at.saturating_sub(reach)..(at + reach + 1).min(points.len())];
        near.iter().map(|point| point.1).sum::<f64>() / near.len() as f64
    };
    (0..points.len()).map(|at| (points[at].0, around(at))).collect()
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

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_sound, name};
    use super::*;

    #[test]
    fn any_points_give_a_sound_chart_or_none() {
        let one = |points: Points| curves(&name(), &[Series { label: "loss".to_owned(), points }]);
        assert_eq!(one(vec![]), "");
        assert_eq!(one(vec![(1.0, f64::NAN)]), "");
        for chart in [
            one(vec![(1.0, 2.0)]),
            one(vec![(1.0, 2.0), (2.0, 2.0)]),
            one(vec![(1.0, f64::NAN), (2.0, f64::INFINITY), (3.0, 1.0), (4.0, 1e9)]),
            one((0..5_000).map(|i| (f64::from(i), f64::from(i % 7))).collect()),
            one(vec![(1.0, -1e-30), (2.0, 1e11)]),
        ] {
            assert_sound(&chart);
            assert_eq!(chart.matches("<svg").count(), 2);
        }
    }

    #[test]
    fn noise_stands_behind_a_smooth_line() {
        let noisy: Points = (0..200)
            .map(|i| (f64::from(i), 5.0 - 0.01 * f64::from(i) + f64::from(i % 2)))
            .collect();
        let smooth = smooth(&noisy);
        assert!(smooth.windows(2).skip(12).take(170).all(|two| (two[1].1 - two[0].1).abs() < 0.2));
        assert!(smooth[0].1 > smooth[199].1 + 1.5);
        let few: Points = noisy[..30].to_vec();
        assert_eq!(super::smooth(&few), few);
        let chart = curves(&name(), &[Series { label: "loss".to_owned(), points: noisy }]);
        assert_eq!(chart.matches("class=\"line raw s0\"").count(), 2);
    }

    #[test]
    fn long_curves_are_thinned_into_means() {
        let thinned =
            thin(&(0..4_800).map(|i| (f64::from(i), f64::from(i % 2))).collect::<Vec<_>>());
        assert_eq!(thinned.len(), MAX_POINTS);
        assert!(thinned.iter().all(|point| (point.1 - 0.5).abs() < 1e-12));
    }
}
