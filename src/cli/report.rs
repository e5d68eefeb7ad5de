//! `trieval report`: the report of a finished run, as table, Markdown or JSON.

use super::args::ReportArgs;
use crate::error::Result;
use crate::pipeline::finished::unfinished;
use crate::pipeline::report;
use crate::progress::Context;

pub(super) fn execute(args: &ReportArgs, ctx: &Context) -> Result<()> {
    let (found, text) = report::read_with_text(&args.run)?;
    if let Some(step) = unfinished(&args.run)? {
        ctx.warn(format!(
            "the run is not finished ({step} is missing): this is the report of what was run before"
        ));
    }
    if args.json {
        // As it was written, to the last digit.
        return super::print(&text);
    }
    if args.markdown {
        return super::print(&trieval_eval::report::markdown(&found));
    }
    super::print(&trieval_eval::report::text_table(&found))
}
