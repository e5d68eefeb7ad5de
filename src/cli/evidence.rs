//! Which spans of its texts earned an item its place, as `trieval search` shows them.

use std::collections::HashMap;
use std::ops::Range;

use serde::Serialize;

use crate::corpus::{Ask, ItemName};
use crate::error::Result;
use crate::identifier::spans::TITLE;
use crate::pipeline::finished::{FinishedRun, OpenSystem};
use crate::ranker::harness::Evidence;
use crate::text::{one_line, visible_excerpt};

/// Spans printed for an item; `--json` has all.
const MOST: usize = 5;
/// Least worth that is printed.
const LEAST: f64 = 0.05;
/// Characters of a span that are printed.
const LONGEST: usize = 48;
/// Characters before the spans of an item: those before its id.
const INDENT: usize = 15;
/// What stands between two spans.
const BETWEEN: &str = " · ";

/// A span that speaks for an item.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Span {
    /// What it says.
    text: String,
    /// The view that it was said in.
    view: String,
    /// The field of the item that it stands in: `title`, or the name of a further one.
    field: String,
    /// What it adds to the item's score.
    worth: f64,
    /// First byte in the field's text.
    start: usize,
    /// One past the last.
    end: usize,
}

/// Finds what speaks for items, and the texts that it stands in.
pub(super) struct Spans<'a> {
    run: &'a FinishedRun,
    /// Texts of further fields, `[items]`, read when the first span of one is met.
    fields: HashMap<String, Vec<Option<String>>>,
}

impl<'a> Spans<'a> {
    pub(super) fn new(run: &'a FinishedRun) -> Self {
        Self { run, fields: HashMap::new() }
    }

    /// What speaks for each of the items that a system found, the strongest first, `[items]`; none where it does not say.
    pub(super) fn of(
        &mut self,
        system: &OpenSystem<'_>,
        ask: &Ask,
        items: &[u32],
        names: &[ItemName],
    ) -> Result<Option<Vec<Vec<Span>>>> {
        if !system.says_why {
            return Ok(None);
        }
        let all = system.evidence(ask, items)?;
        let named = items.iter().zip(names).zip(all);
        let spans = named.map(|((item, name), evidence)| {
            let spans = evidence.into_iter().map(|one| self.span(*item, &name.title, one));
            // A token may be a blank, which nobody sees.
            spans.filter(|one| one.as_ref().map_or(true, |one| !one.text.is_empty())).collect()
        });
        spans.collect::<Result<Vec<Vec<Span>>>>().map(Some)
    }

    fn span(&mut self, item: u32, title: &str, one: Evidence) -> Result<Span> {
        let Evidence { view, field, bytes, worth, .. } = one;
        let text = match field.as_str() {
            TITLE => title,
            name => {
                if !self.fields.contains_key(name) {
                    let texts = self.run.corpus()?.field_texts(name)?;
                    self.fields.insert(name.to_owned(), texts);
                }
                let texts = self.fields.get(name).map_or(&[][..], Vec::as_slice);
                texts.get(item as usize).and_then(Option::as_deref).unwrap_or_default()
            }
        };
        let place = trimmed(text, bytes);
        // What of a text may not be shown has as many bytes in its excerpt.
        let text = visible_excerpt(text).get(place.clone()).unwrap_or_default().to_owned();
        Ok(Span { text, view, field, worth, start: place.start, end: place.end })
    }
}

