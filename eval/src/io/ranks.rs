//! Ranks that contradict scores in a TREC run. Evaluation believes scores alone; that a file says otherwise is worth a word.

use std::io::{BufRead, BufReader};
use std::path::Path;

use super::source::{self, Format, unreadable};
use crate::error::Result;

/// What to say of a TREC run whose ranks contradict its scores: how many lines do, and where the first stands. None where
/// ranks agree, or the format has none. Lines that do not parse are for the reader to refuse.
pub fn rank_conflict(path: &Path) -> Result<Option<String>> {
    if Format::of(path) != Format::Trec {
        return Ok(None);
    }
    let mut reader = BufReader::new(source::open(path)?);
    let mut line = Vec::new();
    let mut before: Option<(String, i64, f32)> = None;
    let mut found: Option<(u64, u64)> = None;
    for number in 1.. {
        line.clear();
        let n_bytes =
            reader.read_until(b'\n', &mut line).map_err(|source| unreadable(path, source))?;
        if n_bytes == 0 {
            break;
        }
        let Some((request, rank, score)) = std::str::from_utf8(&line).ok().and_then(fields) else {
            continue;
        };
        if let Some((last_request, last_rank, last_score)) = &before
            && last_request == request
            && (rank > *last_rank && score > *last_score
                || rank < *last_rank && score < *last_score)
        {
            let (first, count) = found.unwrap_or((number, 0));
            found = Some((first, count + 1));
        }
        match &mut before {
            Some((last_request, last_rank, last_score)) if last_request == request => {
                (*last_rank, *last_score) = (rank, score);
            }
            _ => before = Some((request.to_owned(), rank, score)),
        }
    }
    Ok(found.map(|(first, count)| {
        format!(
            "{}:{first}: the rank contradicts the score, as on {count} lines in all; items are ordered by score",
            path.display()
        )
    }))
}

/// Request, rank and score (as `f32`, the way scores are compared).
fn fields(line: &str) -> Option<(&str, i64, f32)> {
    let mut fields = line.split_ascii_whitespace();
    let request = fields.next()?;
    let rank = fields.nth(2)?.parse().ok()?;
    Some((request, rank, fields.next()?.parse::<f64>().ok()? as f32))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn conflict(text: &str) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.run");
        std::fs::write(&path, text).unwrap();
        rank_conflict(&path).unwrap()
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
        assert_eq!(conflict("not a run\n"), None);
    }
}
