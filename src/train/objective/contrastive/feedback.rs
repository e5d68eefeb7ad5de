//! Training requests and how far their items got. Levels come from signals, as the recipe says.

use std::collections::{BTreeMap, HashMap};

use super::settings::{Contrast, MmseLevels};
use crate::corpus::{Catalogue, Corpus, Split, newest};
use crate::error::{Error, Result};

/// How far an item of a request got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    /// Seen, and no more.
    Shown,
    /// Clicked, or put into the cart.
    Clicked,
    /// The highest level there is.
    Ordered,
}

/// A training request with at least one positive that can be drawn.
pub struct Example {
    /// Its text: the query, or what the newest items of its history say.
    pub text: String,
    /// Items that were ordered.
    pub ordered: Vec<u32>,
    /// Items that were clicked.
    pub clicked: Vec<u32>,
    /// Items that were shown alone.
    pub shown: Vec<u32>,
    /// Number of its text among the distinct ones.
    pub query: u32,
}

/// All of them.
pub struct Feedback {
    /// Requests that teach something.
    pub examples: Vec<Example>,
    /// Items that are positive for a text in any request, ascending, by number of the text.
    pub positives: Vec<Vec<u32>>,
    /// How often an example, drawn at random, brings an item as a positive, `[items]`.
    pub drawn: Vec<f32>,
}

/// The text that stands for a request: its query, or what the newest `items` of its history say.
pub fn request_text<'t>(
    query: Option<&str>,
    history: &[u32],
    items: u32,
    text: impl Fn(u32) -> &'t str,
) -> String {
    match query {
        Some(query) => query.to_owned(),
        None => {
            let texts: Vec<&str> = newest(history, items).iter().map(|&item| text(item)).collect();
            texts.join(" ")
        }
    }
}

impl Feedback {
    /// Reads the training requests of a corpus.
    ///
    /// # Errors
    /// [`Error::Data`] when nothing is there to learn from, or a level that the settings draw from is reached by no item.
    pub fn gather(corpus: &Corpus, catalogue: &Catalogue, settings: &Contrast) -> Result<Self> {
        let mut reached: BTreeMap<u32, BTreeMap<u32, Reached>> = BTreeMap::new();
        for (request, item, level) in levels(corpus, &settings.levels)? {
            let level = match level {
                Reached::Ordered if settings.order_as_click => Reached::Clicked,
                other => other,
            };
            let best = reached.entry(request).or_default().entry(item).or_insert(level);
            *best = level.max(*best);
        }
        let mut numbers: HashMap<String, u32> = HashMap::new();
        let mut feedback =
            Self { examples: Vec::new(), positives: Vec::new(), drawn: vec![0.0; catalogue.len()] };
        let mut counts = [0u64; 3];
        for request in corpus.request_iter(Split::Train)? {
            let request = request?;
            let Some(items) = reached.remove(&request.idx) else { continue };
            let of = |wanted: Reached| -> Vec<u32> {
                items.iter().filter(|(_, level)| **level == wanted).map(|(item, _)| *item).collect()
            };
            let (ordered, clicked, shown) =
                (of(Reached::Ordered), of(Reached::Clicked), of(Reached::Shown));
            for (count, list) in counts.iter_mut().zip([&ordered, &clicked, &shown]) {
                *count += list.len() as u64;
            }
            if ordered.is_empty() && clicked.is_empty() {
                continue;
            }
            let text = request_text(
                request.ask.query.as_deref(),
                &request.ask.history,
                settings.history_items,
                |item| catalogue.text(item),
            );
            let next = numbers.len() as u32;
            let query = *numbers.entry(text.clone()).or_insert(next);
            if query as usize == feedback.positives.len() {
                feedback.positives.push(Vec::new());
            }
            let positives = &mut feedback.positives[query as usize];
            positives.extend(ordered.iter().chain(&clicked));
            positives.sort_unstable();
            positives.dedup();
            let places = settings.places();
            if ordered.len().min(places.ordered) + clicked.len().min(places.clicked) == 0 {
                continue;
            }
            for (list, places) in [(&ordered, places.ordered), (&clicked, places.clicked)] {
                let chance = places.min(list.len()) as f32 / list.len().max(1) as f32;
                list.iter().for_each(|item| feedback.drawn[*item as usize] += chance);
            }
            feedback.examples.push(Example { text, ordered, clicked, shown, query });
        }
        check(corpus, settings, counts, feedback.examples.len())?;
        let examples = feedback.examples.len() as f32;
        feedback.drawn.iter_mut().for_each(|drawn| *drawn /= examples);
        Ok(feedback)
    }
}

/// `(request, item, level)` of all training requests.
fn levels(corpus: &Corpus, from: &MmseLevels) -> Result<Vec<(u32, u32, Reached)>> {
    let mut all = Vec::new();
    match from {
        MmseLevels::Impressions {} => {
            // The highest of several levels is taken for orders, any other for clicks.
            let n_levels = corpus.summary().levels.len();
            for page in corpus.impressions()? {
                let (request, page) = page?;
                all.extend(page.iter().map(|shown| {
                    let level = match usize::from(shown.level.0) {
                        0 => Reached::Shown,
                        level if level == n_levels && level > 1 => Reached::Ordered,
                        _ => Reached::Clicked,
                    };
                    (request, shown.item, level)
                }));
            }
        }
        MmseLevels::Grades { ordered, clicked } => {
            for (request, item, grade) in corpus.judgements(Split::Train)? {
                // Grades are stored as f32: a threshold must not lose to its own rounding.
                let level = if grade >= *ordered as f32 {
                    Reached::Ordered
                } else if grade >= *clicked as f32 {
                    Reached::Clicked
                } else {
                    Reached::Shown
                };
                all.push((request, item, level));
            }
        }
    }
    Ok(all)
}

/// Every level that items are drawn from is reached by some, and there are `examples`; `counts` are those of ordered, clicked and shown items.
fn check(corpus: &Corpus, settings: &Contrast, counts: [u64; 3], examples: usize) -> Result<()> {
    let source = match settings.levels {
        MmseLevels::Impressions {} => "impressions of training requests",
        MmseLevels::Grades { .. } => "judged items of training requests",
    };
    let places = settings.places();
    // What is drawn as a click may also be an order: `ordered` alone is then no reason to ask for clicks.
    let clicked = if settings.order_as_click { settings.clicked as usize } else { places.clicked };
    let drawn =
        [("ordered", places.ordered), ("clicked", clicked), ("shown", settings.shown as usize)];
    if counts == [0; 3] {
        return Err(Error::data(
            corpus.folder(),
            format!("there are no {source} to learn levels from"),
        )
        .with_help(
            "choose another source: `levels` of kind mmse are by \"impressions\" or \"grades\"",
        ));
    }
    for ((name, n), count) in drawn.into_iter().zip(counts) {
        if n > 0 && count == 0 {
            let found = format!(
                "none of the {source} reaches the level `{name}` (ordered {}, clicked {}, shown {})",
                counts[0], counts[1], counts[2]
            );
            return Err(Error::data(corpus.folder(), found)
                .with_help(format!("set {name} = 0 to learn without it, or change `levels`")));
        }
    }
    if examples == 0 {
        let found = format!(
            "none of the {source} is a positive that is drawn (ordered {}, clicked {})",
            counts[0], counts[1]
        );
        return Err(Error::data(corpus.folder(), found).with_help(
            "change `levels`, or set `ordered` or `clicked` to 1 or more: without a positive there is nothing to retrieve",
        ));
    }
    Ok(())
}
