//! Open columns of items that a recipe takes from an items file.

use super::items::is_category;
use crate::corpus::cell::{ColumnName, Entity, OpenColumn};
use crate::corpus::rows::fixed_columns;
use crate::corpus::settings::ItemColumn;
use crate::kind::{Faults, keys};

/// The columns as tables have them.
pub(super) fn open_columns(columns: &[ItemColumn]) -> Vec<OpenColumn> {
    let open = |one: &ItemColumn| OpenColumn {
        column: ColumnName::new(Entity::Item, one.name.clone()),
        holds: one.holds,
        is_signal: false,
    };
    columns.iter().map(open).collect()
}

/// Reports columns that are there already.
pub(super) fn column_faults(columns: &[ItemColumn], faults: &mut Faults<'_>) {
    for (place, column) in columns.iter().enumerate() {
        let name = &column.name;
        let key = keys!["item_columns", place, "name"];
        if fixed_columns(Entity::Item).contains(name) {
            let message = format!("every items table has a column `{name}`");
            let help = "give the field another name in the file: importers do not fill this column";
            faults.value(key, message, "a fixed column", help);
        } else if is_category(name) {
            let message = format!("`{name}` is the path of categories of an item");
            faults.value(key, message, "read already", "read it as item.category");
        } else if name.is_empty() {
            faults.value(key, "a column of items has no name", "empty", "name a field of the file");
        } else if columns[..place].iter().any(|other| other.name == *name) {
            let message = format!("two columns of items are called `{name}`");
            faults.value(key, message, "second time", "name each column once");
        }
    }
}
