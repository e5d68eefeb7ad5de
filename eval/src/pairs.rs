//! (request, item, value) rows in any order, ids as numbers: what the builders of runs and of judgments, and the readers of
//! files, have in common. Knows neither scores nor grades.

use crate::ids::Ids;

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

/// Rows by request.
pub(crate) struct Grouped<V> {
    pub(crate) requests: Ids,
    pub(crate) items: Ids,
    /// `[request]` → start in `entries`; one more than there are requests.
    pub(crate) starts: Vec<usize>,
    /// (item number, value), in order of arrival within a request.
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

impl<V> Grouped<V> {
    /// `[request]`: its rows, to be put in order in parallel.
    pub(crate) fn lists_mut(&mut self) -> Vec<&mut [(u32, V)]> {
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

/// An item number that a list holds twice. `scratch` is reused between lists.
pub(crate) fn repeated<V>(list: &[(u32, V)], scratch: &mut Vec<u32>) -> Option<u32> {
    scratch.clear();
    scratch.extend(list.iter().map(|entry| entry.0));
    scratch.sort_unstable();
    scratch.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
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
