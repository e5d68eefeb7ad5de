//! The key of a chart: which shape and color stands for what.

use super::{color, escape, marker};

/// One entry of a key.
pub(in crate::report) struct Key {
    /// Position in the row of colors and shapes.
    pub(in crate::report) index: usize,
    pub(in crate::report) label: String,
    /// Address of the run that the entry stands for, if it stands for one.
    pub(in crate::report) link: Option<String>,
}

/// A list of entries as HTML.
pub(in crate::report) fn key(entries: &[Key]) -> String {
    let entry = |one: &Key| {
        let label = format!("<bdi>{}</bdi>", escape(&one.label));
        let label = match &one.link {
            Some(link) => format!(r#"<a class="quiet" href="{}">{label}</a>"#, escape(link)),
            None => label,
        };
        format!(
            r#"<li><svg class="chart" viewBox="-8 -8 16 16" width="16" height="16" aria-hidden="true">{}</svg>{label}</li>"#,
            marker(one.index, 0.0, 0.0, &color(one.index)),
        )
    };
    let entries: String = entries.iter().map(entry).collect();
    format!(r#"<ul class="key">{entries}</ul>"#)
}
