//! A request, answered in spans.

use std::ops::Range;
use std::sync::Arc;

use super::Spans;
use super::said::{Said, say};
use super::settings::SpanDecodeSettings;
use super::vote::{Taken, Votes};
use crate::error::Result;
use crate::identifier::spans::TITLE;
use crate::model::inference::FrozenDecoder;

/// Turns prompts into items by what a decoder says to them; shared by any number of threads.
#[derive(Clone)]
pub struct SpanRetriever {
    decoder: Arc<FrozenDecoder>,
    spans: Arc<Spans>,
    settings: SpanDecodeSettings,
}

/// A span that speaks for an item.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// Name of the view that it was said in.
    pub view: String,
    /// The field that it stands in: `title`, or the name of a further one.
    pub field: String,
    /// Where it stands in the text, in bytes: blanks around it are left out where the text is shown.
    pub bytes: Range<usize>,
    /// What it adds to the item's score.
    pub worth: f64,
}

impl SpanRetriever {
    /// `decoder` has the vocabulary that `spans` are made in.
    pub fn new(
        decoder: Arc<FrozenDecoder>,
        spans: Arc<Spans>,
        settings: &SpanDecodeSettings,
    ) -> Self {
        Self { decoder, spans, settings: settings.clone() }
    }

    /// The same, weighing what is said by other constants. What is said must be under the same beam and query words.
    #[must_use]
    pub fn weighing(&self, settings: &SpanDecodeSettings) -> Self {
        Self { settings: settings.clone(), ..self.clone() }
    }

    /// What can be said.
    pub fn spans(&self) -> &Spans {
        &self.spans
    }

    /// What the decoder says to a prompt, without a mode token, and to the query in it.
    ///
    /// # Errors
    /// When the prompt does not fit the decoder, or its weights are unusable.
    pub fn say(&self, prompt: &[u32], query: Option<&str>) -> Result<Said> {
        let query = query.filter(|_| self.settings.query_words > 0);
        let query = query.map(|query| self.spans.tokenizer.pieces(query)).transpose()?;
        let query = query.unwrap_or_default();
        say(&self.decoder, &self.spans, &self.settings, prompt, &query)
    }

    /// At most `depth` items for what was said, best first; none of `exclude` (ascending).
    pub fn items(&self, said: &Said, depth: usize, exclude: &[u32]) -> Vec<(u32, f32)> {
        Votes::new(&self.spans, &self.settings, said).items(depth, exclude)
    }

    /// What speaks for each of some items, the strongest first, `[items]`.
    pub fn evidence(&self, said: &Said, items: &[u32]) -> Vec<Vec<Evidence>> {
        let votes = Votes::new(&self.spans, &self.settings, said);
        let evidence = |taken: Taken| {
            let mut pieces = self.spans.texts.pieces(taken.text).skip(taken.place.start);
            let start = pieces.next().map_or(0, |piece| piece.start as usize);
            let last = self.spans.texts.pieces(taken.text).nth(taken.place.end - 1);
            let end = last.map_or(start, |piece| piece.end as usize);
            let view = self.spans.views[said.keys[taken.key].view].0.name().to_owned();
            let further = self.spans.texts.field(taken.text).checked_sub(1);
            let name = further.and_then(|place| self.spans.settings.fields.get(place as usize));
            let field = name.map_or(TITLE, String::as_str).to_owned();
            Evidence { view, field, bytes: start..end, worth: taken.worth }
        };
        let of = |item: &u32| {
            let mut all: Vec<Evidence> = votes.places(*item).into_iter().map(evidence).collect();
            all.sort_by(|a, b| b.worth.total_cmp(&a.worth));
            all
        };
        items.iter().map(of).collect()
    }
}
