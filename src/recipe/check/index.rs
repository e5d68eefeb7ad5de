//! Checks of the index that a system searches: its settings against each other.

use super::{Checker, Parts};
use crate::ranker::settings::{IndexSettings, SystemSettings};

pub(super) fn check(parts: &Parts, checker: &mut Checker<'_>) {
    for part in &parts.system {
        let Some(SystemSettings::TwoTower { index: Some(index), .. }) = &part.value else {
            continue;
        };
        let IndexSettings::Hnsw(settings) = index;
        let (candidates, neighbors) = (settings.expansion_add, settings.connectivity);
        if candidates < neighbors {
            let path = part.at(&["index"]);
            let dotted = checker.document.dotted(&path);
            let message =
                format!("`{dotted}` finds too few candidates for the neighbors of an item");
            let label = format!("expansion_add = {candidates} < connectivity = {neighbors}");
            let help = "raise `expansion_add` to several times `connectivity`";
            checker.fault(&path, message, &label, help);
        }
    }
}
