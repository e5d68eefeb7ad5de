//! Where something was written: which text, and which bytes of it. Knows no TOML.

use std::ops::Range;
use std::sync::Arc;

/// Where something was written: a source of the document and a byte range in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// 0 is the recipe file, i is the i-th override.
    pub(super) source: usize,
    /// First byte.
    pub(super) start: usize,
    /// One past the last byte.
    pub(super) end: usize,
}

impl Place {
    pub(super) fn new(source: usize, span: Range<usize>) -> Self {
        Self { source, start: span.start, end: span.end.max(span.start) }
    }
}

/// One text that contributes to a recipe.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// File name, or `--set` for an override.
    pub(super) name: String,
    pub(super) text: Arc<String>,
}

impl Source {
    /// 1-based line of a byte offset.
    pub(super) fn line(&self, offset: usize) -> usize {
        let end = offset.min(self.text.len());
        1 + self.text.as_bytes()[..end].iter().filter(|&&byte| byte == b'\n').count()
    }
}
