//! Checks of the recipe's name and of what is measured.

use trieval_eval::settings::{EvaluationSettings, LabelSource};
use trieval_eval::slice::SliceBy;

use super::components::check_named;
use super::metrics::{
    check_classes, check_metric, check_slice, cut_off, is_labelled, is_of_items,
    needs_probabilities, needs_vectors,
};
use super::{Checker, Part, Parts};
use crate::kind::{Fact, Family, Key, Role, Use};
use crate::quantizer::kinds::IdentifierSettings;
use crate::ranker::kinds::{Predicts, SystemKind};

use super::super::document::{Step, quoted};

pub(super) fn check(parts: &Parts, checker: &mut Checker<'_>) {
    recipe_name(parts, checker);
    evaluation(parts, checker);
    baseline(parts, checker);
}

fn baseline(parts: &Parts, checker: &mut Checker<'_>) {
    let Some(part) = &parts.evaluation else { return };
    let Some(baseline) = part.value.as_ref().and_then(|evaluation| evaluation.baseline.as_ref())
    else {
        return;
    };
    let used = Use::new(Family::System, baseline, Role::System(0), "baseline");
    check_named(&part.at(&["baseline"]), &used, parts, checker);
}

fn recipe_name(parts: &Parts, checker: &mut Checker<'_>) {
    let Some(part) = &parts.name else { return };
    let Some(name) = &part.value else { return };
    let legal = |character: char| {
        character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-'
    };
    if name.is_empty() || name.len() > 64 || !name.chars().all(legal) || name.starts_with('-') {
        let message = format!("`name` cannot be {}", quoted(name));
        let label = "lower-case letters, digits and `-` only, at most 64";
        checker.fault(&part.path, message, label, "the name becomes the name of run folders");
    }
}

fn evaluation(parts: &Parts, checker: &mut Checker<'_>) {
    let default = EvaluationSettings::default();
    let part = parts.evaluation.as_ref();
    let settings = match part {
        Some(part) => match &part.value {
            Some(settings) => settings,
            None => return,
        },
        None => &default,
    };
    if let Some(part) = part {
        metrics(part, settings, checker);
        if settings.answers.is_none() {
            probabilities(parts, part, settings, checker);
        }
        labels(parts, part, settings, checker);
        answers(parts, part, settings, checker);
        slices(parts, part, settings, checker);
        vectors_for_diversity(parts, part, settings, checker);
    }
    let corpus = parts.corpus.as_ref().and_then(|part| part.value.as_ref());
    let known = corpus.and_then(|corpus| corpus.it().grades());
    if let (Some(part), Some((grades, label))) = (part, known) {
        if settings.labels == LabelSource::Judgments {
            classes(part, settings, grades, checker);
        }
        // both lists of grades end with their highest
        let highest = grades.last().copied().unwrap_or(f64::INFINITY);
        if settings.relevant_grade > highest {
            let message = format!("no item can reach a grade of {}", settings.relevant_grade);
            let help = format!("set `evaluation.relevant_grade` to {highest} or less");
            checker.fault(&part.at(&["relevant_grade"]), message, label, &help);
        }
    }
    let deepest =
        settings.metrics.iter().filter_map(|metric| Some((cut_off(metric)?, metric))).max();
    let Some((deepest, metric)) = deepest else { return };
    for system in &parts.system {
        let Some(settings) = &system.value else { continue };
        let Some((most, key)) = settings.it().at_most().filter(|(most, _)| *most < deepest) else {
            continue;
        };
        let (mut path, mut words) = (system.path.clone(), Vec::new());
        for key in key {
            if let Key::Name(word) = key {
                path.push(Step::Key(word.clone()));
                words.push(word);
            }
        }
        let (name, label) = (settings.name(), format!("at most {most} items come back"));
        let message = format!("system `{name}` cannot fill {metric}");
        let help = format!(
            "set `system.{name}.{}` to {deepest} or more, or leave {metric} out",
            words.join(".")
        );
        checker.remark(&path, message, &label, &help);
    }
}

