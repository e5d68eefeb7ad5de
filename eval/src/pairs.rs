//! (request, item, value) rows in any order, ids as numbers: what the builders of runs and of judgments, and the readers of
//! files, have in common. Knows neither scores nor grades.

use std::cmp::Ordering;

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::ids::{BATCH, Ids, NONE, hash};

/// Rows as they arrived.
#[derive(Debug, Clone)]
pub(crate) struct Pairs<V> {
    pub(crate) requests: Ids,
    pub(crate) items: Ids,
    /// (item number, value) in order of arrival.
    pub(crate) entries: Vec<(u32, V)>,
    /// Where rows of another request begin.
    pub(crate) segments: Vec<Segment>,
}

/// Neighboring rows of one request; they end where the next segment starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) request: u32,
    pub(crate) start: usize,
}

/// Rows that one thread collects while others do the same. Ids that are known to all keep their numbers; new ones are numbered
/// apart until the part is joined.
pub(crate) struct Part<'a, V> {
    known: &'a Pairs<V>,
    fresh: Pairs<V>,
    /// Which of its entries hold a new item.
    fresh_at: Vec<usize>,
    waiting: Waiting<V>,
}

/// What a part has collected.
pub(crate) struct PartRows<V> {
    rows: Pairs<V>,
    fresh_at: Vec<usize>,
}

/// Rows whose items are looked up together.
struct Waiting<V> {
    /// Item ids, one behind the other.
    text: String,
    /// `[row]` → where its id ends in `text`, and its value.
    rows: Vec<(usize, V)>,
    hashes: Vec<u64>,
}

/// Marks the numbers of new requests.
const FRESH: u32 = 1 << 31;

/// Rows by request: what runs and judgments are made of.
#[derive(Debug, Clone)]
pub(crate) struct Grouped<V> {
    pub(crate) requests: Ids,
    pub(crate) items: Ids,
    /// `[request]` → start in `entries`; one more than there are requests.
    starts: Vec<usize>,
    /// (item number, value), in order of arrival within a request until they are sorted.
    pub(crate) entries: Vec<(u32, V)>,
}

impl<V> Default for Pairs<V> {
    fn default() -> Self {
        Self {
            requests: Ids::default(),
            items: Ids::default(),
            entries: Vec::new(),
            segments: Vec::new(),
        }
    }
}

impl<V: Copy> Pairs<V> {
    /// Adds a row.
    pub(crate) fn push(&mut self, request: &str, item: &str, value: V) {
        self.open(request);
        let item = self.items.intern(item);
        self.entries.push((item, value));
    }

    /// Adds a request, which may stay without rows; rows pushed for it next join its segment.
    pub(crate) fn open(&mut self, request: &str) {
        // Files group their rows: the request of the last row needs no look-up.
        let last = self.segments.last().map(|segment| self.requests.name(segment.request));
        if last != Some(request) {
            let request = self.requests.intern(request);
            self.segments.push(Segment { request, start: self.entries.len() });
        }
    }

    /// Brings rows of a request together.
    pub(crate) fn group(self) -> Grouped<V> {
        let Self { requests, items, entries, segments } = self;
        let end_of = |at: usize| segments.get(at + 1).map_or(entries.len(), |next| next.start);
        // Requests are numbered by arrival: as many segments as requests means that each came once, in order.
        if segments.len() == requests.len() {
            let mut starts: Vec<usize> = segments.iter().map(|segment| segment.start).collect();
            starts.push(entries.len());
            return Grouped { requests, items, starts, entries };
        }
        let mut starts = vec![0; requests.len() + 1];
        for (at, segment) in segments.iter().enumerate() {
            starts[segment.request as usize + 1] += end_of(at) - segment.start;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut by_request: Vec<u32> = (0..segments.len() as u32).collect();
        by_request.sort_by_key(|&at| segments[at as usize].request);
        let mut grouped = Vec::with_capacity(entries.len());
        for at in by_request {
            let at = at as usize;
            grouped.extend_from_slice(&entries[segments[at].start..end_of(at)]);
        }
        Grouped { requests, items, starts, entries: grouped }
    }
}

#[cfg(test)]
impl<V> Pairs<V> {
    /// Bytes that the rows and their ids take in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<(u32, V)>()
            + self.segments.capacity() * size_of::<Segment>()
            + self.requests.bytes()
            + self.items.bytes()
    }
}

