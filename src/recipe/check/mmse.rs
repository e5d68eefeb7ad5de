//! Checks of vectors of kind mmse: keys against each other, and against what the corpus can hold.

use super::{Checker, Part, Parts};
use crate::corpus::settings::CorpusSettings;
use crate::vectors::settings::{MmseLevels, MmseSettings, MmseText, RankingLoss, VectorsSettings};

pub(super) fn check(parts: &Parts, checker: &mut Checker<'_>) {
    for part in &parts.vectors {
        if let Some(VectorsSettings::Mmse(settings)) = &part.value {
            losses(part, settings, checker);
            levels(part, settings, parts, checker);
            text(part, settings, checker);
        }
    }
}

/// There is something to learn, and something to learn it from.
fn losses(part: &Part<VectorsSettings>, settings: &MmseSettings, checker: &mut Checker<'_>) {
    if settings.retrieval == 0.0 && settings.ranking == 0.0 {
        let help = "set `retrieval` or `ranking` above 0";
        checker.fault(&part.at(&["kind"]), "mmse has no loss", "both weights are 0", help);
    }
    if settings.ordered + settings.clicked == 0 {
        let help = "raise `ordered` or `clicked` above 0";
        checker.fault(&part.at(&["kind"]), "mmse draws no positives", "nothing to find", help);
    }
    let merged = settings.order_as_click;
    let drawn = [
        settings.ordered > 0 && !merged,
        settings.clicked > 0 || (merged && settings.ordered > 0),
        settings.shown > 0,
    ];
    let n_levels = drawn.into_iter().filter(|drawn| *drawn).count();
    let lists_random = settings.ranking_loss == RankingLoss::Listwise && settings.uniform > 0;
    if settings.ranking > 0.0 && n_levels < 2 && !lists_random {
        let message = "the ranking loss of mmse has nothing to compare";
        let help = "draw items of two levels at least, or set ranking = 0";
        checker.fault(&part.at(&["kind"]), message, "items of one level only", help);
    }
}

fn levels(
    part: &Part<VectorsSettings>,
    settings: &MmseSettings,
    parts: &Parts,
    checker: &mut Checker<'_>,
) {
    let corpus = parts.corpus.as_ref().and_then(|part| part.value.as_ref());
    match (&settings.levels, corpus) {
        (MmseLevels::Grades { ordered, clicked }, _) if ordered < clicked => {
            let message = "an ordered item would have a lower grade than a clicked one";
            let help = "raise `ordered`, or lower `clicked`";
            checker.fault(&part.at(&["levels"]), message, "thresholds out of order", help);
        }
        (MmseLevels::Impressions {}, Some(CorpusSettings::JudgedPairs(pairs)))
            if pairs.clicks.is_none() =>
        {
            let message = "mmse takes levels from impressions, but judged pairs have none";
            let help = "take them from grades: levels = { by = \"grades\", ordered = 2.67, clicked = 2.33 }";
            checker.fault(&part.at(&["kind"]), message, "no impressions", help);
        }
        (_, Some(CorpusSettings::Sequences(_))) => {
            let message = "mmse learns from impressions or grades, but sequences have neither";
            checker.fault(&part.at(&["kind"]), message, "no levels", "use another kind of vectors");
        }
        _ => {}
    }
}

fn text(part: &Part<VectorsSettings>, settings: &MmseSettings, checker: &mut Checker<'_>) {
    if let MmseText::Transformer { dim, heads, .. } = &settings.text
        && !dim.is_multiple_of(*heads)
    {
        let message = format!("heads = {heads} does not divide dim = {dim}");
        checker.fault(&part.at(&["text"]), message, "heads of unequal width", "change one of them");
    }
}
