//! Judgments: request → item → grade. Knows no system and no threshold of relevance.

use crate::error::{Error, Result};
use crate::ids::Ids;
use crate::pairs::{Grouped, Pairs};

/// Grades of judged items, requests in byte order of their ids, so that no figure depends on the order of a file.
#[derive(Debug, Clone)]
pub struct Qrels {
    /// By item number within a request.
    lists: Grouped<f64>,
}

/// Collects judgments line by line, in any order.
#[derive(Debug, Clone, Default)]
pub struct QrelsBuilder {
    rows: Pairs<f64>,
}

/// One request's judgments.
#[derive(Debug, Clone, Copy)]
pub struct Judgments<'a> {
    qrels: &'a Qrels,
    number: usize,
}

impl Qrels {
    /// Starts empty judgments.
    pub fn builder() -> QrelsBuilder {
        QrelsBuilder::default()
    }

    /// The highest grade of all; none without a judgment.
    pub fn highest_grade(&self) -> Option<f64> {
        self.lists.entries.iter().map(|entry| entry.1).max_by(f64::total_cmp)
    }

    /// Number of requests with at least one judgment.
    pub fn len(&self) -> usize {
        self.lists.requests.len()
    }

    /// Whether there is no request.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of judged (request, item) pairs.
    pub fn n_entries(&self) -> usize {
        self.lists.entries.len()
    }

    /// Every request's judgments, requests in byte order of their ids.
    pub fn judgments(&self) -> impl ExactSizeIterator<Item = Judgments<'_>> {
        (0..self.len()).map(|number| Judgments { qrels: self, number })
    }

    /// The judgments of a request.
    pub fn get(&self, request: &str) -> Option<Judgments<'_>> {
        let number = self.lists.requests.get(request)? as usize;
        Some(Judgments { qrels: self, number })
    }

    /// The grade of an item for a request; none where it was not judged.
    pub fn grade(&self, request: &str, item: &str) -> Option<f64> {
        self.get(request)?.grade_of(self.lists.items.get(item)?)
    }

    /// Distinct item ids, by the numbers that [`Judgments::entries`] uses.
    pub(crate) fn items(&self) -> &Ids {
        &self.lists.items
    }

    /// The judgments of one request by its position.
    pub(crate) fn at(&self, number: usize) -> Judgments<'_> {
        Judgments { qrels: self, number }
    }
}

impl PartialEq for Qrels {
    /// The same grades for the same items of the same requests.
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.lists.requests.names().eq(other.lists.requests.names())
            && self.judgments().zip(other.judgments()).all(|(left, right)| {
                left.len() == right.len()
                    && left.grades().all(|(item, grade)| {
                        let item = other.lists.items.get(item);
                        item.and_then(|item| right.grade_of(item)) == Some(grade)
                    })
            })
    }
}

impl<'a> Judgments<'a> {
    /// Id of the request.
    pub fn request(&self) -> &'a str {
        self.qrels.lists.requests.name(self.number as u32)
    }

    /// Number of judged items.
    pub fn len(&self) -> usize {
        self.entries().len()
    }

    /// Whether no item was judged.
    pub fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }

    /// Judged items with their grades, in no promised order.
    pub fn grades(&self) -> impl ExactSizeIterator<Item = (&'a str, f64)> + use<'a> {
        let items = &self.qrels.lists.items;
        self.entries().iter().map(move |&(item, grade)| (items.name(item), grade))
    }

    /// Item numbers and grades, by item number.
    pub(crate) fn entries(&self) -> &'a [(u32, f64)] {
        self.qrels.lists.list(self.number)
    }

    /// The grade of an item number.
    pub(crate) fn grade_of(&self, item: u32) -> Option<f64> {
        let entries = self.entries();
        entries.binary_search_by_key(&item, |entry| entry.0).ok().map(|at| entries[at].1)
    }
}

impl QrelsBuilder {
    /// Adds one grade. A grade that is not finite is refused.
    pub fn push(&mut self, request: &str, item: &str, grade: f64) -> Result<()> {
        if !grade.is_finite() {
            return Err(Error::Qrels {
                what: format!(
                    "the grade of item {item} for request {request} must be a finite number, not {grade}"
                ),
            });
        }
        self.rows.push(request, item, grade);
        Ok(())
    }

    /// Orders the judgments. An item judged twice for a request is refused.
    pub fn finish(self) -> Result<Qrels> {
        let mut lists = self.rows.group();
        lists.sort(|| "qrels".to_owned(), |_, left, right| left.0.cmp(&right.0))?;
        Ok(Qrels { lists: lists.by_request_id() })
    }

    /// Rows that a reader collected; it has refused grades that are not finite.
    pub(crate) fn from_rows(rows: Pairs<f64>) -> Self {
        Self { rows }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn grades_are_found_whatever_the_order_of_arrival() {
        let mut builder = Qrels::builder();
        for (request, item, grade) in
            [("b", "x", 1.0), ("a", "y", 2.0), ("b", "w", 0.5), ("a", "x", -1.0)]
        {
            builder.push(request, item, grade).unwrap();
        }
        let qrels = builder.finish().unwrap();
        let order: Vec<&str> = qrels.judgments().map(|one| one.request()).collect();
        assert_eq!(order, ["a", "b"]);
        assert_eq!(qrels.grade("b", "w"), Some(0.5));
        assert_eq!(qrels.grade("a", "w"), None);
        assert_eq!(qrels.grade("c", "w"), None);
    }

    #[test]
    fn duplicates_and_infinite_grades_are_refused() {
        let mut builder = Qrels::builder();
        builder.push("q", "x", 1.0).unwrap();
        assert!(builder.push("q", "y", f64::INFINITY).is_err());
        builder.push("q", "x", 1.0).unwrap();
        assert!(matches!(builder.finish(), Err(Error::Duplicate { .. })));
    }
}
