//! Quality against cost: one marker per system, its interval as a whisker, cost on a logarithmic axis, and a line along the
//! systems that nothing else beats on both. Labels stand at the markers where there is room.

use super::{Name, Room, both, bounds, color, cut, escape, figure, marker, open, ticks};
use crate::report::numbers;

/// Beyond this number of systems only those on the line and the baseline carry labels.
const MAX_LABELS: usize = 12;

/// One system.
pub(in crate::report) struct Spot<'a> {
    pub(in crate::report) label: &'a str,
    /// Position in the row of colors and shapes.
    pub(in crate::report) index: usize,
    /// Milliseconds or bytes; systems at zero or below are left out, a logarithm has no place for them.
    pub(in crate::report) cost: f64,
    pub(in crate::report) value: f64,
    pub(in crate::report) low: f64,
    pub(in crate::report) high: f64,
    pub(in crate::report) baseline: bool,
}

/// The axis of the cost and the direction of the quality.
pub(in crate::report) struct Axis {
    /// Name and direction, such as "median latency, logarithmic".
    pub(in crate::report) label: String,
    /// Shows a cost as text.
    pub(in crate::report) show: fn(f64) -> String,
    /// Whether less of the metric is better.
    pub(in crate::report) lower_is_better: bool,
}

/// A box in the drawing: left, top, right, bottom.
type Area = (f64, f64, f64, f64);

