//! Divides the evaluated requests: by how well training knows the items that answer them, how
//! frequent, rare-worded or long the query is, how long the history, which day, which attribute, and
//! how crowded the codes of an identifier.
//!
//! Numbers are grouped in fixed bins, so that slices of different runs can be compared.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;

use trieval_eval::slice::{Keep, Slice, SliceBy};

use crate::corpus::{Catalogue, Corpus, Request, Split, training_exposure};
use crate::error::{Error, Result};
use crate::identifier::Identifiers;
use crate::ranker::bm25::words;

/// Values of an attribute that get a slice of their own; the rarer ones together are `other`.
const ATTRIBUTE_VALUES: usize = 12;
/// Shares of all training exposure that end the head and the middle.
const HEAD_SHARE: f64 = 0.5;
const MIDDLE_SHARE: f64 = 0.9;

/// Cuts the evaluated requests in all the ways of `wanted` that this corpus allows. `folders` hold the identifiers by
/// whose codes they are divided, by name.
///
/// # Errors
/// When corpus or identifiers cannot be read.
pub fn slices(
    corpus: &Corpus,
    catalogue: &Catalogue,
    requests: &[Request],
    wanted: &[SliceBy],
    folders: &BTreeMap<String, PathBuf>,
) -> Result<Vec<Slice>> {
    let mut slices = Vec::new();
    for by in wanted {
        slices.extend(match by {
            SliceBy::ItemExposure => item_exposure(&training_exposure(corpus)?, &catalogue.ids),
            SliceBy::RequestFrequency => request_frequency(corpus, requests)?,
            SliceBy::RarestTerm => rarest_term(catalogue, requests),
            SliceBy::QueryLength => query_length(requests),
            SliceBy::HistoryLength => history_length(requests),
            SliceBy::Day => days(requests),
            SliceBy::Attribute(name) => attribute(corpus, name)?,
            SliceBy::Code { identifier, level } => {
                let folder = folders.get(identifier).ok_or_else(|| {
                    Error::Failed(format!("identifier {identifier} is not at hand for slices"))
                })?;
                let identifiers = Identifiers::load(folder, Some(&catalogue.hash))?;
                codes(&identifiers, identifier, *level, &catalogue.ids)?
            }
        });
    }
    Ok(slices)
}