fn metrics(
    part: &Part<EvaluationSettings>,
    settings: &EvaluationSettings,
    checker: &mut Checker<'_>,
) {
    if settings.metrics.is_empty() {
        let path = part.at(&["metrics"]);
        checker.fault(
            &path,
            "no metric is asked for",
            "empty",
            "for instance [\"recall@10\", \"ndcg@10\"]",
        );
    }
    for (index, metric) in settings.metrics.iter().enumerate() {
        let mut path = part.at(&["metrics"]);
        path.push(Step::Index(index));
        if let Err(help) = check_metric(metric) {
            checker.fault(
                &path,
                format!("unknown metric {}", quoted(metric)),
                "not a metric",
                &help,
            );
        } else if settings.metrics[..index].contains(metric) {
            checker.fault(
                &path,
                format!("metric `{metric}` is asked for twice"),
                "second time",
                "remove one",
            );
        } else if cut_off(metric).is_some_and(|cut_off| cut_off > settings.depth) {
            let message = format!("{metric} looks deeper than systems rank");
            let label = format!("`evaluation.depth` is {}", settings.depth);
            let help =
                format!("raise `evaluation.depth` to {}", cut_off(metric).unwrap_or_default());
            checker.fault(&path, message, &label, &help);
        }
    }
    if settings.margin == Some(0.0) {
        let message = "a margin of 0 leaves nothing to be non-inferior by";
        checker.fault(&part.at(&["margin"]), message, "0", "give a positive loss, or leave it out");
    }
    if settings.requests == Some(0) {
        let message = "no test request is to be evaluated";
        checker.fault(&part.at(&["requests"]), message, "0", "leave it out to evaluate all");
    }
}

/// Metrics of probabilities, where a system gives none.
fn probabilities(
    parts: &Parts,
    part: &Part<EvaluationSettings>,
    settings: &EvaluationSettings,
    checker: &mut Checker<'_>,
) {
    let systems: Vec<&dyn SystemKind> =
        parts.system.iter().filter_map(|system| Some(system.value.as_ref()?.it())).collect();
    let Some(scores) = systems.iter().find(|one| !gives_probabilities(**one, &systems)) else {
        return;
    };
    for (index, metric) in settings.metrics.iter().enumerate() {
        if needs_probabilities(metric) {
            let path = [part.at(&["metrics"]), vec![Step::Index(index)]].concat();
            let name = scores.name();
            let message = format!("{metric} needs probabilities, and system `{name}` gives scores");
            let help = format!(
                "leave {metric} or system `{name}` out; predictions from anywhere are judged by \
                 `trieval eval`"
            );
            checker.fault(&path, message, "measured for every system", &help);
        }
    }
}

fn gives_probabilities(system: &dyn SystemKind, all: &[&dyn SystemKind]) -> bool {
    let mut current = system;
    // A checked recipe has no rings; the bound only keeps an unchecked one from hanging.
    for _ in 0..=all.len() {
        match current.predicts() {
            Predicts::Scores => return false,
            Predicts::Probabilities => return true,
            Predicts::As(name) => match all.iter().find(|one| one.name() == name) {
                Some(other) => current = *other,
                // The missing name is a fault of its own.
                None => return true,
            },
        }
    }
    true
}

/// Labels that nothing reads, or that the corpus does not have.
fn labels(
    parts: &Parts,
    part: &Part<EvaluationSettings>,
    settings: &EvaluationSettings,
    checker: &mut Checker<'_>,
) {
    let LabelSource::Impressions { signal, from } = &settings.labels else { return };
    if *from <= 0.0 {
        let message = "every shown item would be positive";
        let help = "set `from` above 0; a flag that is set is 1";
        checker.fault(&part.at(&["labels", "from"]), message, "0 or less", help);
    }
    if !settings.metrics.iter().any(|metric| is_labelled(metric)) {
        let message = "no metric of the recipe reads labels";
        let help = "ask for one, such as \"auc\", or leave `labels` out";
        checker.fault(&part.at(&["labels"]), message, "no use of labels", help);
    }
    let corpus = parts.corpus.as_ref().and_then(|part| part.value.as_ref());
    let facts = [Fact::Impressions, Fact::HeldOutImpressions, Fact::Signal(signal.clone())];
    let lack = corpus.and_then(|corpus| facts.iter().find_map(|fact| corpus.it().lack(fact)));
    if let Some(lack) = lack {
        let message = format!("labels cannot be read from `{signal}` of impressions");
        let help = match lack.help {
            "" => "name a signal that the corpus records, or leave `labels` out",
            help => help,
        };
        checker.fault(&part.at(&["labels"]), message, lack.why, help);
    }
}

