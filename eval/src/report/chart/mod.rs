//! Charts as inline SVG, drawn with the classes of `report.css` so that they follow light, dark and print. Systems are told
//! apart by shape as well as by color, lines by dash patterns and labels. Every chart names itself to a screen reader, every
//! text is escaped, and every chart is drawn twice: for wide windows, and with larger letters for narrow ones.

mod across;
mod curves;
mod hourglass;
mod intervals;
mod key;
mod reliability;
mod scatter;
mod slices;
mod usage;

pub(super) use curves::{Series, curves};
pub(super) use hourglass::hourglass;
pub(super) use intervals::{Interval, intervals};
pub(super) use key::{Key, key};
pub(super) use reliability::reliability;
pub(super) use scatter::{Axis, Spot, scatter};
pub(super) use slices::{SliceDot, SliceRow, slices};
pub(super) use usage::usage;

use super::characters::{self, Written};

/// Colors and shapes there are; systems beyond them begin again with another pairing.
const N_COLORS: usize = 6;
const N_SHAPES: usize = 7;

/// What a chart is called, for everyone who does not see it.
pub(super) struct Name {
    /// Unique in the page; letters, digits and hyphens.
    pub(super) id: String,
    /// What is drawn.
    pub(super) title: String,
    /// What it shows, in a sentence or two.
    pub(super) description: String,
}

/// How much room a drawing has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    Wide,
    Narrow,
}

