//! Shown items with their level, streamed, and grouped by request.

use std::iter::Peekable;
use std::ops::Range;
use std::path::Path;

use super::cell::Entity;
use super::cells::Cells;
use super::levels::Levels;
use super::rows::ImpressionRow;
use super::table::TableReader;
use super::types::{Impression, RequestIdx};
use crate::error::Result;

/// Rows of the impressions table in order, each with the level that it reached.
///
/// # Errors
/// [`crate::Error::Data`] when the table cannot be opened; each row may fail likewise.
pub(super) fn levelled(
    folder: &Path,
    levels: &Levels,
) -> Result<impl Iterator<Item = Result<ImpressionRow>> + use<>> {
    let rows = TableReader::<ImpressionRow>::open(folder)?;
    let names: Vec<&str> = levels.open.iter().map(|column| column.name.as_str()).collect();
    let mut cells = match names.is_empty() {
        true => None,
        false => Some(Cells::open(folder, Entity::Impression, &names, 0, None)?),
    };
    let levels = levels.clone();
    Ok(rows.map(move |row| {
        let mut row = row?;
        let cells = cells.as_mut().and_then(Iterator::next).transpose()?.unwrap_or_default();
        row.impression.level = levels.of(&row.impression, &cells);
        Ok(row)
    }))
}

/// Groups impression rows of a range of requests by request.
pub(super) struct Pages<I: Iterator<Item = Result<ImpressionRow>>> {
    /// All rows in order.
    pub(super) rows: Peekable<I>,
    /// The requests.
    pub(super) range: Range<RequestIdx>,
}

impl<I: Iterator<Item = Result<ImpressionRow>>> Iterator for Pages<I> {
    type Item = Result<(RequestIdx, Vec<Impression>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let first = loop {
            match self.rows.next()? {
                Err(error) => return Some(Err(error)),
                Ok(row) if row.request >= self.range.end => return None,
                Ok(row) if row.request >= self.range.start => break row,
                Ok(_) => {}
            }
        };
        let mut page = vec![first.impression];
        loop {
            match self.rows.next_if(|row| !matches!(row, Ok(r) if r.request != first.request)) {
                None => return Some(Ok((first.request, page))),
                Some(Ok(row)) => page.push(row.impression),
                Some(Err(error)) => return Some(Err(error)),
            }
        }
    }
}