/// The chart; empty where fewer than two systems have a cost.
pub(in crate::report) fn scatter(name: &Name, spots: &[Spot<'_>], axis: &Axis) -> String {
    let known: Vec<&Spot<'_>> = spots
        .iter()
        .filter(|one| {
            one.cost.is_finite()
                && one.cost > 0.0
                && [one.value, one.low, one.high].iter().all(|v| v.is_finite())
        })
        .collect();
    if known.len() < 2 {
        return String::new();
    }
    both(name, |name, room| draw(name, &known, axis, room))
}

fn draw(name: &Name, spots: &[&Spot<'_>], axis: &Axis, room: Room) -> String {
    let (width, height) = if room == Room::Wide { (520.0, 340.0) } else { (300.0, 320.0) };
    let (left, right, top, bottom) = (44.0, width - 14.0, 14.0, height - 48.0);
    // Both bounds exist: there are at least two spots, all finite.
    let (least, most) = bounds(spots.iter().map(|one| one.cost)).unwrap_or((1.0, 10.0));
    let (low, high) =
        bounds(spots.iter().flat_map(|one| [one.low, one.high])).unwrap_or((0.0, 1.0));
    let (x_first, x_last) = (least.log10() - 0.12, most.log10() + 0.12);
    // Labels need room on both sides of the outermost markers.
    let pad = (x_last - x_first).max(0.3) * if room == Room::Wide { 0.10 } else { 0.16 };
    let (x_first, x_last) = (x_first - pad, x_last + pad);
    let y_ticks = ticks(low, if high > low { high } else { low + 0.1 }, 5);
    let (y_first, y_last) = (y_ticks[0].min(low), y_ticks[y_ticks.len() - 1].max(high));
    let x = |cost: f64| left + (cost.log10() - x_first) / (x_last - x_first) * (right - left);
    let y = |value: f64| bottom - (value - y_first) / (y_last - y_first) * (bottom - top);
    let mut svg = open(width, height, name);
    for &tick in &y_ticks {
        svg.push_str(&format!(
            r#"<line class="grid" x1="{left:.1}" x2="{right:.1}" y1="{at:.1}" y2="{at:.1}"/><text class="tick" aria-hidden="true" x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
            left - 8.0,
            y(tick) + 4.0,
            numbers::short(tick),
            at = y(tick),
        ));
    }
    for tick in decades(x_first, x_last, if room == Room::Wide { 7 } else { 4 }) {
        svg.push_str(&format!(
            r#"<line class="grid" x1="{at:.1}" x2="{at:.1}" y1="{top:.1}" y2="{bottom:.1}"/><text class="tick" aria-hidden="true" x="{at:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            bottom + 18.0,
            escape(&(axis.show)(tick)),
            at = x(tick),
        ));
    }
    svg.push_str(&format!(
        r#"<text class="tick" aria-hidden="true" x="{:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
        (left + right) / 2.0,
        bottom + 38.0,
        escape(&axis.label)
    ));
    let front = frontier(spots, axis.lower_is_better);
    if front.len() > 1 {
        let path: Vec<String> = front
            .iter()
            .map(|&at| format!("{:.1},{:.1}", x(spots[at].cost), y(spots[at].value)))
            .collect();
        svg.push_str(&format!(r#"<polyline class="front" points="{}"/>"#, path.join(" ")));
    }
    let places: Vec<(f64, f64)> = spots.iter().map(|one| (x(one.cost), y(one.value))).collect();
    let mut taken: Vec<Area> =
        places.iter().map(|&(x, y)| (x - 7.0, y - 7.0, x + 7.0, y + 7.0)).collect();
    let whisker =
        |one: &Spot<'_>, at: (f64, f64)| (at.0 - 1.0, y(one.high), at.0 + 1.0, y(one.low));
    taken.extend(spots.iter().zip(&places).map(|(one, &at)| whisker(one, at)));
    // The line is avoided as well: by small boxes along it.
    for ends in front.windows(2) {
        let (from, to) = (places[ends[0]], places[ends[1]]);
        taken.extend((1..40).map(|step| {
            let share = f64::from(step) / 40.0;
            let (x, y) = (from.0 + share * (to.0 - from.0), from.1 + share * (to.1 - from.1));
            (x - 3.0, y - 3.0, x + 3.0, y + 3.0)
        }));
    }
    for (index, (one, &(at_x, at_y))) in spots.iter().zip(&places).enumerate() {
        let class = if one.baseline { "spot base" } else { "spot" };
        let marks = marker(one.index, at_x, at_y, &color(one.index));
        // Ends wider than the marker, so that a short interval shows beside it.
        let (left_cap, right_cap) = (at_x - 7.0, at_x + 7.0);
        let mut marks = format!(
            r#"<path class="whisker {}" d="M{left_cap:.1} {low_y:.1}H{right_cap:.1}M{left_cap:.1} {high_y:.1}H{right_cap:.1}M{at_x:.1} {low_y:.1}V{high_y:.1}"/>{marks}"#,
            color(one.index),
            low_y = y(one.low),
            high_y = y(one.high),
        );
        let spoken = front.contains(&index) || one.baseline;
        if spots.len() <= MAX_LABELS || spoken {
            let text = cut(one.label, if room == Room::Wide { 24 } else { 16 });
            let (label_x, label_y, anchor, area) =
                place(&text, (at_x, at_y), &taken, (left, top, right, bottom));
            taken.push(area);
            marks.push_str(&format!(
                r#"<text class="label" x="{label_x:.1}" y="{label_y:.1}" text-anchor="{anchor}">{}</text>"#,
                escape(&text)
            ));
        }
        let [value, low, high] = [one.value, one.low, one.high].map(numbers::value);
        let title =
            format!("{}: {value} ({low} to {high}) at {}", one.label, (axis.show)(one.cost));
        svg.push_str(&figure(class, &title, None, &marks));
    }
    svg.push_str("</svg>");
    svg
}

/// Indices of the systems that none beats on both cost and quality, cheapest first.
fn frontier(spots: &[&Spot<'_>], lower_is_better: bool) -> Vec<usize> {
    let quality = |at: usize| if lower_is_better { -spots[at].value } else { spots[at].value };
    let mut order: Vec<usize> = (0..spots.len()).collect();
    order.sort_by(|&left, &right| {
        let cost = spots[left].cost.total_cmp(&spots[right].cost);
        cost.then(quality(right).total_cmp(&quality(left)))
    });
    let mut best = f64::NEG_INFINITY;
    order.retain(|&at| {
        let beats = quality(at) > best;
        best = best.max(quality(at));
        beats
    });
    order
}

/// Where a label hides least: tried around the marker, nearest first. Gives its anchor point, its anchor and its area.
fn place(
    text: &str,
    (x, y): (f64, f64),
    taken: &[Area],
    bounds: Area,
) -> (f64, f64, &'static str, Area) {
    let length = text.chars().count() as f64 * 7.4 + 4.0;
    let tries = [
        (x + 10.0, y + 4.5, "start"),
        (x - 10.0, y + 4.5, "end"),
        (x, y - 12.0, "middle"),
        (x, y + 20.0, "middle"),
        (x + 9.0, y - 8.0, "start"),
        (x + 9.0, y + 17.0, "start"),
        (x - 9.0, y - 8.0, "end"),
        (x - 9.0, y + 17.0, "end"),
        (x + 9.0, y - 20.0, "start"),
        (x + 9.0, y + 29.0, "start"),
        (x - 9.0, y - 20.0, "end"),
        (x - 9.0, y + 29.0, "end"),
    ];
    let area = |(x, y, anchor): (f64, f64, &str)| {
        let start = match anchor {
            "start" => x,
            "end" => x - length,
            _ => x - length / 2.0,
        };
        (start, y - 11.0, start + length, y + 4.0)
    };
    let shared = |a: Area, b: Area| {
        let width = a.2.min(b.2) - a.0.max(b.0);
        let height = a.3.min(b.3) - a.1.max(b.1);
        if width > 0.0 && height > 0.0 { width * height } else { 0.0 }
    };
    let hidden = |a: Area| {
        let outside = (a.2 - a.0) * (a.3 - a.1) - shared(a, bounds);
        // Text that leaves the drawing is lost, text over a mark can still be read.
        taken.iter().map(|&b| shared(a, b)).sum::<f64>() + 4.0 * outside
    };
    let mut best = tries[0];
    let mut least = f64::INFINITY;
    for one in tries {
        let cost = hidden(area(one));
        if cost < least - 1e-9 {
            (best, least) = (one, cost);
        }
    }
    (best.0, best.1, best.2, area(best))
}

/// Round numbers between the exponents: 1, 2 and 5 times powers of ten, thinned to powers or to every n-th power beyond `most`;
/// where a narrow span holds fewer than three of them, numbers at even steps.
fn decades(first: f64, last: f64, most: usize) -> Vec<f64> {
    let (low, high) = (first.floor() as i32, last.ceil() as i32);
    let within = |value: &f64| (first..=last).contains(&value.log10());
    let all = |steps: &[f64], every: i32| -> Vec<f64> {
        (low..=high)
            .filter(|power| power.rem_euclid(every) == 0)
            .flat_map(|power| steps.iter().map(move |step| step * 10.0_f64.powi(power)))
            .filter(within)
            .collect()
    };
    let fine = all(&[1.0, 2.0, 5.0], 1);
    if fine.len() < 3 && last - first < 1.5 {
        let even = ticks(10.0_f64.powf(first), 10.0_f64.powf(last), most.min(4));
        return even.into_iter().filter(|tick| *tick > 0.0 && within(tick)).collect();
    }
    if fine.len() <= most {
        return fine;
    }
    (1..=40).map(|every| all(&[1.0], every)).find(|some| some.len() <= most).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_sound, name};
    use super::*;

    fn spot(cost: f64, value: f64) -> Spot<'static> {
        Spot {
            label: "a<b",
            index: 1,
            cost,
            value,
            low: value - 0.1,
            high: value + 0.1,
            baseline: false,
        }
    }

    fn axis() -> Axis {
        Axis { label: "ms".into(), show: numbers::milliseconds, lower_is_better: false }
    }

    #[test]
    fn any_figures_give_a_sound_chart_or_none() {
        assert_eq!(scatter(&name(), &[spot(0.0, 0.5), spot(1.0, 0.5)], &axis()), "");
        assert_eq!(scatter(&name(), &[spot(1.0, f64::NAN), spot(1.0, 0.5)], &axis()), "");
        let many: Vec<Spot<'_>> =
            (0..30).map(|at| spot(1.5_f64.powi(at), 0.01 * f64::from(at))).collect();
        for chart in [
            scatter(&name(), &[spot(1.0, 0.5), spot(1.0, 0.5)], &axis()),
            scatter(&name(), &[spot(1e-9, 0.5), spot(1e12, -3.0)], &axis()),
            scatter(&name(), &many, &axis()),
        ] {
            assert_sound(&chart);
            assert_eq!(chart.matches("<svg").count(), 2);
        }
    }

    #[test]
    fn the_line_runs_along_what_nothing_beats() {
        let spots =
            [spot(5.0, 0.5), spot(1.0, 0.3), spot(2.0, 0.2), spot(9.0, 0.5), spot(7.0, 0.6)];
        let spots: Vec<&Spot<'_>> = spots.iter().collect();
        assert_eq!(frontier(&spots, false), [1, 0, 4]);
        assert_eq!(frontier(&spots, true), [1, 2]);
    }

    #[test]
    fn labels_keep_apart_where_there_is_room() {
        let bounds = (0.0, 0.0, 500.0, 300.0);
        let mut taken = Vec::new();
        for at in [(200.0, 150.0), (204.0, 152.0), (208.0, 154.0)] {
            let (.., area) = place("system", at, &taken, bounds);
            let apart = |b: &Area| area.2 <= b.0 || b.2 <= area.0 || area.3 <= b.1 || b.3 <= area.1;
            assert!(taken.iter().all(apart), "{area:?} {taken:?}");
            taken.push(area);
        }
        let (.., area) = place("a long label", (495.0, 150.0), &[], bounds);
        assert!(area.2 <= 500.0, "{area:?}");
    }

    #[test]
    fn the_axis_has_round_numbers_in_any_span() {
        let near = |some: Vec<f64>, wanted: &[f64]| {
            assert_eq!(some.len(), wanted.len(), "{some:?}");
            assert!(some.iter().zip(wanted).all(|(a, b)| (a / b - 1.0).abs() < 1e-9), "{some:?}");
        };
        near(decades(-0.1, 1.1, 7), &[1.0, 2.0, 5.0, 10.0]);
        near(decades(-2.1, 2.1, 5), &[0.01, 0.1, 1.0, 10.0, 100.0]);
        near(decades(2.0, 2.18, 7), &[100.0, 120.0, 140.0]);
        assert!(decades(-30.0, 30.0, 5).len() <= 5);
    }
}
