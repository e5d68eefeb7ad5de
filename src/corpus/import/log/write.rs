//! From what a log says to the tables.

use std::collections::{HashMap, VecDeque};

use super::collected::{Asked, Collected, NONE};
use super::grades::Grades;
use super::pages::{PageRemarks, Pages};
use super::settings::{LogSettings, LogSplit, TimeUnit};
use super::split::splits;
use super::time::{SECONDS_PER_DAY, shown};
use super::users::Users;
use crate::corpus::build::CorpusWriter;
use crate::corpus::cell::{Cell, Entity};
use crate::corpus::levels::Levels;
use crate::corpus::rows::{ImpressionRow, JudgementRow, RequestRow, SessionRow};
use crate::corpus::summary::SplitCounts;
use crate::corpus::types::Split;
use crate::error::{Error, Result};
use crate::progress::Context;

/// What was written, as far as it is worth a word.
pub(super) struct Written {
    pub(super) pages: PageRemarks,
    pub(super) splits: SplitCounts,
    /// Requests left out because none of their items is known.
    pub(super) dropped: u64,
    /// Requests without the session, user or query that the split is by.
    pub(super) without: u64,
    /// Held-out requests with nothing to judge by.
    pub(super) unjudged: SplitCounts,
    /// Sessions with requests in more than one split.
    pub(super) torn_sessions: u64,
    /// Sessions of more than a day.
    pub(super) long_sessions: u64,
    /// First and last moment.
    pub(super) range: Option<(i64, i64)>,
    /// The first moment, where times are those of a calendar.
    pub(super) start: Option<String>,
    /// Users that the files of users do not have.
    pub(super) strangers: u64,
}

/// Times of a calendar are no smaller: that is 1973.
const EARLIEST: i64 = 100_000_000;

/// Requests between two looks at whether the user wants to stop.
const REQUESTS_PER_LOOK: usize = 65_536;

