//! What can be wrong with keys that every kind has whose codes may collide.

use crate::identifier::settings::{Collisions, NamingSettings, Remove};
use crate::kind::{Faults, keys};

/// Most levels before a dedup level.
const MOST_LEVELS: usize = 8;

/// Reports keys that say twice how many codes there are; the key that says it once.
pub(super) fn level_faults(
    codes_of_levels: Option<&[u32]>,
    faults: &mut Faults<'_>,
) -> &'static str {
    let Some(codes) = codes_of_levels else { return "codes" };
    if codes.is_empty() || codes.len() > MOST_LEVELS {
        let key = keys!["codes_of_levels"];
        let message = format!("`{}` has {} levels", faults.dotted(&key), codes.len());
        let label = format!("expected 1 to {MOST_LEVELS}");
        faults.value(key, message, label, "give a number of codes for each level");
    }
    for name in ["levels", "codes"] {
        if faults.is_given(&keys![name]) {
            let message = "`codes_of_levels` says how many levels there are, and their codes";
            let help = "leave one of the two out";
            faults.key(keys![name], message, "beside `codes_of_levels`", help);
        }
    }
    "codes_of_levels"
}

/// Whether distances decide which code an item gets.
pub(super) fn needs_vectors(naming: &NamingSettings) -> bool {
    matches!(naming.collisions(), Collisions::Nearest | Collisions::Matching | Collisions::Sinkhorn)
}

/// Reports keys that do not fit one another, or identifiers with codes of these levels.
pub(super) fn naming_faults(naming: &NamingSettings, levels: &[u32], faults: &mut Faults<'_>) {
    let n_levels = levels.len();
    let paths = naming
        .spelled(levels.to_vec())
        .iter()
        .fold(1u64, |n, codes| n.saturating_mul(u64::from(*codes)));
    if let Some(items) = faults.items()
        && matches!(naming.collisions(), Collisions::Nearest | Collisions::Matching)
        && paths < items
    {
        let message =
            format!("`{}` leaves items without a path", faults.dotted(&keys!["collisions"]));
        let label = format!("{paths} paths for {items} items");
        let help = "raise `codes` or `levels`, or set collisions = \"dedup\"";
        faults.value(keys!["collisions"], message, label, help);
    }
    if naming.remove.is_some() && n_levels < 3 {
        let message = format!("`{}` takes at least three levels", faults.dotted(&keys!["remove"]));
        let label = format!("an identifier of {n_levels}");
        faults.value(keys!["remove"], message, label, "raise `levels`, or leave `remove` out");
    }
    let all = match naming.remove {
        Some(Remove::Top { codes }) => levels.get(1).is_some_and(|&own| codes >= own),
        Some(Remove::TopShare { share }) => share >= 1.0,
        Some(Remove::SecondLevel) | None => false,
    };
    if all && n_levels >= 3 {
        let dotted = faults.dotted(&keys!["remove"]);
        let message =
            format!("`{dotted}` takes all codes of the second level away, and keeps the level");
        let help = "remove the level: remove = { kind = \"second-level\" }, or take fewer codes";
        faults.value(keys!["remove"], message, "nothing is left", help);
    }
    let is_variable = matches!(naming.remove, Some(Remove::Top { .. } | Remove::TopShare { .. }));
    if naming.length.is_some() && !is_variable {
        let message =
            "`length` compares identifiers of different lengths, but all of these have one";
        let help = "leave `length` out, or set remove = { kind = \"top-share\", share = 0.2 }";
        faults.key(keys!["length"], message, "nothing to compare", help);
    }
    if naming.spare.is_some() && !naming.may_number() {
        let how = match naming.collisions() {
            Collisions::Shared => "identifiers that items share can name new ones",
            _ => "new items get the codes of the last level that are free",
        };
        let message = format!("`spare` keeps codes of the dedup level, but there is none: {how}");
        let help = "leave `spare` out, or set collisions = \"dedup\"";
        faults.key(keys!["spare"], message, "no dedup level", help);
    }
}
