//! Checks of the systems that count or match words: what they need of the corpus, and what is tuned.

use trieval_eval::settings::EvaluatedSplit;

use super::metrics::{check_tuned, cut_off};
use super::{Checker, Part, Parts};
use crate::corpus::settings::CorpusSettings;
use crate::ranker::settings::{Bm25Settings, Bm25Tuning, PopularitySettings, SystemSettings};

use super::super::document::{Step, quoted};

pub(super) fn check(parts: &Parts, checker: &mut Checker<'_>) {
    let corpus = parts.corpus.as_ref().and_then(|part| part.value.as_ref());
    for part in &parts.system {
        let Some(settings) = &part.value else { continue };
        match settings {
            SystemSettings::Popularity(popularity) => days(part, popularity, corpus, checker),
            SystemSettings::ItemCf(_) | SystemSettings::ItemKnn(_) | SystemSettings::Sasrec(_) => {
                history(part, settings, corpus, checker);
            }
            SystemSettings::Bm25(bm25) => constants(part, bm25, checker),
            _ => {}
        }
        if let Some(metric) = settings.tuned_for() {
            tuned(part, settings, metric, parts, checker);
        }
    }
}

/// Windows and decays need days, which only some sources have.
fn days(
    part: &Part<SystemSettings>,
    popularity: &PopularitySettings,
    corpus: Option<&CorpusSettings>,
    checker: &mut Checker<'_>,
) {
    if !matches!(corpus, Some(CorpusSettings::JudgedPairs(_) | CorpusSettings::Sequences(_))) {
        return;
    }
    for (key, given) in
        [("days", popularity.days.is_some()), ("half_life", popularity.half_life.is_some())]
    {
        if given {
            let message =
                format!("system `{}` looks at days, but the corpus has none", popularity.name);
            let help = format!("leave `{key}` out: judged pairs and sequences carry no time");
            checker.fault(&part.at(&[key]), message, "needs days", &help);
        }
    }
}

/// Systems that learn what is chosen after what are asked with a history.
fn history(
    part: &Part<SystemSettings>,
    settings: &SystemSettings,
    corpus: Option<&CorpusSettings>,
    checker: &mut Checker<'_>,
) {
    let help = match corpus {
        Some(CorpusSettings::Simulator(shop)) if shop.history == 0 => {
            "let requests carry their user's clicks: raise `corpus.history` above 0"
        }
        Some(CorpusSettings::JudgedPairs(_)) => {
            "judged pairs have queries and no users: remove the system"
        }
        _ => return,
    };
    let message = format!(
        "system `{}` of kind {} answers histories, but requests of this corpus have none",
        settings.name(),
        settings.kind()
    );
    checker.fault(&part.at(&["kind"]), message, "nothing to start from", help);
}

/// Fields named twice, and a grid that is empty, too large or in vain.
fn constants(part: &Part<SystemSettings>, bm25: &Bm25Settings, checker: &mut Checker<'_>) {
    for (index, field) in bm25.fields.iter().enumerate() {
        if bm25.fields[..index].iter().any(|other| other.field == field.field) {
            let mut path = part.at(&["fields"]);
            path.extend([Step::Index(index), Step::Key("field".into())]);
            let message = format!("field {} is searched twice", quoted(&field.field));
            checker.fault(&path, message, "second time", "remove one, or raise its weight");
        }
    }
    if !bm25.fields.is_empty() && bm25.fields.iter().all(|field| field.weight == 0.0) {
        let help = "give at least one field a weight above 0";
        let message = format!("system `{}` searches no field", bm25.name);
        checker.fault(&part.at(&["fields"]), message, "all weights are 0", help);
    }
    if let Some(tune) = &bm25.tune {
        grid(part, bm25, tune, checker);
    }
}

fn grid(
    part: &Part<SystemSettings>,
    bm25: &Bm25Settings,
    tune: &Bm25Tuning,
    checker: &mut Checker<'_>,
) {
    for (key, values, most) in [("k1", &tune.k1, 100.0), ("b", &tune.b, 1.0)] {
        let path = part.at(&["tune", key]);
        let dotted = checker.document.dotted(&path);
        if values.is_empty() {
            let help = "give the values to try, or leave the key out";
            checker.fault(&path, format!("`{dotted}` is empty"), "nothing to try", help);
        }
        if let Some(bad) = values.iter().find(|value| !(0.0..=most).contains(*value)) {
            let message = format!("`{dotted}` is out of range: {bad}");
            checker.fault(&path, message, &format!("expected numbers from 0 to {most}"), "");
        }
    }
    let n_settings = tune.k1.len() * tune.b.len();
    if n_settings > tune.budget as usize {
        let message = format!("the grid of system `{}` is larger than its budget", bm25.name);
        let label = format!("{n_settings} settings, of {} at most", tune.budget);
        let help = "shorten `k1` or `b`, or raise `budget`";
        let path = part.at(&["tune", "budget"]);
        let given = checker.document.node(&path).is_some();
        let path = if given { path } else { part.at(&["tune"]) };
        checker.fault(&path, message, &label, help);
    }
    let fixed = !bm25.fields.is_empty() && bm25.fields.iter().all(|field| field.b.is_some());
    if fixed && tune.b.len() > 1 {
        let message = format!("system `{}` would try values of `b` that nothing reads", bm25.name);
        let help = "take `b` out of one field, or set tune.b to a single value";
        let label = "every field has a `b` of its own";
        checker.fault(&part.at(&["tune"]), message, label, help);
    }
}

/// The metric that something is tuned for, and the requests that it is tuned on.
fn tuned(
    part: &Part<SystemSettings>,
    settings: &SystemSettings,
    metric: &str,
    parts: &Parts,
    checker: &mut Checker<'_>,
) {
    let (path, what) = match settings {
        SystemSettings::Bm25(_) => (part.at(&["tune", "metric"]), "constants"),
        _ => (part.at(&["tune"]), "weights"),
    };
    if let Err(help) = check_tuned(metric) {
        let message = format!("{what} cannot be tuned for {}", quoted(metric));
        checker.fault(&path, message, "not such a metric", &help);
    }
    let evaluation = parts.evaluation.as_ref().and_then(|part| part.value.as_ref());
    let Some(evaluation) = evaluation else { return };
    if let Some(deeper) = cut_off(metric).filter(|&cut_off| cut_off > evaluation.depth) {
        let message = format!("{metric} looks deeper than systems rank");
        let label = format!("`evaluation.depth` is {}", evaluation.depth);
        let help = format!("raise `evaluation.depth` to {deeper}");
        checker.fault(&path, message, &label, &help);
    }
    if evaluation.split == EvaluatedSplit::Validation {
        let message = format!("{what} would be tuned on the requests that they are judged by");
        let help = match settings {
            SystemSettings::Bm25(_) => "leave `tune` out, or evaluate the test requests",
            _ => "give fixed `weights`, or evaluate the test requests",
        };
        checker.fault(&path, message, "tuned on validation", help);
    }
}
