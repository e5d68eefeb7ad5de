//! Attention over trees against its definition.

use candle_core::{D, Device};

use super::*;
use crate::ops::testing::{assert_same_gradients, random};

/// Who sees whom, from the definition: `[tokens, tokens]`, 0 or −∞.
fn mask(packing: &Packing) -> Vec<Vec<f32>> {
    let n = packing.tokens();
    let mut mask = vec![vec![f32::NEG_INFINITY; n]; n];
    for tree in packing.iter() {
        for i in tree.prompt() {
            let end = if tree.is_causal() { i + 1 } else { tree.prompt().end };
            (tree.prompt().start..end).for_each(|j| mask[i][j] = 0.0);
        }
        for branch in tree.branches() {
            for i in branch.clone() {
                tree.prompt().chain(branch.start..i + 1).for_each(|j| mask[i][j] = 0.0);
            }
        }
    }
    mask
}

/// Textbook attention over all tokens with a mask, from candle's differentiable operations.
fn plain(v: &[Tensor], packing: &Packing, rows: Option<&[u32]>) -> Result<Tensor> {
    let (queries, heads, head_dim) = v[0].dims3()?;
    let (tokens, kv_heads, _) = v[1].dims3()?;
    let expand = |t: &Tensor| {
        let group = heads / kv_heads;
        t.unsqueeze(2)?
            .expand((tokens, kv_heads, group, head_dim))?
            .reshape((tokens, heads, head_dim))?
            .transpose(0, 1)?
            .contiguous()
    };
    let q = v[0].transpose(0, 1)?.contiguous()?;
    let (k, value) = (expand(&v[1])?, expand(&v[2])?);
    let all = mask(packing);
    let mask: Vec<f32> = match rows {
        None => all.concat(),
        Some(rows) => rows.iter().flat_map(|r| all[*r as usize].clone()).collect(),
    };
    let mask = Tensor::from_vec(mask, (1, queries, tokens), &Device::Cpu)?;
    let scores = (q.matmul(&k.t()?)? / (head_dim as f64).sqrt())?.broadcast_add(&mask)?;
    let out = candle_nn::ops::softmax(&scores, D::Minus1)?.matmul(&value)?;
    out.transpose(0, 1)?.contiguous()
}

fn inputs(queries: usize, tokens: usize, shape: (usize, usize, usize)) -> [Tensor; 3] {
    let (heads, kv_heads, head_dim) = shape;
    [
        random(&[queries, heads, head_dim], 1),
        random(&[tokens, kv_heads, head_dim], 2),
        random(&[tokens, kv_heads, head_dim], 3),
    ]
}

fn check(packing: &Packing, rows: Option<&[u32]>, shape: (usize, usize, usize)) {
    let tokens = packing.tokens();
    let inputs = inputs(rows.map_or(tokens, <[u32]>::len), tokens, shape);
    assert_same_gradients(
        &inputs,
        3e-5,
        |v| packed_attention(&v[0], &v[1], &v[2], packing, rows),
        |v| plain(v, packing, rows),
    );
}

#[test]
fn sequences_equal_masked_attention() {
    check(&Packing::uniform(1, 1), None, (1, 1, 2));
    check(&Packing::sequences([5, 0, 3, 7]), None, (4, 2, 6));
    check(&Packing::sequences([131]), None, (2, 2, 8));
    check(&Packing::uniform(17, 3), None, (4, 2, 5));
}

#[test]
fn bidirectional_sequences_equal_masked_attention() {
    check(&Packing::bidirectional([1]), None, (1, 1, 2));
    let mixed = Packing::bidirectional([5, 0, 3, 7]);
    check(&mixed, None, (4, 2, 6));
    check(&mixed, Some(&[0, 4, 6, 14]), (4, 2, 6));
    // Longer than a block of queries, and more sequences than are split by heads.
    check(&Packing::bidirectional([131]), None, (2, 2, 8));
    check(&Packing::bidirectional([3; 17]), None, (4, 2, 5));
}

