//! Pseudo-requests: words of a title that ask for their item, so that items nobody clicked are
//! learnt too. Knows titles, not what is trained on them.

use rand::Rng;

/// Words of a pseudo-request, fewest and most, of encoders from scratch.
pub const WORDS: [u32; 2] = [1, 5];

/// Between `fewest` and `most` consecutive words of `title`, as many and where chance has it; none
/// where the title has no word. A short title gives what it has.
pub fn pseudo_request(title: &str, [fewest, most]: [u32; 2], rng: &mut impl Rng) -> Option<String> {
    let words: Vec<&str> = title.split_whitespace().collect();
    if words.is_empty() {
        return None;
    }
    let [fewest, most] = [fewest, most].map(|n| (n as usize).min(words.len()));
    let n_words = rng.random_range(fewest..=most);
    let start = rng.random_range(0..=words.len() - n_words);
    Some(words[start..start + n_words].join(" "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::seed::Seed;

    #[test]
    fn every_substring_of_the_allowed_lengths_and_no_other_is_drawn() {
        let mut rng = Seed::new(1).rng();
        let drawn: BTreeSet<String> =
            (0..500).filter_map(|_| pseudo_request(" a  b c ", [1, 2], &mut rng)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), ["a", "a b", "b", "b c", "c"]);
    }

    #[test]
    fn short_titles_give_what_they_have() {
        let mut rng = Seed::new(1).rng();
        assert_eq!(pseudo_request("lamp", [2, 6], &mut rng).as_deref(), Some("lamp"));
        assert_eq!(pseudo_request(" \t", [2, 6], &mut rng), None);
    }
}
