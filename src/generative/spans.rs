//! Spans of texts in the tokens of a model: made, and opened.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use trieval_kernels::index::IndexError;
use trieval_kernels::index::fm::{Build, FmBuilder, FmIndex};

use super::files::{INDEX_FILE, mismatch};
use crate::corpus::Corpus;
use crate::decode::spans::{SpanTokenizer, Spans};
use crate::error::{Error, Result};
use crate::identifier::spans::settings::IndexBuild;
use crate::identifier::spans::{Counts, Declared, SpanTexts, Text, TextsWriter, View};
use crate::inputs::StepContext;
use crate::model::Tokenizer;
use crate::store::write_atomic;

/// The texts in tokens, beside their index.
pub const TEXTS_FILE: &str = "texts.bin";
/// Items whose texts are made tokens between two looks at the interrupt flag.
const CHUNK: usize = 4_096;

/// Where spans lie, and how a model asks for them.
pub(super) struct SpanFolder {
    folder: PathBuf,
    declared: Declared,
    modes: Vec<u32>,
}

impl SpanFolder {
    /// The spans in a folder, for a model that asks for their views by these mode tokens.
    pub(super) fn open(folder: &Path, modes: Vec<u32>) -> Result<Self> {
        Ok(Self { folder: folder.to_owned(), declared: Declared::read(folder)?, modes })
    }

    pub(super) fn declared(&self) -> &Declared {
        &self.declared
    }

    /// The mode token of spans of titles.
    pub(super) fn first_mode(&self) -> Option<u32> {
        self.modes.first().copied()
    }

    /// Checks that they are in the tokens of a tokenizer, if they are in any.
    pub(super) fn check_tokenizer(&self, digest: &str) -> Result<()> {
        match &self.declared.counts {
            Some(counts) if counts.tokenizer != digest => mismatch(&self.folder, "tokenizer"),
            _ => Ok(()),
        }
    }

    /// Maps texts and index.
    pub(super) fn spans(&self, tokenizer: &Tokenizer) -> Result<Spans> {
        let settings = self.declared.settings.clone();
        let views = settings.views();
        let n_fields = 1 + settings.fields.len() as u32;
        let alphabet = tokenizer.len() as u32;
        let texts = SpanTexts::open(&self.folder.join(TEXTS_FILE), alphabet, n_fields)?;
        let index = open(&self.folder.join(INDEX_FILE))?;
        if index.n_items() as usize != texts.n_items() || index.width() > alphabet {
            let message = "index and texts are not of the same items and tokens";
            return Err(Error::data(&self.folder, message)
                .with_help("delete the step's folder; it will be done again"));
        }
        let starts = texts.word_starts(alphabet);
        let mode = |place: usize| self.modes.get(place).copied();
        let views = views.into_iter().enumerate().map(|(place, view)| (view, mode(place)));
        let tokenizer = SpanTokenizer::new(tokenizer, &settings);
        Ok(Spans { views: views.collect(), settings, texts, index, starts, tokenizer })
    }
}

fn open(path: &Path) -> Result<FmIndex> {
    FmIndex::open(path).map_err(|e| {
        // The fault names the file itself.
        let message = e.to_string();
        let named = format!("{}: ", path.display());
        Error::data(path, message.strip_prefix(&named).unwrap_or(&message))
            .with_help("delete the step's folder; it will be done again")
    })
}

