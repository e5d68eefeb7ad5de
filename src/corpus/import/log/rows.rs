//! From a row of a log to what it says of a request and of the items shown for it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use super::collected::{Asked, Collected, NONE, Shown, Signals};
use super::fields::{
    Said, Slot, Slots, cells, counts, id, ids, lists, meaning, of, of_field, single, whole,
};
use super::queries::Texts;
use super::settings::UnknownItems;
use super::time::{Time, time};
use crate::corpus::build::CorpusWriter;
use crate::corpus::cell::Entity;
use crate::corpus::import::items::ItemIds;
use crate::corpus::import::records::{Record, Value};
use crate::corpus::import::text::plain;
use crate::error::Result;

/// Where items come from and go to.
pub(super) struct Items<'i> {
    pub(super) ids: &'i mut ItemIds,
    pub(super) writer: &'i mut CorpusWriter,
    pub(super) unknown: UnknownItems,
}

impl Items<'_> {
    /// The row number of an id; none where it is unknown and stays so.
    fn row(&mut self, id: &str) -> Result<Option<u32>> {
        match (self.ids.get(id), self.unknown) {
            (Some(row), _) => Ok(Some(row)),
            (None, UnknownItems::Add) => self.ids.get_or_add(id, self.writer).map(Some),
            (None, UnknownItems::Drop) => Ok(None),
        }
    }
}

/// Takes rows of one events file after the other.
pub(super) struct Collector<'c> {
    pub(super) to: Collected,
    pub(super) items: Items<'c>,
    /// Where each item of each request was shown, while rows of the same item are joined.
    places: HashMap<(u32, u32), u32, FixedState>,
    joins: bool,
    /// Where the first item of each list of each request was kept, by what the list holds.
    lists: HashMap<(u32, u64), u32, FixedState>,
    /// What a split may be called, where a field names it.
    splits: Vec<String>,
    /// Texts of queries by their ids, where the log has ids.
    texts: Option<Texts>,
    last_time: Option<i64>,
    key: String,
}

/// What a row says, looked through before any of it is kept.
struct Read<'v> {
    user: Option<&'v str>,
    session: Option<&'v str>,
    query: Option<&'v str>,
    split: Option<&'v str>,
    at: Option<Time>,
    day: Option<i32>,
    history: Vec<Cow<'v, str>>,
    said: Vec<Said<'v>>,
    /// Times clicked and shown, where rows are counts.
    counts: Option<(u32, u32)>,
    /// Items chosen that were not shown.
    unshown: Vec<String>,
}

impl<'c> Collector<'c> {
    pub(super) fn new(
        items: Items<'c>,
        to: Collected,
        splits: Vec<String>,
        texts: Option<Texts>,
    ) -> Self {
        Self {
            to,
            items,
            splits,
            texts,
            places: HashMap::default(),
            joins: false,
            lists: HashMap::default(),
            last_time: None,
            key: String::new(),
        }
    }

    /// Begins a file; `joins` where its rows may speak of items that others showed already.
    pub(super) fn begin(&mut self, joins: bool) {
        if joins && !self.joins {
            let places = self.to.shown.iter().zip(0..);
            self.places.extend(places.map(|(one, place)| ((one.request, one.item), place)));
        }
        self.joins = joins;
        self.last_time = None;
    }

    /// Takes a row; a malformed one leaves nothing behind.
    pub(super) fn row(
        &mut self,
        slots: &Slots<'_>,
        record: &Record<'_>,
    ) -> Result<std::result::Result<(), String>> {
        match self.read(slots, record) {
            Ok(None) => Ok(Ok(())),
            Ok(Some(read)) => match read.counts {
                Some((clicked, shown)) => self.keep_counted(slots, record, &read, clicked, shown),
                None => self.keep(slots, record, &read),
            },
            Err(message) => Ok(Err(message)),
        }
    }

