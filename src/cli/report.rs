//! `trieval report`: the report of a finished run, as table, Markdown or JSON.

use super::args::ReportArgs;
use crate::error::{Error, Result};
use crate::pipeline::report;

pub(super) fn execute(args: &ReportArgs) -> Result<()> {
    let found = report::read(&args.run)?;
    if args.json {
        let text = found.to_json().map_err(|e| Error::Failed(e.to_string()))?;
        return super::print(&text);
    }
    if args.markdown {
        return super::print(&trieval_eval::report::markdown(&found));
    }
    super::print(&trieval_eval::report::text_table(&found))
}
