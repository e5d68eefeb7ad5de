//! Values of all metrics: by hand, and in expectation over ties against all permutations.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::judged::JudgedList;
use super::{Basis, DEFINITIONS, Metric};

fn metric(name: &str) -> Metric {
    name.parse().unwrap()
}

/// A metric of grades on one list; none for any other.
fn of_grades(
    metric: &Metric,
    list: &JudgedList<'_>,
    relevant_grade: f64,
    highest: f64,
) -> Option<f64> {
    match metric.definition().basis {
        Basis::Grades(value) => Some(value(list, &metric.asked(relevant_grade, highest))),
        Basis::Figures(_) | Basis::Vectors(_) | Basis::Lists(_) | Basis::Labelled(_) => None,
    }
}

fn value(name: &str, ranked: &[Option<f64>], ideal: &[f64]) -> f64 {
    let list = JudgedList { ranked, ideal, tie_ends: None };
    of_grades(&metric(name), &list, 1.0, 4.0).unwrap()
}

fn assert_close(name: &str, value: f64, expected: f64) {
    assert!((value - expected).abs() < 1e-12, "{name}: {value} instead of {expected}");
}

#[test]
fn values_by_hand() {
    // Grades 3 2 1 are relevant, 0 0 are judged not, −1 was pooled. The list: 1, unjudged, 0, 3, −1, 0.
    let ideal = [3.0, 2.0, 1.0, 0.0, 0.0, -1.0];
    let ranked = [Some(1.0), None, Some(0.0), Some(3.0), Some(-1.0), Some(0.0)];
    let log = |rank: f64| (rank + 1.0).log2();
    let best = 3.0 + 2.0 / log(2.0) + 1.0 / log(3.0);
    let stop = |grade: f64| (grade.exp2() - 1.0) / 16.0;
    for (name, expected) in [
        ("recall@2", 1.0 / 3.0),
        ("recall@100", 2.0 / 3.0),
        ("recall", 2.0 / 3.0),
        ("recall(rel=2)@100", 0.5),
        ("recall(rel=5)", 0.0),
        ("precision@3", 1.0 / 3.0),
        ("precision@10", 0.2),
        ("precision", 2.0 / 6.0),
        ("p(rel=2)@4", 0.25),
        ("f1", 4.0 / 9.0),
        ("f1@10", 4.0 / 13.0),
        ("f1(rel=5)@10", 0.0),
        ("hit_rate@1", 1.0),
        ("success(rel=2)@3", 0.0),
        ("success(rel=2)@4", 1.0),
        ("mrr", 1.0),
        ("mrr(rel=2)", 0.25),
        ("mrr(rel=2)@3", 0.0),
        ("ap", (1.0 + 2.0 / 4.0) / 3.0),
        ("ap@2", 1.0 / 3.0),
        ("rprec", 1.0 / 3.0),
        ("rprec(rel=3)", 0.0),
        // One of two not relevant items stands above grade 3.
        ("bpref", (1.0 + 0.5) / 3.0),
        // R = 1 (grade 3), N = 4, one relevant with two above: min(2, 1) / min(4, 1).
        ("bpref(rel=3)", 0.0),
        ("ndcg", (1.0 + 3.0 / log(4.0)) / best),
        ("ndcg@2", 1.0 / (3.0 + 2.0 / log(2.0))),
        ("ndcg(rel=2)@4", 3.0 / log(4.0) / (3.0 + 2.0 / log(2.0))),
        ("ndcg(gain=exp)@4", (1.0 + 7.0 / log(4.0)) / (7.0 + 3.0 / log(2.0) + 1.0 / log(3.0))),
        ("rbp(p=0.5)", 0.5 * (1.0 + 0.125)),
        ("rbp(p=0.5)@3", 0.5),
        ("rbp", 0.2 * (1.0 + 0.8_f64.powi(3))),
        ("err", stop(1.0) + (1.0 - stop(1.0)) * stop(3.0) / 4.0),
        ("err@3", stop(1.0)),
        ("err(max=3)@1", 1.0 / 8.0),
        ("iprec@0", 1.0),
        ("iprec@0.4", 0.5),
        ("iprec@0.5", 0.5),
        ("iprec@1", 0.0),
    ] {
        assert_close(name, value(name, &ranked, &ideal), expected);
    }
}

