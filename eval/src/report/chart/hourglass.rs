//! The shape of an identifier: one bar per level, as wide as its codes are used evenly, by items and by training targets.
//! A narrow middle is the hourglass.

use super::{Name, figure, open};
use crate::report::model::LevelReport;
use crate::report::numbers;

const WIDTH: f64 = 340.0;
const MIDDLE: f64 = 170.0;
/// Half of a bar that is perfectly even.
const HALF: f64 = 100.0;
const STEP: f64 = 58.0;
const TOP: f64 = 6.0;

/// The bars of all levels, the first on top; empty where no level has a figure to draw.
pub(in crate::report) fn hourglass(name: &Name, levels: &[LevelReport]) -> String {
    if levels.is_empty() || levels.iter().any(|level| !level.normalized_entropy.is_finite()) {
        return String::new();
    }
    let has_targets = levels.iter().any(|level| level.targets.is_some());
    let bottom = TOP + STEP * levels.len() as f64;
    let mut svg = open(WIDTH, bottom + 26.0, name);
    for side in [MIDDLE - HALF, MIDDLE + HALF] {
        svg.push_str(&format!(
            r#"<line class="grid" x1="{side}" x2="{side}" y1="{TOP}" y2="{bottom}"/>"#
        ));
    }
    for (index, level) in levels.iter().enumerate() {
        let y = TOP + STEP * index as f64;
        let number = index + 1;
        svg.push_str(&format!(
            r#"<text class="label" aria-hidden="true" x="0" y="{:.1}">level {number}</text>"#,
            y + 20.0
        ));
        let mut bar = |class: &str, who: &str, at: f64, height: f64, value: f64| {
            let half = value.clamp(0.0, 1.0) * HALF;
            let text = numbers::percent(value);
            let marks = format!(
                r#"<rect class="{class}" x="{:.1}" y="{at:.1}" width="{:.1}" height="{height}" rx="2"/><text class="figure" aria-hidden="true" x="{WIDTH}" y="{:.1}" text-anchor="end">{text}</text>"#,
                MIDDLE - half,
                (2.0 * half).max(1.0),
                at + height / 2.0 + 5.0,
            );
            svg.push_str(&figure("bin", &format!("level {number}, {who}: {text}"), None, &marks));
        };
        bar("bar", "items", y + 4.0, 22.0, level.normalized_entropy);
        if let Some(targets) = level.targets.filter(|one| one.normalized_entropy.is_finite()) {
            bar("dot s1", "training targets", y + 30.0, 14.0, targets.normalized_entropy);
        }
    }
    let mut key = |class: &str, x: f64, text: &str| {
        svg.push_str(&format!(
            r#"<rect class="{class}" x="{x}" y="{:.1}" width="12" height="12" rx="2"/><text class="tick" x="{}" y="{:.1}">{text}</text>"#,
            bottom + 9.0,
            x + 18.0,
            bottom + 19.0
        ));
    };
    key("bar", MIDDLE - HALF, "items");
    if has_targets {
        key("dot s1", MIDDLE - HALF + 70.0, "training targets");
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_sound, name};
    use super::*;
    use crate::report::model::TargetsReport;

    fn level(even: f64, targets: Option<f64>) -> LevelReport {
        let targets = targets
            .map(|even| TargetsReport { normalized_entropy: even, ..TargetsReport::default() });
        LevelReport { normalized_entropy: even, targets, ..LevelReport::default() }
    }

    #[test]
    fn bars_are_centred_and_as_wide_as_codes_are_even() {
        assert_eq!(hourglass(&name(), &[]), "");
        assert_eq!(hourglass(&name(), &[level(f64::NAN, None)]), "");
        let chart = hourglass(&name(), &[level(1.0, Some(0.25)), level(0.5, None)]);
        assert_sound(&chart);
        for bar in [
            r#"class="bar" x="70.0" y="10.0" width="200.0""#,
            r#"class="dot s1" x="145.0" y="36.0" width="50.0""#,
            r#"class="bar" x="120.0" y="68.0" width="100.0""#,
        ] {
            assert!(chart.contains(bar), "{bar}: {chart}");
        }
        assert!(chart.contains("training targets"));
        assert!(!hourglass(&name(), &[level(1.0, None)]).contains("training targets"));
    }
}
