//! Which requests of a log are for training, validation and testing.

use super::collected::{Collected, NONE};
use super::settings::LogSplit;
use super::time::dated;
use crate::corpus::import::split_by_hash;
use crate::corpus::types::Split;
use crate::error::{Error, Result};

/// Fewest requests with a choice that leave a user one for training.
const FEWEST: usize = 3;

/// The split of each request, which are numbered as they were met; `order` has them in time, `is_chosen`
/// says which of them something was chosen in.
///
/// # Errors
/// [`Error::Usage`] for dates that are none.
pub(super) fn splits(
    settings: &LogSplit,
    log: &Collected,
    order: &[u32],
    is_chosen: &[bool],
) -> Result<Vec<Split>> {
    let mut splits = vec![Split::Train; log.asked.len()];
    let time = |request: u32| log.asked[request as usize].time.unwrap_or(0);
    let by_time = |validation: i64, test: i64, splits: &mut Vec<Split>| {
        for &request in order {
            splits[request as usize] = match time(request) {
                at if at >= test => Split::Test,
                at if at >= validation => Split::Validation,
                _ => Split::Train,
            };
        }
    };
    match settings {
        LogSplit::Time { validation, test } => {
            // The first moment of a part: requests of one moment stay together.
            let moment = |held_out: f64| {
                let n_kept = ((1.0 - held_out) * order.len() as f64).round() as usize;
                order.get(n_kept).map_or(i64::MAX, |&request| time(request))
            };
            by_time(moment(validation + test), moment(*test), &mut splits);
        }
        LogSplit::Date { validation_from, test_from } => {
            let moment = |key: &str, text: &str| {
                let time = dated(text).map(|time| time.seconds);
                time.ok_or_else(|| {
                    Error::Usage(format!(
                        "corpus.split.{key} = \"{text}\" is no date: write 2026-10-01 or 2026-10-01T12:00:00Z"
                    ))
                })
            };
            let test = moment("test_from", test_from)?;
            let validation = validation_from.as_deref();
            let validation = validation.map(|text| moment("validation_from", text)).transpose()?;
            by_time(validation.unwrap_or(test), test, &mut splits);
        }
        LogSplit::Session { validation, test } => {
            by_hash(log, &mut splits, (*validation, *test), |request| {
                let session = log.asked[request].session;
                (session != NONE).then(|| log.sessions.text(session))
            });
        }
        LogSplit::User { validation, test } => {
            by_hash(log, &mut splits, (*validation, *test), |request| {
                let user = log.asked[request].user;
                (user != NONE).then(|| log.users.text(user))
            });
        }
        LogSplit::Query { validation, test } => {
            by_hash(log, &mut splits, (*validation, *test), |request| {
                let query = log.asked[request].query;
                (query != NONE).then(|| log.queries.text(query))
            });
        }
        LogSplit::Column { validation, test, .. } => {
            let of = |name: &String| match log.splits.find(name) {
                Some(number) => number,
                None => NONE,
            };
            let (validation, test) = (of(validation), of(test));
            for (split, asked) in splits.iter_mut().zip(&log.asked) {
                *split = match asked.split {
                    NONE => Split::Train,
                    one if one == test => Split::Test,
                    one if one == validation => Split::Validation,
                    _ => Split::Train,
                };
            }
        }
        LogSplit::LeaveOneOut {} => leave_one_out(log, order, is_chosen, &mut splits),
    }
    Ok(splits)
}

fn by_hash<'l>(
    log: &'l Collected,
    splits: &mut [Split],
    (validation, test): (f64, f64),
    name: impl Fn(usize) -> Option<&'l str>,
) {
    for (request, split) in splits.iter_mut().enumerate() {
        let text = name(request).unwrap_or_else(|| log.keys.text(request as u32));
        *split = split_by_hash(text, validation, test);
    }
}

fn leave_one_out(log: &Collected, order: &[u32], is_chosen: &[bool], splits: &mut [Split]) {
    let mut of_user: Vec<Vec<u32>> = vec![Vec::new(); log.users.len()];
    for &request in order {
        let user = log.asked[request as usize].user;
        if user != NONE {
            of_user[user as usize].push(request);
        }
    }
    for requests in of_user {
        let chosen = |place: &usize| is_chosen[requests[*place] as usize];
        let places: Vec<usize> = (0..requests.len()).filter(chosen).collect();
        let &[.., validation, test] = places.as_slice() else { continue };
        if places.len() < FEWEST {
            continue;
        }
        for (place, &request) in requests.iter().enumerate() {
            splits[request as usize] = match place {
                place if place >= test => Split::Test,
                place if place >= validation => Split::Validation,
                _ => Split::Train,
            };
        }
    }
}
