//! `trieval ids`: what items are called, and which items are called so.

use std::fmt::Write as _;

use serde_json::json;
use trieval_eval::report::wrapped;

use super::args::IdsArgs;
use crate::error::{Error, Result};
use crate::identifier::Identifiers;
use crate::pipeline::finished::FinishedRun;
use crate::progress::Context;
use crate::text::one_line;

/// Items printed for a prefix.
const MOST_ITEMS: usize = 100;

/// Most letters in a line of sentences, and in a row of the table.
const COLUMNS: usize = 80;

/// Other items printed for a prefix of an item.
const MOST_NEIGHBORS: usize = 5;

/// The other items that share the first tokens of an item.
struct Shared {
    prefix: String,
    tokens: usize,
    items: Vec<u32>,
}

/// What an item shares, the longest prefix first: whatever its whole identifier names beside it, and its neighbors.
fn neighbors(identifiers: &Identifiers, item: u32) -> Vec<Shared> {
    let codes = identifiers.codes_of(item as usize).unwrap_or_default();
    // A code that is not spelled makes no prefix of its own.
    let silent = identifiers.unspelled();
    let is_spelled = |n: &usize| *n != 2 || silent.is_none() || codes.get(1).copied() != silent;
    let prefixes = (1..=codes.len()).rev().filter(is_spelled).map(|n| {
        let mut items = identifiers.items_below(&codes[..n]);
        items.retain(|&other| other != item);
        let prefix = identifiers.spell_codes(&codes[..n]);
        Shared { tokens: prefix.matches('<').count(), prefix, items }
    });
    prefixes.filter(|row| !row.items.is_empty()).collect()
}

/// A line of the diagnostics; sentences are broken between words, rows of the table, which begin with blanks, are not.
fn told(line: &str) -> String {
    if line.starts_with(' ') { format!("{line}\n") } else { wrapped(line, COLUMNS) }
}

pub(super) fn execute(args: &IdsArgs, ctx: &Context) -> Result<()> {
    let run = FinishedRun::open_with_added(&args.run, args.seed)?;
    if let Some(file) = &args.assign {
        return super::assign::execute(args, &run, file, ctx);
    }
    let identifiers = run.identifiers(args.identifier.as_deref())?;
    let names = run.names()?;
    let (mut id, mut tokens) = (args.positional.as_ref().or(args.item.as_ref()), &args.tokens);
    if args
        .positional
        .as_ref()
        .is_some_and(|it| it.starts_with('<') && names.index_of(it).is_none())
    {
        (id, tokens) = (None, &args.positional);
    }
    let items: Vec<u32> = match (id, tokens) {
        (Some(id), _) => vec![run.item(id)?],
        (None, Some(tokens)) => {
            let prefix = identifiers.parse_tokens(tokens).map_err(Error::Usage)?;
            identifiers.items_below(&prefix)
        }
        (None, None) => {
            let ceiling = run.ceiling(args.identifier.as_deref())?;
            if args.json {
                let mut text = json!(identifiers.diagnostics);
                text["ceiling"] = json!(ceiling);
                return super::print_json(&format!("{text:#}\n"));
            }
            let figures = identifiers.diagnostics.to_string();
            let findings = identifiers.diagnostics.findings();
            let ceiling = ceiling.map(|ceiling| ceiling.to_string());
            let lines = figures.lines().map(str::to_owned).chain(findings).chain(ceiling);
            return super::print(&lines.map(|line| told(&line)).collect::<String>());
        }
    };
    let total = items.len();
    let rows = items.iter().take(MOST_ITEMS).map(|&item| {
        (names.ids()[item as usize].as_str(), identifiers.spell(item), names.title(item))
    });
    if args.json {
        let rows: Vec<_> = rows
            .map(|(id, tokens, title)| json!({ "item": id, "tokens": tokens, "title": title }))
            .collect();
        let mut told = json!({ "total": total, "items": rows });
        if let (Some(_), [item]) = (id, items.as_slice()) {
            let rows = neighbors(&identifiers, *item).into_iter().map(|row| {
                let near = row.items.iter().take(MOST_ITEMS);
                let near: Vec<&str> =
                    near.map(|&item| names.ids()[item as usize].as_str()).collect();
                json!({ "prefix": row.prefix, "others": row.items.len(), "items": near })
            });
            told["shared"] = rows.collect();
        }
        return super::print_json(&format!("{told:#}\n"));
    }
    if total == 0 {
        return Err(Error::Usage("no item has these tokens".into()));
    }
    let mut text = String::new();
    for (id, tokens, title) in rows {
        let (id, title) = (one_line(id), one_line(title));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{id}  {tokens}  {title}");
    }
    if let (Some(_), [item]) = (id, items.as_slice()) {
        for row in neighbors(&identifiers, *item) {
            let near = row.items.iter().take(MOST_NEIGHBORS);
            let near: Vec<String> =
                near.map(|&item| one_line(&names.ids()[item as usize])).collect();
            let more = if row.items.len() > near.len() { ", …" } else { "" };
            let shared = match row.tokens == identifiers.spelled_length(*item) {
                true => "the same identifier".to_owned(),
                false => format!("the same first tokens ({})", row.tokens),
            };
            let others = if row.items.len() == 1 { "other" } else { "others" };
            let _ = writeln!(
                text,
                "  {shared}: {} {others}, {}{more}",
                row.items.len(),
                near.join(", ")
            );
        }
    }
    if total > MOST_ITEMS {
        let _ = writeln!(text, "… and {} more", total - MOST_ITEMS);
    }
    super::print(&text)
}
