//! Shows a report in the form that was asked for.

use trieval_eval::report::{self, Report};

use super::args::FormArgs;
use crate::error::{Error, Result};
use crate::store::write_atomic;

/// Prints the report, as a table by default, and writes the page where one is wanted.
pub(super) fn show(report: &Report, form: &FormArgs) -> Result<()> {
    let failed = |e: trieval_eval::Error| Error::Failed(format!("report: {e}"));
    if let Some(path) = &form.html {
        let page = report::html(report).map_err(failed)?;
        write_atomic(path, |writer| {
            std::io::Write::write_all(writer, page.as_bytes())
                .map_err(|e| Error::unwritable(path, &e))
        })?;
    }
    let text = if form.json {
        report.to_json().map_err(failed)?
    } else if form.latex {
        report::latex(report)
    } else if form.csv {
        report::csv(report)
    } else if form.markdown {
        report::markdown(report)
    } else {
        report::text_table(report)
    };
    super::print(&text)
}
