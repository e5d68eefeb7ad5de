//! Items by how often they were chosen in training: one list for all requests, or led by the categories of the
//! request's history. Knows no text.

mod kind;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use trieval_kernels::top::top;

use super::harness::{Output, Rank, Retrieve, Scored};
use super::settings::PopularitySettings;
use super::slate::Slate;
use crate::corpus::{Ask, Corpus, Heard, training_exposure, weighted_exposure};
use crate::error::{Error, Result};
use crate::store::{Packer, SealKind, Unpacker};

const COUNTS: SealKind = SealKind { kind: "counts", version: 1 };
/// Counts and categories inside the folder of their step.
const COUNTS_FILE: &str = "counts.bin";

/// The ranker.
pub struct Popularity {
    counts: Vec<f32>,
    categories: Option<Categories>,
}

/// Which items belong together.
struct Categories {
    /// `[items]`: number of the whole category path; none where an item has none.
    of_item: Vec<Option<u32>>,
    /// Newest items of a history that are looked at.
    newest: usize,
}

impl Popularity {
    /// Counts training clicks, or occurrences in training sequences, of all items.
    ///
    /// # Errors
    /// When the corpus cannot be read, holds no choice to count, or has no categories where they are asked for.
    pub fn fit(corpus: &Corpus, settings: &PopularitySettings) -> Result<Self> {
        let counts: Vec<f32> = match (settings.days, settings.half_life) {
            (None, None) => {
                training_exposure(corpus)?.into_iter().map(|count| count as f32).collect()
            }
            (days, half_life) => {
                let weight = |age: i32| weight(age, days, half_life);
                let counts = weighted_exposure(corpus, weight)?;
                counts.into_iter().map(|count| count as f32).collect()
            }
        };
        if counts.iter().all(|count| *count == 0.0) {
            let (message, help) = match settings.days {
                Some(days) => (
                    format!("no item was chosen on the last {days} days of training"),
                    "raise `days` of the system of kind popularity",
                ),
                None => (
                    "no item was chosen in training, so that none is more popular than another"
                        .into(),
                    "remove the system of kind popularity, or bring clicks or sequences",
                ),
            };
            return Err(Error::data(corpus.folder(), message).with_help(help));
        }
        let categories = match settings.category_items {
            None => None,
            Some(newest) => Some(Categories::read(corpus, newest as usize)?),
        };
        Ok(Self { counts, categories })
    }

    /// The file of the counts in a folder.
    pub fn file(folder: &Path) -> PathBuf {
        folder.join(COUNTS_FILE)
    }

    /// Writes counts, and where they are looked at, categories: their number plus one, 0 for an
    /// item without any.
    ///
    /// # Errors
    /// [`Error::Environment`] when the disk refuses.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let mut table = Packer::default();
        table.number(self.counts.len() as u64);
        table.floats(self.counts.iter().copied());
        let number = |category: &Option<u32>| category.map_or(0, |number| number + 1);
        let of_item = self.categories.iter().flat_map(|categories| &categories.of_item);
        table.numbers(&of_item.map(number).collect::<Vec<_>>());
        table.write(&Self::file(folder), COUNTS)
    }

    /// Opens the counts of so many items.
    ///
    /// # Errors
    /// [`Error::Data`] when the file is missing, damaged, of another catalogue, or lacks categories
    /// that are asked for.
    pub fn open(folder: &Path, n_items: usize, settings: &PopularitySettings) -> Result<Self> {
        let mut table = Unpacker::open(&Self::file(folder), COUNTS)?;
        table.expect(n_items as u64, "items")?;
        let counts = table.floats()?;
        let of_item = table.numbers(n_items as u64 + 1)?;
        let n_wanted = settings.category_items.map_or(0, |_| n_items);
        if (counts.len(), of_item.len()) != (n_items, n_wanted) {
            return Err(table.fault("counts or categories are not of all items"));
        }
        table.finish()?;
        let categories = settings.category_items.map(|newest| Categories {
            of_item: of_item.iter().map(|number| number.checked_sub(1)).collect(),
            newest: newest as usize,
        });
        Ok(Self { counts, categories })
    }
}

/// What a click counts that is `age` days older than the last day of training.
fn weight(age: i32, days: Option<u32>, half_life: Option<f64>) -> f64 {
    if days.is_some_and(|days| i64::from(age) >= i64::from(days)) {
        return 0.0;
    }
    half_life.map_or(1.0, |half_life| 0.5f64.powf(f64::from(age) / half_life))
}

impl Categories {
    fn read(corpus: &Corpus, newest: usize) -> Result<Self> {
        let mut numbers: HashMap<Vec<String>, u32> = HashMap::new();
        let mut of_item = Vec::with_capacity(corpus.summary().items as usize);
        for item in corpus.items()? {
            let path = item?.category;
            let next = numbers.len() as u32;
            let number = (!path.is_empty()).then(|| *numbers.entry(path).or_insert(next));
            of_item.push(number);
        }
        if numbers.is_empty() {
            return Err(Error::data(corpus.folder(), "no item has a category").with_help(
                "leave category_items out of the system of kind popularity, or bring a column `category` of items",
            ));
        }
        Ok(Self { of_item, newest })
    }