/// Answers that are no column of items, and metrics that are of items.
fn answers(
    parts: &Parts,
    part: &Part<EvaluationSettings>,
    settings: &EvaluationSettings,
    checker: &mut Checker<'_>,
) {
    let Some(column) = &settings.answers else { return };
    let path = part.at(&["answers"]);
    if column.strip_prefix("item.").is_none_or(str::is_empty) {
        let message = format!("`{column}` cannot be what answers");
        let help = "name a column of items, such as \"item.category\"";
        checker.fault(&path, message, "no column of items", help);
        return;
    }
    let corpus = parts.corpus.as_ref().and_then(|part| part.value.as_ref());
    let lack = corpus.and_then(|corpus| corpus.it().lack(&Fact::Column(column.clone())));
    if let Some(lack) = lack {
        let message = format!("lists cannot be judged by `{column}`");
        let help = "name a column that the items have, or leave `answers` out";
        checker.fault(&path, message, lack.why, help);
    }
    for (index, metric) in settings.metrics.iter().enumerate() {
        if is_of_items(metric) {
            let path = [part.at(&["metrics"]), vec![Step::Index(index)]].concat();
            let message = format!("{metric} is measured on items, and `{column}` answers");
            let help = "ask for metrics of lists and judgments, or leave `evaluation.answers` out";
            checker.fault(&path, message, "a metric of items", help);
        }
    }
}

/// Metrics of two classes where the judgments of the corpus, `grades`, have only one.
fn classes(
    part: &Part<EvaluationSettings>,
    settings: &EvaluationSettings,
    grades: &[f64],
    checker: &mut Checker<'_>,
) {
    for (index, metric) in settings.metrics.iter().enumerate() {
        if let Err(help) = check_classes(metric, grades, settings.relevant_grade) {
            let path = [part.at(&["metrics"]), vec![Step::Index(index)]].concat();
            let message = format!("{metric} cannot be measured on this corpus");
            checker.fault(&path, message, "judged items are of one class", &help);
        }
    }
}

fn slices(
    parts: &Parts,
    part: &Part<EvaluationSettings>,
    settings: &EvaluationSettings,
    checker: &mut Checker<'_>,
) {
    for (index, by) in settings.slices.iter().enumerate() {
        let path = [part.at(&["slices"]), vec![Step::Index(index)]].concat();
        let code = match check_slice(by) {
            Ok(SliceBy::Code { identifier, level }) => Some((identifier, level)),
            Ok(_) => None,
            Err(help) => {
                let message = format!("unknown way to divide requests {}", quoted(by));
                checker.fault(&path, message, "not a slice", &help);
                continue;
            }
        };
        if settings.slices[..index].contains(by) {
            let message = format!("requests are divided by `{by}` twice");
            checker.fault(&path, message, "second time", "remove one");
        } else if let Some((identifier, level)) = code {
            let used = Use::new(Family::Identifier, &identifier, Role::Identifier(0), "slices");
            check_named(&path, &used, parts, checker);
            let named = |part: &&Part<IdentifierSettings>| part.name.as_ref() == Some(&identifier);
            let settings = parts.identifier.iter().find(named).and_then(|part| part.value.as_ref());
            let n_levels = settings.map(|settings| settings.it().known_levels().len());
            if let Some(n_levels) = n_levels.filter(|&n| (level as usize) > n) {
                let message = format!("identifier `{identifier}` has no level {level}");
                let help = match n_levels {
                    0 => "it is made of spans: name an identifier of codes".to_owned(),
                    _ => format!("name a level from 1 to {n_levels}"),
                };
                checker.fault(&path, message, "no such level", &help);
            }
        }
    }
}

/// Diversity is measured by item vectors, so the recipe must have some.
fn vectors_for_diversity(
    parts: &Parts,
    part: &Part<EvaluationSettings>,
    settings: &EvaluationSettings,
    checker: &mut Checker<'_>,
) {
    if !parts.vectors.is_empty() {
        return;
    }
    for (index, metric) in settings.metrics.iter().enumerate() {
        if needs_vectors(metric) {
            let path = [part.at(&["metrics"]), vec![Step::Index(index)]].concat();
            let message = format!("{metric} needs item vectors, and the recipe has none");
            let help = "add [vectors.NAME] and a system or identifier that uses it";
            checker.fault(&path, message, "measured by item vectors", help);
        }
    }
}