/// Which of head (0), middle (1), tail (2) and nothing (3) each count belongs to, largest counts first, then in their
/// order.
fn by_share(counts: &[u64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_by_key(|&at| (Reverse(counts[at]), at));
    let total: u64 = counts.iter().sum();
    let mut parts = vec![3; counts.len()];
    let mut before = 0;
    for at in order {
        let share = before as f64 / total.max(1) as f64;
        parts[at] = match counts[at] {
            0 => 3,
            _ if share < HEAD_SHARE => 0,
            _ if share < MIDDLE_SHARE => 1,
            _ => 2,
        };
        before += counts[at];
    }
    parts
}

/// Head, middle and tail items by how many share their code at a level, from 1, of an identifier.
fn codes(identifiers: &Identifiers, name: &str, level: u32, ids: &[String]) -> Result<Vec<Slice>> {
    let at = level as usize - 1;
    let Some(&n_codes) = identifiers.levels.get(at) else {
        let message = format!("identifier {name} has no level {level}");
        return Err(Error::Usage(format!("{message}: it has {}", identifiers.levels.len())));
    };
    let code = |item: usize| identifiers.codes_of(item).map_or(0, |codes| codes[at] as usize);
    let mut counts = vec![0; n_codes as usize];
    (0..ids.len()).for_each(|item| counts[code(item)] += 1);
    let of_code = by_share(&counts);
    let mut parts: [HashSet<String>; 3] = Default::default();
    for (item, id) in ids.iter().enumerate() {
        parts[of_code[code(item)]].insert(id.clone());
    }
    let names = [
        ("head", "the most frequent codes, which together half of all items have"),
        ("middle", "the codes between half and nine tenths of all items"),
        ("tail", "the rare codes of the last tenth of all items"),
    ];
    let slice = |(part, (value, which)): (usize, (&str, &str))| {
        let n_codes = of_code.iter().filter(|&&one| one == part).count();
        let n_items = parts[part].len();
        Slice {
            by: format!("code of {name}, level {level}"),
            value: value.into(),
            meaning: format!(
                "only items with one of {which} count as relevant: {n_items} items, {n_codes} codes"
            ),
            keep: Keep::Items(parts[part].clone()),
        }
    };
    Ok(names.into_iter().enumerate().map(slice).collect())
}

/// Head, middle, tail and never-seen items by their share of training exposure.
fn item_exposure(exposure: &[u64], ids: &[String]) -> Vec<Slice> {
    let mut parts: [HashSet<String>; 4] = Default::default();
    for (id, part) in ids.iter().zip(by_share(exposure)) {
        parts[part].insert(id.clone());
    }
    let names = [
        ("head", "the items that together hold half of all training exposure"),
        ("middle", "the items between half and nine tenths of all training exposure"),
        ("tail", "the items of the last tenth of training exposure"),
        ("never seen", "the items without any training exposure"),
    ];
    names
        .into_iter()
        .zip(parts)
        .map(|((value, which), items)| Slice {
            by: "item exposure".into(),
            value: value.into(),
            meaning: format!("only {which} count as relevant: {} items", items.len()),
            keep: Keep::Items(items),
        })
        .collect()
}

fn request_frequency(corpus: &Corpus, requests: &[Request]) -> Result<Vec<Slice>> {
    let mut seen: HashMap<String, u64> = HashMap::new();
    for request in corpus.request_iter(Split::Train)? {
        if let Some(query) = request?.ask.query {
            *seen.entry(normalized(&query)).or_default() += 1;
        }
    }
    let times = |request: &Request| {
        let query = request.ask.query.as_deref()?;
        Some(seen.get(&normalized(query)).copied().unwrap_or(0))
    };
    let meaning = "training requests with the same query text (letter case and spaces apart)";
    Ok(binned("request frequency", meaning, requests, times, &[0, 9, 99]))
}

/// A query with letter case and spacing taken out.
pub fn normalized(query: &str) -> String {
    query.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn rarest_term(catalogue: &Catalogue, requests: &[Request]) -> Vec<Slice> {
    let queries: Vec<Option<Vec<String>>> = requests
        .iter()
        .map(|request| request.ask.query.as_deref().map(|query| words(query, false)))
        .collect();
    let mut n_items: HashMap<&str, u64> =
        queries.iter().flatten().flatten().map(|word| (word.as_str(), 0)).collect();
    if n_items.is_empty() {
        return Vec::new();
    }
    for item in 0..catalogue.len() as u32 {
        let own: HashSet<String> = words(catalogue.text(item), false).into_iter().collect();
        for word in &own {
            if let Some(count) = n_items.get_mut(word.as_str()) {
                *count += 1;
            }
        }
    }
    let rarest: HashMap<&str, u64> = requests
        .iter()
        .zip(&queries)
        .filter_map(|(request, words)| {
            let least = words.as_ref()?.iter().map(|word| n_items[word.as_str()]).min()?;
            Some((request.id.as_str(), least))
        })
        .collect();
    let meaning = "items whose text holds the query's rarest word";
    let value = |request: &Request| rarest.get(request.id.as_str()).copied();
    binned("rarest term", meaning, requests, value, &[0, 10, 100])
}

fn query_length(requests: &[Request]) -> Vec<Slice> {
    let n_words = |request: &Request| {
        request.ask.query.as_deref().map(|query| query.split_whitespace().count() as u64)
    };
    binned("query length", "words of the query", requests, n_words, &[1, 2, 4])
}

fn history_length(requests: &[Request]) -> Vec<Slice> {
    if requests.iter().all(|request| request.ask.history.is_empty()) {
        return Vec::new();
    }
    let n_items = |request: &Request| Some(request.ask.history.len() as u64);
    binned("history length", "items of the user's past", requests, n_items, &[0, 4, 9, 19])
}

fn days(requests: &[Request]) -> Vec<Slice> {
    let mut by_day: BTreeMap<i32, HashSet<String>> = BTreeMap::new();
    for request in requests {
        by_day.entry(request.day).or_default().insert(request.id.clone());
    }
    if by_day.len() < 2 {
        return Vec::new();
    }
    let slice = |(day, requests): (i32, HashSet<String>)| Slice {
        by: "day".into(),
        value: format!("day {day}"),
        meaning: format!("requests of day {day} of the log"),
        keep: Keep::Requests(requests),
    };
    by_day.into_iter().map(slice).collect()
}

/// Items by an attribute, or by the broadest level of their category path (`category`).
fn attribute(corpus: &Corpus, name: &str) -> Result<Vec<Slice>> {
    let mut by_value: HashMap<String, HashSet<String>> = HashMap::new();
    let mut known: BTreeSet<String> = BTreeSet::new();
    for row in corpus.items()? {
        let row = row?;
        known.extend(row.attributes.iter().map(|(key, _)| key.clone()));
        known.extend(row.category.first().map(|_| "category".to_owned()));
        let value = if name == "category" {
            row.category.first().cloned()
        } else {
            row.attributes.into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
        };
        if let Some(value) = value {
            by_value.entry(value).or_default().insert(row.id);
        }
    }
    if by_value.is_empty() {
        let known: Vec<String> = known.into_iter().collect();
        let help = match known.is_empty() {
            true => "the items of this corpus have no attributes: remove it from evaluation.slices"
                .into(),
            false => format!("items have {}", known.join(", ")),
        };
        return Err(Error::data(corpus.folder(), format!("no item has the attribute {name}"))
            .with_help(help));
    }
    let mut parts: Vec<(String, HashSet<String>)> = by_value.into_iter().collect();
    parts.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.0.cmp(&b.0)));
    if parts.len() > ATTRIBUTE_VALUES {
        let rest = parts.split_off(ATTRIBUTE_VALUES - 1);
        let n_values = rest.len();
        let items = rest.into_iter().flat_map(|(_, items)| items).collect();
        parts.push((format!("{n_values} others"), items));
    }
    let slice = |(value, items): (String, HashSet<String>)| Slice {
        by: name.to_owned(),
        meaning: format!("only items with {name} {value} count as relevant: {}", items.len()),
        value,
        keep: Keep::Items(items),
    };
    Ok(parts.into_iter().map(slice).collect())
}

