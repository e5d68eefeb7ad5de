//! `trieval clean`: what a run folder holds of earlier recipes, and its removal.

use std::fmt::Write as _;

use super::args::CleanArgs;
use crate::error::Result;
use crate::pipeline::clean::{Leftover, leftovers, remove};
use crate::pipeline::folder::RunFolder;
use crate::progress::Context;
use crate::text::{bytes, one_line};

pub(super) fn execute(args: &CleanArgs, ctx: &Context) -> Result<()> {
    // Nobody works here meanwhile.
    RunFolder::open(&args.run)?;
    let folder = RunFolder::lock(&args.run)?;
    let found = leftovers(&folder)?;
    super::print(&listed(&found))?;
    if found.is_empty() || !args.yes {
        if !found.is_empty() {
            ctx.say("nothing was deleted; --yes deletes these folders");
        }
        return Ok(());
    }
    for one in &found {
        ctx.check_interrupt()?;
        remove(&folder, one)?;
    }
    ctx.say(format!("deleted {}", total(&found)));
    Ok(())
}

fn listed(found: &[Leftover]) -> String {
    if found.is_empty() {
        return "nothing is left of earlier recipes\n".into();
    }
    let mut text = String::new();
    for one in found {
        let state = if one.is_finished { "" } else { "  (unfinished)" };
        let path = one.inner.display().to_string();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:>10}  {}{state}", bytes(one.bytes), one_line(&path));
    }
    let _ = writeln!(text, "{:>10}  in all", total(found));
    text
}

fn total(found: &[Leftover]) -> String {
    bytes(found.iter().map(|one| one.bytes).sum())
}