impl<'a, V: Copy> Part<'a, V> {
    /// An empty part beside the rows joined so far.
    pub(crate) fn new(known: &'a Pairs<V>) -> Self {
        let waiting = Waiting { text: String::new(), rows: Vec::new(), hashes: Vec::new() };
        Self { known, fresh: Pairs::default(), fresh_at: Vec::new(), waiting }
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, request: &str, item: &str, value: V) {
        self.open(request);
        self.waiting.text.push_str(item);
        self.waiting.rows.push((self.waiting.text.len(), value));
        self.waiting.hashes.push(hash(item.as_bytes()));
        if self.waiting.rows.len() == BATCH {
            self.look_up();
        }
    }

    /// Adds a request, which may stay without rows.
    pub(crate) fn open(&mut self, request: &str) {
        let last = self.fresh.segments.last();
        if last.map(|segment| self.name(segment.request)) != Some(request) {
            let known = self.known.requests.get(request);
            let request = known.unwrap_or_else(|| self.fresh.requests.intern(request) | FRESH);
            let start = self.fresh.entries.len() + self.waiting.rows.len();
            self.fresh.segments.push(Segment { request, start });
        }
    }

    /// Gives the waiting rows their numbers.
    fn look_up(&mut self) {
        let Self { known, fresh, fresh_at, waiting } = self;
        std::hint::black_box(known.items.touch(&waiting.hashes));
        std::hint::black_box(fresh.items.touch(&waiting.hashes));
        let mut start = 0;
        for (&(end, value), &hash) in waiting.rows.iter().zip(&waiting.hashes) {
            let item = &waiting.text[start..end];
            let number = known.items.get_hashed(item, hash);
            let number = number.unwrap_or_else(|| {
                fresh_at.push(fresh.entries.len());
                fresh.items.intern_hashed(item, hash)
            });
            fresh.entries.push((number, value));
            start = end;
        }
        waiting.text.clear();
        waiting.rows.clear();
        waiting.hashes.clear();
    }

    /// Its own rows, to be joined when no part looks at the known ones any more.
    pub(crate) fn into_rows(mut self) -> PartRows<V> {
        self.look_up();
        PartRows { rows: self.fresh, fresh_at: self.fresh_at }
    }

    fn name(&self, request: u32) -> &str {
        match request & FRESH {
            0 => self.known.requests.name(request),
            _ => self.fresh.requests.name(request & !FRESH),
        }
    }
}

impl<V: Copy> Pairs<V> {
    /// Appends the rows of a part; its new ids are numbered in order of arrival.
    pub(crate) fn join(&mut self, part: PartRows<V>) {
        let PartRows { rows: part, fresh_at } = part;
        let requests = self.requests.intern_all(&part.requests);
        let items = self.items.intern_all(&part.items);
        let before = self.entries.len();
        for segment in part.segments {
            let request = match segment.request & FRESH {
                0 => segment.request,
                _ => requests[(segment.request & !FRESH) as usize],
            };
            // A request that goes on over the seam stays one segment.
            if self.segments.last().map(|last| last.request) != Some(request) {
                self.segments.push(Segment { request, start: before + segment.start });
            }
        }
        self.entries.extend_from_slice(&part.entries);
        for at in fresh_at {
            let number = &mut self.entries[before + at].0;
            *number = items[*number as usize];
        }
    }
}

impl<V> Grouped<V> {
    /// The rows of a request.
    pub(crate) fn list(&self, request: usize) -> &[(u32, V)] {
        &self.entries[self.starts[request]..self.starts[request + 1]]
    }