    fn read<'v>(
        &mut self,
        slots: &Slots<'_>,
        record: &'v Record<'_>,
    ) -> std::result::Result<Option<Read<'v>>, String> {
        let value = |slot: Slot| slot.map_or(&Value::Absent, |slot| &record.values[slot]);
        let s = slots.settings;
        let event = match slots.event {
            None => None,
            Some(_) => match meaning(s, value(slots.event))? {
                None => return Ok(None),
                event => event,
            },
        };
        self.key.clear();
        for (&slot, name) in slots.request.iter().zip(&s.request) {
            let value = &record.values[slot];
            let text = match slots.request.len() {
                1 => value.id(),
                _ => value.text(),
            };
            let text = text.map_err(|message| of(name, &message))?;
            let Some(text) = text else { return Err(format!("`{name}` is empty: no request")) };
            self.key.push_str(text);
            self.key.push('\u{1f}');
        }
        let user = id(value(slots.user), &s.user)?;
        let session = id(value(slots.session), &s.session)?;
        let query = value(slots.query).text().map_err(|message| of_field(&s.query, &message))?;
        if let (Some(texts), Some(id)) = (&self.texts, query)
            && !texts.contains_key(id)
        {
            return Err(of_field(
                &s.query,
                &format!("`{id}`, which is not in the files of queries"),
            ));
        }
        let at = time(value(slots.time), s.time_unit).map_err(|m| of_field(&s.time, &m))?;
        if slots.time.is_some() && at.is_none() {
            return Err(of_field(&s.time, "nothing; expected a time"));
        }
        let day = whole(value(slots.day), i64::from(i32::MIN), i64::from(i32::MAX));
        let day = day.map_err(|message| of_field(&s.day, &message))?.map(|day| day as i32);
        let split = value(slots.split).text().map_err(|message| of_field(&s.split, &message))?;
        if slots.split.is_some() && !self.splits.is_empty() {
            let split = split.unwrap_or_default();
            if !self.splits.iter().any(|one| one == split) {
                let known = self.splits.join("`, `");
                return Err(of_field(&s.split, &format!("`{split}`; expected `{known}`")));
            }
        }
        let history = ids(value(slots.history), slots.separator());
        let history = history.map_err(|message| of_field(&s.history, &message))?;
        let counts = counts(slots, value)?;
        let (said, unshown) = match slots.is_lists() {
            true => lists(slots, record)?,
            false => (single(slots, record, event.unwrap_or_default())?, Vec::new()),
        };
        for (slot, _, column) in &slots.columns {
            let cells = cells(slots, column, &record.values[*slot])?;
            let n_shown = said.len() - unshown.len();
            if slots.is_lists()
                && column.of == Entity::Impression
                && ![0, n_shown].contains(&cells.len())
            {
                let message = format!("{} entries for {n_shown} shown items", cells.len());
                return Err(of(column.field(), &message));
            }
        }
        Ok(Some(Read { user, session, query, split, at, day, history, said, counts, unshown }))
    }

    /// Keeps a count as what it counts: the query asked again and again, with the item clicked the first times.
    fn keep_counted(
        &mut self,
        slots: &Slots<'_>,
        record: &Record<'_>,
        read: &Read<'_>,
        clicked: u32,
        shown: u32,
    ) -> Result<std::result::Result<(), String>> {
        use std::fmt::Write as _;
        let query = read.query.unwrap_or_default();
        for time in 0..shown {
            self.key.clear();
            let _ = write!(self.key, "{query}\u{1f}{time}");
            let said = read.said.iter().map(|one| {
                let mut shown = one.shown;
                shown.signals.set(Signals::CLICK, time < clicked);
                // Counts of several rows add up.
                shown.signals.set(Signals::OWN, true);
                Said { id: one.id.clone(), shown }
            });
            let again =
                Read { said: said.collect(), history: Vec::new(), unshown: Vec::new(), ..*read };
            if let Err(message) = self.keep(slots, record, &again)? {
                return Ok(Err(message));
            }
            if time > 0
                && let Some(number) = self.to.keys.find(&self.key)
            {
                self.to.asked[number as usize].is_repeat = true;
            }
        }
        Ok(Ok(()))
    }

    fn keep(
        &mut self,
        slots: &Slots<'_>,
        record: &Record<'_>,
        read: &Read<'_>,
    ) -> Result<std::result::Result<(), String>> {
        let to = &mut self.to;
        let s = slots.settings;
        if s.request.is_empty() && read.counts.is_none() {
            // A row of lists is a request of its own.
            use std::fmt::Write as _;
            let key = &mut self.key;
            let _ = match slots.is_lists() {
                true => write!(key, "row {}", to.rows),
                false => write!(
                    key,
                    "{}\u{1f}{}\u{1f}{}\u{1f}{}",
                    read.user.unwrap_or_default(),
                    read.session.unwrap_or_default(),
                    read.at.map_or(0, |at| at.seconds),
                    read.query.unwrap_or_default()
                ),
            };
        }
        to.rows += 1;
        let key = self.key.trim_end_matches('\u{1f}');
        let known = to.keys.find(key);
        let text_of = |query| match &self.texts {
            Some(texts) => texts.get(query).map_or(query, String::as_str),
            None => query,
        };
        let query = read.query.map(text_of).map(plain).filter(|query| !query.is_empty());
        if let Some(request) = known {
            let asked = &to.asked[request as usize];
            let parts = [
                ("query", asked.query, query.as_deref(), &to.queries),
                ("user", asked.user, read.user, &to.users),
                ("session", asked.session, read.session, &to.sessions),
                ("split", asked.split, read.split, &to.splits),
            ];
            for (what, before, now, names) in parts {
                if let Some(now) = now
                    && before != NONE
                    && names.text(before) != now
                {
                    let (before, key) = (names.text(before), shown_key(key));
                    return Ok(Err(format!(
                        "request `{key}` has the {what} `{now}` here and `{before}` before"
                    )));
                }
            }
        }
        let request = to.keys.number(key);
        if request as usize == to.asked.len() {
            to.asked.push(Asked::default());
        }
        let asked = &mut to.asked[request as usize];
        for (own, text, names) in [
            (&mut asked.user, read.user, &mut to.users),
            (&mut asked.session, read.session, &mut to.sessions),
            (&mut asked.split, read.split, &mut to.splits),
            (&mut asked.query, query.as_deref(), &mut to.queries),
        ] {
            if let Some(text) = text.filter(|_| *own == NONE) {
                *own = names.number(text);
            }
        }
        if let Some(at) = read.at {
            asked.time = Some(asked.time.map_or(at.seconds, |time| time.min(at.seconds)));
            to.backwards += u64::from(self.last_time.is_some_and(|last| last > at.seconds));
            self.last_time = Some(at.seconds);
            if let Some(zoned) = at.zoned {
                let text = || record_time(slots, record);
                to.zoned[usize::from(zoned)].one(text);
            }
        }
        asked.day = asked.day.or(read.day);
        let chosen = read.said.iter().filter(|one| one.shown.signals.has(Signals::CHOSEN));
        to.chosen += chosen.count() as u64;
        for id in &read.unshown {
            to.unshown.one(|| id.clone());
        }
        if asked.history.is_none() && !read.history.is_empty() {
            let mut items = Vec::new();
            for id in &read.history {
                match self.items.row(id)? {
                    Some(item) => items.push(item),
                    None => to.unknown_past.one(|| id.clone().into_owned()),
                }
            }
            asked.history = Some(items.into());
        }
        // A list that its request has already is a row that was written twice.
        let mut again = None;
        if slots.is_lists() && !s.request.is_empty() && !read.said.is_empty() {
            let ids: Vec<&str> = read.said.iter().map(|said| said.id.as_ref()).collect();
            let key = (request, FixedState::default().hash_one(&ids));
            let next = to.shown.len() as u32;
            again = Some(*self.lists.entry(key).or_insert(next)).filter(|first| *first < next);
        }
        let mut places = Vec::with_capacity(read.said.len());
        for Said { id, shown } in &read.said {
            let asked = &mut to.asked[request as usize];
            asked.named += 1;
            let Some(item) = self.items.row(id)? else {
                to.unknown.one(|| id.clone().into_owned());
                places.push(NONE);
                continue;
            };
            asked.known += 1;
            let shown = Shown { request, item, ..*shown };
            // Equal hashes may be chance: only the item that stands there is joined.
            again = again.filter(|&place| {
                to.shown
                    .get(place as usize)
                    .is_some_and(|one| one.request == request && one.item == item)
            });
            if let (Some(place), false) = (again, self.joins) {
                again = Some(place + 1);
                places.push(place);
                to.shown[place as usize].join(&shown);
                to.repeated.one(|| shown_key(to.keys.text(request)));
                continue;
            }
            if self.joins {
                let next = to.shown.len() as u32;
                let place = *self.places.entry((request, item)).or_insert(next);
                places.push(place);
                if place < next {
                    to.shown[place as usize].join(&shown);
                    continue;
                }
            }
            if !self.joins {
                places.push(to.shown.len() as u32);
            }
            to.shown.push(shown);
        }
        for (slot, place, column) in &slots.columns {
            let asked = &to.asked[request as usize];
            let request = [request];
            let rows = match column.of {
                Entity::User => std::slice::from_ref(&asked.user),
                Entity::Session => std::slice::from_ref(&asked.session),
                Entity::Impression => places.as_slice(),
                Entity::Request | Entity::Item => &request,
            };
            // They were looked at when the row was read.
            let cells = cells(slots, column, &record.values[*slot]).unwrap_or_default();
            for (&row, cell) in rows.iter().zip(cells).filter(|(row, _)| **row != NONE) {
                to.open[*place].keep(row, cell);
            }
        }
        Ok(Ok(()))
    }
}

/// A key for people.
fn shown_key(key: &str) -> String {
    key.replace('\u{1f}', " · ")
}

fn record_time(slots: &Slots<'_>, record: &Record<'_>) -> String {
    let value = slots.time.map(|slot| &record.values[slot]);
    value.and_then(|value| value.text().ok().flatten()).unwrap_or_default().to_owned()
}
