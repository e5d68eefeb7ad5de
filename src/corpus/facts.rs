//! What a corpus turns out to hold: the same facts that its kind declares, read from the data.

use super::cell::{Cell, ColumnName, Entity};
use super::folder::Corpus;
use super::simulator::World;
use super::types::Split;
use crate::error::Result;
use crate::kind::Fact;

impl Corpus {
    /// Why the data do not hold what their kind promised; none where they do. Looks no further than
    /// the first row that shows it.
    ///
    /// # Errors
    /// [`crate::Error::Data`] when a table cannot be read.
    pub fn lacks(&self, fact: &Fact) -> Result<Option<&'static str>> {
        let summary = self.summary();
        let (holds, why) = match fact {
            Fact::Text => {
                let some = |cell: &Cell| matches!(cell, Cell::Text(text) if !text.is_empty());
                (self.any(Entity::Item, &["title", "text"], some)?, "no item has text")
            }
            Fact::Histories => {
                let some = |cell: &Cell| matches!(cell, Cell::Texts(items) if !items.is_empty());
                (self.any(Entity::Request, &["history"], some)?, "no request has a history")
            }
            Fact::Days => {
                let some = |cell: &Cell| matches!(cell, Cell::Number(day) if *day != 0.0);
                (self.any(Entity::Request, &["day"], some)?, "all requests are of one day")
            }
            Fact::Feedback => {
                let holds = self.has_sequences() || self.any_chosen()?;
                (holds, "nothing was chosen in training")
            }
            Fact::Queries => {
                let some = |cell: &Cell| matches!(cell, Cell::Text(query) if !query.is_empty());
                (self.any(Entity::Request, &["query"], some)?, "no request has a query")
            }
            Fact::Questions => (!self.has_sequences(), "training requests are sequences of users"),
            Fact::Impressions => {
                let first = self.impressions()?.next().transpose()?;
                (first.is_some(), "nothing was shown in training")
            }
            Fact::HeldOutImpressions => {
                let first = self.impressions_of(Split::Test)?.next().transpose()?;
                (first.is_some(), "nothing was shown for test requests")
            }
            Fact::Grades => (summary.judgements.train > 0, "no training request is judged"),
            Fact::Truth => (World::file(self.folder()).is_file(), "the truth is not known"),
            Fact::Column(name) => {
                let name: Option<ColumnName> = name.parse().ok();
                let holds = name.map(|name| self.has_column(&name)).transpose()?;
                (holds == Some(true), "there is no such column")
            }
            Fact::Value(of) => {
                let values = self.item_values(of)?;
                (values.iter().any(Option::is_some), "no item has it")
            }
            Fact::Level(level) => {
                (summary.levels.iter().any(|one| one.name == *level), "there is no such level")
            }
            Fact::Signal(signal) => (self.records(signal), "no such signal was recorded"),
        };
        Ok((!holds).then_some(why))
    }

    fn any(&self, of: Entity, names: &[&str], is_some: impl Fn(&Cell) -> bool) -> Result<bool> {
        for row in self.cells(of, names)? {
            if row?.iter().any(&is_some) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn any_chosen(&self) -> Result<bool> {
        for page in self.impressions_of(Split::Train)? {
            if page?.1.iter().any(|shown| shown.level.is_chosen()) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
