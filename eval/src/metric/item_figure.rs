//! Means over the listed items of a figure that each item has: popularity, novelty, and membership in the tail. All are 0 for
//! an empty list.

use super::catalogue::Catalogue;
use super::parameters::Parameters;

/// Popularity: `[items]`, the share of the other items that training showed less often, those shown equally often counted
/// half. A list drawn uniformly from the catalogue scores 0.5, one of the most popular items nearly 1.
pub(crate) fn popularity(catalogue: &Catalogue, _: &Parameters) -> Vec<f64> {
    let counts = catalogue.exposures();
    let mut sorted = counts.to_vec();
    sorted.sort_unstable();
    let others = (counts.len() - 1).max(1) as f64;
    let place = |&count: &u64| {
        let below = sorted.partition_point(|&other| other < count);
        let equal = sorted.partition_point(|&other| other <= count) - below - 1;
        if counts.len() == 1 { 0.5 } else { (below as f64 + equal as f64 / 2.0) / others }
    };
    counts.iter().map(place).collect()
}

/// Novelty: `[items]` self-information `−log2 p` in bits, with `p = (count + 1) / (Σ count + items)` so that an item never
/// shown is not infinitely novel (Vargas & Castells, RecSys 2011, with add-one smoothing).
pub(crate) fn novelty(catalogue: &Catalogue, _: &Parameters) -> Vec<f64> {
    let counts = catalogue.exposures();
    let total = counts.iter().map(|&count| count as f64).sum::<f64>() + counts.len() as f64;
    counts.iter().map(|&count| (total / (count as f64 + 1.0)).log2()).collect()
}

/// Tail: `[items]`, 1 outside the head, else 0. The head is the fewest items that together hold the share `head` of what
/// training showed, ties at its edge taken in byte order of the ids.
pub(crate) fn tail(catalogue: &Catalogue, parameters: &Parameters) -> Vec<f64> {
    let counts = catalogue.exposures();
    let goal = parameters.head * counts.iter().map(|&count| count as f64).sum::<f64>();
    let mut tail = vec![1.0; counts.len()];
    let mut held = 0.0;
    for item in catalogue.by_exposure() {
        if held >= goal {
            break;
        }
        held += counts[item as usize] as f64;
        tail[item as usize] = 0.0;
    }
    tail
}

/// The mean of a figure over the listed items; where the end of the list cuts a group of ties (`tie_ends`, ends ascending,
/// the last at or behind the cut), over its members with their probability of being listed.
pub(crate) fn mean(
    figures: &[f64],
    items: &[u32],
    cutoff: usize,
    tie_ends: Option<&[usize]>,
) -> f64 {
    let length = items.len().min(cutoff);
    if length == 0 {
        return 0.0;
    }
    let sum_of = |items: &[u32]| items.iter().map(|&item| figures[item as usize]).sum::<f64>();
    let whole = match tie_ends {
        None => length,
        Some(ends) => ends.iter().copied().take_while(|&end| end <= length).last().unwrap_or(0),
    };
    let mut sum = sum_of(&items[..whole]);
    if whole < length {
        let end = tie_ends.and_then(|ends| ends.iter().copied().find(|&end| end > length));
        let cut = &items[whole..end.unwrap_or(items.len())];
        sum += sum_of(cut) * (length - whole) as f64 / cut.len() as f64;
    }
    sum / length as f64
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn catalogue(counts: &[u64]) -> Catalogue {
        let ids: Vec<String> = (0..counts.len()).map(|item| format!("i{item}")).collect();
        Catalogue::new(ids).unwrap().with_exposures(counts.to_vec()).unwrap()
    }

    #[test]
    fn figures_by_hand() {
        let popularity = |items: &Catalogue| super::popularity(items, &Parameters::default());
        let tail = |items: &Catalogue, head| {
            super::tail(items, &Parameters { head, ..Parameters::default() })
        };
        let items = catalogue(&[5, 0, 2, 2, 0]);
        assert_eq!(popularity(&items), [1.0, 0.125, 0.625, 0.625, 0.125]);
        assert_eq!(popularity(&items).iter().sum::<f64>() / 5.0, 0.5);
        // (9 + 5) / (count + 1).
        let expected = [14.0 / 6.0, 14.0, 14.0 / 3.0, 14.0 / 3.0, 14.0].map(f64::log2);
        assert_eq!(novelty(&items, &Parameters::default()), expected);
        // 0.5 of 9 is 4.5: item 0 alone; 0.8 is 7.2: also i2 and i3; all of it: no item that was never shown.
        assert_eq!(tail(&items, 0.5), [0.0, 1.0, 1.0, 1.0, 1.0]);
        assert_eq!(tail(&items, 0.7), [0.0, 1.0, 0.0, 1.0, 1.0]);
        assert_eq!(tail(&items, 1.0), [0.0, 1.0, 0.0, 0.0, 1.0]);
        assert_eq!(popularity(&catalogue(&[7])), [0.5]);
        assert_eq!(tail(&catalogue(&[0, 0]), 0.8), [1.0, 1.0]);
    }

    #[test]
    fn means_over_the_listed_items() {
        let figures = [1.0, 2.0, 4.0, 8.0];
        assert_eq!(mean(&figures, &[3, 0, 1], 2, None), 4.5);
        assert_eq!(mean(&figures, &[3], 5, None), 8.0);
        assert_eq!(mean(&figures, &[], 5, None), 0.0);
        // 3, then one of 0, 1, 2 in random order.
        assert_eq!(mean(&figures, &[3, 0, 1, 2], 2, Some(&[1, 4])), (8.0 + 7.0 / 3.0) / 2.0);
        assert_eq!(mean(&figures, &[3, 0, 1, 2], 1, Some(&[1, 4])), 8.0);
        assert_eq!(mean(&figures, &[0, 1], 1, Some(&[2])), 1.5);
    }
}
