//! Where features come from: of items (kept with the model), of the question, of the showing, and of what
//! training knew of an item before a day.

use super::settings::{FeatureSettings, LogisticSettings, Reads};
use super::value::Value;
use crate::corpus::{Ask, Cell, ColumnName, Corpus, Entity, Shown};
use crate::error::{Error, Result};
use crate::ranker::slate::{Column, Slate};

/// Pseudo-impressions of the mean rate, by which rates of items that were seldom shown are drawn to it.
const PRIOR: f32 = 20.0;

/// What training knew of an item before the day of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Past {
    /// Times shown.
    Shown,
    /// Times chosen.
    Chosen,
    /// The share of showings on which it was chosen, smoothed.
    Rate,
}

impl Past {
    const ALL: [(&'static str, Self); 3] =
        [("past_shown", Self::Shown), ("past_chosen", Self::Chosen), ("past_rate", Self::Rate)];

    /// The value for an item that was met so often, where the mean rate is `rate`.
    fn of(self, shown: Shown, rate: f32, reads: Reads) -> Value {
        let number = match self {
            Self::Shown => f64::from(shown.shown),
            Self::Chosen => f64::from(shown.chosen),
            Self::Rate => {
                let (chosen, shown) = (shown.chosen as f32, shown.shown as f32);
                f64::from((chosen + PRIOR * rate) / (shown + PRIOR))
            }
        };
        Value::of(&Cell::Number(number), reads)
    }
}

/// Columns that are no features, and what to do instead.
const NEVER_READ: [(&[&str], &str); 4] = [
    (
        &["item.shown", "item.clicks", "item.orders", "item.statistics_day"],
        "it holds what is to be predicted: read item.past_shown, item.past_chosen or item.past_rate",
    ),
    (
        &[
            "impression.click",
            "impression.cart",
            "impression.order",
            "impression.like",
            "impression.share",
            "impression.dwell",
            "impression.grade",
        ],
        "it says what happened afterwards: name it as `label.signal`, or leave it out",
    ),
    (
        &["request.history"],
        "histories are not read as features yet: read item.past_chosen, or the scores of a system",
    ),
    (
        &[
            "request.id",
            "request.user",
            "request.session",
            "request.time",
            "request.day",
            "request.split",
            "session.id",
            "session.user",
            "session.day",
            "impression.request",
            "impression.item",
        ],
        "it is not known of new questions: read request.query, user.id, item.id or an open column",
    ),
];

/// Where a feature stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Place {
    /// In the items table.
    Item(ColumnName),
    /// In what training knew of the item.
    Past(Past),
    /// In the question.
    Ask(ColumnName),
    /// In the showing.
    Showing(ColumnName),
    /// In what a system says of the item, by its place among those that are asked.
    Score(usize),
}

impl Place {
    /// The place of a feature's column.
    ///
    /// # Errors
    /// What to write instead, for a name that is no column.
    pub(super) fn of(column: &str) -> std::result::Result<Self, String> {
        let name: ColumnName = column.parse()?;
        if let Some((_, help)) = NEVER_READ.iter().find(|(names, _)| names.contains(&column)) {
            return Err((*help).to_owned());
        }
        Ok(match name.of {
            Entity::Item => match Past::ALL.into_iter().find(|(past, _)| *past == name.name) {
                Some((_, past)) => Self::Past(past),
                None => Self::Item(name),
            },
            Entity::User | Entity::Session | Entity::Request => Self::Ask(name),
            Entity::Impression => Self::Showing(name),
        })
    }

    /// Whether some table must have the column.
    pub(super) fn is_stored(&self) -> bool {
        !matches!(self, Self::Past(_) | Self::Score(_))
    }
}

/// Places of all features.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Places(pub(super) Vec<(Place, Reads)>);

/// `[features]` of one side; those of other sides are absent.
pub(super) type Side = Vec<Value>;

impl Places {
    /// From settings that were checked.
    ///
    /// # Errors
    /// [`Error::Usage`] for a column of no entity.
    pub(super) fn of(settings: &LogisticSettings) -> Result<Self> {
        let scores = (0..settings.scores.len()).map(|at| (Place::Score(at), Reads::Number));
        let place = |feature: &FeatureSettings| {
            let place = Place::of(&feature.column);
            Ok((
                place.map_err(|help| Error::Usage(format!("{}: {help}", feature.column)))?,
                feature.reads,
            ))
        };
        let mut places: Vec<_> = settings.features.iter().map(place).collect::<Result<_>>()?;
        places.extend(scores);
        Ok(Self(places))
    }

    /// The columns of impressions that are read.
    pub(super) fn of_showing(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (place, _) in &self.0 {
            if let Place::Showing(column) = place {
                names.push(&column.name);
            }
        }
        names
    }

