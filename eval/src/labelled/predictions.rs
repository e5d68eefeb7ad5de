//! Rows of a request, an item, a grade and a score, in an order that no file decides. Knows no metric.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::ids::Ids;
use crate::qrels::Qrels;
use crate::run::Run;

/// Scored and judged pairs of one system, by request.
#[derive(Debug, Clone)]
pub struct Predictions {
    name: String,
    /// In byte order.
    requests: Vec<String>,
    /// `[request]` → number of its user.
    users: Vec<u32>,
    items: Ids,
    /// By request, then by item id in byte order.
    rows: Vec<Row>,
    counts: PredictionCounts,
}

/// One scored and judged pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Row {
    /// Index into the requests.
    pub(super) request: u32,
    pub(super) item: u32,
    /// The judged grade.
    pub(super) grade: f64,
    /// Whether the grade makes the item relevant.
    pub(super) positive: bool,
    /// What the system said.
    pub(super) score: f64,
}

/// Pairs by how they entered the figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PredictionCounts {
    /// Pairs with a grade and a score: those that the figures are made of.
    pub scored: usize,
    /// Judged pairs that the run gives no score; they enter nothing, so systems are only comparable where this is equal.
    pub unscored: usize,
    /// Scored pairs left out because they were never judged.
    pub unjudged: usize,
}

/// Collects predictions row by row, in any order.
#[derive(Debug, Clone, Default)]
pub struct PredictionsBuilder {
    name: String,
    requests: Ids,
    items: Ids,
    rows: Vec<Row>,
    users: HashMap<String, String>,
}

impl Predictions {
    /// Starts the predictions of a system of that name.
    pub fn builder(name: impl Into<String>) -> PredictionsBuilder {
        PredictionsBuilder { name: name.into(), ..PredictionsBuilder::default() }
    }

    /// The judged pairs that a run's system scores: those it was asked about, or else those it returned. All judged requests are kept, also those without a scored pair. An item is positive
    /// from `relevant_grade` on. Refused where no judged pair has a score.
    pub fn from_run(run: &Run, qrels: &Qrels, relevant_grade: f64) -> Result<Self> {
        Self::of_users(run, qrels, relevant_grade, &HashMap::new())
    }

    /// The same with the user of every request that has one.
    pub fn of_users(
        run: &Run,
        qrels: &Qrels,
        relevant_grade: f64,
        users: &HashMap<String, String>,
    ) -> Result<Self> {
        let run = run.predictions();
        let mut builder = Self::builder(run.name());
        builder.users.clone_from(users);
        let mut counts = PredictionCounts::default();
        for judgments in qrels.judgments() {
            builder.requests.intern(judgments.request());
            let mut n_scored = 0;
            if let Some(ranking) = run.get(judgments.request()) {
                for (item, score) in ranking.items() {
                    match qrels.grade(judgments.request(), item) {
                        Some(grade) => {
                            builder.push(judgments.request(), item, grade, f64::from(score))?;
                            n_scored += 1;
                        }
                        None => counts.unjudged += 1,
                    }
                }
            }
            counts.scored += n_scored;
            counts.unscored += judgments.len() - n_scored;
        }
        for ranking in run.rankings() {
            if qrels.get(ranking.request()).is_none() {
                counts.unjudged += ranking.len();
            }
        }
        let mut predictions = builder.finish(relevant_grade)?;
        predictions.counts = counts;
        Ok(predictions)
    }

    /// The rows of just those requests, which take the order given: that of scores they are to be compared beside. A request
    /// without rows is kept, and counts for nothing. Refused where no row is left.
    pub fn for_requests(mut self, requests: &[String]) -> Result<Self> {
        let numbers: HashMap<&str, u32> =
            requests.iter().zip(0..).map(|(request, number)| (request.as_str(), number)).collect();
        let mut users = Vec::with_capacity(requests.len());
        let old_users: HashMap<&str, u32> =
            self.requests.iter().map(String::as_str).zip(self.users.iter().copied()).collect();
        let mut next_user = self.users.iter().max().map_or(0, |&user| user + 1);
        for request in requests {
            users.push(old_users.get(request.as_str()).copied().unwrap_or_else(|| {
                next_user += 1;
                next_user - 1
            }));
        }
        let old = &self.requests;
        self.rows.retain_mut(|row| match numbers.get(old[row.request as usize].as_str()) {
            Some(&number) => {
                row.request = number;
                true
            }
            None => false,
        });
        // Stable: items keep their order within a request.
        self.rows.sort_by_key(|row| row.request);
        self.requests = requests.to_vec();
        self.users = users;
        self.counts.scored = self.rows.len();
        if self.rows.is_empty() {
            return Err(nothing_scored(&self.name));
        }
        Ok(self)
    }

