//! A further level that tells items with the same codes apart: 0, 1, 2, … in item order.

use std::collections::HashMap;

/// Codes `[items, n_levels + 1]`: a level more, in which the first item of a path has 0, the second 1, and so on.
pub fn number(codes: &[u32], n_levels: usize) -> Vec<u32> {
    let mut seen: HashMap<&[u32], u32> = HashMap::new();
    let numbered = codes.chunks_exact(n_levels.max(1)).flat_map(|path| {
        let count = seen.entry(path).or_insert(0);
        *count += 1;
        path.iter().copied().chain([*count - 1])
    });
    numbered.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_of_a_path_are_numbered_in_their_order() {
        let numbered = number(&[5, 5, 0, 1, 5, 5, 5, 5], 2);
        assert_eq!(numbered, [5, 5, 0, 0, 1, 0, 5, 5, 1, 5, 5, 2]);
    }
}
