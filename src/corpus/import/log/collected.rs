//! What the rows of a log come to: requests, what was shown for each, and what came of it. Compact, so that ten
//! million events fit in memory. Knows no file.

use foldhash::fast::FixedState;
use indexmap::IndexSet;

use crate::corpus::cell::{Cell, Entity};
use crate::corpus::types::Impression;

/// No such thing is known.
pub(super) const NONE: u32 = u32::MAX;

/// Texts with a number each, in the order in which they were met.
#[derive(Default)]
pub(super) struct Names(IndexSet<Box<str>, FixedState>);

impl Names {
    /// The number of a text, which may be new.
    pub(super) fn number(&mut self, text: &str) -> u32 {
        let place = self.0.get_index_of(text);
        // More than 2^32 - 1 are refused when tables are written.
        place.unwrap_or_else(|| self.0.insert_full(text.into()).0) as u32
    }

    /// The text of a number.
    pub(super) fn text(&self, number: u32) -> &str {
        &self.0[number as usize]
    }

    /// The number of a text that was met.
    pub(super) fn find(&self, text: &str) -> Option<u32> {
        self.0.get_index_of(text).map(|place| place as u32)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// A request.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) user: u32,
    pub(super) session: u32,
    pub(super) query: u32,
    pub(super) split: u32,
    /// Seconds of the log's clock.
    pub(super) time: Option<i64>,
    pub(super) day: Option<i32>,
    pub(super) history: Option<Box<[u32]>>,
    /// Whether the same counted query is asked before.
    pub(super) is_repeat: bool,
    /// Items that its rows named, known or not.
    pub(super) named: u32,
    /// Of them, those that are items of the corpus.
    pub(super) known: u32,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            user: NONE,
            session: NONE,
            query: NONE,
            split: NONE,
            time: None,
            day: None,
            history: None,
            is_repeat: false,
            named: 0,
            known: 0,
        }
    }
}

/// An item shown for a request. Numbers that were not recorded are NaN.
#[derive(Clone, Copy)]
pub(super) struct Shown {
    pub(super) request: u32,
    pub(super) item: u32,
    /// As the log has it, from 0 or 1 on; [`NONE`] where it has none.
    pub(super) position: u32,
    pub(super) signals: Signals,
    pub(super) propensity: f32,
    pub(super) dwell: f32,
    pub(super) grade: f32,
}

impl Shown {
    pub(super) fn new(request: u32, item: u32) -> Self {
        let nan = f32::NAN;
        let signals = Signals::default();
        Self { request, item, position: NONE, signals, propensity: nan, dwell: nan, grade: nan }
    }

    /// Joins what another row says of the same item: what happened in either, happened.
    pub(super) fn join(&mut self, other: &Self) {
        self.signals.0 |= other.signals.0 & !Signals::OWN;
        self.position = self.position.min(other.position);
        for (own, other) in [
            (&mut self.propensity, other.propensity),
            (&mut self.dwell, other.dwell),
            (&mut self.grade, other.grade),
        ] {
            if own.is_nan() {
                *own = other;
            }
        }
    }

    /// As tables have it.
    pub(super) fn impression(&self, position: u16) -> Impression {
        let number = |number: f32| (!number.is_nan()).then_some(number);
        let signals = self.signals;
        let recorded = |known, set| signals.has(known).then(|| signals.has(set));
        Impression {
            item: self.item,
            position,
            propensity: number(self.propensity),
            click: signals.has(Signals::CLICK),
            cart: signals.has(Signals::CART),
            order: signals.has(Signals::ORDER),
            like: recorded(Signals::LIKE_KNOWN, Signals::LIKE),
            share: recorded(Signals::SHARE_KNOWN, Signals::SHARE),
            dwell: number(self.dwell),
            grade: number(self.grade),
            ..Impression::default()
        }
    }
}

/// Flags of what happened.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Signals(u8);

impl Signals {
    pub(super) const CLICK: u8 = 1;
    pub(super) const CART: u8 = 2;
    pub(super) const ORDER: u8 = 4;
    pub(super) const LIKE: u8 = 8;
    pub(super) const LIKE_KNOWN: u8 = 16;
    pub(super) const SHARE: u8 = 32;
    pub(super) const SHARE_KNOWN: u8 = 64;
    /// No signal: it is a showing of its own, whatever else its request shows. Counts are, and entries of lists, whose place
    /// is their position.
    pub(super) const OWN: u8 = 128;

    /// Any way to choose an item.
    pub(super) const CHOSEN: u8 = Self::CLICK | Self::CART | Self::ORDER;

    pub(super) fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }

    pub(super) fn set(&mut self, flag: u8, is_set: bool) {
        if is_set {
            self.0 |= flag;
        }
    }
}

/// Something that was met some times, with the first of them.
#[derive(Default)]
pub(super) struct Met {
    pub(super) count: u64,
    pub(super) first: Vec<String>,
}

/// Examples kept of what was met.
const EXAMPLES: usize = 3;

impl Met {
    pub(super) fn one(&mut self, example: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.len() < EXAMPLES {
            let example = example();
            if !self.first.contains(&example) {
                self.first.push(example);
            }
        }
    }

    /// The examples in a sentence.
    pub(super) fn examples(&self) -> String {
        let first: Vec<String> = self.first.iter().map(|one| format!("`{one}`")).collect();
        first.join(", ")
    }
}

/// Cells of an open column by row number; rows that say nothing are absent.
pub(super) struct OpenCells {
    pub(super) of: Entity,
    pub(super) cells: Vec<Cell>,
}

impl OpenCells {
    /// Keeps the first value that a row says.
    pub(super) fn keep(&mut self, row: u32, cell: Cell) {
        let row = row as usize;
        if cell == Cell::Absent {
            return;
        }
        if self.cells.len() <= row {
            self.cells.resize(row + 1, Cell::Absent);
        }
        if self.cells[row] == Cell::Absent {
            self.cells[row] = cell;
        }
    }

    pub(super) fn of(&self, row: u32) -> Cell {
        self.cells.get(row as usize).cloned().unwrap_or_default()
    }
}

/// Everything the rows say.
#[derive(Default)]
pub(super) struct Collected {
    pub(super) keys: Names,
    /// `[requests]`, as in `keys`.
    pub(super) asked: Vec<Asked>,
    pub(super) users: Names,
    pub(super) sessions: Names,
    pub(super) queries: Names,
    pub(super) splits: Names,
    pub(super) shown: Vec<Shown>,
    /// In the order of the declared columns.
    pub(super) open: Vec<OpenCells>,
    /// Whether request keys are ids, and not made of several fields or of none.
    pub(super) keys_are_ids: bool,
    pub(super) unknown: Met,
    /// Items of histories that are none of the corpus.
    pub(super) unknown_past: Met,
    pub(super) unshown: Met,
    /// How often an item was chosen, unknown ones too.
    pub(super) chosen: u64,
    /// Rows that name an item at a position of a request again.
    pub(super) repeated: Met,
    /// Fields that a recipe names and no row has, in words.
    pub(super) unmet: Vec<String>,
    pub(super) backwards: u64,
    pub(super) zoned: [Met; 2],
    pub(super) rows: u64,
}