#[test]
fn trees_equal_masked_attention() {
    let small = Packing::trees([(3, vec![2, 0, 1, 4]), (0, vec![2, 2]), (4, vec![])]);
    check(&small, None, (4, 2, 6));
    check(&small, Some(&[2, 4, 5, 9, 10, 13]), (4, 2, 6));
    check(&small, Some(&[15]), (2, 1, 3));
    // Branches that end within, at and beyond the end of a block of queries.
    let wide = Packing::trees([(70, vec![30, 34, 1, 80, 3]), (2, vec![1; 70])]);
    check(&wide, None, (2, 1, 4));
    let rows: Vec<u32> = (0..wide.tokens() as u32).filter(|r| r % 3 != 1).collect();
    check(&wide, Some(&rows), (2, 2, 4));
    let many = Packing::trees((0..20).map(|i| (i % 4, vec![i % 3, 2])));
    check(&many, None, (2, 2, 4));
}

#[test]
fn a_tree_gives_what_its_branches_give_apart() {
    let (prompt, lengths) = (9usize, [4usize, 1, 6]);
    let tree = Packing::trees([(prompt, lengths)]);
    let [q, k, v] = inputs(tree.tokens(), tree.tokens(), (4, 2, 8));
    let together = packed_attention(&q, &k, &v, &tree, None).unwrap();
    let mut start = prompt;
    for length in lengths {
        let part = |t: &Tensor| {
            let parts = [t.narrow(0, 0, prompt).unwrap(), t.narrow(0, start, length).unwrap()];
            Tensor::cat(&parts, 0).unwrap()
        };
        let alone = Packing::sequences([prompt + length]);
        let alone = packed_attention(&part(&q), &part(&k), &part(&v), &alone, None).unwrap();
        let difference = (alone - part(&together)).unwrap().abs().unwrap().max_all().unwrap();
        assert!(difference.to_scalar::<f32>().unwrap() < 1e-6);
        start += length;
    }
}

#[test]
fn threads_and_neighbors_do_not_change_a_bit() {
    let run = |threads: usize, packing: &Packing| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let [q, k, v] = inputs(packing.tokens(), packing.tokens(), (4, 2, 8))
            .map(|t| candle_core::Var::from_tensor(&t).unwrap());
        pool.install(|| {
            let out = packed_attention(&q, &k, &v, packing, None).unwrap();
            let store = out.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            [&q, &k, &v].map(|var| flat(store.get(var).unwrap()))
        })
    };
    let whole = |n: usize| Packing::bidirectional((0..n).map(|i| 70 + i));
    for n in [2, 20] {
        let one = run(1, &whole(n));
        assert!(one == run(2, &whole(n)) && one == run(3, &whole(n)));
        for (all, alone) in one.iter().zip(&run(1, &whole(1))) {
            assert!(all[..alone.len()] == alone[..]);
        }
    }
    for trees in [2, 20] {
        let packing = Packing::trees((0..trees).map(|i| (70 + i, vec![3, 5, 1, i])));
        let one = run(1, &packing);
        assert!(one == run(2, &packing) && one == run(3, &packing));
        // The first tree's gradient is the same when it is alone, in a task per head.
        let alone = run(1, &Packing::trees([(70, vec![3, 5, 1, 0])]));
        for (all, alone) in one.iter().zip(&alone) {
            assert!(all[..alone.len()] == alone[..]);
        }
    }
}

#[test]
fn misfits_are_named() {
    let (q, k) = (random(&[2, 3, 4], 1), random(&[2, 2, 4], 2));
    let two = Packing::sequences([2]);
    let text = |r: Result<Tensor>| r.unwrap_err().to_string();
    let told = text(packed_attention(&q, &k, &k, &two, None));
    assert!(told.contains("2 key-value heads do not divide 3 heads"), "{told}");
    let k = random(&[2, 1, 4], 2);
    let told = text(packed_attention(&q, &k, &k, &Packing::sequences([3]), None));
    assert!(told.contains("the packing has 3 tokens, k and v have 2"), "{told}");
    let told = text(packed_attention(&q, &k, &k, &two, Some(&[1])));
    assert!(told.contains("expected queries of 1 tokens, got 2"), "{told}");
    for rows in [[1, 1], [1, 0], [0, 2]] {
        let told = text(packed_attention(&q, &k, &k, &two, Some(&rows)));
        assert!(told.contains("rows must be ascending"), "{told}");
    }
}