/// The drawing for wide windows and the one for narrow ones; the style shows one of them. Empty where nothing is drawn.
fn both(name: &Name, draw: impl Fn(&Name, Room) -> String) -> String {
    let wide = draw(name, Room::Wide);
    if wide.is_empty() {
        return wide;
    }
    let other = Name {
        id: format!("{}-narrow", name.id),
        title: name.title.clone(),
        description: name.description.clone(),
    };
    let narrow = draw(&other, Room::Narrow);
    format!(r#"<div class="wide">{wide}</div><div class="narrow">{narrow}</div>"#)
}

/// The opening tag with the chart's name; the caller closes it. Without links it is one image.
fn open(width: f64, height: f64, name: &Name) -> String {
    open_as("img", width, height, name)
}

/// The opening tag of a chart whose figures are links: an image would hide them from screen readers.
fn open_linked(width: f64, height: f64, name: &Name, linked: bool) -> String {
    open_as(if linked { "group" } else { "img" }, width, height, name)
}

fn open_as(role: &str, width: f64, height: f64, name: &Name) -> String {
    let (id, title) = (&name.id, escape(&name.title));
    let description = escape(&name.description);
    format!(
        r#"<svg class="chart" viewBox="0 0 {width:.0} {height:.0}" width="{width:.0}" height="{height:.0}" role="{role}" aria-labelledby="{id}-t {id}-d"><title id="{id}-t">{title}</title><desc id="{id}-d">{description}</desc>"#
    )
}

/// A figure of the drawing: marks that carry a title, and lead to the run they come from where there is a link.
fn figure(class: &str, title: &str, link: Option<&str>, marks: &str) -> String {
    let (class, title) = (escape(class), escape(title));
    match link {
        Some(link) => {
            let link = escape(link);
            format!(r#"<a class="{class}" href="{link}"><title>{title}</title>{marks}</a>"#)
        }
        None => format!(r#"<g class="{class}"><title>{title}</title>{marks}</g>"#),
    }
}

/// A marker of that shape, about 10 units across; `class` gives its color.
fn marker(shape: usize, x: f64, y: f64, class: &str) -> String {
    let polygon = |points: &[(f64, f64)]| {
        let points: Vec<String> =
            points.iter().map(|(dx, dy)| format!("{:.1},{:.1}", x + dx, y + dy)).collect();
        format!(r#"<polygon class="dot {class}" points="{}"/>"#, points.join(" "))
    };
    match shape % N_SHAPES {
        0 => format!(r#"<circle class="dot {class}" cx="{x:.1}" cy="{y:.1}" r="5"/>"#),
        1 => polygon(&[(-4.6, -4.6), (4.6, -4.6), (4.6, 4.6), (-4.6, 4.6)]),
        2 => polygon(&[(0.0, -5.8), (5.6, 4.6), (-5.6, 4.6)]),
        3 => polygon(&[(0.0, -6.4), (6.4, 0.0), (0.0, 6.4), (-6.4, 0.0)]),
        4 => polygon(&[(0.0, 5.8), (5.6, -4.6), (-5.6, -4.6)]),
        5 => polygon(&[
            (-2.0, -6.0),
            (2.0, -6.0),
            (2.0, -2.0),
            (6.0, -2.0),
            (6.0, 2.0),
            (2.0, 2.0),
            (2.0, 6.0),
            (-2.0, 6.0),
            (-2.0, 2.0),
            (-6.0, 2.0),
            (-6.0, -2.0),
            (-2.0, -2.0),
        ]),
        _ => polygon(&[
            (-6.0, -3.6),
            (-3.6, -6.0),
            (0.0, -2.4),
            (3.6, -6.0),
            (6.0, -3.6),
            (2.4, 0.0),
            (6.0, 3.6),
            (3.6, 6.0),
            (0.0, 2.4),
            (-3.6, 6.0),
            (-6.0, 3.6),
            (-2.4, 0.0),
        ]),
    }
}

/// The class that gives the color of that series.
pub(super) fn color(index: usize) -> String {
    format!("s{}", index % N_COLORS)
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

/// Least and greatest value; none without values.
fn bounds(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |bounds, value| match bounds {
        None => Some((value, value)),
        Some((low, high)) => Some((value.min(low), value.max(high))),
    })
}

/// The text, or its beginning with an ellipsis where it is longer.
fn cut(text: &str, n_chars: usize) -> String {
    if text.chars().count() <= n_chars {
        return text.to_owned();
    }
    text.chars().take(n_chars.saturating_sub(1)).chain(['…']).collect()
}

/// Text that cannot form markup; control characters become spaces.
fn escape(text: &str) -> String {
    characters::escape(text, |c| match c {
        '&' => Written::As("&amp;"),
        '<' => Written::As("&lt;"),
        '>' => Written::As("&gt;"),
        '"' => Written::As("&quot;"),
        '\'' => Written::As("&#39;"),
        _ => Written::Plain,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn name() -> Name {
        Name { id: "c".into(), title: "a<b".into(), description: "x & y".into() }
    }

    /// Refuses a chart that holds numbers that are not numbers, texts that were not escaped, or uneven tags.
    pub(super) fn assert_sound(chart: &str) {
        for bad in ["NaN", "inf", "a<b", "x & y"] {
            assert!(!chart.contains(bad), "{bad} in {chart}");
        }
        for tag in ["svg", "a", "g", "text", "title", "desc", "div"] {
            let opened = chart.matches(&format!("<{tag} ")).count()
                + chart.matches(&format!("<{tag}>")).count();
            assert_eq!(opened, chart.matches(&format!("</{tag}>")).count(), "{tag} in {chart}");
        }
    }

    #[test]
    fn ticks_are_round_and_cover_the_span() {
        let ticks = ticks(0.0, 0.71, 6);
        assert_eq!(ticks.len(), 5, "{ticks:?}");
        assert!((ticks[4] - 0.8).abs() < 1e-12);
    }

    #[test]
    fn colors_and_shapes_pair_up_anew_beyond_their_number() {
        let pairs: std::collections::BTreeSet<(usize, usize)> =
            (0..42).map(|index| (index % N_COLORS, index % N_SHAPES)).collect();
        assert_eq!(pairs.len(), 42);
        let shapes: std::collections::BTreeSet<String> =
            (0..N_SHAPES).map(|shape| marker(shape, 0.0, 0.0, "s0")).collect();
        assert_eq!(shapes.len(), N_SHAPES);
    }
}
