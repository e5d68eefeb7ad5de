//! The fields of an events file, and what each says of an item: signals, numbers, labels, words, counts.

use std::borrow::Cow;
use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::collected::{NONE, Shown, Signals};
use super::settings::{EventFiles, LogColumn, Meaning};
use crate::corpus::cell::{Cell, Entity};
use crate::corpus::import::records::{FieldPath, Record, Value, Wanted};
use crate::corpus::import::text::plain;

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
pub(super) type Slot = Option<usize>;

/// Places of the fields of an events file.
pub(super) struct Slots<'s> {
    pub(super) settings: &'s EventFiles,
    pub(super) request: Vec<usize>,
    pub(super) user: Slot,
    pub(super) session: Slot,
    pub(super) time: Slot,
    pub(super) day: Slot,
    pub(super) query: Slot,
    pub(super) history: Slot,
    pub(super) split: Slot,
    pub(super) item: Slot,
    pub(super) shown: Slot,
    /// Clicked, carted, ordered.
    pub(super) chosen: [Slot; 3],
    pub(super) position: Slot,
    /// Propensity, dwell, grade.
    pub(super) numbers: [Slot; 3],
    /// In the order of [`FLAGS`].
    pub(super) flags: [Slot; 5],
    pub(super) label: Slot,
    pub(super) event: Slot,
    /// Times clicked, times shown.
    pub(super) counts: [Slot; 2],
    /// With the place of each column among all open columns of the log.
    pub(super) columns: Vec<(usize, usize, &'s LogColumn)>,
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

    pub(super) fn is_lists(&self) -> bool {
        self.item.is_none()
    }

    pub(super) fn separator(&self) -> &str {
        self.settings.separator.as_deref().unwrap_or(" ")
    }
}

/// What a row says of one item, before it is known which item that is.
pub(super) struct Said<'v> {
    pub(super) id: Cow<'v, str>,
    pub(super) shown: Shown,
}

pub(super) fn of(name: &str, message: &str) -> String {
    // A fault of a value is a sentence of its own elsewhere: "`x` is no time".
    let message = match message.starts_with('`') {
        true => message.replacen("` is no ", "`, which is no ", 1),
        false => message.to_owned(),
    };
    format!("`{name}` holds {message}")
}

pub(super) fn of_field(name: &Option<String>, message: &str) -> String {
    of(name.as_deref().unwrap_or_default(), message)
}

pub(super) fn id<'v>(
    value: &'v Value<'_>,
    name: &Option<String>,
) -> std::result::Result<Option<&'v str>, String> {
    value.id().map_err(|message| of_field(name, &message))
}

/// A whole number within limits.
pub(super) fn whole(
    value: &Value<'_>,
    least: i64,
    most: i64,
) -> std::result::Result<Option<i64>, String> {
    let Some(number) = value.number()? else { return Ok(None) };
    if number.fract() != 0.0 || number < least as f64 || number > most as f64 {
        return Err(format!("{number}; expected a whole number from {least} to {most}"));
    }
    Ok(Some(number as i64))
}

/// A probability above 0, as its table keeps it.
fn probability(value: &Value<'_>) -> std::result::Result<Option<f32>, String> {
    let Some(number) = value.number()? else { return Ok(None) };
    let text = value.text()?.unwrap_or_default();
    if number <= 0.0 || number > 1.0 {
        return Err(format!("`{text}`; expected a probability above 0 and at most 1"));
    }
    let least = f32::MIN_POSITIVE;
    if (number as f32) < least {
        return Err(format!("`{text}`; a probability below {least:e} is too small to be kept"));
    }
    Ok(Some(number as f32))
}

/// Cells of an open column: one, or one for each shown item.
pub(super) fn cells(
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
pub(super) fn meaning(
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
    if let Some(number) =
        probability(value(propensity)).map_err(|message| of_field(&s.propensity, &message))?
    {
        shown.propensity = number;
    }
    for (slot, name, own) in
        [(dwell, &s.dwell, &mut shown.dwell), (grade, &s.grade, &mut shown.grade)]
    {
        if let Some(number) = value(slot).number().map_err(|message| of_field(name, &message))? {
            *own = number as f32;
        }
    }
    // The length of a page is checked where its rows are together.
    let position = whole(value(slots.position), 0, i64::from(u32::MAX - 2));
    if let Some(position) = position.map_err(|message| of_field(&s.position, &message))? {
        shown.position = position as u32;
    }
    Ok(())
}

/// Times clicked and shown, where rows are counts.
pub(super) fn counts<'v>(
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
pub(super) fn ids<'v>(
    value: &'v Value<'_>,
    separator: &str,
) -> std::result::Result<Vec<Cow<'v, str>>, String> {
    let entries = value.list(separator)?;
    entries.into_iter().filter_map(|entry| entry.into_id().transpose()).collect()
}

pub(super) fn single<'v>(
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
pub(super) fn lists<'v>(
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
        shown.signals.set(Signals::OWN, shown.position == NONE);
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
