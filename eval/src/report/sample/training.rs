//! The sample's trainings and identifier.

use std::collections::BTreeMap;

use crate::report::model::*;

pub(super) fn curve(name: &str, steps: u64, first: f64, last: f64) -> TrainingReport {
    let points = (1..=60)
        .map(|index| {
            let share = f64::from(index) / 60.0;
            let wave = (f64::from(index) * 2.3).sin() * 0.02 * first;
            let loss = last + (first - last) * (-4.0 * share).exp() + wave;
            let mut extra = BTreeMap::new();
            if index % 10 == 0 {
                extra.insert("validation_loss".to_owned(), loss * 1.08 + 0.05);
                extra.insert("accuracy".to_owned(), 0.5 + 0.4 * share);
            }
            TrainingPoint {
                step: steps * index as u64 / 60,
                loss: (index != 7).then_some(loss),
                learning_rate: Some(3e-4 * (1.0 - share)),
                extra,
            }
        })
        .collect();
    TrainingReport {
        name: name.to_owned(),
        objective: if name == "aligned" { "preference" } else { "supervised" }.to_owned(),
        steps,
        seconds: Some(93.4),
        parameters: Some(1_310_720),
        diverged: false,
        health: Some(Health {
            course: if name == "aligned" { Course::Doubtful } else { Course::Healthy },
            sentences: vec![format!("The loss fell from {first:.2} to {last:.2}.")],
        }),
        pairs: (name == "aligned").then(pairs),
        points,
    }
}

fn pairs() -> PairsReport {
    let pair = |query: &str, chosen: &str, rejected: &str, weight| PairReport {
        query: Some(query.to_owned()),
        chosen: chosen.to_owned(),
        rejected: rejected.to_owned(),
        reason: "clicked at position 4; the other shown at position 1 and passed over".to_owned(),
        weight,
    };
    PairsReport {
        pairs: 12_408,
        groups: 12_408,
        reasons: [("shown above the chosen one and passed over".to_owned(), 12_408)].into(),
        levels: [("clicked".to_owned(), 11_902), ("ordered".to_owned(), 506)].into(),
        weights: Some([0.25, 1.9, 10.0]),
        clipped: 731,
        exponent: Some(0.98),
        examined: (1..=20).map(|position| f64::from(position).powf(-0.98)).collect(),
        sentences: vec!["12,408 pairs in 12,408 groups.".to_owned()],
        sample: vec![
            pair("oak desk", "Oak writing desk, 120 cm", "Desk lamp in brass", 4.0),
            pair("blue <b>couch</b>", "Velvet sofa, blue", "Couch cover & cushions", 2.5),
        ],
    }
}

pub(super) fn identifier() -> IdentifierReport {
    let level = |used: u64, steepness: f64, collision_rate: f64| {
        let usage: Vec<u64> = (0..64)
            .map(|code| {
                if code < used { (160.0 * (-steepness * code as f64).exp()) as u64 + 1 } else { 0 }
            })
            .collect();
        let total: u64 = usage.iter().sum();
        let entropy_bits: f64 = usage
            .iter()
            .filter(|&&count| count > 0)
            .map(|&count| count as f64 / total as f64)
            .map(|share| -share * share.log2())
            .sum();
        LevelReport {
            codes: 64,
            used,
            entropy_bits,
            normalized_entropy: entropy_bits / 6.0,
            gini: 0.3 + steepness * 4.0,
            collision_rate: Some(collision_rate),
            targets: Some(TargetsReport {
                normalized_entropy: 0.61,
                gini: 0.72,
                top_1_share: 0.09,
                top_10_share: Some(0.47),
                used: Some(used),
                deviation: Some(41.2),
            }),
            deviation: Some(38.5),
            top_1_share: Some(0.07),
            top_10_share: Some(0.41),
            prefixes: Some(64 * used),
            fan_out: Some(used as f64 / 2.0),
            usage,
        }
    };
    IdentifierReport {
        name: "sid".to_owned(),
        kind: "residual-k-means".to_owned(),
        items: 2_400,
        fitted: Some(2_260),
        distinct: Some(2_312),
        collision_rate: Some(0.068),
        largest_group: Some(5),
        index_bytes: Some(38_912),
        distortion: Some(0.182),
        path_density: Some(0.0088),
        together: Some(TogetherReport {
            pairs: 10_000,
            shared: vec![0.41, 0.19, 0.07],
            by_chance: vec![0.06, 0.01, 0.001],
        }),
        outcome: Some(OutcomeReport {
            collisions: "nearest".to_owned(),
            removed: None,
            collision_rate: 0.037,
            moved: 88,
            leaves: 2_400,
            most_items_per_leaf: 1,
            distortion: Some(0.191),
        }),
        levels: vec![level(64, 0.02, 1.0), level(22, 0.11, 0.71), level(61, 0.03, 0.068)],
        spans: Vec::new(),
        ceiling: Some(CeilingReport {
            metric: "recall@10".to_owned(),
            beam: 50,
            requests: 1_000,
            exact: 0.512,
            codes: 0.384,
            ranked: 0.471,
        }),
        findings: vec!["hourglass: level 2 uses 22 of 64 codes".to_owned()],
    }
}

/// Spans in the tokens of two models.
pub(super) fn spans() -> IdentifierReport {
    let small = SpansReport {
        model: "small".to_owned(),
        views: ["spans", "title", "brand"].map(str::to_owned).to_vec(),
        longest: 10,
        items: 2_397,
        silent: 3,
        texts: 4_612,
        tokens: 21_480,
        index_bytes: 212_652,
    };
    let pretrained = SpansReport { model: "<qwen>".to_owned(), tokens: 19_022, ..small.clone() };
    IdentifierReport {
        name: "spans".to_owned(),
        kind: "spans".to_owned(),
        items: 2_397,
        index_bytes: Some(425_304),
        spans: vec![small, pretrained],
        findings: vec![
            "small: 3 items have no text that becomes a token: no span finds them".to_owned(),
        ],
        ..IdentifierReport::default()
    }
}
