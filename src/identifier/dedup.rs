//! A further level that tells items with the same codes apart: 0, 1, 2, … in item order.

use super::paths::by_path;

/// Codes `[items, n_levels + 1]`: a level more, in which the first item of a path has 0, the second 1, and so on.
pub fn number(codes: &[u32], n_levels: usize) -> Vec<u32> {
    let n_levels = n_levels.max(1);
    let path = |item: u32| &codes[item as usize * n_levels..][..n_levels];
    let mut numbered = vec![0; codes.len() / n_levels * (n_levels + 1)];
    for group in by_path(codes, n_levels).chunk_by(|a, b| path(*a) == path(*b)) {
        for (number, &item) in (0..).zip(group) {
            let own = &mut numbered[item as usize * (n_levels + 1)..][..=n_levels];
            own[..n_levels].copy_from_slice(path(item));
            own[n_levels] = number;
        }
    }
    numbered
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
