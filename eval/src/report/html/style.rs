//! Checks of the page's style: texts are legible in light, dark and print, and colors of systems differ for the color-blind.

use std::collections::BTreeMap;

use super::STYLE;

type Color = [f64; 3];

/// Custom properties of the block of that number, over those of the first block.
fn palette(block: usize) -> BTreeMap<String, Color> {
    let mut colors = BTreeMap::new();
    let blocks: Vec<&str> = STYLE.split(":root {").skip(1).collect();
    for at in [0, block] {
        let body = blocks[at].split('}').next().unwrap_or_default();
        for line in body.split(';') {
            let Some((name, value)) = line.trim().split_once(':') else { continue };
            if let (Some(name), Some(color)) = (name.trim().strip_prefix("--"), hex(value.trim())) {
                colors.insert(name.to_owned(), color);
            }
        }
    }
    colors
}

/// Linear light of a color such as `#fff` or `#0b5cad`.
fn hex(text: &str) -> Option<Color> {
    let digits = text.strip_prefix('#')?;
    let wide: String = match digits.len() {
        3 => digits.chars().flat_map(|digit| [digit, digit]).collect(),
        6 => digits.to_owned(),
        _ => return None,
    };
    let channel = |at: usize| {
        let byte = u8::from_str_radix(wide.get(at..at + 2)?, 16).ok()?;
        let value = f64::from(byte) / 255.0;
        Some(if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) })
    };
    Some([channel(0)?, channel(2)?, channel(4)?])
}

fn luminance([red, green, blue]: Color) -> f64 {
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

/// Contrast by WCAG 2.2, from 1 to 21.
fn contrast(left: Color, right: Color) -> f64 {
    let (left, right) = (luminance(left) + 0.05, luminance(right) + 0.05);
    left.max(right) / left.min(right)
}

/// How the color looks to people without red, green or blue cones (Machado and others 2009, severity 1, in linear light).
fn seen(color: Color, matrix: [[f64; 3]; 3]) -> Color {
    matrix.map(|row| {
        let sum: f64 = row.iter().zip(color).map(|(weight, value)| weight * value).sum();
        sum.clamp(0.0, 1.0)
    })
}

#[test]
fn paper_repeats_heads_and_has_no_heading_of_nothing() {
    let print = STYLE.split("@media print").nth(1).unwrap_or_default();
    for rule in [
        "thead { display: table-header-group; }",
        "th button { display: contents; }",
        "h3:has(+ details:not([open])), details:not([open]),",
        ".legend, .meanings { break-before: avoid; }",
    ] {
        assert!(print.contains(rule), "{rule}");
    }
    assert!(STYLE.contains(".texts td.number { white-space: nowrap;"));
}

const VISIONS: [(&str, [[f64; 3]; 3]); 4] = [
    ("full color", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    (
        "no red cones",
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
    ),
    (
        "no green cones",
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
    ),
    (
        "no blue cones",
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ],
    ),
];

/// Distance of two colors in CIELAB (1976); about 2.3 is just noticeable.
fn distance(left: Color, right: Color) -> f64 {
    let lab = |[red, green, blue]: Color| {
        let curve = |t: f64| if t > 0.008_856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 };
        let x = curve((0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505);
        let y = curve(0.2126 * red + 0.7152 * green + 0.0722 * blue);
        let z = curve((0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089);
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    };
    lab(left).iter().zip(lab(right)).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

/// Blocks of the style that define colors: light, dark, print.
const MODES: [&str; 3] = ["light", "dark", "print"];

#[test]
fn texts_are_legible_in_every_mode() {
    let pairs: [(&[&str], &[&str]); 5] = [
        (&["ink", "soft", "accent", "good", "bad"], &["page", "card"]),
        (&["ink", "soft", "accent", "good", "bad"], &["accent-soft"]),
        (&["ink", "good"], &["good-soft"]),
        (&["bad", "ink"], &["bad-soft"]),
        (&["ink", "warn"], &["warn-soft"]),
    ];
    for (block, mode) in MODES.iter().enumerate() {
        let colors = palette(block);
        for (texts, grounds) in pairs {
            for (text, ground) in
                texts.iter().flat_map(|text| grounds.iter().map(move |g| (text, g)))
            {
                let ratio = contrast(colors[*text], colors[*ground]);
                assert!(ratio >= 4.5, "{mode}: {text} on {ground} has {ratio:.2}");
            }
        }
    }
}

#[test]
fn marks_and_edges_stand_out_from_their_ground() {
    for (block, mode) in MODES.iter().enumerate() {
        let colors = palette(block);
        for mark in ["s0", "s1", "s2", "s3", "s4", "s5", "edge", "accent"] {
            let ratio = contrast(colors[mark], colors["card"]);
            assert!(ratio >= 3.0, "{mode}: {mark} has {ratio:.2}");
        }
    }
}

#[test]
fn colors_of_systems_differ_for_every_kind_of_sight() {
    for (block, mode) in MODES.iter().enumerate() {
        let colors = palette(block);
        let series: Vec<Color> = (0..6).map(|index| colors[&format!("s{index}")]).collect();
        for (sight, matrix) in VISIONS {
            for left in 0..series.len() {
                for right in left + 1..series.len() {
                    let apart = distance(seen(series[left], matrix), seen(series[right], matrix));
                    assert!(
                        apart > 18.0,
                        "{mode}, {sight}: s{left} and s{right} are {apart:.1} apart"
                    );
                }
            }
        }
    }
}

#[test]
fn contrast_is_computed_as_the_standard_says() {
    let of = |left: &str, right: &str| {
        contrast(hex(left).unwrap_or_default(), hex(right).unwrap_or_default())
    };
    assert!((of("#000", "#fff") - 21.0).abs() < 1e-9);
    assert!((of("#777777", "#ffffff") - 4.48).abs() < 0.01);
}
