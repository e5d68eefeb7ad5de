//! The kinds of corpora: one line each.

use std::path::Path;

use super::cell::{ColumnName, OpenColumn};
use super::import::log::settings::LogSettings;
use super::levels::LevelRule;
use super::rows::fixed_columns;
use super::settings::{JudgedPairsSettings, SequencesSettings, SimulatorSettings};
use super::summary::{CorpusSummary, SizeEstimate};
use crate::error::Result;
use crate::kind::{Fact, Kind, Lack};
use crate::progress::Context;
use crate::seed::Seed;

crate::kind::kinds! {
    /// Where items, requests and feedback come from.
    pub enum CorpusSettings: CorpusKind {
        /// The simulated shop: embedded data with known truth.
        "simulator" => Simulator(SimulatorSettings),
        /// Query–item pairs with graded relevance, from CSV files.
        "judged-pairs" => JudgedPairs(JudgedPairsSettings),
        /// Users' item sequences in time order (S3-Rec text or a JSON map).
        "sequences" => Sequences(SequencesSettings),
        /// Events as shops log them, with items and users: CSV, JSON, Parquet, RecBole's atomic files.
        "log" => Log(LogSettings),
    }
}

/// A source of items, requests and feedback.
pub trait CorpusKind: Kind {
    /// Why it does not offer something; none where it does, or where only the data can tell.
    fn lack(&self, fact: &Fact) -> Option<Lack>;

    /// Sizes that are cheap to know: none where files would have to be read and are large or missing.
    fn sizes(&self) -> SizeEstimate;

    /// Whether requests are users' sequences.
    fn is_sequences(&self) -> bool {
        false
    }

    /// The grades that a judged item can have, ascending, and that in words; none where the data decide.
    fn grades(&self) -> Option<(&'static [f64], &'static str)> {
        None
    }

    /// What the test requests are, in words.
    fn test_split(&self) -> String;

    /// Writes six tables and `corpus.json`, which appears last.
    ///
    /// # Errors
    /// [`crate::Error::Data`] when the source cannot be used, [`crate::Error::Usage`] when settings contradict one
    /// another, [`crate::Error::Environment`] when the disk refuses, [`crate::Error::Interrupted`].
    fn write(&self, seed: Seed, out: &Path, ctx: &Context) -> Result<CorpusSummary>;
}

/// What a corpus says of a column that neither its tables nor its source have.
pub(super) fn lacks_column(name: &str, open: &[OpenColumn]) -> Option<Lack> {
    let column: Option<ColumnName> = name.parse().ok();
    let is_there = column.is_some_and(|column| {
        fixed_columns(column.of).contains(&column.name)
            || open.iter().any(|one| one.column == column)
    });
    (!is_there).then_some(Lack { why: "no such column", help: "" })
}

/// What a corpus says of a level that its rules do not name.
pub(super) fn lacks_level(name: &str, rules: &[LevelRule]) -> Option<Lack> {
    let is_there = rules.iter().any(|rule| rule.name == name);
    let help = "name one of `corpus.levels`: by default clicked, carted, ordered";
    (!is_there).then_some(Lack { why: "no such level", help })
}

/// What a corpus says of a signal that its source does not record.
pub(super) fn lacks_signal(name: &str, recorded: &[&str], help: &'static str) -> Option<Lack> {
    (!recorded.contains(&name)).then_some(Lack { why: "no such signal is recorded", help })
}
