//! Checks of a sequence model's settings against each other and what it is judged on.

use trieval_eval::settings::EvaluatedSplit;

use super::metrics::check_tuned;
use super::values::{betas, divisors, schedule};
use super::{Checker, Part, Parts};
use crate::ranker::settings::{SasrecSettings, SystemSettings};

use super::super::document::quoted;

pub(super) fn check(parts: &Parts, checker: &mut Checker<'_>) {
    let evaluation = parts.evaluation.as_ref().and_then(|part| part.value.as_ref());
    let on_validation = evaluation.is_some_and(|one| one.split == EvaluatedSplit::Validation);
    for part in &parts.system {
        let Some(SystemSettings::Sasrec(settings)) = &part.value else { continue };
        model(part, settings, checker);
        if on_validation {
            let message = format!(
                "system `{}` keeps the weights that are best on the requests it is judged by",
                settings.name
            );
            let help = "its figures flatter it: compare it on the test requests";
            checker.remark(&part.at(&["kind"]), message, "ended by validation", help);
        }
    }
}

fn model(part: &Part<SystemSettings>, settings: &SasrecSettings, checker: &mut Checker<'_>) {
    let (dim, heads) = (settings.dim, settings.heads);
    if heads == 0 || dim % heads != 0 {
        let path = part.at(&["heads"]);
        let message = format!("`{}` must divide `dim`", checker.document.dotted(&path));
        let label = format!("{heads} does not divide {dim}");
        checker.fault(&path, message, &label, &divisors(dim));
    }
    let owner = format!("system `{}`", settings.name);
    betas(part, &settings.optimizer, checker);
    schedule(part, &owner, &settings.optimizer, checker);
    let metric = &settings.validation.metric;
    if let Err(help) = check_tuned(metric) {
        let message = format!("{owner} cannot be validated by {}", quoted(metric));
        let path = part.at(&["validation", "metric"]);
        checker.fault(&path, message, "not a metric of lists", &help);
    }
}