    /// Name of the system.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Ids of the requests that rows are counted by.
    pub fn requests(&self) -> &[String] {
        &self.requests
    }

    /// What was scored and what was left out.
    pub fn counts(&self) -> PredictionCounts {
        self.counts
    }

    /// Refuses two systems that did not score the same pairs: their figures would be over different rows.
    pub fn check_same_pairs(&self, other: &Self) -> Result<()> {
        let names = |one: &Self, row: &Row| {
            (one.requests[row.request as usize].clone(), one.items.name(row.item).to_owned())
        };
        let differs = |index: usize| match (self.rows.get(index), other.rows.get(index)) {
            (Some(left), Some(right)) if names(self, left) == names(other, right) => None,
            (None, None) => None,
            (Some(left), Some(right)) => Some(names(self, left).min(names(other, right))),
            (Some(one), None) => Some(names(self, one)),
            (None, Some(one)) => Some(names(other, one)),
        };
        match (0..self.rows.len().max(other.rows.len())).find_map(differs) {
            None => Ok(()),
            Some((request, item)) => Err(Error::Comparison {
                what: format!(
                    "only one of {} and {} scores item {item} for request {request}; figures of labelled predictions need scores of the same pairs",
                    self.name, other.name
                ),
            }),
        }
    }

    /// Rows by request.
    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// `[request]` → number of its user.
    pub(super) fn users(&self) -> &[u32] {
        &self.users
    }

    /// Refuses scores that are no probabilities, naming the first.
    pub(super) fn check_probabilities(&self, metric: &str) -> Result<()> {
        let Some(row) = self.rows.iter().find(|row| !(0.0..=1.0).contains(&row.score)) else {
            return Ok(());
        };
        Err(Error::Run {
            run: self.name.clone(),
            what: format!(
                "the score of item {} for request {} is {}, but {metric} needs probabilities from 0 to 1; map the scores first, for instance by the logistic function",
                self.items.name(row.item),
                self.requests[row.request as usize],
                row.score
            ),
        })
    }
}

impl PredictionsBuilder {
    /// Adds one pair. Grades and scores must be finite.
    pub fn push(&mut self, request: &str, item: &str, grade: f64, score: f64) -> Result<()> {
        for (what, value) in [("score", score), ("grade", grade)] {
            if !value.is_finite() {
                return Err(Error::Run {
                    run: self.name.clone(),
                    what: format!(
                        "the {what} of item {item} for request {request} is {value}, not a finite number"
                    ),
                });
            }
        }
        let request = self.requests.intern(request);
        let item = self.items.intern(item);
        self.rows.push(Row { request, item, grade, positive: false, score });
        Ok(())
    }

    /// Says whose request it is, for figures per user; a request that is never named so is a user of its own.
    pub fn set_user(&mut self, request: &str, user: &str) {
        self.users.insert(request.to_owned(), user.to_owned());
    }

    /// Orders the rows. A pair that appears twice is refused, as is having no row at all.
    pub fn finish(self, relevant_grade: f64) -> Result<Predictions> {
        let Self { name, requests, items, mut rows, users } = self;
        if !relevant_grade.is_finite() {
            return Err(Error::Qrels {
                what: format!(
                    "the grade of relevance must be a finite number, not {relevant_grade}"
                ),
            });
        }
        if rows.is_empty() {
            return Err(nothing_scored(&name));
        }
        let mut order: Vec<u32> = (0..requests.len() as u32).collect();
        order.sort_unstable_by(|&left, &right| requests.name(left).cmp(requests.name(right)));
        let mut places = vec![0_u32; order.len()];
        for (place, &number) in order.iter().enumerate() {
            places[number as usize] = place as u32;
        }
        for row in &mut rows {
            row.request = places[row.request as usize];
            row.positive = row.grade >= relevant_grade;
        }
        rows.sort_unstable_by(|left, right| {
            let by_item = || items.name(left.item).cmp(items.name(right.item));
            left.request.cmp(&right.request).then_with(by_item)
        });
        let requests: Vec<String> =
            order.into_iter().map(|number| requests.name(number).to_owned()).collect();
        let twice =
            |pair: &&[Row]| pair[0].request == pair[1].request && pair[0].item == pair[1].item;
        if let Some(pair) = rows.windows(2).find(twice) {
            return Err(Error::Duplicate {
                place: format!("run {name}"),
                request: requests[pair[0].request as usize].clone(),
                item: items.name(pair[0].item).to_owned(),
            });
        }
        // Named users first, so that a request of its own cannot meet a user of the same name.
        let mut named = Ids::default();
        for request in &requests {
            if let Some(user) = users.get(request) {
                named.intern(user);
            }
        }
        let mut next = named.len() as u32;
        let mut number =
            |request: &String| match users.get(request).and_then(|user| named.get(user)) {
                Some(user) => user,
                None => {
                    next += 1;
                    next - 1
                }
            };
        let users = requests.iter().map(&mut number).collect();
        let counts = PredictionCounts { scored: rows.len(), ..PredictionCounts::default() };
        Ok(Predictions { name, requests, users, items, rows, counts })
    }
}

