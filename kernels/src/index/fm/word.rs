//! Numbers that a build works on: 32 bits wide where all rows can be counted so, else 64.

/// A place in the stream of all texts, or a symbol of it.
pub(super) trait Word: Copy + Ord + Default + Send + Sync {
    /// The number; the caller knows that it fits.
    fn of(number: usize) -> Self;

    /// As an index.
    fn get(self) -> usize;
}

impl Word for u32 {
    #[inline(always)]
    fn of(number: usize) -> Self {
        number as u32
    }

    #[inline(always)]
    fn get(self) -> usize {
        self as usize
    }
}

impl Word for u64 {
    #[inline(always)]
    fn of(number: usize) -> Self {
        number as u64
    }

    #[inline(always)]
    fn get(self) -> usize {
        self as usize
    }
}
