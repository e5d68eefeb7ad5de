//! Times as logs write them: numbers of some unit, or ISO 8601 with or without a zone.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

use super::settings::TimeUnit;
use crate::corpus::import::records::Value;

pub(super) const SECONDS_PER_DAY: i64 = 86_400;

/// Forms of a time without a zone.
const PLAIN: [&str; 4] =
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];

/// A time, and how it was written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::corpus) struct Time {
    /// Seconds; since 1970, since the start of the log, or steps of an order.
    pub(in crate::corpus) seconds: i64,
    /// Whether it was a text with a zone, or one without; none for numbers.
    pub(super) zoned: Option<bool>,
}

/// Reads a time.
///
/// # Errors
/// The text of a fault.
pub(in crate::corpus::import) fn time(
    value: &Value<'_>,
    unit: Option<TimeUnit>,
) -> Result<Option<Time>, String> {
    let Some(text) = value.text()? else { return Ok(None) };
    if let Ok(number) = text.parse::<f64>() {
        if !number.is_finite() || number.abs() > 9e18 {
            return Err(format!("`{text}` is no time"));
        }
        return Ok(Some(Time { seconds: seconds(number, unit), zoned: None }));
    }
    if unit.is_some() {
        return Err(format!("`{text}` is no number, as `time_unit` says"));
    }
    dated(text).map(Some).ok_or_else(|| {
        format!(
            "`{text}` is no time: write 2026-10-01T12:30:00Z, or a number of seconds since 1970"
        )
    })
}

fn seconds(number: f64, unit: Option<TimeUnit>) -> i64 {
    let per_second = match unit {
        Some(TimeUnit::Seconds | TimeUnit::Order) => 1.0,
        Some(TimeUnit::Milliseconds) => 1e3,
        Some(TimeUnit::Microseconds) => 1e6,
        Some(TimeUnit::Days) => 1.0 / SECONDS_PER_DAY as f64,
        // Seconds of 1973 to 5138 are between 10^8 and 10^11.
        None => match number.abs() {
            small if small < 1e11 => 1.0,
            milli if milli < 1e14 => 1e3,
            micro if micro < 1e17 => 1e6,
            _ => 1e9,
        },
    };
    (number / per_second).floor() as i64
}

/// A date or a time in ISO 8601; without a zone it is UTC.
pub(in crate::corpus) fn dated(text: &str) -> Option<Time> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(Time { seconds: time.timestamp(), zoned: Some(true) });
    }
    // Blanks for the T, and zones without a colon.
    for form in ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f %#z"] {
        if let Ok(time) = DateTime::parse_from_str(text, form) {
            return Some(Time { seconds: time.timestamp(), zoned: Some(true) });
        }
    }
    let bare = text.strip_suffix(" UTC").unwrap_or(text);
    let zoned = Some(bare.len() < text.len());
    for form in PLAIN {
        if let Ok(time) = NaiveDateTime::parse_from_str(bare, form) {
            return Some(Time { seconds: time.and_utc().timestamp(), zoned });
        }
    }
    let date = NaiveDate::parse_from_str(bare, "%Y-%m-%d").ok()?;
    Some(Time { seconds: date.and_hms_opt(0, 0, 0)?.and_utc().timestamp(), zoned })
}

/// A moment for people, in UTC.
pub(in crate::corpus) fn shown(seconds: i64) -> String {
    DateTime::from_timestamp(seconds, 0)
        .map_or_else(|| seconds.to_string(), |time| time.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(text: &str, unit: Option<TimeUnit>) -> Time {
        time(&Value::Text(text.into()), unit).unwrap().unwrap()
    }

    #[test]
    fn times_of_every_form_are_the_same_second() {
        let wanted = 1_700_000_000;
        for text in [
            "1700000000",
            "1700000000.7",
            "1700000000123",
            "1700000000123456",
            "2023-11-14T22:13:20Z",
            "2023-11-14 22:13:20",
            "2023-11-14T23:13:20+01:00",
            "2023-11-14 23:13:20+0100",
            "2023-11-14 22:13:20.250 UTC",
        ] {
            assert_eq!(of(text, None).seconds, wanted, "{text}");
        }
        assert_eq!(of("2023-11-14", None).seconds, wanted - wanted % SECONDS_PER_DAY);
        assert_eq!(of("3", Some(TimeUnit::Days)).seconds, 3 * SECONDS_PER_DAY);
        assert_eq!(of("5", Some(TimeUnit::Order)).seconds, 5);
        assert_eq!(of("2023-11-14T22:13:20", None).zoned, Some(false));
        assert_eq!(of("2023-11-14T22:13:20Z", None).zoned, Some(true));
        assert_eq!(shown(wanted), "2023-11-14T22:13:20Z");
    }

    #[test]
    fn what_is_no_time_says_so() {
        for text in ["yesterday", "2023-13-01", "NaN", "1e300"] {
            assert!(time(&Value::Text(text.into()), None).is_err(), "{text}");
        }
        assert!(time(&Value::Text("2023-11-14".into()), Some(TimeUnit::Seconds)).is_err());
        assert_eq!(time(&Value::Absent, None), Ok(None));
    }
}
