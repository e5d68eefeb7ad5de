//! `trieval ids RUN --assign FILE`: identifiers for items that came after a run, and a folder that is searched with them.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde_json::json;

use super::args::IdsArgs;
use super::new_items::{Line, read};
use crate::corpus::Catalogue;
use crate::error::{Error, Result};
use crate::identifier::{Identifiers, Later, Space};
use crate::pipeline::finished::FinishedRun;
use crate::pipeline::later::NewItems;
use crate::progress::Context;
use crate::quantizer::{self, assign_from};
use crate::vectors::Vectors;

/// Items that a message names.
const NAMED: usize = 3;

pub(super) fn execute(args: &IdsArgs, run: &FinishedRun, file: &Path, ctx: &Context) -> Result<()> {
    let out = args.out.as_ref().ok_or_else(|| {
        Error::Usage("--assign writes an index: name its folder with --out FOLDER".into())
    })?;
    if out.exists() {
        return Err(Error::Usage(format!(
            "{}: exists; name a folder that does not",
            out.display()
        )));
    }
    let name = run
        .identifier_name(args.identifier.as_deref())
        .map_err(|error| of_spans(args, run, error))?;
    told_of_spans(run, name, ctx)?;
    let made_from = run.vectors_of(name)?;
    let identifiers = run.identifiers(Some(name))?;
    let centroids = &identifiers.centroids;
    let names = run.names()?;
    let known: HashSet<&str> = names.ids().iter().map(String::as_str).collect();
    let lines = read(file, centroids.reads(), &known)?;
    let vectors = vectors(run, made_from, &lines, (centroids.reads(), file), ctx)?;
    let made = assign_from(&identifiers, &vectors, &first_codes(&identifiers, &lines, ctx))?;
    let met = centroids.meet(&vectors.data);
    let space = Space { dim: centroids.dim, vectors: &met, centroids: &centroids.levels };
    let later = Later { made: &made, space };
    let extension = identifiers.extension(later);
    if !extension.left_over.is_empty() {
        let n_left = extension.left_over.len();
        let first = extension.left_over.iter().take(NAMED);
        let first: Vec<&str> = first.map(|&item| lines[item as usize].item.id.as_str()).collect();
        return Err(Error::data(
            file,
            format!(
                "{n_left} of {} new items find no identifier: {} fit; the first that do not: {}",
                lines.len(),
                lines.len() - n_left,
                first.join(", ")
            ),
        )
        .with_help(
            "assign fewer, or make the identifiers again with more spare codes (identifier.NAME.spare, .codes)",
        ));
    }
    let known_codes = quantizer::made(&identifiers, || run.known_vectors(made_from))?;
    let ids: Vec<String> = lines.iter().map(|line| line.item.id.clone()).collect();
    let all = identifiers.extended(&extension, (&known_codes, later), &names.hash_with(&ids));
    let ranked_by = rankings(run, (name, made_from), &lines, ctx)?;
    let own = [(made_from.to_owned(), vectors)];
    let items = lines.into_iter().map(|line| line.item).collect();
    let new = NewItems { items, vectors: own.into_iter().chain(ranked_by).collect() };
    run.write_added(out, (name, &all), new)?;
    let n_before = identifiers.n_items();
    if args.json {
        let rows: Vec<_> = (n_before as u32..)
            .zip(&ids)
            .map(|(item, id)| json!({ "item": id, "tokens": all.spell(item) }))
            .collect();
        let told = json!({ "total": all.n_items(), "items": rows });
        return super::print_json(&format!("{told:#}\n"));
    }
    let shared = shared_with_known(&identifiers, &all);
    let new = match ids.len() {
        1 => "1 new item has an identifier".to_owned(),
        n => format!("{n} new items have identifiers"),
    };
    super::print(&format!(
        "{new} beside {n_before} known ones, {shared} of them below the codes of a known item; written to {out}, which \
         `trieval search {out}` answers from\n",
        out = out.display()
    ))
}

/// What is told where spans are named, or a run has nothing else.
fn of_spans(args: &IdsArgs, run: &FinishedRun, error: Error) -> Error {
    let given = args.identifier.as_deref();
    let is_spans = match given {
        Some(name) => run.is_spans(name),
        None => run.recipe().identifier.keys().all(|name| run.is_spans(name)),
    };
    if !is_spans {
        return error;
    }
    let codes = run.recipe().identifier.keys().find(|name| !run.is_spans(name));
    let help = match codes {
        Some(codes) => format!("name an identifier of codes: --identifier {codes}"),
        None => "put the items into the corpus and run the recipe again".into(),
    };
    Error::Usage(format!(
        "new items cannot be found by spans yet: the index holds the texts of the items that the run knows; {help}"
    ))
}

