//! `trieval search`: ask a finished run.

use std::fmt::Write as _;

use serde_json::json;

use super::args::SearchArgs;
use crate::error::{Error, Result};
use crate::pipeline::finished::FinishedRun;
use crate::progress::Context;

pub(super) fn execute(args: &SearchArgs, ctx: &Context) -> Result<()> {
    if args.query.is_none() && args.history.is_empty() {
        return Err(Error::Usage("nothing to search for: give a query, or --history ID,…".into()));
    }
    let run = FinishedRun::open(&args.run, args.seed)?;
    let system = run.open_system(args.system.as_deref())?;
    if args.system.is_none() {
        ctx.say(format!("{} answers; --system asks another", system.name));
    }
    let ask =
        run.ask(args.query.as_deref(), &args.history, args.user.as_deref(), &args.features)?;
    let found = system.search(&ask, args.top as usize)?;
    let catalogue = run.catalogue()?;
    let id = |item: u32| catalogue.ids[item as usize].as_str();
    if args.json {
        let items: Vec<_> = (1..)
            .zip(&found)
            .map(|(rank, &(item, score))| {
                json!({ "rank": rank, "item": id(item), "title": catalogue.title(item), "score": score })
            })
            .collect();
        let object = json!({
            "query": args.query,
            "history": args.history,
            "user": args.user,
            "features": args.features,
            "system": system.name,
            "items": items,
        });
        return super::print_json(&format!("{object:#}\n"));
    }
    if found.is_empty() {
        return super::print(&format!("{} found nothing\n", system.name));
    }
    let mut text = String::new();
    for (rank, &(item, score)) in (1..).zip(&found) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{rank:>3}  {score:>8.3}  {}  {}", id(item), catalogue.title(item));
    }
    super::print(&text)
}
