//! `trieval report`: the report of a finished run, as table, Markdown or JSON.

use super::args::ReportArgs;
use crate::error::Result;
use crate::pipeline::finished::unfinished;
use crate::pipeline::record::Standing;
use crate::pipeline::report;
use crate::progress::{Context, data_columns};

pub(super) fn execute(args: &ReportArgs, ctx: &Context) -> Result<()> {
    let (found, text, standing) = report::read(&args.run)?;
    match standing {
        Standing::Present => {}
        Standing::Earlier => ctx.warn(
            "this is the report of an earlier recipe or plan than the folder holds now; run the recipe \
             again for a report of its own",
        ),
        Standing::Unknown => ctx.warn(
            "nothing says what this report belongs to and whether it was altered: the run ended while it \
             was written, or an earlier version of trieval wrote it; run the recipe again",
        ),
    }
    if let Some(step) = unfinished(&args.run)? {
        ctx.warn(format!(
            "the run is not finished ({step} is missing): this is the report of what was run before"
        ));
    }
    if args.json {
        // As it was written, to the last digit.
        return super::print_json(&text);
    }
    if args.markdown {
        return super::print(&trieval_eval::report::markdown(&found));
    }
    let columns = data_columns().unwrap_or(usize::MAX);
    super::print(&trieval_eval::report::text_table_within(&found, columns))
}
