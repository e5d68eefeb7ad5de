//! Numbers as a reader meets them. A figure that is not finite is shown as a dash, never as `NaN`.

/// What stands where there is no figure.
pub(super) const NONE: &str = "–";

/// A count with its noun, as in "1 request" and "1,733 requests".
pub(super) fn counted(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(n), if n == 1 { "" } else { "s" })
}

/// A value of a metric: three decimals, fewer from 100 on, with commas between thousands.
pub(super) fn value(value: f64) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let size = magnitude(value.abs());
    // What rounds to zero has no sign.
    let negative = value < 0.0 && size.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    if negative { format!("−{size}") } else { size }
}

/// Size of a value of a metric.
fn magnitude(size: f64) -> String {
    if size < 99.9995 {
        format!("{size:.3}")
    } else if size < 999.95 {
        format!("{size:.1}")
    } else if size < 1e15 {
        count(size.round() as u64)
    } else {
        format!("{size:.2e}")
    }
}

/// A difference: as a value, always with a sign.
pub(super) fn signed(value: f64) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let text = magnitude(value.abs());
    let sign = if text.bytes().all(|byte| matches!(byte, b'0' | b'.')) {
        "±"
    } else if value < 0.0 {
        "−"
    } else {
        "+"
    };
    format!("{sign}{text}")
}

/// A share in percent.
pub(super) fn percent(share: f64) -> String {
    if !share.is_finite() {
        return NONE.to_owned();
    }
    let percent = share * 100.0;
    if percent.abs() < 0.05 && percent != 0.0 {
        // A rate that must be 0 is not shown as 0 where it is not.
        "< 0.1%".to_owned()
    } else if percent.abs() < 10.0 {
        format!("{}%", trimmed(percent, 1))
    } else {
        format!("{percent:.0}%")
    }
}

/// A p value: three decimals, or that it is below the least that is shown.
pub(super) fn p_value(value: f64) -> String {
    if !value.is_finite() {
        NONE.to_owned()
    } else if value < 0.001 {
        "p < 0.001".to_owned()
    } else {
        format!("p = {value:.3}")
    }
}

/// A count with commas between thousands.
pub(super) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in decimal units.
pub(super) fn bytes(value: u64) -> String {
    if value < 1_000 {
        return format!("{value} B");
    }
    let mut scaled = value as f64;
    let mut unit = "B";
    for next in ["kB", "MB", "GB", "TB", "PB"] {
        if scaled < 999.5 {
            break;
        }
        scaled /= 1_000.0;
        unit = next;
    }
    format!("{} {unit}", short(scaled))
}

/// Milliseconds, in the unit that keeps three digits readable.
pub(super) fn milliseconds(value: f64) -> String {
    if !value.is_finite() {
        NONE.to_owned()
    } else if value < 0.9995 {
        format!("{} µs", short(value * 1_000.0))
    } else if value < 999.5 {
        format!("{} ms", short(value))
    } else {
        format!("{} s", short(value / 1_000.0))
    }
}

/// Seconds as hours, minutes and seconds.
pub(super) fn seconds(value: f64) -> String {
    if !value.is_finite() || value < 0.0 {
        return NONE.to_owned();
    }
    if value < 60.0 {
        return format!("{} s", short(value));
    }
    let whole = value.round() as u64;
    let (hours, minutes, seconds) = (whole / 3_600, whole / 60 % 60, whole % 60);
    if hours > 0 {
        format!("{hours} h {minutes:02} min")
    } else {
        format!("{minutes} min {seconds:02} s")
    }
}

/// An operational figure by the unit that its name tells: `…_ms`, `…_seconds`, `bytes…` or `…_bytes`, `…_rate` or `…_share`.
pub(super) fn operational(name: &str, value: f64) -> String {
    if !value.is_finite() {
        NONE.to_owned()
    } else if name.ends_with("_ms") {
        milliseconds(value)
    } else if name.ends_with("_seconds") {
        seconds(value)
    } else if name.starts_with("bytes") || name.ends_with("_bytes") {
        bytes(value.max(0.0).round() as u64)
    } else if name.ends_with("_rate") || name.ends_with("_share") {
        percent(value)
    } else if value.abs() >= 1_000.0 && value.abs() < 1e15 {
        self::value(value.round())
    } else {
        short(value)
    }
}

