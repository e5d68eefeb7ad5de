//! Metrics against values that trec_eval gave (through pytrec_eval) for 1,000 random runs and judgments: ties, scores that
//! differ below `f32`, missing requests, items without judgment, zero and negative grades. `golden/make.py` made the values.

#![allow(clippy::unwrap_used)]

use std::io::Read;

use trieval_eval::metric::{Metric, parse_metrics};
use trieval_eval::{Qrels, Run, Values, evaluate};

const CASES: usize = 1_000;
const MEASURES: [&str; 25] = [
    "ndcg",
    "ndcg_cut_1",
    "ndcg_cut_5",
    "ndcg_cut_10",
    "map",
    "map_cut_3",
    "map_cut_10",
    "recall_2",
    "recall_10",
    "P_3",
    "P_10",
    "recip_rank",
    "success_1",
    "success_5",
    "Rprec",
    "bpref",
    "iprec_at_recall_0.00",
    "iprec_at_recall_0.10",
    "iprec_at_recall_0.30",
    "iprec_at_recall_0.50",
    "iprec_at_recall_0.70",
    "iprec_at_recall_1.00",
    "set_F",
    "set_P",
    "set_recall",
];
const GRADES: [f64; 9] = [-2.0, -1.0, 0.0, 0.0, 1.0, 1.0, 2.0, 3.0, 4.0];
const SCORES: [f64; 9] =
    [0.1, 0.10000000000000002, 0.1000000001, 0.5, 1.0, 2.25, -3.0, 16777216.0, 16777217.0];

/// The generator of `make.py`.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// The cases of `make.py`, draw by draw.
fn case(draw: &mut Draw, number: usize) -> (f64, Qrels, Run) {
    let level = if number % 3 == 2 { 2.0 } else { 1.0 };
    let (mut qrels, mut run) = (Qrels::builder(), Run::builder("golden"));
    let n_requests = 1 + draw.below(3);
    let n_items = 3 + draw.below(20);
    for request in 0..n_requests {
        let request = format!("q{request}");
        for item in 0..n_items {
            if draw.below(100) < 60 {
                let grade = GRADES[draw.below(9) as usize];
                qrels.push(&request, &format!("d{item}"), grade).unwrap();
            }
        }
        if draw.below(100) < 85 {
            for item in 0..n_items + 4 {
                if draw.below(100) < 70 {
                    let score = SCORES[draw.below(9) as usize];
                    run.push(&request, &format!("d{item}"), score as f32).unwrap();
                }
            }
        }
    }
    (level, qrels.finish().unwrap(), run.finish().unwrap())
}

/// Our spelling under a level: trec_eval's does not reach its ndcg.
fn metrics(level: f64) -> Vec<Metric> {
    let names: Vec<String> = MEASURES
        .iter()
        .map(|name| match name.strip_prefix("ndcg") {
            Some("") if level > 1.0 => "ndcg(rel=1)".to_owned(),
            Some(cut) if level > 1.0 => format!("ndcg(rel=1)@{}", cut.trim_start_matches("_cut_")),
            _ => (*name).to_owned(),
        })
        .collect();
    parse_metrics(&names).unwrap()
}

#[test]
fn values_equal_trec_eval() {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(&include_bytes!("golden/trec_eval.bin.gz")[..])
        .read_to_end(&mut bytes)
        .unwrap();
    let mut values =
        bytes.chunks_exact(8).map(|eight| f64::from_le_bytes(eight.try_into().unwrap()));
    let mut draw = Draw(20_240_607);
    let mut n_compared = 0;
    for number in 0..CASES {
        let (level, qrels, run) = case(&mut draw, number);
        // Without a relevant item there is nothing to evaluate.
        let Ok(scores) = evaluate(&run, &qrels, &metrics(level), level) else { continue };
        for (at, request) in scores.requests.iter().enumerate() {
            for (column, measure) in scores.columns.iter().zip(MEASURES) {
                let Values::PerRequest(ours) = &column.values else { panic!("{measure}") };
                if run.get(request).is_none() {
                    // trec_eval leaves it out; here it scores 0 and is in the mean.
                    assert_eq!(ours[at], 0.0, "case {number}, {request}, {measure}");
                    continue;
                }
                let theirs = values.next().unwrap();
                assert!(
                    (ours[at] - theirs).abs() < 1e-9,
                    "case {number}, {request}, {measure}: {} instead of {theirs}",
                    ours[at]
                );
                n_compared += 1;
            }
        }
    }
    assert_eq!(values.next(), None);
    assert!(n_compared > 30_000, "only {n_compared} values were compared");
}