    /// `[request]`: its rows, to be put in order in parallel.
    fn lists_mut(&mut self) -> Vec<&mut [(u32, V)]> {
        let mut rest = self.entries.as_mut_slice();
        let mut lists = Vec::with_capacity(self.requests.len());
        for pair in self.starts.windows(2) {
            let (list, tail) = rest.split_at_mut(pair[1] - pair[0]);
            lists.push(list);
            rest = tail;
        }
        lists
    }
}

impl<V: Copy + Send> Grouped<V> {
    /// Sorts the rows of every request, in parallel. Refused, with the `place` that is named, where an item stands twice for a
    /// request.
    pub(crate) fn sort(
        &mut self,
        place: impl FnOnce() -> String,
        by: impl Fn(&Ids, &(u32, V), &(u32, V)) -> Ordering + Sync,
    ) -> Result<()> {
        let items = std::mem::take(&mut self.items);
        let twice = self
            .lists_mut()
            .into_par_iter()
            .enumerate()
            .map_init(Vec::new, |scratch, (request, list)| {
                list.sort_unstable_by(|left, right| by(&items, left, right));
                repeated(list, scratch).map(|item| (request, item))
            })
            .find_map_first(|found| found);
        self.items = items;
        match twice {
            None => Ok(()),
            Some((request, item)) => Err(Error::Duplicate {
                place: place(),
                request: self.requests.name(request as u32).to_owned(),
                item: self.items.name(item).to_owned(),
            }),
        }
    }

    /// The same rows, requests in byte order of their ids.
    pub(crate) fn by_request_id(self) -> Self {
        let mut order: Vec<u32> = (0..self.requests.len() as u32).collect();
        order.par_sort_unstable_by_key(|&request| self.requests.name(request));
        let mut requests = Ids::default();
        let mut starts = Vec::with_capacity(order.len() + 1);
        let mut entries = Vec::with_capacity(self.entries.len());
        starts.push(0);
        for request in order {
            requests.intern(self.requests.name(request));
            entries.extend_from_slice(self.list(request as usize));
            starts.push(entries.len());
        }
        Self { requests, items: self.items, starts, entries }
    }
}

/// An item number that a list holds twice. `scratch` is reused between lists; it becomes a small table of the numbers seen.
fn repeated<V>(list: &[(u32, V)], scratch: &mut Vec<u32>) -> Option<u32> {
    let size = (list.len() * 2).next_power_of_two();
    scratch.clear();
    scratch.resize(size, NONE);
    for &(item, _) in list {
        // Fibonacci hashing: neighboring numbers spread.
        let mut at = (item.wrapping_mul(0x9e37_79b9) >> 8) as usize & (size - 1);
        while scratch[at] != NONE {
            if scratch[at] == item {
                return Some(item);
            }
            at = (at + 1) & (size - 1);
        }
        scratch[at] = item;
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_of_a_request_come_together_in_order(rows in prop::collection::vec((0_u8..4, 0_u8..9), 0..60)) {
            let mut pairs = Pairs::default();
            let mut expected: BTreeMap<String, Vec<(String, usize)>> = BTreeMap::new();
            pairs.open("empty");
            expected.entry("empty".to_owned()).or_default();
            for (value, (request, item)) in rows.iter().enumerate() {
                let (request, item) = (request.to_string(), item.to_string());
                pairs.push(&request, &item, value);
                expected.entry(request).or_default().push((item, value));
            }
            let mut grouped = pairs.group();
            prop_assert_eq!(grouped.requests.len(), expected.len());
            let names: Vec<String> = grouped.requests.names().map(str::to_owned).collect();
            let items = grouped.items.clone();
            for (name, list) in names.iter().zip(grouped.lists_mut()) {
                let named: Vec<(String, usize)> =
                    list.iter().map(|&(item, value)| (items.name(item).to_owned(), value)).collect();
                prop_assert_eq!(&named, &expected[name]);
                let distinct: std::collections::BTreeSet<u32> = list.iter().map(|entry| entry.0).collect();
                prop_assert_eq!(repeated(list, &mut Vec::new()).is_some(), distinct.len() < list.len());
            }
        }
    }
}
