//! How scores join along a sequence: a closed set, so that an engine on a device can have them all.

/// How a continuation's own score joins the score of its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rule {
    /// Parent's score plus own score: log-probabilities of a sequence.
    #[default]
    Add,
    /// Own score alone: a node's score already speaks for its whole path (TDM, arXiv 1801.02294;
    /// OTM).
    Replace,
    /// Parent's score times own score: conditional probabilities along a path (PLT).
    Multiply,
}

impl Rule {
    /// Score of the empty sequence.
    pub fn start(self) -> f32 {
        match self {
            Self::Add | Self::Replace => 0.0,
            Self::Multiply => 1.0,
        }
    }

    /// Score of the continued sequence.
    #[inline]
    pub fn combine(self, parent: f32, own: f32) -> f32 {
        match self {
            Self::Add => parent + own,
            Self::Replace => own,
            Self::Multiply => parent * own,
        }
    }
}
