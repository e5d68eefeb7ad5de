//! Interactions, a row of a user and an item each, become users' sequences in time order.

use std::path::Path;

use indexmap::IndexMap;

use crate::corpus::import::faults::Faults;
use crate::corpus::import::log::time::time;
use crate::corpus::import::records::{FieldPath, Reading, Value, Wanted, read};
use crate::corpus::settings::InteractionFields;
use crate::error::Result;
use crate::progress::Context;

/// Users in the order in which they were met, with their items in time order, and the first row of each.
pub(super) type Sequences = IndexMap<String, (u64, Vec<String>)>;

/// The fields that are read.
pub(super) fn wanted(fields: &InteractionFields) -> Wanted {
    let field =
        |name: &str, key: &str| (FieldPath::new(name), format!("corpus.interactions.{key}"));
    let mut wanted = vec![field(&fields.user, "user"), field(&fields.item, "item")];
    wanted.extend(fields.time.as_ref().map(|name| field(name, "time")));
    wanted.extend(fields.signal.as_ref().map(|name| field(name, "signal")));
    Wanted { fields: wanted, rest: false }
}

/// Reads rows of interactions.
///
/// # Errors
/// [`crate::Error::Data`] for what cannot be read and too many malformed rows.
pub(super) fn read_interactions(
    fields: &InteractionFields,
    path: &Path,
    (faults, share): (&mut Faults, f64),
    ctx: &Context,
) -> Result<Sequences> {
    let wanted = wanted(fields);
    let mut users: IndexMap<String, (u64, Vec<(i64, String)>)> = IndexMap::new();
    let files = [path.to_owned()];
    let sink = (faults, share);
    read(&files, &Reading::default(), &wanted, sink, ctx, &mut |record| {
        let row = (|| {
            let id = |place: usize, name: &str| {
                let id = record.values[place].id().map_err(|m| format!("`{name}` holds {m}"))?;
                id.map(str::to_owned).ok_or_else(|| format!("`{name}` is empty"))
            };
            let (user, item) = (id(0, &fields.user)?, id(1, &fields.item)?);
            let mut rest = record.values[2..].iter();
            let mut at = 0;
            if let Some(name) = &fields.time {
                let value = rest.next().map(|value| time(value, None)).transpose();
                let found = value.map_err(|message| format!("`{name}` holds {message}"))?.flatten();
                at = found.ok_or_else(|| format!("`{name}` is empty"))?.seconds;
            }
            if let Some(name) = &fields.signal {
                let number = rest.next().map(Value::number).transpose();
                let number =
                    number.map_err(|message| format!("`{name}` holds {message}"))?.flatten();
                let number = number.ok_or_else(|| format!("`{name}` is empty"))?;
                if number < fields.from {
                    return Ok(());
                }
            }
            users.entry(user).or_insert((record.line, Vec::new())).1.push((at, item));
            Ok(())
        })();
        Ok(row)
    })?;
    let in_order = |(line, mut items): (u64, Vec<(i64, String)>)| {
        // Stable: items of one moment stay in the order of the file.
        items.sort_by_key(|(at, _)| *at);
        (line, items.into_iter().map(|(_, item)| item).collect())
    };
    Ok(users.into_iter().map(|(user, items)| (user, in_order(items))).collect())
}