fn nothing_scored(name: &str) -> Error {
    Error::Run {
        run: name.to_owned(),
        what: "no judged pair has a score, so nothing can be said of its predictions; check that the run and the judgments use the same ids".to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn run(entries: &[(&str, &str, f32)]) -> Run {
        let mut builder = Run::builder("sys");
        for (request, item, score) in entries {
            builder.push(request, item, *score).unwrap();
        }
        builder.finish().unwrap()
    }

    fn qrels() -> Qrels {
        let mut builder = Qrels::builder();
        for (request, item, grade) in
            [("q2", "b", 2.0), ("q2", "a", 0.0), ("q1", "a", 1.0), ("q3", "z", 1.0)]
        {
            builder.push(request, item, grade).unwrap();
        }
        builder.finish().unwrap()
    }

    #[test]
    fn judged_pairs_are_joined_and_the_rest_is_counted() {
        let run = run(&[("q2", "a", 0.5), ("q2", "b", 0.25), ("q2", "x", 1.0), ("q9", "a", 1.0)]);
        let predictions = Predictions::from_run(&run, &qrels(), 1.0).unwrap();
        assert_eq!(predictions.requests(), ["q1", "q2", "q3"]);
        let rows: Vec<_> =
            predictions.rows().iter().map(|row| (row.request, row.positive, row.score)).collect();
        assert_eq!(rows, [(1, false, 0.5), (1, true, 0.25)]);
        let counts = PredictionCounts { scored: 2, unscored: 2, unjudged: 2 };
        assert_eq!(predictions.counts(), counts);
        let only = predictions.clone().for_requests(&["q9".to_owned(), "q2".to_owned()]).unwrap();
        assert_eq!(only.rows()[0].request, 1);
        assert!(predictions.for_requests(&["q1".to_owned()]).is_err());
    }

    #[test]
    fn the_order_of_rows_changes_nothing() {
        let mut builder = Predictions::builder("x");
        builder.push("q", "b", 1.0, 0.1).unwrap();
        builder.push("p", "a", 0.0, 0.2).unwrap();
        builder.push("q", "a", 0.0, 0.3).unwrap();
        let rows = builder.finish(1.0).unwrap();
        let scores: Vec<f64> = rows.rows().iter().map(|row| row.score).collect();
        assert_eq!(scores, [0.2, 0.3, 0.1]);
    }

    #[test]
    fn faults_name_the_pair() {
        let mut builder = Predictions::builder("x");
        builder.push("q", "a", 1.0, 1.5).unwrap();
        let message = builder.push("q", "b", 1.0, f64::NAN).unwrap_err().to_string();
        assert!(message.contains("score of item b for request q"), "{message}");
        let predictions = builder.clone().finish(1.0).unwrap();
        let message = predictions.check_probabilities("ece").unwrap_err().to_string();
        assert!(message.contains("item a for request q is 1.5, but ece needs"), "{message}");
        builder.push("q", "a", 1.0, 0.5).unwrap();
        assert!(builder.finish(1.0).unwrap_err().to_string().contains("item a appears twice"));
        assert!(Predictions::builder("x").finish(1.0).is_err());
    }

    #[test]
    fn systems_over_other_pairs_are_told_apart() {
        let of = |entries| Predictions::from_run(&run(entries), &qrels(), 1.0).unwrap();
        let left = of(&[("q2", "a", 0.5), ("q2", "b", 0.25)]);
        let same = of(&[("q2", "b", 0.5), ("q2", "a", 0.25), ("q2", "unjudged", 3.0)]);
        let fewer = of(&[("q2", "a", 0.5)]);
        assert!(left.check_same_pairs(&same).is_ok());
        let message = left.check_same_pairs(&fewer).unwrap_err().to_string();
        assert!(message.contains("item b for request q2"), "{message}");
    }
}