/// Requests by a number, in bins that end (inclusively) at `ends`, with one more behind the last.
fn binned(
    by: &str,
    meaning: &str,
    requests: &[Request],
    value: impl Fn(&Request) -> Option<u64>,
    ends: &[u64],
) -> Vec<Slice> {
    let mut bins: Vec<HashSet<String>> = vec![HashSet::new(); ends.len() + 1];
    for request in requests {
        if let Some(value) = value(request) {
            bins[ends.partition_point(|&end| end < value)].insert(request.id.clone());
        }
    }
    let range = |bin: usize| {
        let first = if bin == 0 { 0 } else { ends[bin - 1] + 1 };
        match ends.get(bin) {
            None => format!("{first} or more"),
            Some(&last) if last == first => first.to_string(),
            Some(&last) => format!("{first} to {last}"),
        }
    };
    let slice = |(bin, requests): (usize, HashSet<String>)| Slice {
        by: by.to_owned(),
        value: range(bin),
        meaning: format!("{meaning}: {}", range(bin)),
        keep: Keep::Requests(requests),
    };
    let filled = bins.into_iter().enumerate().filter(|(_, requests)| !requests.is_empty());
    filled.map(slice).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identifier::Made;

    fn request(idx: u32, query: &str) -> Request {
        let mut request = Request { day: idx as i32 % 2, ..Request::bare(idx) };
        request.ask.query = Some(query.to_owned());
        request
    }

    fn sizes(slices: &[Slice]) -> Vec<(&str, usize)> {
        let size = |slice: &Slice| match &slice.keep {
            Keep::Requests(set) | Keep::Items(set) => set.len(),
        };
        slices.iter().map(|slice| (slice.value.as_str(), size(slice))).collect()
    }

    #[test]
    fn head_middle_tail_and_unseen_part_the_catalogue() {
        let ids: Vec<String> = (0..6).map(|i| format!("i{i}")).collect();
        let slices = item_exposure(&[1, 50, 0, 30, 10, 9], &ids);
        assert_eq!(sizes(&slices), [("head", 1), ("middle", 2), ("tail", 2), ("never seen", 1)]);
        assert_eq!(slices[0].keep, Keep::Items(["i1".to_owned()].into()));
        assert_eq!(slices[3].keep, Keep::Items(["i2".to_owned()].into()));
        let unseen = item_exposure(&[0; 6], &ids);
        assert_eq!(sizes(&unseen)[3], ("never seen", 6));
    }

    #[test]
    fn frequent_codes_make_the_head() {
        // Codes of level two: 0 for six items, 1 for three, 2 for one.
        let second = [0, 0, 0, 0, 0, 0, 1, 1, 1, 2];
        let codes_of = second.iter().enumerate().flat_map(|(item, &code)| [item as u32, code]);
        let identifiers =
            Identifiers::new(codes_of.collect(), vec![10, 4], Made::by("test"), "c").expect("ids");
        let ids: Vec<String> = (0..10).map(|i| format!("i{i}")).collect();
        let slices = codes(&identifiers, "sid", 2, &ids).expect("slices");
        assert_eq!(sizes(&slices), [("head", 6), ("middle", 3), ("tail", 1)]);
        assert_eq!(slices[0].by, "code of sid, level 2");
        assert_eq!(slices[2].keep, Keep::Items(["i9".to_owned()].into()));
        let message = codes(&identifiers, "sid", 3, &ids).expect_err("no level").to_string();
        assert!(message.contains("no level 3"), "{message}");
    }

    #[test]
    fn bins_hold_every_request_once_and_empty_ones_are_left_out() {
        let texts = ["a", "a b", "a b c", "a b c d", "a b c d e", "x"];
        let requests: Vec<Request> = (0..).zip(texts).map(|(i, t)| request(i, t)).collect();
        let slices = query_length(&requests);
        assert_eq!(sizes(&slices), [("0 to 1", 2), ("2", 1), ("3 to 4", 2), ("5 or more", 1)]);
        assert_eq!(sizes(&days(&requests)), [("day 0", 3), ("day 1", 3)]);
        assert!(history_length(&requests).is_empty());
        assert!(days(&requests[..1]).is_empty());
    }

    #[test]
    fn the_rarest_word_decides() {
        let items = [("1", "red sofa", ""), ("2", "red chair", ""), ("3", "lamp", "")];
        let catalogue = Catalogue::from_items(items).expect("catalogue");
        let requests = [request(0, "Red sofa"), request(1, "red"), request(2, "red piano")];
        let slices = rarest_term(&catalogue, &requests);
        assert_eq!(sizes(&slices), [("0", 1), ("1 to 10", 2)]);
    }

    #[test]
    fn letter_case_and_spaces_do_not_make_another_query() {
        assert_eq!(normalized("  Red   SOFA "), "red sofa");
    }
}
