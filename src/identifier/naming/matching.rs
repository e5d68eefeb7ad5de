//! The assignment of items to codes of the least sum of costs (Jonker and Volgenant's shortest augmenting paths).

/// Last codes of the items of one prefix; there are at least as many codes as items.
pub(super) fn choose(_: &[u32], distances: &[Vec<f64>]) -> Vec<u32> {
    let (n_items, n_codes) = (distances.len(), distances.first().map_or(0, Vec::len));
    const NONE: usize = usize::MAX;
    let mut item_price = vec![0.0; n_items];
    let mut code_price = vec![0.0; n_codes];
    let mut item_of = vec![NONE; n_codes];
    for start in 0..n_items {
        // Dijkstra over reduced costs, from the item without a code to the nearest free code.
        let mut least = vec![f64::INFINITY; n_codes];
        let mut before = vec![NONE; n_codes];
        let mut is_done = vec![false; n_codes];
        let (mut item, mut length, mut last) = (start, 0.0, NONE);
        loop {
            let mut next = (f64::INFINITY, NONE);
            for code in (0..n_codes).filter(|&code| !is_done[code]) {
                let through = length + distances[item][code] - item_price[item] - code_price[code];
                if through < least[code] {
                    (least[code], before[code]) = (through, last);
                }
                if least[code] < next.0 {
                    next = (least[code], code);
                }
            }
            let (reached, code) = next;
            is_done[code] = true;
            (length, last) = (reached, code);
            if item_of[code] == NONE {
                break;
            }
            item = item_of[code];
        }
        item_price[start] += length;
        for code in (0..n_codes).filter(|&code| is_done[code] && code != last) {
            let slack = length - least[code];
            item_price[item_of[code]] += slack;
            code_price[code] -= slack;
        }
        // Every item on the way takes the code behind its own.
        while last != NONE {
            let previous = before[last];
            item_of[last] = if previous == NONE { start } else { item_of[previous] };
            last = previous;
        }
    }
    let mut chosen = vec![0; n_items];
    for (code, &item) in item_of.iter().enumerate().filter(|(_, item)| **item != NONE) {
        chosen[item] = code as u32;
    }
    chosen
}
