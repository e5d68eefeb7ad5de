//! Reliability diagrams: how often predictions came true, by bin, against the diagonal of perfect calibration.

use super::{Name, color, figure, open, ticks};
use crate::report::model::ReliabilityBin;
use crate::report::numbers;

/// The diagram of one system; both axes have the same scale and begin at 0. The area of a dot grows with its count.
/// `index` is the system's position in the row of colors.
pub(in crate::report) fn reliability(name: &Name, bins: &[ReliabilityBin], index: usize) -> String {
    let known: Vec<&ReliabilityBin> = bins
        .iter()
        .filter(|bin| {
            bin.count > 0 && [bin.mean_prediction, bin.share_positive].iter().all(|v| v.is_finite())
        })
        .collect();
    let top = known.iter().flat_map(|bin| [bin.mean_prediction, bin.share_positive]);
    let top = top.fold(0.0, f64::max);
    if known.is_empty() || top <= 0.0 {
        return String::new();
    }
    const WIDTH: f64 = 280.0;
    const HEIGHT: f64 = 274.0;
    const LEFT: f64 = 44.0;
    const RIGHT: f64 = 266.0;
    const TOP: f64 = 8.0;
    const BOTTOM: f64 = 230.0;
    let ticks = ticks(0.0, top, 4);
    let last = ticks[ticks.len() - 1].max(top);
    let x = |value: f64| LEFT + (value / last).clamp(0.0, 1.0) * (RIGHT - LEFT);
    let y = |value: f64| BOTTOM - (value / last).clamp(0.0, 1.0) * (BOTTOM - TOP);
    let mut svg = open(WIDTH, HEIGHT, name);
    for &tick in &ticks {
        let text = numbers::short(tick);
        svg.push_str(&format!(
            r#"<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y:.1}" y2="{y:.1}"/><text class="tick" aria-hidden="true" x="{:.1}" y="{:.1}" text-anchor="end">{text}</text><text class="tick" aria-hidden="true" x="{x:.1}" y="{:.1}" text-anchor="middle">{text}</text>"#,
            LEFT - 8.0,
            y(tick) + 4.0,
            BOTTOM + 18.0,
            x = x(tick),
            y = y(tick),
        ));
    }
    svg.push_str(&format!(
        r#"<line class="reference" x1="{:.1}" y1="{:.1}" x2="{:.1}" y2="{:.1}"/><text class="tick" aria-hidden="true" x="{:.1}" y="{:.1}" text-anchor="middle">mean prediction</text>"#,
        x(0.0),
        y(0.0),
        x(last),
        y(last),
        (LEFT + RIGHT) / 2.0,
        BOTTOM + 36.0
    ));
    let color = color(index);
    let path: Vec<String> = known
        .iter()
        .map(|bin| format!("{:.1},{:.1}", x(bin.mean_prediction), y(bin.share_positive)))
        .collect();
    svg.push_str(&format!(r#"<polyline class="line {color}" points="{}"/>"#, path.join(" ")));
    let most = known.iter().map(|bin| bin.count).max().unwrap_or(1) as f64;
    for bin in known {
        let mark = format!(
            r#"<circle class="dot {color}" cx="{:.1}" cy="{:.1}" r="{:.1}"/>"#,
            x(bin.mean_prediction),
            y(bin.share_positive),
            (8.0 * (bin.count as f64 / most).sqrt()).max(2.5),
        );
        let title = format!(
            "predicted {}, came true {}, {} predictions",
            numbers::value(bin.mean_prediction),
            numbers::value(bin.share_positive),
            numbers::count(bin.count)
        );
        svg.push_str(&figure("bin", &title, None, &mark));
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_sound, name};
    use super::*;

    #[test]
    fn any_bins_give_a_sound_chart_or_none() {
        let bin = |mean_prediction: f64, share_positive: f64, count: u64| ReliabilityBin {
            low: 0.0,
            high: 1.0,
            mean_prediction,
            share_positive,
            count,
        };
        assert_eq!(reliability(&name(), &[], 0), "");
        assert_eq!(reliability(&name(), &[bin(0.5, 0.5, 0), bin(f64::NAN, 0.5, 3)], 0), "");
        assert_eq!(reliability(&name(), &[bin(0.0, 0.0, 9)], 0), "");
        let bins = [bin(0.01, 0.02, 9), bin(-1.0, 0.5, u64::MAX)];
        assert_sound(&reliability(&name(), &bins, 8));
    }
}
