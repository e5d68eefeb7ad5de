//! The item nearest to a code keeps it; the others get the nearest code that is free, the nearest of them first.

/// Last codes of the items of one prefix; there are at least as many codes as items.
pub(super) fn choose(own: &[u32], distances: &[Vec<f64>]) -> Vec<u32> {
    let n_codes = distances.first().map_or(0, Vec::len);
    let distance = |item: usize| distances[item][own[item] as usize];
    let mut order: Vec<usize> = (0..own.len()).collect();
    order.sort_by(|&a, &b| distance(a).total_cmp(&distance(b)).then(a.cmp(&b)));
    let mut is_taken = vec![false; n_codes];
    let mut chosen = own.to_vec();
    let movers: Vec<usize> = order
        .into_iter()
        .filter(|&item| std::mem::replace(&mut is_taken[own[item] as usize], true))
        .collect();
    for item in movers {
        let free = (0..n_codes).filter(|&code| !is_taken[code]);
        // The smaller code where two are as near.
        let nearest = free.min_by(|&a, &b| distances[item][a].total_cmp(&distances[item][b]));
        if let Some(code) = nearest {
            is_taken[code] = true;
            chosen[item] = code as u32;
        }
    }
    chosen
}