pub(super) fn write(
    settings: &LogSettings,
    log: &Collected,
    users: &Users,
    grades: Option<&Grades>,
    writer: &mut CorpusWriter,
    ctx: &Context,
) -> Result<Written> {
    let pages = Pages::of(log);
    let levels = Levels::new(&settings.levels);
    let open_signals: Vec<usize> = levels
        .open
        .iter()
        .filter_map(|column| place_of(settings, column.of, &column.name))
        .collect();
    let level = |row: u32, impression: &crate::corpus::types::Impression| {
        let cells: Vec<Cell> = open_signals.iter().map(|&place| log.open[place].of(row)).collect();
        levels.of(impression, &cells)
    };
    let n_requests = log.asked.len();
    let is_kept = |asked: &Asked| asked.named == 0 || asked.known > 0;
    let mut order: Vec<u32> =
        (0..n_requests as u32).filter(|&request| is_kept(&log.asked[request as usize])).collect();
    order.sort_by_key(|&request| log.asked[request as usize].time);
    let dropped = (n_requests - order.len()) as u64;
    let without = check_split(settings, log, &order)?;
    let mut is_chosen = vec![false; n_requests];
    for &request in &order {
        is_chosen[request as usize] = pages
            .page(log, request)
            .any(|(row, shown, position)| level(row, &shown.impression(position)).is_chosen());
    }
    let split_of = splits(&settings.split, log, &order, &is_chosen)?;
    // What was counted is asked once where it is held out.
    order.retain(|&request| {
        let is_train = split_of[request as usize] == Split::Train;
        is_train || !log.asked[request as usize].is_repeat
    });
    let histories = histories(settings, log, &pages, &order, level);

    let is_calendar = settings
        .log
        .iter()
        .any(|files| files.time.is_some() && files.time_unit != Some(TimeUnit::Order));
    let times = order.iter().filter_map(|&request| log.asked[request as usize].time);
    let range = times.clone().min().zip(times.max());
    let midnight = range.map_or(0, |(first, _)| first - first.rem_euclid(SECONDS_PER_DAY));
    let since = |asked: &Asked| asked.time.filter(|_| is_calendar).map(|time| time - midnight);
    let day_of = |asked: &Asked| {
        let from_time = since(asked).map(|seconds| seconds.div_euclid(SECONDS_PER_DAY) as i32);
        asked.day.or(from_time).unwrap_or(0)
    };

    let strangers = write_users(settings, log, users, writer)?;
    write_sessions(log, &order, day_of, writer)?;
    let mut written = Written {
        pages: PageRemarks::default(),
        splits: SplitCounts::default(),
        dropped,
        without,
        unjudged: SplitCounts::default(),
        torn_sessions: 0,
        long_sessions: 0,
        range: range.filter(|_| is_calendar),
        start: None,
        strangers,
    };
    // Smaller numbers count from the start of the log, and not from 1970.
    let since_1970 = range.filter(|(first, _)| is_calendar && *first >= EARLIEST);
    written.start = since_1970.map(|(first, _)| shown(first));
    (written.torn_sessions, written.long_sessions) = sessions(log, &order, &split_of);
    let (request_columns, impression_columns) =
        (columns_of(log, Entity::Request), columns_of(log, Entity::Impression));
    let mut bar = ctx.bar("write requests", order.len() as u64, "request");
    for split in Split::ALL {
        let of_split = order.iter().filter(|&&request| split_of[request as usize] == split);
        for (place, &request) in of_split.enumerate() {
            if place.is_multiple_of(REQUESTS_PER_LOOK) {
                ctx.check_interrupt()?;
            }
            bar.advance(1);
            written.splits.add(split);
            let asked = &log.asked[request as usize];
            let name = |number: u32| (number != NONE).then_some(number);
            let id = match log.keys_are_ids {
                true => log.keys.text(request).to_owned(),
                false => format!("r{request}"),
            };
            let row = RequestRow {
                id,
                user: name(asked.user),
                session: name(asked.session),
                time: since(asked),
                day: day_of(asked),
                query: name(asked.query).map(|query| log.queries.text(query).to_owned()),
                history: histories[request as usize].clone(),
                split,
            };
            let cells = request_columns.iter().map(|&place| log.open[place].of(request));
            let number = writer.request(row, cells.collect())?;
            let mut chosen: Vec<(u32, f32)> = Vec::new();
            for (row, shown, position) in pages.page(log, request) {
                let impression = shown.impression(position);
                let cells = impression_columns.iter().map(|&place| log.open[place].of(row));
                writer
                    .impression(ImpressionRow { request: number, impression }, cells.collect())?;
                let reached = level(row, &impression);
                if split != Split::Train && grades.is_none() && reached.is_chosen() {
                    let grade = grade_of(settings, reached.0);
                    match chosen.iter_mut().find(|one| one.0 == shown.item) {
                        Some(before) => before.1 = before.1.max(grade),
                        None => chosen.push((shown.item, grade)),
                    }
                }
            }
            let judged = grades.map_or(chosen.as_slice(), |grades| grades.of(log, request));
            if split != Split::Train && judged.is_empty() {
                written.unjudged.add(split);
            }
            for &(item, grade) in judged {
                writer.judgement(JudgementRow { request: number, item, grade })?;
            }
        }
    }
    written.pages = pages.remarks;
    Ok(written)
}

/// Refuses requests without what the split needs to place them; counts those that it places all the same.
fn check_split(settings: &LogSettings, log: &Collected, order: &[u32]) -> Result<u64> {
    let has = |asked: &Asked| match &settings.split {
        LogSplit::Time { .. } | LogSplit::Date { .. } => asked.time.is_some(),
        LogSplit::Column { .. } => asked.split != NONE,
        LogSplit::Session { .. } => asked.session != NONE,
        LogSplit::User { .. } | LogSplit::LeaveOneOut {} => asked.user != NONE,
        LogSplit::Query { .. } => asked.query != NONE,
    };
    let lacks = |request: &&u32| !has(&log.asked[**request as usize]);
    let n_without = order.iter().filter(lacks).count() as u64;
    let (what, key) = match &settings.split {
        LogSplit::Time { .. } | LogSplit::Date { .. } => ("time", "log.time"),
        LogSplit::Column { .. } => ("split", "log.split"),
        _ => return Ok(n_without),
    };
    let Some(first) = order.iter().find(lacks) else { return Ok(0) };
    let name = log.keys.text(*first).replace('\u{1f}', " · ");
    let message = format!(
        "{n_without} of {} requests have no {what}, such as `{name}`, and the split is by it",
        order.len()
    );
    Err(Error::data(settings.path.path()?, message).with_help(format!(
        "name {key} in each [[corpus.log]] that brings requests, or choose another corpus.split"
    )))
}

/// Grade of an item that reached a level.
fn grade_of(settings: &LogSettings, level: u8) -> f32 {
    let given = settings.grades_of_levels.as_ref();
    let given = given.and_then(|grades| grades.get(usize::from(level) - 1));
    given.copied().unwrap_or(f32::from(level))
}