/// Tells of systems that answer in spans beside these codes: new items are not among their answers.
fn told_of_spans(run: &FinishedRun, name: &str, ctx: &Context) -> Result<()> {
    let (mut alone, mut beside) = (false, Vec::new());
    for system in &run.recipe().system {
        let answers = run.answers_in(system)?;
        alone |= answers.as_slice() == [name];
        if answers.contains(&name) && answers.iter().any(|one| run.is_spans(one)) {
            beside.push(system.name());
        }
    }
    let Some(first) = beside.first() else { return Ok(()) };
    if !alone {
        return Err(Error::Usage(format!(
            "system {first} answers in spans, too, and new items cannot be found by spans yet: no system of this run answers \
             in {name} alone; add one to the recipe and run it again"
        )));
    }
    ctx.warn(format!(
        "{} cannot be asked for the new items: spans do not find them yet",
        beside.join(", ")
    ));
    Ok(())
}

/// The first code of each new item that gives a value which has one, where values are first codes.
fn first_codes(identifiers: &Identifiers, lines: &[Line], ctx: &Context) -> Vec<Option<u32>> {
    let Some(first) = &identifiers.centroids.first else { return Vec::new() };
    let given: Vec<Option<&str>> = lines.iter().map(|line| line.value(&first.of)).collect();
    let codes: Vec<Option<u32>> =
        given.iter().map(|value| value.and_then(|value| first.code(Some(value)))).collect();
    let unknown: Vec<&str> = given
        .iter()
        .zip(&codes)
        .filter(|(_, code)| code.is_none())
        .filter_map(|(value, _)| *value)
        .collect();
    if let Some(value) = unknown.first() {
        ctx.warn(format!(
            "{} new items have a {} that no known item has, such as {value:?}: their first codes are the nearest",
            unknown.len(),
            first.of
        ));
    }
    codes
}

/// New items whose codes, the dedup level left out, a known item has too.
fn shared_with_known(before: &Identifiers, all: &Identifiers) -> usize {
    let n_own = before.n_levels() - usize::from(before.dedup);
    let paths = all.codes.chunks_exact(all.n_levels());
    let known: HashSet<&[u32]> =
        paths.clone().take(before.n_items()).map(|path| &path[..n_own]).collect();
    paths.skip(before.n_items()).filter(|path| known.contains(&path[..n_own])).count()
}

/// The vectors of new items that codes are chosen by: those of the file, and those that texts say where it has none.
fn vectors(
    run: &FinishedRun,
    name: &str,
    lines: &[Line],
    (dim, file): (usize, &Path),
    ctx: &Context,
) -> Result<Vectors> {
    let unsaid: Vec<&Line> = lines.iter().filter(|line| line.vector.is_none()).collect();
    let mut encoded = Vec::new();
    if let Some(first) = unsaid.first() {
        if let Some((what, kind)) = run.unsaid(name)? {
            let id = &first.item.id;
            let message = format!(
                "item {id:?} has no `vector`, and no text says what vectors `{what}` are (kind {kind})"
            );
            let help = format!(
                "give each line a `vector` of {dim} numbers, made as those of `{name}` were"
            );
            return Err(Error::data_at(file, first.number, message).with_help(help));
        }
        encoded = run.encode(name, &catalogue(unsaid.iter().copied())?, ctx)?.data.into_vec();
    }
    let mut encoded = encoded.chunks_exact(dim);
    let mut data = Vec::with_capacity(lines.len() * dim);
    for line in lines {
        let vector = line.vector.as_deref().or_else(|| encoded.next());
        data.extend_from_slice(vector.unwrap_or_default());
    }
    Vectors::new(dim, data, file)
}

/// The vectors by which systems put in order what they find in this identifier, where they are others and texts say them.
fn rankings(
    run: &FinishedRun,
    (identifier, made_from): (&str, &str),
    lines: &[Line],
    ctx: &Context,
) -> Result<BTreeMap<String, Vectors>> {
    let mut all = BTreeMap::new();
    let mut lacking: Vec<&str> = Vec::new();
    for (system, name) in run.rankings(identifier)? {
        if name == made_from || all.contains_key(name) {
            continue;
        }
        let why = match run.unsaid(name)? {
            Some((what, kind)) => {
                Some(format!("no text says what vectors {what} are (kind {kind})"))
            }
            None => lines
                .iter()
                .find(|line| !line.has_text())
                .map(|line| format!("item {} has neither `title` nor `text`", line.item.id)),
        };
        match why {
            Some(_) if lacking.contains(&name) => {}
            Some(why) => {
                lacking.push(name);
                ctx.warn(format!(
                    "system {system} puts what it finds in order by vectors {name}, and {why}: it cannot be asked for the new \
                     items"
                ));
            }
            None => {
                let items = catalogue(lines.iter())?;
                all.insert(name.to_owned(), run.encode(name, &items, ctx)?);
            }
        }
    }
    Ok(all)
}

fn catalogue<'l>(lines: impl Iterator<Item = &'l Line>) -> Result<Catalogue> {
    let texts = lines.map(|line| &line.item);
    Catalogue::from_items(texts.map(|row| (row.id.as_str(), row.title.as_str(), row.text.as_str())))
}
