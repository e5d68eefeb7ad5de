//! From a row of a log to what it says of a request and of the items shown for it.

use std::borrow::Cow;
use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::collected::{Asked, Collected, NONE, Shown, Signals};
use super::queries::Texts;
use super::settings::{EventFiles, LogColumn, Meaning, UnknownItems};
use super::time::{Time, time};
use crate::corpus::build::CorpusWriter;
use crate::corpus::cell::{Cell, Entity};
use crate::corpus::import::items::ItemIds;
use crate::corpus::import::records::{FieldPath, Record, Value, Wanted};
use crate::corpus::import::text::plain;
use crate::error::Result;

/// Items shown for one request: positions are 16-bit numbers.
pub(super) const MOST_SHOWN: usize = u16::MAX as usize;

/// The largest count of one row.
const MOST_COUNTED: i64 = 1_000_000;

/// Flags that fields of their own record, with what says that it was recorded at all.
const FLAGS: [(u8, u8); 5] = [
    (Signals::CLICK, 0),
    (Signals::CART, 0),
    (Signals::ORDER, 0),
    (Signals::LIKE, Signals::LIKE_KNOWN),
    (Signals::SHARE, Signals::SHARE_KNOWN),
];

/// A field's place among the wanted ones.
type Slot = Option<usize>;

/// Places of the fields of an events file.
pub(super) struct Slots<'s> {
    settings: &'s EventFiles,
    request: Vec<usize>,
    user: Slot,
    session: Slot,
    time: Slot,
    day: Slot,
    query: Slot,
    history: Slot,
    split: Slot,
    item: Slot,
    shown: Slot,
    /// Clicked, carted, ordered.
    chosen: [Slot; 3],
    position: Slot,
    /// Propensity, dwell, grade.
    numbers: [Slot; 3],
    /// In the order of [`FLAGS`].
    flags: [Slot; 5],
    label: Slot,
    event: Slot,
    /// Times clicked, times shown.
    counts: [Slot; 2],
    /// With the place of each column among all open columns of the log.
    columns: Vec<(usize, usize, &'s LogColumn)>,
}

impl<'s> Slots<'s> {
    /// Of a file; `place_of` finds a column among all open ones of the log.
    pub(super) fn of(
        settings: &'s EventFiles,
        place_of: impl Fn(&LogColumn) -> usize,
    ) -> (Self, Wanted) {
        let mut fields = Vec::new();
        let mut add = |name: &str, key: &str| {
            fields.push((FieldPath::new(name), format!("corpus.log.{key}")));
            fields.len() - 1
        };
        let s = settings;
        let request = s.request.iter().map(|name| add(name, "request")).collect();
        let mut slot = |name: &Option<String>, key: &str| name.as_ref().map(|name| add(name, key));
        let slots = Self {
            settings,
            request,
            user: slot(&s.user, "user"),
            session: slot(&s.session, "session"),
            time: slot(&s.time, "time"),
            day: slot(&s.day, "day"),
            query: slot(&s.query, "query"),
            history: slot(&s.history, "history"),
            split: slot(&s.split, "split"),
            item: slot(&s.item, "item"),
            shown: slot(&s.shown, "shown"),
            chosen: [
                slot(&s.clicked, "clicked"),
                slot(&s.carted, "carted"),
                slot(&s.ordered, "ordered"),
            ],
            position: slot(&s.position, "position"),
            numbers: [
                slot(&s.propensity, "propensity"),
                slot(&s.dwell, "dwell"),
                slot(&s.grade, "grade"),
            ],
            flags: [
                slot(&s.click, "click"),
                slot(&s.cart, "cart"),
                slot(&s.order, "order"),
                slot(&s.like, "like"),
                slot(&s.share, "share"),
            ],
            counts: [slot(&s.clicks, "clicks"), slot(&s.impressions, "impressions")],
            label: s.label.as_ref().map(|label| add(&label.field, "label.field")),
            event: s.event.as_ref().map(|event| add(&event.field, "event.field")),
            columns: s
                .columns
                .iter()
                .map(|column| (add(column.field(), "columns"), place_of(column), column))
                .collect(),
        };
        (slots, Wanted { fields, rest: false })
    }

