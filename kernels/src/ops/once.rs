//! Something derived from what it lies beside, made when it is first wanted.

use std::sync::OnceLock;

use candle_core::Result;

/// Made once; no part of what the thing around it equals.
#[derive(Debug)]
pub(super) struct Once<T>(OnceLock<T>);

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<T: Clone> Clone for Once<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> PartialEq for Once<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> Eq for Once<T> {}

impl<T> Once<T> {
    /// What was made first, here or by another thread meanwhile.
    pub(super) fn get_or_try(&self, make: impl FnOnce() -> Result<T>) -> Result<&T> {
        match self.0.get() {
            Some(made) => Ok(made),
            None => {
                let made = make()?;
                Ok(self.0.get_or_init(|| made))
            }
        }
    }
}