    /// Whether what training knew of items is read.
    pub(super) fn has_past(&self) -> bool {
        self.0.iter().any(|(place, _)| matches!(place, Place::Past(_)))
    }

    /// Features of all items, but for their past: `[items]`.
    ///
    /// # Errors
    /// [`Error::Data`] when the items table cannot be read.
    pub(super) fn items(&self, corpus: &Corpus) -> Result<Vec<Side>> {
        let mut wanted: Vec<(usize, &str)> = Vec::new();
        for (at, (place, _)) in self.0.iter().enumerate() {
            if let Place::Item(column) = place {
                wanted.push((at, &column.name));
            }
        }
        if wanted.is_empty() {
            return Ok(vec![vec![Value::Absent; self.0.len()]; corpus.summary().items as usize]);
        }
        let names: Vec<&str> = wanted.iter().map(|(_, name)| *name).collect();
        let side = |cells: Vec<Cell>| {
            let mut side = vec![Value::Absent; self.0.len()];
            for ((at, _), cell) in wanted.iter().zip(cells) {
                side[*at] = Value::of(&cell, self.0[*at].1);
            }
            side
        };
        corpus.cells(Entity::Item, &names)?.map(|row| row.map(side)).collect()
    }

    /// Features of an item's past.
    pub(super) fn past(&self, shown: Shown, rate: f32) -> Side {
        self.filled(|place, reads| match place {
            Place::Past(past) => past.of(shown, rate, reads),
            Place::Item(_) | Place::Ask(_) | Place::Showing(_) | Place::Score(_) => Value::Absent,
        })
    }

    /// Features of a question.
    pub(super) fn ask(&self, ask: &Ask) -> Side {
        self.filled(|place, reads| match place {
            Place::Ask(column) => Value::of(&asked(ask, column), reads),
            Place::Item(_) | Place::Past(_) | Place::Showing(_) | Place::Score(_) => Value::Absent,
        })
    }

    /// Features of the showing of an item, from cells in the order of [`Places::of_showing`].
    pub(super) fn showing(&self, cells: &[Cell]) -> Side {
        let mut cells = cells.iter();
        self.filled(|place, reads| match place {
            Place::Showing(_) => cells.next().map_or(Value::Absent, |cell| Value::of(cell, reads)),
            Place::Item(_) | Place::Past(_) | Place::Ask(_) | Place::Score(_) => Value::Absent,
        })
    }

    /// Features of the showing of every item of a slate, where it says something of it: `[rows]`.
    pub(super) fn showings(&self, slate: &Slate<'_>) -> Vec<Side> {
        let names = self.of_showing();
        let columns: Vec<Option<&Column>> =
            names.iter().map(|name| slate.column(&format!("impression.{name}"))).collect();
        let cell = |column: &Option<&Column>, row: usize| match column {
            Some(Column::Cells(cells)) => cells[row].clone(),
            Some(Column::Numbers(numbers)) => Cell::Number(f64::from(numbers[row])),
            None => Cell::Absent,
        };
        let cells = |row| -> Vec<Cell> { columns.iter().map(|column| cell(column, row)).collect() };
        (0..slate.items().len()).map(|row| self.showing(&cells(row))).collect()
    }

    /// Features of what systems say of an item, in their order.
    pub(super) fn scored(&self, scores: &[f32]) -> Side {
        self.filled(|place, reads| match place {
            Place::Score(at) => Value::of(&Cell::Number(f64::from(scores[*at])), reads),
            Place::Item(_) | Place::Past(_) | Place::Ask(_) | Place::Showing(_) => Value::Absent,
        })
    }

    fn filled(&self, mut value: impl FnMut(&Place, Reads) -> Value) -> Side {
        self.0.iter().map(|(place, reads)| value(place, *reads)).collect()
    }

    /// The side that a feature is on, of the five.
    pub(super) fn pick<'v>(&self, at: usize, sides: [&'v Side; 5]) -> &'v Value {
        let [item, past, ask, showing, scored] = sides;
        match self.0[at].0 {
            Place::Item(_) => &item[at],
            Place::Past(_) => &past[at],
            Place::Ask(_) => &ask[at],
            Place::Showing(_) => &showing[at],
            Place::Score(_) => &scored[at],
        }
    }
}

/// What a question says of a column.
fn asked(ask: &Ask, column: &ColumnName) -> Cell {
    let text = |text: &Option<String>| text.clone().map_or(Cell::Absent, Cell::Text);
    match (column.of, column.name.as_str()) {
        (Entity::Request, "query") => text(&ask.query),
        (Entity::User, "id") => text(&ask.user),
        _ => ask.feature(column).cloned().unwrap_or_default(),
    }
}