    fn is_lists(&self) -> bool {
        self.item.is_none()
    }

    fn separator(&self) -> &str {
        self.settings.separator.as_deref().unwrap_or(" ")
    }
}

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
    /// What a split may be called, where a field names it.
    splits: Vec<String>,
    /// Texts of queries by their ids, where the log has ids.
    texts: Option<Texts>,
    last_time: Option<i64>,
    key: String,
}

/// What a row says of one item, before it is known which item that is.
struct Said<'v> {
    id: Cow<'v, str>,
    shown: Shown,
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
        for id in &read.unshown {
            to.unshown.one(|| id.clone());
        }
        if asked.history.is_none() && !read.history.is_empty() {
            let mut items = Vec::new();
            for id in &read.history {
                items.extend(self.items.row(id)?);
            }
            asked.history = Some(items.into());
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

fn of(name: &str, message: &str) -> String {
    format!("`{name}` holds {message}")
}

fn of_field(name: &Option<String>, message: &str) -> String {
    of(name.as_deref().unwrap_or_default(), message)
}

fn id<'v>(
    value: &'v Value<'_>,
    name: &Option<String>,
) -> std::result::Result<Option<&'v str>, String> {
    value.id().map_err(|message| of_field(name, &message))
}

/// A whole number within limits.
fn whole(value: &Value<'_>, least: i64, most: i64) -> std::result::Result<Option<i64>, String> {
    let Some(number) = value.number()? else { return Ok(None) };
    if number.fract() != 0.0 || number < least as f64 || number > most as f64 {
        return Err(format!("{number}; expected a whole number from {least} to {most}"));
    }
    Ok(Some(number as i64))
}

/// Cells of an open column: one, or one for each shown item.
fn cells(
    slots: &Slots<'_>,
    column: &LogColumn,
    value: &Value<'_>,
) -> std::result::Result<Vec<Cell>, String> {
    if !slots.is_lists() || column.of != Entity::Impression {
        return Ok(vec![cell(column, value)?]);
    }
    let entries = value.list(slots.separator()).map_err(|message| of(column.field(), &message))?;
    entries.iter().map(|entry| cell(column, entry)).collect()
}

/// A cell of an open column.
fn cell(column: &LogColumn, value: &Value<'_>) -> std::result::Result<Cell, String> {
    let field = column.field();
    let text = match value {
        // A flag is 0 or 1 in a column of numbers.
        Value::Flag(flag) if column.holds == crate::corpus::cell::Holds::Number => {
            return Ok(Cell::Number(f64::from(u8::from(*flag))));
        }
        value => value.text().map_err(|message| of(field, &message))?,
    };
    let text = plain(text.unwrap_or_default());
    column.holds.parse(&text).ok_or_else(|| format!("`{field}` holds `{text}`, no number"))
}

/// What a word means: flags, or nothing where its rows are left out.
fn meaning(
    settings: &EventFiles,
    value: &Value<'_>,
) -> std::result::Result<Option<Signals>, String> {
    let Some(event) = &settings.event else { return Ok(Some(Signals::default())) };
    let word = value.text().map_err(|message| of(&event.field, &message))?;
    let word = word.ok_or_else(|| of(&event.field, "nothing; expected a word"))?;
    let mut signals = Signals::default();
    let meanings = [
        (&event.click, Signals::CLICK),
        (&event.cart, Signals::CART),
        (&event.order, Signals::ORDER),
    ];
    let mut is_met = event.shown.iter().any(|one| one == word);
    for (words, flag) in meanings {
        let is_word = words.iter().any(|one| one == word);
        signals.set(flag, is_word);
        is_met |= is_word;
    }
    match (is_met, event.ignore.iter().any(|one| one == word)) {
        (true, _) => Ok(Some(signals)),
        (false, true) => Ok(None),
        (false, false) => Err(format!(
            "`{}` holds `{word}`, which log.event gives no meaning; name it there, under `ignore` to leave its rows out",
            event.field
        )),
    }
}