/// A range of bytes of a text, on the borders of characters and without the blanks around it.
fn trimmed(text: &str, bytes: Range<usize>) -> Range<usize> {
    let border = |at: usize| {
        let at = at.min(text.len());
        (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
    };
    let (start, end) = (border(bytes.start), border(bytes.end).max(border(bytes.start)));
    let inner = text[start..end].trim();
    let start = start + (text[start..end].len() - text[start..end].trim_start().len());
    start..start + inner.len()
}

/// The lines below an item, of at most `columns` characters where a span is no longer than that; none without a span.
pub(super) fn lines(spans: &[Span], columns: usize) -> String {
    let mut text = String::new();
    let mut used = columns;
    // What is shown as 0.0 tells nothing.
    let told = spans.iter().take(MOST).take_while(|span| span.worth >= LEAST).count();
    let told = told.max(spans.len().min(1));
    let further = spans.len() - told;
    let more = (further > 0).then(|| format!("{further} more"));
    for piece in spans.iter().take(told).map(Span::shown).chain(more) {
        let length = piece.chars().count();
        if used + BETWEEN.chars().count() + length > columns {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&" ".repeat(INDENT));
            used = INDENT;
        } else {
            text.push_str(BETWEEN);
            used += BETWEEN.chars().count();
        }
        text.push_str(&piece);
        used += length;
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

impl Span {
    fn shown(&self) -> String {
        let text = one_line(&self.text);
        let text: String = match text.chars().count() > LONGEST {
            true => text.chars().take(LONGEST - 1).chain(['…']).collect(),
            false => text,
        };
        let field = match self.field.as_str() {
            TITLE => String::new(),
            field => format!("{} ", one_line(field)),
        };
        format!("{field}\"{text}\" {:.1}", self.worth)
    }
}

/// A title with its spans marked, for a terminal: already as it may reach one.
pub(super) fn marked(title: &str, spans: &[Span]) -> String {
    let of_title = spans.iter().filter(|span| span.field == TITLE && span.start < span.end);
    let mut places: Vec<Range<usize>> = of_title.map(|span| span.start..span.end).collect();
    places.sort_by_key(|place| place.start);
    let shown = visible_excerpt(title).replace(['\n', '\t'], " ");
    let style = console::Style::new().force_styling(true).bold().underlined();
    let (mut text, mut from) = (String::new(), 0);
    for place in places {
        // Spans of one text do not overlap; one that did would be left unmarked.
        let Some((before, inside)) = shown.get(from..place.start).zip(shown.get(place.clone()))
        else {
            continue;
        };
        text.push_str(before);
        text.push_str(&style.apply_to(inside).to_string());
        from = place.end;
    }
    text.push_str(&shown[from..]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(text: &str, of: &str, worth: f64) -> Span {
        let start = of.find(text).unwrap_or_default();
        let end = start + text.len();
        let (view, field) = ("spans".to_owned(), TITLE.to_owned());
        Span { text: text.to_owned(), view, field, worth, start, end }
    }

    #[test]
    fn blanks_are_trimmed_and_characters_stay_whole() {
        let text = " ein  grüner Tisch ";
        let found = |bytes| &text[trimmed(text, bytes)];
        assert_eq!(found(0..text.len()), "ein  grüner Tisch");
        assert_eq!(found(4..13), "grüner");
        assert_eq!(found(4..9), "gr", "a byte inside a character is none of its border");
        assert_eq!(found(4..6), "");
        assert_eq!(found(15..900), "isch");
        assert_eq!(trimmed("", 3..7), 0..0);
    }

    #[test]
    fn spans_stand_below_their_item_strongest_first() {
        let title = "oak dining table for six";
        let spans = [span("oak dining table", title, 12.34), span("for", title, 4.06)];
        assert_eq!(lines(&spans, 80), "               \"oak dining table\" 12.3 · \"for\" 4.1\n");
        assert_eq!(lines(&[], 80), "");
        let narrow = lines(&spans, 40);
        assert_eq!(narrow.lines().count(), 2, "{narrow}");
        assert!(narrow.lines().all(|line| line.starts_with("               \"")), "{narrow}");
        let brand = Span { field: "brand".into(), ..span("oak", title, 1.0) };
        assert!(lines(&[brand], 80).ends_with(" brand \"oak\" 1.0\n"));
        let many = vec![spans[1].clone(); 9];
        let many = lines(&many, 80);
        assert!(many.ends_with(" 4 more\n") && many.lines().all(|line| line.chars().count() <= 80));
        let weak = [spans[0].clone(), span("for", title, 0.049)];
        assert!(lines(&weak, 80).ends_with("12.3 · 1 more\n"));
        let long = span(&"very ".repeat(30), title, 1.0);
        let long = lines(&[long], 80);
        assert!(long.contains("…\" 1.0") && long.trim_end().chars().count() <= 80, "{long}");
    }

    #[test]
    fn titles_are_marked_where_their_spans_stand_and_cannot_act_on_a_terminal() {
        let title = "oak dining\ttable \u{1b}[31mfor six";
        let spans = [span("for", title, 4.0), span("oak dining", title, 12.0)];
        let text = marked(title, &spans);
        let bare = ["\u{1b}[1m", "\u{1b}[4m", "\u{1b}[0m"].iter();
        let bare = bare.fold(text.clone(), |bare, code| bare.replace(code, ""));
        assert_eq!(bare, "oak dining table ?[31mfor six");
        assert_eq!(text.matches("\u{1b}[4m").count(), 2, "{text:?}");
        assert!(text.starts_with("\u{1b}[1m\u{1b}[4moak dining\u{1b}[0m"), "{text:?}");
        assert_eq!(marked("plain", &[]), "plain");
        let secret = "see https://me:word@host/ now";
        let text = marked(secret, &[span("word", secret, 1.0)]);
        assert!(!text.contains("word") && !text.contains("me:"), "{text}");
    }
}
