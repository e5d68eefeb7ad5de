//! What is wrong with keys that several kinds of identifiers have.

use crate::kind::{Faults, Key};

/// Refuses more codes of a level than there are items; `key` is where a recipe says how many.
pub(super) fn too_many_codes(faults: &mut Faults<'_>, key: Vec<Key>, codes: u32) {
    let Some(items) = faults.items().filter(|&items| u64::from(codes) > items) else { return };
    let message = format!("`{}` asks for more codes than there are items", faults.dotted(&key));
    let label = format!("{codes} codes for {items} items");
    faults.value(key, message, label, "use fewer codes per level");
}
