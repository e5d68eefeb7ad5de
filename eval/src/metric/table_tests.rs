//! Laws of the table of metrics, held for every row: it reads back, is computed by the judge that
//! its basis names, refuses what it cannot be computed from, and is better where the answers are.

#![allow(clippy::unwrap_used)]

use super::{
    Basis, Better, Catalogue, Cutoff, DEFINITIONS, Definition, Metric, Needs, OptionKey, UnderTies,
};
use crate::settings::Ties;
use crate::{Options, Qrels, Run, SystemScores, evaluate_all, labelled};

/// The row with a cutoff where it takes one.
fn metric(row: &Definition, options: &str) -> Metric {
    let cutoff = match row.cutoff {
        Cutoff::Required | Cutoff::Optional => "@3",
        Cutoff::Recall => "@0.5",
        Cutoff::Never => "",
    };
    let text = format!("{}{options}{cutoff}", row.name);
    text.parse().unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

/// A value of an option that is not its default.
fn sample(key: OptionKey) -> &'static str {
    match key {
        OptionKey::Relevant => "2",
        OptionKey::Gain => "exp",
        OptionKey::Persistence => "0.3",
        OptionKey::Highest => "7",
        OptionKey::Head => "0.5",
        OptionKey::Weight => "users",
        OptionKey::Bins => "4",
        OptionKey::Mass => "equal",
        OptionKey::Pair => "2:1",
        OptionKey::Levels => "1:2.5",
    }
}

/// Grades 3, 1 and 0 of items a, b and c; d is not judged. `scores` are of a, b, c and d.
fn judged(scores: [f32; 4]) -> (Qrels, Run) {
    let (mut qrels, mut run) = (Qrels::builder(), Run::builder("run"));
    for request in ["p", "q"] {
        for (item, grade) in [("a", 3.0), ("b", 1.0), ("c", 0.0)] {
            qrels.push(request, item, grade).unwrap();
        }
        run.push_list(request, ["a", "b", "c", "d"].into_iter().zip(scores)).unwrap();
    }
    (qrels.finish().unwrap(), run.finish().unwrap())
}

/// Ids and whatever `needs` says.
fn catalogue(needs: Needs) -> Option<Catalogue> {
    let ids = || Catalogue::new(["a", "b", "c", "d", "e"]).unwrap();
    match needs {
        Needs::Nothing => None,
        Needs::Items => Some(ids()),
        Needs::Exposures => Some(ids().with_exposures(vec![9, 5, 1, 3, 0]).unwrap()),
        Needs::Vectors => {
            let vectors = vec![1.0, 0.0, 0.0, 1.0, -1.0, 0.5, 0.2, 0.7, 0.0, -1.0];
            Some(ids().with_vectors(vectors, 2).unwrap())
        }
    }
}

/// Computed as its row says: lists by `evaluate_all`, labelled predictions by `labelled::evaluate`.
fn scores(metric: Metric, scores: [f32; 4]) -> SystemScores {
    let (qrels, run) = judged(scores);
    if metric.labelled().is_some() {
        return labelled::evaluate(&run, &qrels, &[metric], 1.0).unwrap();
    }
    let catalogue = catalogue(metric.needs());
    let options = Options { catalogue: catalogue.as_ref(), ..Options::default() };
    evaluate_all(&[run], &qrels, &[metric], &options).unwrap().remove(0)
}

#[test]
fn every_row_reads_back_under_every_name_and_option() {
    for row in DEFINITIONS {
        let plain = metric(row, "");
        assert_eq!(plain.to_string().parse::<Metric>().unwrap(), plain);
        assert_eq!((plain.definition().name, plain.better()), (row.name, row.better));
        for &alias in row.aliases {
            assert_eq!(metric(&Definition { name: alias, ..*row }, ""), plain);
        }
        for &key in row.options {
            let set = metric(row, &format!("({}={})", key.name(), sample(key)));
            assert!(set != plain && set.to_string() != plain.to_string(), "{set}");
            assert!(set.to_string().contains(&format!("{}={}", key.name(), sample(key))), "{set}");
            assert_eq!(set.to_string().parse::<Metric>().unwrap(), set);
        }
    }
}

