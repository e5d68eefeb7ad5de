//! `trieval ids`: what items are called, and which items are called so.

use std::fmt::Write as _;

use serde_json::json;

use super::args::IdsArgs;
use crate::error::{Error, Result};
use crate::pipeline::finished::FinishedRun;
use crate::text::one_line;

/// Items printed for a prefix.
const MOST_ITEMS: usize = 100;

pub(super) fn execute(args: &IdsArgs) -> Result<()> {
    let run = FinishedRun::open(&args.run, args.seed)?;
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
            let ceiling = ceiling.map(|ceiling| format!("{ceiling}\n")).unwrap_or_default();
            let findings = identifiers.diagnostics.findings().join("\n");
            let findings = if findings.is_empty() { findings } else { findings + "\n" };
            return super::print(&format!("{}\n{findings}{ceiling}", identifiers.diagnostics));
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
        return super::print_json(&format!("{:#}\n", json!({ "total": total, "items": rows })));
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
    if total > MOST_ITEMS {
        let _ = writeln!(text, "… and {} more", total - MOST_ITEMS);
    }
    super::print(&text)
}
