//! Lets a cascade choose what is shown first, and keeps how likely each choice was.

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use crate::corpus::{Catalogue, Request};
use crate::error::{Error, Result};
use crate::ranker::Scored;
use crate::ranker::harness::Act;
use crate::store::write_atomic;

/// Request, item and propensity of every choice, as JSON lines inside the step's folder.
const CHOICES_FILE: &str = "choices.jsonl";

/// A row of [`CHOICES_FILE`].
#[derive(Serialize)]
struct Row<'a> {
    request: &'a str,
    item: &'a str,
    propensity: f64,
}

/// Chooses an item for every request that has a list and puts it first; writes the choices to `folder`.
///
/// # Errors
/// When the policy fails or the disk refuses.
pub fn act(
    policy: &dyn Act,
    requests: &[Request],
    lists: &mut [Vec<Scored>],
    catalogue: &Catalogue,
    folder: &Path,
) -> Result<()> {
    let mut rows = Vec::new();
    for (request, list) in requests.iter().zip(lists) {
        if list.is_empty() {
            continue;
        }
        let choice = policy.act(request, list)?;
        let (item, _) = list.remove(choice.place);
        let best = list.first().map_or(0.0, |one| one.1);
        list.insert(0, (item, best.next_up()));
        let row = Row {
            request: &request.id,
            item: &catalogue.ids[item as usize],
            propensity: choice.propensity,
        };
        let row = serde_json::to_string(&row);
        rows.push(row.map_err(|e| Error::Failed(format!("a choice cannot be written: {e}")))?);
    }
    let path = folder.join(CHOICES_FILE);
    write_atomic(&path, |out| {
        rows.iter()
            .try_for_each(|row| writeln!(out, "{row}"))
            .map_err(|e| Error::unwritable(&path, &e))
    })
}
