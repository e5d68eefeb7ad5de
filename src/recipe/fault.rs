//! A fault of a recipe, and all faults rendered with excerpts.
//!
//! Knows how faults look; not what makes one.

use std::io::IsTerminal;
use std::sync::Arc;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report,
    Severity,
};

use super::place::{Place, Source};
use crate::progress::message_columns;
use crate::text::{visible, visible_excerpt};

/// Most faults shown in full; further ones are counted.
const SHOWN: usize = 50;

/// Most characters of a line; a narrower terminal has fewer.
const WIDTH: usize = 100;

/// Longest line in bytes that is shown as an excerpt.
const LONGEST_LINE: usize = 1_000;

/// Something that is wrong with a recipe, and where.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub(super) place: Place,
    pub(super) message: String,
    label: String,
    help: Option<String>,
    also: Vec<(Place, String)>,
    warning: bool,
}

impl Fault {
    pub(super) fn new(place: Place, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            place,
            message: message.into(),
            label: label.into(),
            help: None,
            also: Vec::new(),
            warning: false,
        }
    }

    /// Says what to do about it.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Underlines a second place in the same source; places in other sources are left out.
    pub(super) fn also(mut self, place: Place, label: impl Into<String>) -> Self {
        if place.source == self.place.source {
            self.also.push((place, label.into()));
        }
        self
    }

    /// Makes it a remark that does not stop the recipe.
    pub(super) fn warning(mut self) -> Self {
        self.warning = true;
        self
    }

    pub(super) fn is_warning(&self) -> bool {
        self.warning
    }
}

/// How faults are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Lines and colors, for a terminal.
    Color,
    /// Lines without colors.
    Plain,
}

impl Style {
    /// Colors only where standard error is a terminal and `NO_COLOR` does not forbid them.
    pub(super) fn detect() -> Self {
        let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        if std::io::stderr().is_terminal() && !forbidden { Self::Color } else { Self::Plain }
    }
}

/// Sorts faults by position and drops repeated ones.
pub(super) fn sort(faults: &mut Vec<Fault>) {
    faults.sort_by(|a, b| (&a.place, &a.message).cmp(&(&b.place, &b.message)));
    faults.dedup_by(|a, b| a.place == b.place && a.message == b.message);
}

/// All faults with excerpts, sorted by position; faults (not remarks) are counted in a closing line.
pub(super) fn render(sources: &[Source], faults: &[Fault], style: Style) -> String {
    let theme = match style {
        Style::Color => GraphicalTheme::unicode(),
        Style::Plain => GraphicalTheme::unicode_nocolor(),
    };
    let width = match style {
        Style::Color => message_columns().unwrap_or(WIDTH).min(WIDTH),
        Style::Plain => WIDTH,
    };
    let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_width(width);
    let mut text = String::new();
    let sources: Vec<Source> = sources.iter().map(shown_source).collect();
    for fault in faults.iter().take(SHOWN) {
        let rendered = render_one(&handler, &sources, &shown(fault));
        text.push_str(rendered.trim_start_matches('\n'));
        text.push('\n');
    }
    let n_faults = faults.iter().filter(|fault| !fault.warning).count();
    if faults.len() > SHOWN {
        text.push_str(&format!("… and {} more\n", faults.len() - SHOWN));
    }
    if n_faults > 0 {
        let name = sources.first().map_or("the recipe", |source| source.name.as_str());
        let plural = if n_faults == 1 { "" } else { "s" };
        text.push_str(&format!("{n_faults} fault{plural} in {name}; nothing was started"));
    }
    text
}

/// A source as it may reach a terminal; places keep their bytes.
fn shown_source(source: &Source) -> Source {
    Source {
        name: visible(&source.name).into_owned(),
        text: Arc::new(visible_excerpt(&source.text)),
    }
}

