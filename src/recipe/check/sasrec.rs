//! Checks of a sequence model's settings against each other and the corpus.

use super::metrics::check_tuned;
use super::values::{betas, divisors, schedule};
use super::{Checker, Part, Parts};
use crate::corpus::settings::CorpusSettings;
use crate::ranker::settings::{SasrecSettings, SystemSettings};

use super::super::document::quoted;

pub(super) fn check(parts: &Parts, checker: &mut Checker<'_>) {
    let corpus = parts.corpus.as_ref().and_then(|part| part.value.as_ref());
    for part in &parts.system {
        let Some(SystemSettings::Sasrec(settings)) = &part.value else { continue };
        if corpus.is_some_and(|corpus| !matches!(corpus, CorpusSettings::Sequences(_))) {
            let message = format!(
                "system `{}` learns from users' sequences, but the corpus has none",
                settings.name
            );
            let help = "use [corpus] kind = \"sequences\", or remove the system";
            checker.fault(&part.at(&["kind"]), message, "no sequences to learn from", help);
        }
        model(part, settings, checker);
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