/// The name of an operational figure as a reader says it.
pub(super) fn operational_name(name: &str) -> String {
    let known = match name {
        "qps" => "requests/s",
        "qps_batch" => "requests/s in batches",
        "batch" => "requests per batch",
        "build_seconds" => "build time",
        "bytes_per_item" => "bytes per item",
        "invalid_rate" => "invalid",
        "duplicate_rate" => "duplicates",
        "index_recall_at_10" => "recall@10 of exact search",
        "index_speedup" => "speed-up over exact search",
        _ => "",
    };
    if !known.is_empty() {
        return known.to_owned();
    }
    let bare = ["_ms", "_seconds", "_rate"].iter().find_map(|unit| name.strip_suffix(unit));
    bare.unwrap_or(name).replace('_', " ")
}

/// A score of any scale: about three digits, idle zeros kept so that a column of scores lines up.
pub(super) fn score(value: f64) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let size = value.abs();
    if size != 0.0 && !(0.001..1e6).contains(&size) {
        return format!("{value:.2e}").replace('-', "−");
    }
    let decimals = match size {
        _ if size >= 100.0 => 0,
        _ if size >= 10.0 => 1,
        _ if size >= 1.0 || size == 0.0 => 2,
        _ => 3,
    };
    let sign = if value < 0.0 { "−" } else { "" };
    format!("{sign}{size:.decimals$}")
}

/// Three significant digits, without idle zeros.
pub(super) fn short(value: f64) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let size = value.abs();
    if size >= 100.0 {
        format!("{value:.0}")
    } else if size >= 10.0 {
        trimmed(value, 1)
    } else if size >= 0.01 || size == 0.0 {
        trimmed(value, if size >= 1.0 { 2 } else { 3 })
    } else {
        format!("{value:.1e}")
    }
}

fn trimmed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_by_hand() {
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(38_912), "38.9 kB");
        assert_eq!(bytes(999_999), "1 MB");
        assert_eq!(milliseconds(0.31), "310 µs");
        assert_eq!(milliseconds(12.44), "12.4 ms");
        assert_eq!(milliseconds(1_500.0), "1.5 s");
        assert_eq!(seconds(93.4), "1 min 33 s");
        assert_eq!(signed(-0.0351), "−0.035");
        assert_eq!(signed(0.0001), "±0.000");
        assert_eq!(p_value(0.0004), "p < 0.001");
        assert_eq!(percent(0.068), "6.8%");
        assert_eq!(short(0.0003), "3.0e-4");
        assert_eq!(short(100.0), "100");
        assert_eq!(value(-0.0001), "0.000");
        assert_eq!(value(-0.25), "−0.250");
        assert_eq!(value(123.456), "123.5");
        assert_eq!(value(99.9996), "100.0");
        assert_eq!(value(12_345.6), "12,346");
        assert_eq!(signed(-1_500.0), "−1,500");
        assert_eq!(percent(0.0), "0%");
        assert_eq!(percent(0.0001), "< 0.1%");
    }

    #[test]
    fn scores_keep_their_zeros() {
        assert_eq!(score(8.0), "8.00");
        assert_eq!(score(-0.5), "−0.500");
        assert_eq!(score(123.4), "123");
        assert_eq!(score(0.000_012), "1.20e−5");
        assert_eq!(score(-1.5e9), "−1.50e9");
        assert_eq!(score(f64::NAN), NONE);
    }

    #[test]
    fn operational_figures_carry_their_unit() {
        assert_eq!(operational("p95_ms", 12.44), "12.4 ms");
        assert_eq!(operational("build_seconds", 93.4), "1 min 33 s");
        assert_eq!(operational("bytes_per_item", 1_532.0), "1.53 kB");
        assert_eq!(operational("duplicate_rate", 0.0021), "0.2%");
        assert_eq!(operational("qps", 12_345.6), "12,346");
        assert_eq!(operational("beam_width", 20.0), "20");
        assert_eq!(operational("index_recall_at_10", 0.973), "0.973");
        assert_eq!(operational_name("train_seconds"), "train");
        assert_eq!(operational_name("index_speedup"), "speed-up over exact search");
        assert_eq!(operational_name("peak_gpu_bytes"), "peak gpu bytes");
    }

    #[test]
    fn what_is_not_finite_is_a_dash() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for text in [
                value(bad),
                signed(bad),
                percent(bad),
                p_value(bad),
                milliseconds(bad),
                seconds(bad),
                short(bad),
                operational("qps", bad),
            ] {
                assert_eq!(text, NONE);
            }
        }
    }
}
