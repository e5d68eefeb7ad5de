//! Metrics against values that trec_eval gave (through pytrec_eval): `golden/make.py` made the cases.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use serde::Deserialize;
use trieval_eval::metric::Metric;
use trieval_eval::{Qrels, Run, Values, evaluate};

#[derive(Deserialize)]
struct Case {
    relevant_grade: f64,
    qrels: BTreeMap<String, BTreeMap<String, f64>>,
    run: BTreeMap<String, BTreeMap<String, f64>>,
    values: BTreeMap<String, BTreeMap<String, f64>>,
}

#[test]
fn values_equal_trec_eval() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("golden/trec_eval.json")).unwrap();
    let mut n_compared = 0;
    for (index, case) in cases.iter().enumerate() {
        let mut qrels = Qrels::builder();
        for (request, items) in &case.qrels {
            for (item, grade) in items {
                qrels.push(request, item, *grade).unwrap();
            }
        }
        let mut run = Run::builder("golden");
        for (request, items) in &case.run {
            run.push_list(request, items.iter().map(|(item, &score)| (item, score as f32)))
                .unwrap();
        }
        let (qrels, run) = (qrels.finish().unwrap(), run.finish().unwrap());
        let names: Vec<&String> = case.values.values().flat_map(BTreeMap::keys).collect();
        let mut metrics: Vec<Metric> = names.iter().map(|name| name.parse().unwrap()).collect();
        metrics.sort_by_key(ToString::to_string);
        metrics.dedup();
        if metrics.is_empty() {
            continue;
        }
        let scores = evaluate(&run, &qrels, &metrics, case.relevant_grade).unwrap();
        let columns: Vec<&Vec<f64>> = scores
            .columns
            .iter()
            .map(|column| match &column.values {
                Values::PerRequest(values) => values,
                Values::Pooled(_) => panic!("{} is pooled", column.metric),
            })
            .collect();
        for (request, expected) in &case.values {
            let at = scores.requests.iter().position(|one| one == request).unwrap();
            for (name, value) in expected {
                let metric: Metric = name.parse().unwrap();
                let row = metrics.iter().position(|one| *one == metric).unwrap();
                let got = columns[row][at];
                assert!(
                    (got - value).abs() < 1e-9,
                    "case {index}, {request}, {name}: {got} instead of {value}"
                );
                n_compared += 1;
            }
        }
        // Requests that the run lacks score 0 and are in the mean.
        for (at, request) in scores.requests.iter().enumerate() {
            if !case.values.contains_key(request) {
                assert!(!case.run.contains_key(request));
                assert!(columns.iter().all(|column| column[at] == 0.0));
            }
        }
    }
    assert!(n_compared > 1_000, "only {n_compared} values were compared");
}
