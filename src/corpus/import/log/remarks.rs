//! What a reader of figures should know of a log, one sentence each.

use super::collected::Collected;
use super::grades::Grades;
use super::settings::{LogSettings, LogSplit};
use super::time::shown;
use super::write::Written;
use crate::corpus::types::Split;

/// Seconds since 1970 that a shop may log: from 1990 to 2100.
const PLAUSIBLE: std::ops::Range<i64> = 631_152_000..4_102_444_800;

pub(super) fn remarks(
    settings: &LogSettings,
    log: &Collected,
    grades: Option<&Grades>,
    written: &Written,
    n_items: usize,
    warnings: &mut Vec<String>,
) {
    let n_named: u64 = log.asked.iter().map(|asked| u64::from(asked.named)).sum();
    let mut say = |is_so: bool, text: String| {
        if is_so {
            warnings.push(text);
        }
    };
    let unknown = &log.unknown;
    say(
        unknown.count > 0,
        format!(
            "{} of {n_named} shown items ({:.1} %) are not in the items files and were left out, such as {}; \
             corpus.unknown_items = \"add\" keeps them without text",
            unknown.count,
            100.0 * unknown.count as f64 / n_named.max(1) as f64,
            unknown.examples()
        ),
    );
    let past = &log.unknown_past;
    say(
        past.count > 0,
        format!(
            "{} items of histories are not in the items files and were left out, such as {}",
            past.count,
            past.examples()
        ),
    );
    let (what, becomes) = match &settings.split {
        LogSplit::Session { .. } => ("session", "the split is by their own ids"),
        LogSplit::User { .. } => ("user", "the split is by their own ids"),
        LogSplit::Query { .. } => ("query", "the split is by their own ids"),
        _ => ("user", "they are for training"),
    };
    say(written.without > 0, format!("{} requests have no {what}: {becomes}", written.without));
    say(
        written.dropped > 0,
        format!(
            "{} of {} requests were left out because none of their items is known",
            written.dropped,
            log.asked.len()
        ),
    );
    say(
        log.unshown.count > 0,
        format!(
            "{} chosen items were not shown ({}); they count as shown, after the others",
            log.unshown.count,
            log.unshown.examples()
        ),
    );
    let pages = &written.pages;
    say(pages.from_zero, "positions are counted from 0 in the log and from 1 here".into());
    say(
        pages.missing.count > 0,
        format!(
            "{} requests have items with a position and items without ({}); the latter stand last",
            pages.missing.count,
            pages.missing.examples()
        ),
    );
    say(
        pages.doubled.count > 0,
        format!(
            "{} requests have several items at one position ({})",
            pages.doubled.count,
            pages.doubled.examples()
        ),
    );
    say(
        pages.too_long.count > 0,
        format!(
            "{} requests show items beyond position {}, which were left out ({})",
            pages.too_long.count,
            super::fields::MOST_SHOWN,
            pages.too_long.examples()
        ),
    );
    say(
        log.backwards > 0,
        format!(
            "times run backwards in {} of {} rows; requests are put in the order of their times",
            log.backwards, log.rows
        ),
    );
    let times = log.asked.iter().filter_map(|asked| asked.time);
    let odd = times.clone().filter(|time| !PLAUSIBLE.contains(time)).count();
    say(
        odd > 0,
        format!(
            "{odd} of {} requests lie before 1990 or after 2100, such as at {}: are these the times, and is log.time_unit \
             right? A split by time rests on them",
            times.clone().count(),
            times.clone().find(|time| !PLAUSIBLE.contains(time)).map_or(String::new(), shown)
        ),
    );
    let [plain, zoned] = &log.zoned;
    say(
        plain.count > 0 && zoned.count > 0,
        format!(
            "{} times have a zone and {} have none ({}): those are read as UTC",
            zoned.count,
            plain.count,
            plain.examples()
        ),
    );
    say(
        written.long_sessions > 0,
        format!("{} sessions last more than a day", written.long_sessions),
    );
    say(
        written.torn_sessions > 0,
        format!("{} sessions have requests in more than one split", written.torn_sessions),
    );
    say(
        written.strangers > 0,
        format!("{} users are not in the files of users", written.strangers),
    );
    for split in [Split::Validation, Split::Test] {
        let (unjudged, of) = (written.unjudged.of(split), written.splits.of(split));
        let why = match grades {
            Some(_) => "no grades",
            None => "nothing chosen",
        };
        say(
            unjudged > 0,
            format!(
                "{unjudged} of {of} {} requests have {why}: they are left out of lists, and kept for labels",
                split.name()
            ),
        );
    }
    if let Some(grades) = grades {
        say(
            grades.unasked.count > 0,
            format!(
                "{} grades are of requests that the log does not have, such as {}",
                grades.unasked.count,
                grades.unasked.examples()
            ),
        );
        say(
            grades.unknown.count > 0,
            format!(
                "{} grades are of items that are none of the {n_items}, such as {}",
                grades.unknown.count,
                grades.unknown.examples()
            ),
        );
    }
    say(
        matches!(settings.split, LogSplit::LeaveOneOut {}),
        "leave-one-out splits by place among a user's requests, not by time: training sees what \
         other users chose after the test moment of some user"
            .into(),
    );
}

/// Why there is nothing to test on.
pub(super) fn without_test(settings: &LogSettings, log: &Collected, written: &Written) -> String {
    let n_kept = log.asked.len() as u64 - written.dropped;
    let range = written.range.map_or(String::new(), |(first, last)| {
        format!(", from {} to {}", shown(first), shown(last))
    });
    let dropped = match written.dropped {
        0 => String::new(),
        dropped => format!(" ({dropped} more were left out, none of whose items is known)"),
    };
    let by = match &settings.split {
        LogSplit::Time { .. } => "time",
        LogSplit::Date { .. } => "date",
        LogSplit::Session { .. } => "session",
        LogSplit::User { .. } => "user",
        LogSplit::Query { .. } => "query",
        LogSplit::Column { .. } => "column",
        LogSplit::LeaveOneOut {} => "leave-one-out",
    };
    format!("the split by {by} leaves nothing to test on: {n_kept} requests{range}{dropped}")
}