/// A fault as it may reach a terminal, whatever it quotes.
fn shown(fault: &Fault) -> Fault {
    let text = |text: &String| visible(text).into_owned();
    Fault {
        place: fault.place.clone(),
        message: text(&fault.message),
        label: text(&fault.label),
        help: fault.help.as_ref().map(text),
        also: fault.also.iter().map(|(place, label)| (place.clone(), text(label))).collect(),
        warning: fault.warning,
    }
}

fn render_one(handler: &GraphicalReportHandler, sources: &[Source], fault: &Fault) -> String {
    let mut diagnostic = MietteDiagnostic::new(fault.message.clone());
    diagnostic.severity = Some(if fault.warning { Severity::Warning } else { Severity::Error });
    diagnostic.help.clone_from(&fault.help);
    let Some(source) = sources.get(fault.place.source) else {
        return fault.message.clone();
    };
    let span = |place: &Place| {
        let start = place.start.min(source.text.len());
        start..place.end.clamp(start, source.text.len())
    };
    if longest_line(&source.text, fault.place.start) > LONGEST_LINE {
        return plain(source, fault);
    }
    let mut labels =
        vec![LabeledSpan::new_primary_with_span(Some(fault.label.clone()), span(&fault.place))];
    for (place, label) in &fault.also {
        labels.push(LabeledSpan::new_with_span(Some(label.clone()), span(place)));
    }
    diagnostic.labels = Some(labels);
    // miette needs a character to point at: an empty file is shown as one empty line
    let shown =
        if source.text.is_empty() { Arc::new("\n".to_owned()) } else { source.text.clone() };
    let report = Report::new(diagnostic)
        .with_source_code(NamedSource::new(source.name.clone(), shown).with_language("toml"));
    let mut text = String::new();
    match handler.render_report(&mut text, report.as_ref()) {
        Ok(()) => text,
        Err(_) => plain(source, fault),
    }
}

/// A fault in words only, where an excerpt would not help.
fn plain(source: &Source, fault: &Fault) -> String {
    let mark = if fault.warning { '⚠' } else { '×' };
    let (name, line) = (&source.name, source.line(fault.place.start));
    let mut text = format!("  {mark} {} [{name}:{line}]: {}\n", fault.message, fault.label);
    if let Some(help) = &fault.help {
        text.push_str(&format!("  help: {help}\n"));
    }
    text
}

/// Bytes of the longest line that an excerpt around an offset would show.
fn longest_line(text: &str, offset: usize) -> usize {
    let bytes = text.as_bytes();
    let offset = offset.min(bytes.len());
    let before = bytes[..offset].rsplit(|&byte| byte == b'\n').take(2).map(<[u8]>::len);
    let after = bytes[offset..].split(|&byte| byte == b'\n').take(2).map(<[u8]>::len);
    before.chain(after).max().unwrap_or(0)
}

/// The name closest to a misspelt one, if any is close enough to be meant.
pub(super) fn nearest<'n>(
    misspelt: &str,
    names: impl IntoIterator<Item = &'n str>,
) -> Option<&'n str> {
    let wanted = misspelt.to_lowercase().replace('_', "-");
    names
        .into_iter()
        .map(|name| {
            let spelling = name.to_lowercase().replace('_', "-");
            let distance = strsim::damerau_levenshtein(&wanted, &spelling);
            let likeness = strsim::jaro_winkler(&wanted, &spelling);
            (distance, likeness, name)
        })
        .filter(|(distance, likeness, name)| {
            let length = misspelt.chars().count().max(name.chars().count());
            *distance <= 1 + length / 4 || *likeness >= 0.88
        })
        .min_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)))
        .map(|(_, _, name)| name)
}

/// `a`, `b` or `c`, in the given quotes; long lists are cut.
pub(super) fn listed<'n>(names: impl IntoIterator<Item = &'n str>, quote: &str) -> String {
    const MOST: usize = 20;
    let names: Vec<String> =
        names.into_iter().map(|name| format!("{quote}{name}{quote}")).collect();
    if names.len() > MOST {
        return format!("{} and {} more", names[..MOST].join(", "), names.len() - MOST);
    }
    names.join(", ")
}
