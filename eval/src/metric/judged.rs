//! What a metric looks at: the grades along one ranked list, and the grades of all relevant items.

/// One returned item, judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// Whether its grade reaches the threshold of relevance; an item without judgment is not relevant.
    pub relevant: bool,
    /// Its grade where it is relevant, else 0.
    pub grade: f64,
}

/// One request's list as metrics see it. There is at least one relevant item: other requests are left out before.
#[derive(Debug, Clone, Copy)]
pub struct JudgedList<'a> {
    /// `[rank]`: the returned items, best first.
    pub ranked: &'a [Judged],
    /// `[relevant item]`: grades of all relevant items, returned or not, highest first.
    pub ideal: &'a [f64],
}

impl JudgedList<'_> {
    /// The first `cutoff` returned items, or all.
    pub fn top(&self, cutoff: Option<u32>) -> &[Judged] {
        let length = cutoff.map_or(self.ranked.len(), |k| self.ranked.len().min(k as usize));
        &self.ranked[..length]
    }

    /// Relevant items among the first `cutoff` returned ones, or among all.
    pub fn n_relevant_in(&self, cutoff: Option<u32>) -> usize {
        self.top(cutoff).iter().filter(|one| one.relevant).count()
    }
}
