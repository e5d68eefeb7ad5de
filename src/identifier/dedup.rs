//! A further level that tells items with the same codes apart: 0, 1, 2, … in item order.

use std::collections::HashMap;

/// Codes in which every item has a path of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deduplicated {
    /// Codes `[items, levels]`, with one level more than before if any two items collided.
    pub codes: Vec<u32>,
    /// Size of the added level (the most items that shared a path), or `None` if none was needed.
    pub level: Option<u32>,
}

/// Adds the dedup level to codes `[items, n_levels]` if two items share all of theirs; then every
/// item has it, and the first item of a path has 0.
pub fn deduplicate(codes: Vec<u32>, n_levels: usize) -> Deduplicated {
    let mut seen: HashMap<&[u32], u32> = HashMap::new();
    let ordinals: Vec<u32> = codes
        .chunks_exact(n_levels.max(1))
        .map(|path| {
            let count = seen.entry(path).or_insert(0);
            *count += 1;
            *count - 1
        })
        .collect();
    let most = ordinals.iter().max().map_or(0, |&last| last + 1);
    if most <= 1 {
        return Deduplicated { codes, level: None };
    }
    let paths = codes.chunks_exact(n_levels.max(1)).zip(&ordinals);
    let codes = paths.flat_map(|(path, &ordinal)| path.iter().copied().chain([ordinal])).collect();
    Deduplicated { codes, level: Some(most) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_appears_only_where_needed_and_then_everywhere() {
        let unique = vec![0, 1, 1, 0, 1, 1];
        let same = deduplicate(unique.clone(), 2);
        assert_eq!(same, Deduplicated { codes: unique, level: None });
        let shared = deduplicate(vec![5, 5, 0, 1, 5, 5, 5, 5], 2);
        assert_eq!(shared.codes, [5, 5, 0, 0, 1, 0, 5, 5, 1, 5, 5, 2]);
        assert_eq!(shared.level, Some(3));
    }
}
