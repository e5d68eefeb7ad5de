//! Checks of what is said of an identifier by those who learn it and answer in it: spans of texts and paths of codes are asked
//! for differently, and a key about the one says nothing of the other.

use super::super::document::Step;
use super::{Checker, Part, Parts};
use crate::decode::settings::DecodeSettings;
use crate::kind::keys;
use crate::model::settings::ModelSettings;
use crate::ranker::kinds::SystemSettings;
use crate::ranker::settings::GenerativeSettings;
use crate::recipe::check::components::below;
use crate::train::settings::{ObjectiveSettings, TrainSettings};
use crate::trained::kinds::TrainingSettings;

pub(super) fn check(parts: &Parts, checker: &mut Checker<'_>) {
    for part in &parts.train {
        let decoder = part.value.as_ref().and_then(TrainingSettings::decoder);
        let Some(train) = decoder else { continue };
        if let Some(model) = model_of(parts, train) {
            training(parts, part, train, model, checker);
        }
    }
    for part in &parts.system {
        let Some(SystemSettings::Generative(own)) = &part.value else { continue };
        let train = decoder(parts, &own.train);
        if let Some(model) = train.and_then(|train| model_of(parts, train)) {
            system(parts, (&part.path, own), model, checker);
        }
    }
}

fn decoder<'p>(parts: &'p Parts, name: &str) -> Option<&'p TrainSettings> {
    let named = parts.train.iter().find(|part| part.name.as_deref() == Some(name))?;
    named.value.as_ref()?.decoder()
}

/// The model that a training begins with, be it through other trainings; none where a name on the way is missing.
fn model_of<'p>(parts: &'p Parts, train: &'p TrainSettings) -> Option<&'p ModelSettings> {
    let mut train = train;
    // A ring is told elsewhere.
    for _ in 0..=parts.train.len() {
        if let Some(name) = &train.model {
            let named = parts.model.iter().find(|part| part.name.as_ref() == Some(name))?;
            return named.value.as_ref();
        }
        train = decoder(parts, train.init.as_deref()?)?;
    }
    None
}

/// Whether an identifier is one of spans; none where it is not known.
fn is_spans(parts: &Parts, name: &str) -> Option<bool> {
    let named = parts.identifier.iter().find(|part| part.name.as_deref() == Some(name))?;
    Some(named.value.as_ref()?.it().spans().is_some())
}

fn training(
    parts: &Parts,
    part: &Part<TrainingSettings>,
    train: &TrainSettings,
    model: &ModelSettings,
    checker: &mut Checker<'_>,
) {
    let identifiers = model.identifiers();
    let name = &train.name;
    let at = |key: &str| below(&part.path, &keys!["objective", key]);
    if let ObjectiveSettings::Supervised(own) = &train.objective
        && let Some(shares) = &own.shares
        && shares.len() != identifiers.len()
    {
        let message = format!("training `{name}` does not say a share for each identifier");
        let label = format!("{} shares for {} identifiers", shares.len(), identifiers.len());
        let help = match identifiers.len() {
            0 | 1 => "leave `shares` out: there is nothing to share".to_owned(),
            _ => format!("give one for each of {}", identifiers.join(", ")),
        };
        checker.fault(&at("shares"), message, &label, &help);
    }
    if let ObjectiveSettings::Preference(own) = &train.objective
        && let Some(aligned) = own.identifiers
        && aligned as usize > identifiers.len()
    {
        let message = format!("training `{name}` cannot align {aligned} identifiers");
        let label = format!("its model has {}", identifiers.len());
        let help = "lower it, or name more identifiers in the model";
        checker.fault(&at("identifiers"), message, &label, help);
    }
    if let ObjectiveSettings::Distillation(own) = &train.objective
        && own.others
        && identifiers.len() < 2
    {
        let message = format!("training `{name}` learns other identifiers, and there are none");
        let help = "leave `others` out, or name several identifiers in the model";
        checker.fault(&at("others"), message, "its model answers in one", help);
    }
    let first = identifiers.first();
    let Some(first) = first.filter(|first| is_spans(parts, first) == Some(true)) else { return };
    if let ObjectiveSettings::Distillation(_) = &train.objective {
        let message = format!("training `{name}` teaches codes, and `{first}` is made of spans");
        let help = "name an identifier of codes first: identifiers = [\"...\", \"...\"]";
        checker.fault(&at("kind"), message, "there is no level to teach", help);
    }
}

fn system(
    parts: &Parts,
    (path, own): (&[Step], &GenerativeSettings),
    model: &ModelSettings,
    checker: &mut Checker<'_>,
) {
    let all = model.identifiers();
    let answers: Vec<&str> = match (&own.identifiers, &own.identifier) {
        (Some(several), _) => several.iter().map(String::as_str).collect(),
        (None, Some(one)) => vec![one],
        (None, None) => all.into_iter().take(1).collect(),
    };
    let known: Option<Vec<bool>> = answers.iter().map(|name| is_spans(parts, name)).collect();
    let Some(known) = known else { return };
    let name = &own.name;
    match (known.contains(&true), &own.spans) {
        (true, None) => {
            let message = format!("system `{name}` answers in spans and does not say how");
            let help = "add spans = {}, or what of it is to be other than by default";
            let key = if own.identifiers.is_some() { "identifiers" } else { "train" };
            checker.fault(&below(path, &keys![key]), message, "answers in spans", help);
        }
        (false, Some(_)) => {
            let message = format!("system `{name}` does not answer in spans");
            let help = "leave `spans` out, or name an identifier of kind = \"spans\"";
            checker.fault(&below(path, &keys!["spans"]), message, "not read", help);
        }
        _ => {}
    }
    let decode = below(path, &keys!["decode"]);
    if !known.contains(&false) && own.decode != DecodeSettings::default() {
        let message = format!("system `{name}` answers in no codes");
        let help = "leave `decode` out: `spans` says how spans are searched for";
        checker.fault(&decode, message, "not read", help);
    }
}
