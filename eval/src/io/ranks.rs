//! Ranks that contradict scores in a TREC run. Evaluation believes scores alone; that a file says otherwise is worth a word.
//! They are noticed while the lines are read: a second reading of the file took a seventh of the time of `trieval eval`.

use std::path::Path;

use super::lines::Notice;

/// Contradictions in some lines of a file, and what the lines beside them need to know.
#[derive(Debug, Default)]
pub(super) struct Ranks {
    first: Option<Seen>,
    last: Option<Seen>,
    /// Number of the first line that contradicts the one before it, and how many do.
    conflicts: Option<(usize, u64)>,
}

/// A line.
#[derive(Debug, Clone)]
struct Seen {
    request: String,
    line: usize,
    rank: i64,
    score: f32,
}

impl Ranks {
    /// Sees a line; a rank that is no whole number says nothing.
    pub(super) fn row(&mut self, line: usize, request: &str, rank: &str, score: f32) {
        let Ok(rank) = rank.parse::<i64>() else { return };
        match &mut self.last {
            Some(last) if last.request == request => {
                if last.contradicts(rank, score) {
                    let (first, count) = self.conflicts.unwrap_or((line, 0));
                    self.conflicts = Some((first, count + 1));
                }
                (last.line, last.rank, last.score) = (line, rank, score);
            }
            Some(last) => {
                last.request.clear();
                last.request.push_str(request);
                (last.line, last.rank, last.score) = (line, rank, score);
            }
            None => {
                let seen = Seen { request: request.to_owned(), line, rank, score };
                self.first = Some(seen.clone());
                self.last = Some(seen);
            }
        }
    }

    /// What to say of the file: how many lines contradict the ones before them, and where the first stands.
    pub(super) fn told(&self, path: &Path) -> Option<String> {
        let (first, count) = self.conflicts?;
        Some(format!(
            "{}:{first}: the rank contradicts the score, as on {count} lines in all; items are ordered by score",
            path.display()
        ))
    }
}

impl Seen {
    /// Whether a line of the same request that follows ranks otherwise than it scores. Scores are compared as `f32`.
    fn contradicts(&self, rank: i64, score: f32) -> bool {
        rank > self.rank && score > self.score || rank < self.rank && score < self.score
    }
}

impl Notice for Ranks {
    fn append(&mut self, before: usize, next: Self) {
        let mut add = |line: usize, count: u64| {
            let (first, sum) = self.conflicts.unwrap_or((line, 0));
            self.conflicts = Some((first, sum + count));
        };
        if let (Some(last), Some(first)) = (&self.last, &next.first)
            && last.request == first.request
            && last.contradicts(first.rank, first.score)
        {
            add(before + first.line, 1);
        }
        if let Some((line, count)) = next.conflicts {
            add(before + line, count);
        }
        if self.first.is_none() {
            self.first = next.first;
        }
        self.last = next.last.or(self.last.take());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn conflict(text: &str) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.run");
        std::fs::write(&path, text).unwrap();
        crate::io::read_run_with_ranks(&path).unwrap().1
    }

    #[test]
    fn only_contradictions_are_told_with_the_first_line() {
        assert_eq!(
            conflict("q Q0 a 1 0.9 s\nq Q0 b 2 0.9 s\nq Q0 c 3 0.1 s\np Q0 a 1 5 s\n"),
            None
        );
        // Unsorted lines whose ranks agree with their scores are fine.
        assert_eq!(conflict("q Q0 b 2 0.5 s\nq Q0 a 1 0.9 s\n"), None);
        let told = conflict("q Q0 a 1 0.1 s\nq Q0 b 2 0.5 s\nq Q0 c 3 0.9 s\n").unwrap();
        assert!(told.contains("a.run:2:") && told.contains("on 2 lines"), "{told}");
        assert_eq!(conflict("q Q0 a x 0.1 s\nq Q0 b 1 0.5 s\n"), None);
    }

    #[test]
    fn parts_and_blocks_hide_nothing() {
        // 60 MB in several blocks, each cut between threads: conflicts anywhere are found, those over a seam as well.
        let mut text = String::new();
        let mut expected: Option<(usize, usize)> = None;
        let mut last = 0;
        for line in 0..1_500_000_usize {
            let (request, rank) = (line / 1_000, line % 1_000);
            // Scores fall but for a few places.
            let score = if line % 7_777 == 7_000 { 2_000 } else { 1_000 - rank };
            text.push_str(&format!("request{request} Q0 item{rank} {} {score} s\n", rank + 1));
            if rank > 0 && score > last {
                let (first, count) = expected.unwrap_or((line + 1, 0));
                expected = Some((first, count + 1));
            }
            last = score;
        }
        let (first, count) = expected.unwrap();
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let told = pool.install(|| conflict(&text)).unwrap();
            assert!(told.contains(&format!("a.run:{first}:")), "{told}");
            assert!(told.contains(&format!("on {count} lines")), "{told}");
        }
        // The seams of parts, one line each.
        let mut whole = Ranks::default();
        for (line, (rank, score)) in
            [("1", 0.1), ("2", 0.5), ("3", 0.4), ("4", 0.9)].iter().enumerate()
        {
            let mut part = Ranks::default();
            part.row(1, "q", rank, *score);
            whole.append(line, part);
        }
        assert_eq!(whole.conflicts, Some((2, 2)));
    }
}
