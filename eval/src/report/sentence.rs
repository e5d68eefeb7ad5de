//! Sentences whose figures know the run that they come from. Each form of the report shows the pieces its own way: as links,
//! or as plain text. It knows no address but those that `link` gives.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::link;
use super::model::SystemReport;

/// The section of the page that says what was measured and how.
const METHOD: &str = "#method";

/// A sentence in pieces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Sentence {
    pub(super) pieces: Vec<Piece>,
}

/// Words, or a figure with the address of its run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Piece {
    pub(super) text: String,
    /// Address of the run that a figure comes from, or of the section that holds a setting.
    pub(super) link: Option<String>,
    /// What the address leads to; empty without one.
    pub(super) title: String,
}

impl Sentence {
    /// Adds words.
    pub(super) fn say(mut self, text: impl Into<String>) -> Self {
        self.pieces.push(Piece { text: text.into(), link: None, title: String::new() });
        self
    }

    /// Adds a figure of that system, together with the words that belong to it.
    pub(super) fn figure(mut self, text: impl Into<String>, system: &SystemReport) -> Self {
        let link = link::run(system);
        let title = link.as_ref().map_or_else(String::new, |_| link::title(&system.name));
        self.pieces.push(Piece { text: text.into(), link, title });
        self
    }

    /// Keeps the first link to each address that is not among those `led` to before.
    pub(super) fn lead_once(&mut self, led: &mut BTreeSet<String>) {
        for piece in &mut self.pieces {
            if piece.link.as_ref().is_some_and(|link| !led.insert(link.clone())) {
                (piece.link, piece.title) = (None, String::new());
            }
        }
    }

    /// Adds a figure of no single run, such as a number of requests.
    pub(super) fn setting(mut self, text: impl Into<String>) -> Self {
        let (link, title) = (Some(METHOD.to_owned()), "how it was measured".to_owned());
        self.pieces.push(Piece { text: text.into(), link, title });
        self
    }
}

impl Piece {
    /// The address, where it leads out of the report.
    pub(super) fn run(&self) -> Option<&str> {
        self.link.as_deref().filter(|link| *link != METHOD)
    }
}

impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| f.write_str(&piece.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_keep_their_run_and_the_words_read_on() {
        let run = Some("a b.tsv".to_owned());
        let system = SystemReport { name: "x".to_owned(), run, ..SystemReport::default() };
        let sentence = Sentence::default().say("it has ").figure("0.5", &system).say(".");
        assert_eq!(sentence.to_string(), "it has 0.5.");
        let links: Vec<Option<&str>> =
            sentence.pieces.iter().map(|piece| piece.link.as_deref()).collect();
        assert_eq!(links, [None, Some("./a%20b.tsv"), None]);
        let setting = Sentence::default().setting("9 requests");
        assert_eq!(
            (setting.pieces[0].link.as_deref(), setting.pieces[0].run()),
            (Some("#method"), None)
        );
        let nowhere = Sentence::default().figure("0.5", &SystemReport::default());
        assert_eq!((nowhere.pieces[0].link.as_ref(), nowhere.pieces[0].title.as_str()), (None, ""));
    }
}