/// Makes the texts of all items tokens of a model, and builds the index of their spans; `digest` is that of the tokenizer.
pub(super) fn make(
    step: &StepContext<'_>,
    declared: &Declared,
    modes: &[u32],
    (tokenizer, digest): (&Tokenizer, &str),
) -> Result<()> {
    let settings = &declared.settings;
    let catalogue = step.inputs.catalogue()?;
    let fields = fields(step.inputs.corpus()?, &settings.fields)?;
    let tokens = SpanTokenizer::new(tokenizer, settings);
    // What opens the texts of each field: 0 is the title's, whose spans from anywhere are another view.
    let views = settings.views();
    let opening = |field: u32| {
        let is_of = |view: &View| match view {
            View::Spans => false,
            View::Title => field == 0,
            View::Field(name) => settings.fields.get(field as usize - 1) == Some(name),
        };
        let is_of = |view: &View| (field > 0 || *view == View::Title) && is_of(view);
        views.iter().position(is_of).and_then(|place| modes.get(place).copied())
    };
    let openings: Vec<Option<u32>> = (0..=settings.fields.len() as u32).map(opening).collect();

    let mut writer = TextsWriter::default();
    let n_items = catalogue.len();
    let failed = |e: IndexError| Error::Failed(format!("{}: {e}", step.name));
    let mut builder = FmBuilder::new(tokenizer.len() as u32, n_items as u32).map_err(failed)?;
    let mut counts = Counts { tokenizer: digest.to_owned(), ..Counts::default() };
    let mut bar = step.ctx.bar("texts", n_items as u64, "item");
    let items: Vec<u32> = (0..n_items as u32).collect();
    for chunk in items.chunks(CHUNK) {
        step.ctx.check_interrupt()?;
        let texts_of = |item: &u32| {
            let title = [(0, Some(catalogue.title(*item)))].into_iter();
            let further = fields.iter().map(|values| values[*item as usize].as_deref());
            let all = title.chain((1..).zip(further));
            let text = |(field, text): (u32, Option<&str>)| {
                Ok(Text { field, pieces: tokens.pieces(text.unwrap_or_default())? })
            };
            all.map(text).collect::<Result<Vec<Text>>>()
        };
        let all: Vec<Vec<Text>> = chunk.par_iter().map(texts_of).collect::<Result<_>>()?;
        for (item, texts) in chunk.iter().zip(&all) {
            writer.push(texts);
            let mut has_text = false;
            for text in texts.iter().filter(|text| !text.pieces.is_empty()) {
                has_text = true;
                counts.texts += 1;
                counts.tokens += text.pieces.len() as u64;
                let opening = openings[text.field as usize].into_iter();
                let own = text.pieces.iter().map(|piece| piece.token);
                builder.push(*item, &opening.chain(own).collect::<Vec<_>>()).map_err(failed)?;
            }
            *(if has_text { &mut counts.items } else { &mut counts.silent }) += 1;
        }
        bar.advance(chunk.len() as u64);
    }
    drop(bar);
    if counts.items == 0 {
        let message = "no item has a title that becomes a token, so that no span names any";
        return Err(Error::data(step.inputs.corpus()?.folder(), message)
            .with_help("give the items titles, or take identifiers of codes"));
    }
    writer.write(&step.out.join(TEXTS_FILE))?;
    drop(writer);
    let build = match settings.index {
        IndexBuild::Compact => Build::Compact,
        IndexBuild::Fast => Build::Fast,
    };
    let index = builder.build(build).map_err(failed)?;
    counts.index_bytes = index.bytes() as u64;
    let path = step.out.join(INDEX_FILE);
    write_atomic(&path, |writer| index.write(writer).map_err(|e| Error::unwritable(&path, &e)))?;
    tell(step, &counts);
    declared.counting(counts).write(step.out)
}

fn tell(step: &StepContext<'_>, counts: &Counts) {
    let Counts { items, silent, texts, tokens, index_bytes, .. } = counts;
    let per_token = *index_bytes as f64 / *tokens as f64;
    step.ctx.say(format!(
        "{}: {tokens} tokens in {texts} texts of {items} items; index: {index_bytes} bytes, {per_token:.1} per token",
        step.name
    ));
    if *silent > 0 {
        step.ctx.warn(format!(
            "{}: {silent} items have no text that becomes a token: no span finds them",
            step.name
        ));
    }
}

/// Values of further fields, `[fields][items]`.
fn fields(corpus: &Corpus, names: &[String]) -> Result<Vec<Vec<Option<String>>>> {
    names.iter().map(|name| corpus.field_texts(name)).collect()
}