#[test]
fn every_row_is_computed_by_its_judge_and_carries_its_direction() {
    for row in DEFINITIONS {
        let metric = metric(row, "");
        let found = scores(metric, [0.8, 0.5, 0.6, 0.2]);
        let [column] = &found.columns[..] else { panic!("one column") };
        assert_eq!((&column.metric, column.better), (&metric.to_string(), row.better));
        // A metric that nothing computes would be 0 everywhere.
        assert!(column.value.is_finite() && column.value != 0.0, "{metric}: {}", column.value);

        let (qrels, run) = judged([0.8, 0.5, 0.6, 0.2]);
        if metric.labelled().is_some() {
            let options = Options::default();
            let fault = evaluate_all(&[run], &qrels, &[metric], &options).unwrap_err();
            assert!(fault.to_string().contains("labelled::evaluate"), "{fault}");
        } else {
            let fault = labelled::evaluate(&run, &qrels, &[metric], 1.0).unwrap_err();
            assert!(fault.to_string().contains("a metric of lists"), "{fault}");
        }
    }
}

#[test]
fn every_row_is_refused_without_what_it_needs() {
    let all = [Needs::Nothing, Needs::Items, Needs::Exposures, Needs::Vectors];
    for row in DEFINITIONS.iter().filter(|row| row.basis.labelled().is_none()) {
        let metric = metric(row, "");
        for given in all {
            let (qrels, run) = judged([0.8, 0.5, 0.6, 0.2]);
            let catalogue = catalogue(given);
            let options = Options { catalogue: catalogue.as_ref(), ..Options::default() };
            let found = evaluate_all(&[run], &qrels, &[metric], &options);
            let suffices = match metric.needs() {
                Needs::Nothing => true,
                Needs::Items => given != Needs::Nothing,
                needs @ (Needs::Exposures | Needs::Vectors) => given == needs,
            };
            assert_eq!(found.is_ok(), suffices, "{metric} with {}", given.advice());
            if let Err(fault) = found {
                assert!(fault.to_string().contains(metric.needs().advice()), "{fault}");
            }
        }
    }
}

#[test]
fn ties_in_random_order_are_refused_by_the_rows_that_say_so() {
    for row in DEFINITIONS.iter().filter(|row| row.basis.labelled().is_none()) {
        let metric = metric(row, "");
        let (qrels, run) = judged([0.5; 4]);
        let catalogue = catalogue(metric.needs());
        let catalogue = catalogue.as_ref();
        let options = Options { ties: Ties::Expected, catalogue, ..Options::default() };
        let found = evaluate_all(&[run], &qrels, &[metric], &options);
        assert_eq!(found.is_ok(), row.under_ties == UnderTies::Expected, "{metric}");
        // What looks at items of one list, or at all lists, knows no groups of ties.
        if matches!(row.basis, Basis::Vectors(_) | Basis::Lists(_)) {
            assert_eq!(row.under_ties, UnderTies::RuleOnly, "{metric}");
        }
    }
}

#[test]
fn answers_in_the_order_of_their_grades_are_better_than_in_reverse() {
    for row in DEFINITIONS {
        let metric = metric(row, "");
        // What is about the catalogue has no better order of answers.
        if metric.needs() != Needs::Nothing {
            continue;
        }
        let right = scores(metric, [1.0, 0.9, 0.1, 0.0]).columns[0].value;
        let wrong = scores(metric, [0.1, 0.0, 0.9, 1.0]).columns[0].value;
        // Three places hold the same two relevant items of three in either order.
        let blind = matches!(row.name, "hit_rate" | "success");
        assert!(row.better.is_better(right, wrong) || blind, "{metric}: {right} and {wrong}");
        assert!(!row.better.is_better(wrong, right), "{metric}: {right} and {wrong}");
    }
}

#[test]
fn what_measures_errors_and_concentration_is_better_low() {
    let low: Vec<&str> =
        DEFINITIONS.iter().filter(|row| row.better == Better::Lower).map(|row| row.name).collect();
    assert_eq!(low, ["gini", "popularity", "log_loss", "ece", "rmse"]);
}
