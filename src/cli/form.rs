//! Shows a report in the form that was asked for.

use std::path::Path;

use trieval_eval::report::{self, Report};

use super::args::FormArgs;
use super::outputs::check_output;
use crate::error::{Error, Result};
use crate::progress::{Context, data_columns, message_columns};
use crate::store::write_atomic;
use crate::text::visible;

/// How a warning begins where it is told.
const MARK: &str = "warning: ";

/// The report with the paths of its runs as the page at `path` must name them: from the page's folder, or in full.
fn seen_from(report: &Report, path: &Path) -> Report {
    let mut report = report.clone();
    let folder = std::path::absolute(path).ok().and_then(|path| Some(path.parent()?.to_owned()));
    let Some(folder) = folder else { return report };
    for system in &mut report.systems {
        let Some(run) = system.run.as_ref().and_then(|run| std::path::absolute(run).ok()) else {
            continue;
        };
        system.run = Some(run.strip_prefix(&folder).unwrap_or(&run).display().to_string());
    }
    report
}

/// Says the warnings of a report, broken at words where a terminal would break them within.
pub(super) fn warn(report: &Report, ctx: &Context) {
    for warning in &report.warnings {
        match message_columns() {
            // The first line begins with what it is.
            Some(columns) => {
                let text = report::wrapped(&format!("{MARK}{warning}"), columns);
                ctx.warn(text.trim_end().trim_start_matches(MARK));
            }
            None => ctx.warn(warning),
        }
    }
}

impl FormArgs {
    /// Refuses a page in the place of an input, or of what is no file.
    pub(super) fn check<'a>(&self, inputs: impl IntoIterator<Item = &'a Path>) -> Result<()> {
        self.html.as_deref().map_or(Ok(()), |page| check_output("--html", page, inputs))
    }
}

/// Prints the report, as a table by default, and writes the page where one is wanted.
pub(super) fn show(report: &Report, form: &FormArgs) -> Result<()> {
    let failed = |e: trieval_eval::Error| Error::Failed(format!("report: {e}"));
    if let Some(path) = &form.html {
        let page = report::html(&seen_from(report, path)).map_err(failed)?;
        write_atomic(path, |writer| {
            std::io::Write::write_all(writer, visible(&page).as_bytes())
                .map_err(|e| Error::unwritable(path, &e))
        })?;
    }
    if form.json {
        return super::print_json(&report.to_json().map_err(failed)?);
    }
    let text = if form.latex {
        report::latex(report)
    } else if form.csv {
        report::csv(report)
    } else if form.markdown {
        report::markdown(report)
    } else {
        report::text_table_within(report, data_columns().unwrap_or(usize::MAX))
    };
    super::print(&text)
}
