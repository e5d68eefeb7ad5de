//! What a model is told of the identifiers that it is to write.

use crate::error::Result;
use crate::identifier::Identifiers;
use crate::identifier::spans::settings::SpanSettings;
use crate::identifier::spans::{Declared, SPANS_FILE};
use crate::inputs::StepContext;

/// An identifier of a model.
#[derive(Debug, Clone)]
pub(super) enum Named {
    /// Paths of codes, which get tokens of their own.
    Codes(Box<Identifiers>),
    /// Spans of texts: words of the vocabulary that is there.
    Spans(SpanSettings),
}

impl Named {
    /// Codes of each level; none of spans.
    pub(super) fn levels(&self) -> &[u32] {
        match self {
            Self::Codes(identifiers) => &identifiers.levels,
            Self::Spans(_) => &[],
        }
    }

    /// Ways to ask for it, each of which has a mode token where a model has several.
    pub(super) fn modes(&self) -> usize {
        match self {
            Self::Codes(_) => 1,
            Self::Spans(settings) => settings.views().len(),
        }
    }

    /// Most tokens of an answer.
    pub(super) fn longest(&self) -> usize {
        match self {
            Self::Codes(identifiers) => identifiers.n_levels(),
            Self::Spans(settings) => settings.tokens as usize,
        }
    }

    /// The codes, where it has some.
    pub(super) fn codes(&self) -> Option<&Identifiers> {
        match self {
            Self::Codes(identifiers) => Some(identifiers),
            Self::Spans(_) => None,
        }
    }
}

/// The identifiers of a model, in the order of its tokens.
pub(super) fn named(step: &StepContext<'_>) -> Result<Vec<Named>> {
    let folders = step.inputs.identifiers().into_iter();
    let named = folders.map(|(_, folder)| match folder.join(SPANS_FILE).is_file() {
        true => Declared::read(folder).map(|declared| Named::Spans(declared.settings)),
        false => Identifiers::load(folder, None).map(|one| Named::Codes(Box::new(one))),
    });
    named.collect()
}