    /// Whether each item shares its category with one of the newest of a history.
    fn led(&self, history: &[u32]) -> impl Fn(u32) -> bool {
        let newest = &history[history.len().saturating_sub(self.newest)..];
        let mut wanted: Vec<u32> =
            newest.iter().filter_map(|&item| self.of_item[item as usize]).collect();
        wanted.sort_unstable();
        move |item| {
            self.of_item[item as usize].is_some_and(|number| wanted.binary_search(&number).is_ok())
        }
    }
}

impl Retrieve for Popularity {
    fn hears(&self, _: &Ask) -> Heard {
        Heard { history: self.categories.is_some(), ..Heard::default() }
    }

    fn retrieve(&self, ask: &Ask, depth: usize, exclude: &[u32]) -> Result<Vec<Scored>> {
        let counts = (0..).zip(self.counts.iter().copied());
        let Some(categories) = &self.categories else { return Ok(top(counts, depth, exclude)) };
        let led = categories.led(&ask.history);
        let (first, rest): (Vec<_>, Vec<_>) = counts.partition(|&(item, _)| led(item));
        let mut ranked = top(first.into_iter(), depth, exclude);
        // Leading items stand above all others: their scores are raised by the highest of the rest.
        let rest = top(rest.into_iter(), depth - ranked.len(), exclude);
        let raise = rest.first().map_or(0.0, |&(_, count)| count + 1.0);
        for (_, score) in &mut ranked {
            *score += raise;
        }
        ranked.extend(rest);
        Ok(ranked)
    }

    fn as_rank(&self) -> Option<&dyn Rank> {
        Some(self)
    }
}

impl Rank for Popularity {
    fn outputs(&self, slate: &Slate<'_>) -> Result<Vec<Output>> {
        let led = self.categories.as_ref().map(|one| one.led(&slate.ask.history));
        // More than any count: the led ones stand above all others.
        let raise = self.counts.iter().copied().fold(0.0, f32::max) + 1.0;
        let score = |&item: &u32| {
            let is_led = led.as_ref().is_some_and(|led| led(item));
            self.counts[item as usize] + if is_led { raise } else { 0.0 }
        };
        Ok(vec![Output::score(slate.items().iter().map(score).collect())])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn ask(history: &[u32]) -> Ask {
        Ask { history: history.to_vec(), ..Ask::default() }
    }

    #[test]
    fn old_clicks_fade_and_leave_the_window() {
        assert_eq!(weight(6, Some(7), None), 1.0);
        assert_eq!(weight(7, Some(7), None), 0.0);
        assert_eq!(weight(4, None, Some(2.0)), 0.25);
        assert_eq!(weight(4, Some(5), Some(4.0)), 0.5);
    }

    #[test]
    fn counts_and_categories_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let settings = |category_items| PopularitySettings {
            name: "popularity".into(),
            days: None,
            half_life: None,
            category_items,
        };
        let of_item = vec![Some(1), None, Some(0)];
        let categories = Some(Categories { of_item: of_item.clone(), newest: 2 });
        let counts = vec![0.1, 0.0, 7.0];
        let popularity = Popularity { counts: counts.clone(), categories };
        popularity.write(folder.path()).unwrap();
        let read = Popularity::open(folder.path(), 3, &settings(Some(5))).unwrap();
        let categories = read.categories.unwrap();
        assert_eq!((read.counts, categories.of_item, categories.newest), (counts, of_item, 5));
        assert!(Popularity::open(folder.path(), 4, &settings(Some(5))).is_err());
        // Without categories the file holds none, which is another file.
        assert!(Popularity::open(folder.path(), 3, &settings(None)).is_err());
        Popularity { categories: None, ..popularity }.write(folder.path()).unwrap();
        assert!(Popularity::open(folder.path(), 3, &settings(None)).unwrap().categories.is_none());
    }

    #[test]
    fn categories_of_the_newest_items_lead() {
        let categories =
            Categories { of_item: vec![Some(0), Some(0), Some(1), None, Some(1)], newest: 2 };
        let counts = vec![1.0, 3.0, 2.0, 9.0, 5.0];
        let popularity = Popularity { counts, categories: Some(categories) };
        let items = |history: &[u32], depth| -> Vec<u32> {
            let mut exclude = history.to_vec();
            exclude.sort_unstable();
            let ranked = popularity.retrieve(&ask(history), depth, &exclude).unwrap();
            assert!(ranked.windows(2).all(|two| two[0].1 > two[1].1), "{ranked:?}");
            ranked.into_iter().map(|one| one.0).collect()
        };
        assert_eq!(items(&[], 9), [3, 4, 1, 2, 0]);
        assert_eq!(items(&[0], 9), [1, 3, 4, 2]);
        assert_eq!(items(&[0], 1), [1]);
        // Item 0 is the third newest, so its category does not lead.
        assert_eq!(items(&[0, 3, 4], 9), [2, 1]);
        assert_eq!(items(&[2, 0], 9), [4, 1, 3]);
        let outputs = popularity.outputs(&Slate::new(&ask(&[0]), vec![3, 1, 0])).unwrap();
        assert_eq!(outputs, [Output::score(vec![9.0, 13.0, 11.0])]);
    }
}