#[test]
fn an_empty_list_scores_0_everywhere() {
    for definition in DEFINITIONS.iter().filter(|one| one.name != "iprec") {
        for suffix in ["", "@3"] {
            let Ok(metric) = format!("{}{suffix}", definition.name).parse::<Metric>() else {
                continue;
            };
            for tie_ends in [None, Some(&[][..])] {
                let list = JudgedList { ranked: &[], ideal: &[2.0, 0.0], tie_ends };
                let value = of_grades(&metric, &list, 1.0, 2.0);
                assert!(value.is_none_or(|value| value == 0.0), "{metric}");
            }
        }
    }
}

#[test]
fn large_grades_do_not_overflow_err() {
    assert_close("err", value("err(max=5000)", &[None, Some(5000.0)], &[5000.0]), 0.5);
}

/// All orders of `0..n`.
fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for one in permutations(n - 1) {
        for at in 0..n {
            let mut longer = one.clone();
            longer.insert(at, n - 1);
            all.push(longer);
        }
    }
    all
}

/// The mean over all orders within the groups.
fn mean_over_orders(metric: &Metric, ranked: &[Option<f64>], ideal: &[f64], ends: &[usize]) -> f64 {
    let mut lists = vec![Vec::new()];
    let mut start = 0;
    for &end in ends {
        let group = &ranked[start..end];
        lists = lists
            .iter()
            .flat_map(|list: &Vec<Option<f64>>| {
                permutations(group.len()).into_iter().map(move |order| {
                    list.iter().copied().chain(order.into_iter().map(|at| group[at])).collect()
                })
            })
            .collect();
        start = end;
    }
    let of = |ranked: &Vec<Option<f64>>| {
        of_grades(metric, &JudgedList { ranked, ideal, tie_ends: None }, 1.0, 3.0).unwrap()
    };
    lists.iter().map(of).sum::<f64>() / lists.len() as f64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn expectations_equal_the_mean_over_all_orders(
        sizes in prop::collection::vec(1_usize..5, 1..4),
        grades in prop::collection::vec(prop::option::of(-1_i8..4), 12),
        missed in prop::collection::vec(-1_i8..4, 0..4),
        cutoff in 1_u32..9,
    ) {
        let n: usize = sizes.iter().sum();
        let ranked: Vec<Option<f64>> = grades[..n].iter().map(|one| one.map(f64::from)).collect();
        let mut ideal: Vec<f64> = ranked.iter().flatten().copied().collect();
        ideal.extend(missed.iter().map(|&grade| f64::from(grade)));
        ideal.sort_unstable_by(|left, right| right.total_cmp(left));
        let ends: Vec<usize> = sizes.iter().scan(0, |end, size| { *end += size; Some(*end) }).collect();
        for definition in DEFINITIONS {
            for text in [
                definition.name.to_owned(),
                format!("{}@{cutoff}", definition.name),
                format!("{}(rel=2)@{cutoff}", definition.name),
            ] {
                let Ok(metric) = text.parse::<Metric>() else { continue };
                if !metric.expects_ties() {
                    continue;
                }
                let list = JudgedList { ranked: &ranked, ideal: &ideal, tie_ends: Some(&ends) };
                let Some(value) = of_grades(&metric, &list, 1.0, 3.0) else { continue };
                let expected = mean_over_orders(&metric, &ranked, &ideal, &ends);
                prop_assert!((value - expected).abs() < 1e-12, "{metric}: {value} instead of {expected}");
            }
        }
    }
}

#[test]
fn a_constant_scorer_scores_chance() {
    // 100 items, 5 relevant, all tied.
    let mut ranked = vec![None; 100];
    (0..5).for_each(|at| ranked[at] = Some(1.0));
    let ideal = [1.0; 5];
    let list = JudgedList { ranked: &ranked, ideal: &ideal, tie_ends: Some(&[100]) };
    let of = |name: &str| of_grades(&metric(name), &list, 1.0, 1.0).unwrap();
    assert_close("precision", of("precision@10"), 0.05);
    assert_close("recall", of("recall@10"), 0.1);
    let missed: f64 = (0..10).map(|at| f64::from(95 - at) / f64::from(100 - at)).product();
    assert_close("hit_rate", of("hit_rate@10"), 1.0 - missed);
    assert!(of("mrr") > 0.1 && of("mrr") < 0.2, "{}", of("mrr"));
}
