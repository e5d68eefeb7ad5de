//! What a metric looks at: the grades along one ranked list, and the grades of all judged items. Under the tie rule every
//! place holds one known item; in expectation the places of equal scores are shared by a group in uniformly random order
//! (McSherry & Najork, "Computing information retrieval performance measures efficiently in the presence of tied scores",
//! ECIR 2008).

/// One request's list as metrics see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JudgedList<'a> {
    /// `[rank]`: grades of the returned items, best first; none where an item was not judged.
    pub(crate) ranked: &'a [Option<f64>],
    /// `[judged item]`: grades of all judged items, returned or not, highest first.
    pub(crate) ideal: &'a [f64],
    /// Ends of the groups of equal scores, ascending, the last one `ranked.len()`; none where ties are broken by the rule,
    /// so that every group is one item.
    pub(crate) tie_ends: Option<&'a [usize]>,
}

/// Items that share places `start..start + grades.len()` in random order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group<'a> {
    /// Places before the group.
    pub(crate) start: usize,
    /// Grades of its items.
    pub(crate) grades: &'a [Option<f64>],
    /// How many of its places are looked at, at least 1.
    pub(crate) taken: usize,
}

impl<'a> JudgedList<'a> {
    /// Number of judged items of at least this grade.
    pub(crate) fn n_relevant(&self, relevant_grade: f64) -> usize {
        self.ideal.partition_point(|&grade| grade >= relevant_grade)
    }

    /// Groups of the first `cutoff` places, or of all, in order.
    pub(crate) fn groups(&self, cutoff: Option<u32>) -> impl Iterator<Item = Group<'a>> + use<'a> {
        let Self { ranked, tie_ends, .. } = *self;
        let length = self.length(cutoff);
        let mut start = 0;
        let mut group = 0;
        std::iter::from_fn(move || {
            if start >= length {
                return None;
            }
            let end = tie_ends.map_or(start + 1, |ends| ends[group]);
            let one = Group { start, grades: &ranked[start..end], taken: end.min(length) - start };
            start = end;
            group += 1;
            Some(one)
        })
    }

    /// Number of relevant items among the first `cutoff` places, or all: in expectation where a group is cut.
    pub(crate) fn hits(&self, relevant_grade: f64, cutoff: Option<u32>) -> f64 {
        match self.tie_ends {
            None => {
                let top = &self.ranked[..self.length(cutoff)];
                top.iter().filter(|grade| is_relevant(grade, relevant_grade)).count() as f64
            }
            Some(_) => self
                .groups(cutoff)
                .map(|group| {
                    let share = group.taken as f64 / group.grades.len() as f64;
                    group.n_relevant(relevant_grade) as f64 * share
                })
                .sum(),
        }
    }

    /// `Σ over the first cutoff places of discount(rank) · gain(grade)`, ranks from 1; items without judgment gain nothing.
    pub(crate) fn discounted(
        &self,
        cutoff: Option<u32>,
        gain: impl Fn(f64) -> f64,
        discount: impl Fn(usize) -> f64,
    ) -> f64 {
        let mut sum = 0.0;
        for group in self.groups(cutoff) {
            let gained: f64 = group.grades.iter().flatten().map(|&grade| gain(grade)).sum();
            if gained != 0.0 {
                let mean = gained / group.grades.len() as f64;
                for place in 0..group.taken {
                    sum += mean * discount(group.start + place + 1);
                }
            }
        }
        sum
    }

    /// Number of places looked at.
    pub(crate) fn length(&self, cutoff: Option<u32>) -> usize {
        cutoff.map_or(self.ranked.len(), |k| self.ranked.len().min(k as usize))
    }
}

impl Group<'_> {
    /// Number of its items that are relevant.
    pub(crate) fn n_relevant(&self, relevant_grade: f64) -> usize {
        self.grades.iter().filter(|grade| is_relevant(grade, relevant_grade)).count()
    }
}

/// Whether an item was judged and its grade reaches the threshold.
pub(crate) fn is_relevant(grade: &Option<f64>, relevant_grade: f64) -> bool {
    grade.is_some_and(|grade| grade >= relevant_grade)
}