/// The place of a column among the open ones of the log.
fn place_of(settings: &LogSettings, of: Entity, name: &str) -> Option<usize> {
    super::log_columns(settings).iter().position(|column| column.of == of && column.name == name)
}

/// Places of the open columns of an entity, in order.
fn columns_of(log: &Collected, of: Entity) -> Vec<usize> {
    (0..log.open.len()).filter(|&place| log.open[place].of == of).collect()
}

/// Writes users with what their files and the log say of them; returns how many the files do not have.
fn write_users(
    settings: &LogSettings,
    log: &Collected,
    users: &Users,
    writer: &mut CorpusWriter,
) -> Result<u64> {
    let n_columns = settings.users.as_ref().map_or(0, |users| users.columns.len());
    let columns = columns_of(log, Entity::User);
    let mut strangers = 0;
    for user in 0..log.users.len() as u32 {
        let id = log.users.text(user);
        let cells = users.cells(id);
        strangers += u64::from(cells.is_none() && n_columns > 0);
        let mut cells = cells.map_or_else(|| vec![Cell::Absent; n_columns], <[Cell]>::to_vec);
        cells.extend(columns.iter().map(|&place| log.open[place].of(user)));
        writer.user(id.to_owned(), cells)?;
    }
    Ok(strangers)
}

fn write_sessions(
    log: &Collected,
    order: &[u32],
    day_of: impl Fn(&Asked) -> i32,
    writer: &mut CorpusWriter,
) -> Result<()> {
    let mut first: Vec<Option<&Asked>> = vec![None; log.sessions.len()];
    for &request in order {
        let asked = &log.asked[request as usize];
        if asked.session != NONE {
            first[asked.session as usize].get_or_insert(asked);
        }
    }
    let columns = columns_of(log, Entity::Session);
    for (session, asked) in (0..).zip(first) {
        let user = asked.map(|asked| asked.user).filter(|user| *user != NONE);
        let id = log.sessions.text(session).to_owned();
        let row = SessionRow { id, user, day: asked.map_or(0, &day_of) };
        let cells = columns.iter().map(|&place| log.open[place].of(session));
        writer.session(row, cells.collect())?;
    }
    Ok(())
}

/// Sessions with requests in several splits, and sessions that last more than a day.
fn sessions(log: &Collected, order: &[u32], split_of: &[Split]) -> (u64, u64) {
    let mut met: HashMap<u32, (Split, bool, i64)> = HashMap::new();
    let mut long = std::collections::HashSet::new();
    for &request in order {
        let asked = &log.asked[request as usize];
        if asked.session == NONE {
            continue;
        }
        let (split, time) = (split_of[request as usize], asked.time.unwrap_or(0));
        let known = met.entry(asked.session).or_insert((split, false, time));
        known.1 |= known.0 != split;
        if time - known.2 > SECONDS_PER_DAY {
            long.insert(asked.session);
        }
    }
    (met.values().filter(|one| one.1).count() as u64, long.len() as u64)
}

/// The history of each request: recorded, or what its user chose before.
fn histories(
    settings: &LogSettings,
    log: &Collected,
    pages: &Pages,
    order: &[u32],
    level: impl Fn(u32, &crate::corpus::types::Impression) -> crate::corpus::types::Level,
) -> Vec<Vec<u32>> {
    let most = settings.history as usize;
    let mut histories = vec![Vec::new(); log.asked.len()];
    if most == 0 {
        return histories;
    }
    if settings.log.iter().any(|files| files.history.is_some()) {
        for (history, asked) in histories.iter_mut().zip(&log.asked) {
            let items = asked.history.as_deref().unwrap_or_default();
            *history = items[items.len().saturating_sub(most)..].to_vec();
        }
        return histories;
    }
    let mut chosen: Vec<VecDeque<u32>> = vec![VecDeque::new(); log.users.len()];
    for &request in order {
        let user = log.asked[request as usize].user;
        if user == NONE {
            continue;
        }
        let chosen = &mut chosen[user as usize];
        histories[request as usize] = chosen.iter().copied().collect();
        for (row, shown, position) in pages.page(log, request) {
            if level(row, &shown.impression(position)).is_chosen() {
                if chosen.len() == most {
                    chosen.pop_front();
                }
                chosen.push_back(shown.item);
            }
        }
    }
    histories
}
