//! The legal name nearest to a misspelt one. Knows no meaning of names.

/// The names within two edits (or a third of the word), nearest first, at most three. A name keeps half of its letters: one of
/// one letter is near to nothing, and one of three to a single edit.
pub(super) fn nearest<'a>(word: &str, names: &[&'a str]) -> Vec<&'a str> {
    let limit = match word.chars().count() {
        0..3 => return Vec::new(),
        length => (length / 3).max(2),
    };
    let mut near: Vec<(usize, &str)> = names
        .iter()
        .map(|name| (distance(word, name), *name))
        .filter(|&(edits, name)| {
            edits <= limit && 2 * edits <= word.chars().count().min(name.chars().count())
        })
        .collect();
    near.sort_by_key(|one| one.0);
    near.into_iter().take(3).map(|one| one.1).collect()
}

/// Least number of insertions, deletions, replacements and swaps of neighbors (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let width = right.len() + 1;
    let mut table = vec![0_usize; (left.len() + 1) * width];
    for row in 0..=left.len() {
        for column in 0..=right.len() {
            table[row * width + column] = if row == 0 || column == 0 {
                row + column
            } else {
                let differs = usize::from(left[row - 1] != right[column - 1]);
                let mut best = (table[(row - 1) * width + column] + 1)
                    .min(table[row * width + column - 1] + 1)
                    .min(table[(row - 1) * width + column - 1] + differs);
                let swapped = row > 1
                    && column > 1
                    && left[row - 1] == right[column - 2]
                    && left[row - 2] == right[column - 1];
                if swapped {
                    best = best.min(table[(row - 2) * width + column - 2] + 1);
                }
                best
            };
        }
    }
    table[left.len() * width + right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_by_hand() {
        for (left, right, expected) in
            [("", "abc", 3), ("recal", "recall", 1), ("ndgc", "ndcg", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(left, right), expected, "{left} {right}");
            assert_eq!(distance(right, left), expected, "{right} {left}");
        }
    }

    #[test]
    fn only_near_names_are_offered() {
        let names = ["recall", "precision", "mrr", "ndcg"];
        assert_eq!(nearest("recal", &names), ["recall"]);
        assert_eq!(nearest("ngcd", &names), ["ndcg"]);
        assert!(nearest("latency", &names).is_empty());
        let short = ["p", "ap", "f1", "mrr", "auc"];
        assert!(["10", "x", "q", "hr2"].iter().all(|word| nearest(word, &short).is_empty()));
        assert_eq!(nearest("mmr", &short), ["mrr"]);
    }
}
