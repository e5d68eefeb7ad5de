//! `trieval report`: the report of a finished run, as table, Markdown or JSON.

use super::args::ReportArgs;
use crate::error::Result;
use crate::pipeline::report;

pub(super) fn execute(args: &ReportArgs) -> Result<()> {
    let (found, text) = report::read_with_text(&args.run)?;
    if args.json {
        // As it was written, to the last digit.
        return super::print(&text);
    }
    if args.markdown {
        return super::print(&trieval_eval::report::markdown(&found));
    }
    super::print(&trieval_eval::report::text_table(&found))
}