/// Sets what a label says.
fn labelled(
    settings: &EventFiles,
    value: &Value<'_>,
    signals: &mut Signals,
) -> std::result::Result<(), String> {
    let Some(label) = &settings.label else { return Ok(()) };
    let Some(reached) = value.number().map_err(|message| of(&label.field, &message))? else {
        return Ok(());
    };
    for (from, flag) in
        [(label.click, Signals::CLICK), (label.cart, Signals::CART), (label.order, Signals::ORDER)]
    {
        signals.set(flag, from.is_some_and(|from| reached >= from));
    }
    Ok(())
}

/// Fills in what fields along an item say; `value` finds a field's value for it.
fn signals<'v>(
    slots: &Slots<'_>,
    shown: &mut Shown,
    value: impl Fn(Slot) -> &'v Value<'v>,
) -> std::result::Result<(), String> {
    let s = slots.settings;
    let names = [&s.click, &s.cart, &s.order, &s.like, &s.share];
    for ((slot, name), (flag, known)) in slots.flags.iter().zip(names).zip(FLAGS) {
        if let Some(is_set) = value(*slot).flag().map_err(|message| of_field(name, &message))? {
            shown.signals.set(flag, is_set);
            shown.signals.set(known, true);
        }
    }
    match s.means {
        Some(Meaning::Click) => shown.signals.set(Signals::CLICK, true),
        Some(Meaning::Cart) => shown.signals.set(Signals::CART, true),
        Some(Meaning::Order) => shown.signals.set(Signals::ORDER, true),
        None => {}
    }
    labelled(s, value(slots.label), &mut shown.signals)?;
    let [propensity, dwell, grade] = slots.numbers;
    for (slot, name, own) in [
        (propensity, &s.propensity, &mut shown.propensity),
        (dwell, &s.dwell, &mut shown.dwell),
        (grade, &s.grade, &mut shown.grade),
    ] {
        if let Some(number) = value(slot).number().map_err(|message| of_field(name, &message))? {
            *own = number as f32;
        }
    }
    if shown.propensity <= 0.0 || shown.propensity > 1.0 {
        let message = format!("{}, no probability above 0", shown.propensity);
        return Err(of_field(&s.propensity, &message));
    }
    // The length of a page is checked where its rows are together.
    let position = whole(value(slots.position), 0, i64::from(u32::MAX - 2));
    if let Some(position) = position.map_err(|message| of_field(&s.position, &message))? {
        shown.position = position as u32;
    }
    Ok(())
}

/// Times clicked and shown, where rows are counts.
fn counts<'v>(
    slots: &Slots<'_>,
    value: impl Fn(Slot) -> &'v Value<'v>,
) -> std::result::Result<Option<(u32, u32)>, String> {
    let s = slots.settings;
    let count = |slot: Slot, name: &Option<String>| {
        whole(value(slot), 0, MOST_COUNTED).map_err(|message| of_field(name, &message))
    };
    let [clicks, impressions] = slots.counts;
    if clicks.is_none() {
        return Ok(None);
    }
    let clicked = count(clicks, &s.clicks)?.unwrap_or(0);
    let shown = count(impressions, &s.impressions)?.unwrap_or(clicked);
    if clicked > shown {
        let message = format!("{clicked} clicks of {shown} impressions");
        return Err(of_field(&s.clicks, &message));
    }
    // Both are at most MOST_COUNTED.
    Ok(Some((clicked as u32, shown as u32)))
}

/// The ids of a list.
fn ids<'v>(
    value: &'v Value<'_>,
    separator: &str,
) -> std::result::Result<Vec<Cow<'v, str>>, String> {
    let entries = value.list(separator)?;
    entries.into_iter().filter_map(|entry| entry.into_id().transpose()).collect()
}

