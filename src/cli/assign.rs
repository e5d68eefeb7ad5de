//! `trieval ids RUN --assign FILE`: identifiers for items that came after a run, and an index that has them.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::Path;

use serde::Deserialize;
use serde_json::json;

use super::args::IdsArgs;
use crate::error::{Error, Result};
use crate::generative::INDEX_FILE;
use crate::identifier::{Identifiers, Space};
use crate::pipeline::finished::FinishedRun;
use crate::quantizer::{LONGEST, assign};
use crate::store::{create_dir, write_atomic};
use crate::vectors::Vectors;

/// What new items are called, in the folder of their index.
const ITEMS_FILE: &str = "items.jsonl";
/// Paths that a message names.
const NAMED: usize = 3;

/// A new item and its vector, made as those of the run were.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewItem {
    item_id: String,
    vector: Vec<f32>,
}

pub(super) fn execute(args: &IdsArgs, run: &FinishedRun, file: &Path) -> Result<()> {
    let out = args.out.as_ref().ok_or_else(|| {
        Error::Usage("--assign writes an index: name its folder with --out FOLDER".into())
    })?;
    if out.exists() {
        return Err(Error::Usage(format!(
            "{}: exists; name a folder that does not",
            out.display()
        )));
    }
    let identifiers = run.identifiers(args.identifier.as_deref())?;
    let centroids = &identifiers.centroids;
    if centroids.levels.is_empty() {
        return Err(Error::Usage(format!(
            "identifiers of kind {} were not made from vectors: no vector says which codes a new item has",
            identifiers.kind
        )));
    }
    let names = run.names()?;
    let known: HashSet<&str> = names.ids().iter().map(String::as_str).collect();
    let (ids, vectors) = read(file, centroids.reads(), &known)?;
    let made = assign(&identifiers, &vectors)?;
    let met = centroids.meet(&vectors.data);
    let space = Space { dim: centroids.dim, vectors: &met, centroids: &centroids.levels };
    let extension = identifiers.extension(&made, space);
    if !extension.left_over.is_empty() {
        let n_left = extension.left_over.len();
        let first = extension.left_over.iter().take(NAMED).map(|&item| ids[item as usize].as_str());
        let first: Vec<&str> = first.collect();
        return Err(Error::data(
            file,
            format!(
                "{n_left} of {} new items find no identifier: {} fit; the first that do not: {}",
                ids.len(),
                ids.len() - n_left,
                first.join(", ")
            ),
        )
        .with_help(
            "assign fewer, or make the identifiers again with more spare codes (identifier.NAME.spare, .codes)",
        ));
    }
    let all = identifiers.extended(&extension, &names.hash_with(&ids));
    let index = all.index()?;
    create_dir(out)?;
    let n_before = identifiers.n_items() as u32;
    let spelled = |new: usize| all.spell(n_before + new as u32);
    let path = out.join(ITEMS_FILE);
    write_atomic(&path, |writer| {
        for (new, id) in ids.iter().enumerate() {
            let codes = all.codes_of(n_before as usize + new);
            let line = json!({ "item_id": id, "codes": codes, "tokens": spelled(new) });
            writeln!(writer, "{line}").map_err(|e| Error::unwritable(&path, &e))?;
        }
        Ok(())
    })?;
    let path = out.join(INDEX_FILE);
    write_atomic(&path, |writer| index.write(writer).map_err(|e| Error::unwritable(&path, &e)))?;
    // The description is written last: a folder with one is whole.
    all.save(out)?;
    if args.json {
        let rows: Vec<_> = ids
            .iter()
            .enumerate()
            .map(|(new, id)| json!({ "item": id, "tokens": spelled(new) }))
            .collect();
        let told = json!({ "total": all.n_items(), "items": rows });
        return super::print_json(&format!("{told:#}\n"));
    }
    let shared = shared_with_known(&identifiers, &all);
    super::print(&format!(
        "{} new items have identifiers beside {n_before} known ones, {shared} of them below the codes of a known item; \
         written to {}\n",
        ids.len(),
        out.display()
    ))
}

/// New items whose codes, the dedup level left out, a known item has too.
fn shared_with_known(before: &Identifiers, all: &Identifiers) -> usize {
    let n_own = before.n_levels() - usize::from(before.dedup);
    let paths = all.codes.chunks_exact(all.n_levels());
    let known: HashSet<&[u32]> =
        paths.clone().take(before.n_items()).map(|path| &path[..n_own]).collect();
    paths.skip(before.n_items()).filter(|path| known.contains(&path[..n_own])).count()
}

/// Ids and vectors of a file of JSON lines.
fn read(file: &Path, dim: usize, known: &HashSet<&str>) -> Result<(Vec<String>, Vectors)> {
    let text = std::fs::read_to_string(file).map_err(|e| Error::unreadable(file, &e))?;
    let (mut ids, mut data) = (Vec::new(), Vec::new());
    let mut lines_of: HashMap<String, u64> = HashMap::new();
    for (line, text) in (1u64..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
        let fault = |message: String| Error::data_at(file, line, message);
        let item: NewItem = serde_json::from_str(text).map_err(|e| {
            fault(format!("not a new item: {e}"))
                .with_help("expected a line such as {\"item_id\": \"n1\", \"vector\": [0.1, -0.2]}")
        })?;
        let NewItem { item_id, vector } = item;
        if vector.len() != dim {
            let message = format!(
                "item {item_id:?}: a vector of {} numbers, but the codes were made from vectors of {dim}",
                vector.len()
            );
            return Err(fault(message).with_help("encode new items as the run's were"));
        }
        if vector.iter().any(|x| !x.is_finite()) {
            return Err(fault(format!("item {item_id:?}: a number of the vector is not finite")));
        }
        if vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt() > LONGEST {
            let message = format!("item {item_id:?}: the vector is longer than {LONGEST:e}");
            return Err(fault(message).with_help("give vectors made as those of the run were"));
        }
        if item_id.is_empty() {
            return Err(
                fault("an item without an id".into()).with_help("give every item an `item_id`")
            );
        }
        if known.contains(item_id.as_str()) {
            let message = format!("item {item_id:?} has an identifier already");
            return Err(fault(message).with_help("name only items that the run does not know"));
        }
        if let Some(first) = lines_of.insert(item_id.clone(), line) {
            let message = format!("item {item_id:?} is named in line {first} too");
            return Err(fault(message).with_help("keep one of the lines"));
        }
        ids.push(item_id);
        data.extend(vector);
    }
    if ids.is_empty() {
        return Err(Error::data(file, "no new item is in it"));
    }
    Ok((ids, Vectors::new(dim, data, "new items")?))
}