fn single<'v>(
    slots: &Slots<'_>,
    record: &'v Record<'_>,
    event: Signals,
) -> std::result::Result<Vec<Said<'v>>, String> {
    let value = |slot: Slot| slot.map_or(&Value::Absent, |slot| &record.values[slot]);
    let mut shown = Shown { signals: event, ..Shown::new(0, 0) };
    signals(slots, &mut shown, value)?;
    let id = id(value(slots.item), &slots.settings.item)?;
    Ok(id.map(|id| Said { id: Cow::Borrowed(id), shown }).into_iter().collect())
}

/// What a row of lists says of items, and which were chosen and not shown.
#[allow(clippy::type_complexity)]
fn lists<'v>(
    slots: &Slots<'_>,
    record: &'v Record<'_>,
) -> std::result::Result<(Vec<Said<'v>>, Vec<String>), String> {
    let s = slots.settings;
    let list_of = |slot: Slot, name: &Option<String>| match slot {
        None => Ok(Vec::new()),
        Some(slot) => {
            ids(&record.values[slot], slots.separator()).map_err(|message| of_field(name, &message))
        }
    };
    let page = list_of(slots.shown, &s.shown)?;
    if page.len() > MOST_SHOWN {
        let message = format!("{} items; at most {MOST_SHOWN} can be shown at once", page.len());
        return Err(of_field(&s.shown, &message));
    }
    let [propensity, dwell, grade] = slots.numbers;
    let [click, cart, order, like, share] = slots.flags;
    let label = s.label.as_ref().map(|label| label.field.clone());
    let mut along: Vec<Option<Vec<Value<'v>>>> = vec![None; record.values.len()];
    for (slot, name) in [
        (click, &s.click),
        (cart, &s.cart),
        (order, &s.order),
        (like, &s.like),
        (share, &s.share),
        (propensity, &s.propensity),
        (dwell, &s.dwell),
        (grade, &s.grade),
        (slots.position, &s.position),
        (slots.label, &label),
    ] {
        let Some(slot) = slot else { continue };
        let list = record.values[slot].list(slots.separator());
        let list = list.map_err(|message| of_field(name, &message))?;
        if !list.is_empty() && list.len() != page.len() {
            let (n_list, n_page) = (list.len(), page.len());
            let shown = s.shown.as_deref().unwrap_or_default();
            let message = format!("{n_list} entries, and `{shown}` has {n_page}");
            return Err(of_field(name, &message));
        }
        along[slot] = Some(list);
    }
    let mut said = Vec::with_capacity(page.len());
    for (place, id) in page.into_iter().enumerate() {
        let mut shown = Shown::new(0, 0);
        signals(slots, &mut shown, |slot| {
            let list = slot.and_then(|slot| along[slot].as_ref());
            list.and_then(|list| list.get(place)).unwrap_or(&Value::Absent)
        })?;
        said.push(Said { id, shown });
    }
    let mut unshown = Vec::new();
    let mut places: HashMap<Cow<'v, str>, usize, FixedState> = HashMap::default();
    for (place, one) in said.iter().enumerate() {
        places.entry(one.id.clone()).or_insert(place);
    }
    let names = [&s.clicked, &s.carted, &s.ordered];
    let flags = [Signals::CLICK, Signals::CART, Signals::ORDER];
    for ((slot, name), flag) in slots.chosen.into_iter().zip(names).zip(flags) {
        for id in list_of(slot, name)? {
            let place = *places.entry(id.clone()).or_insert(said.len());
            if place == said.len() {
                if slots.shown.is_some() {
                    unshown.push(id.clone().into_owned());
                }
                said.push(Said { id, shown: Shown::new(0, 0) });
            }
            said[place].shown.signals.set(flag, true);
        }
    }
    Ok((said, unshown))
}
