//! Tokens of the second level that identifiers lose, where a few of them carry most items (arXiv 2407.21488).

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::identifier::settings::Remove;

/// What was taken from the second level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Codes of the level before.
    pub codes: u32,
    /// Codes that are not spelled, ascending; none where the level itself is gone.
    pub tokens: Option<Vec<u32>>,
}

impl Removed {
    /// The code that stands for a removed one; none where the level is gone.
    pub fn skip(&self) -> Option<u32> {
        self.tokens.as_ref().map(|_| self.codes)
    }

    /// Codes that are not spelled.
    pub fn n_codes(&self) -> u64 {
        self.tokens.as_ref().map_or(u64::from(self.codes), |tokens| tokens.len() as u64)
    }

    /// Codes of one item as it is spelled, from those that were made.
    pub fn spell(&self, made: &[u32]) -> Vec<u32> {
        let mut path = made.to_vec();
        match &self.tokens {
            None => {
                path.remove(1);
            }
            Some(tokens) if tokens.binary_search(&path[1]).is_ok() => path[1] = self.codes,
            Some(_) => {}
        }
        path
    }
}

/// Removes from codes `[items, levels]`.
pub(super) fn remove(
    codes: &mut Vec<u32>,
    levels: &mut Vec<u32>,
    remove: Remove,
) -> Result<Removed> {
    let n_levels = levels.len();
    if n_levels < 3 {
        let message = format!("{n_levels} levels are too few to remove tokens of the second");
        return Err(Error::Failed(message));
    }
    let before = levels[1];
    let mut usage: Vec<(u32, u64)> = (0..before).map(|code| (code, 0)).collect();
    for path in codes.chunks_exact(n_levels) {
        usage[path[1] as usize].1 += 1;
    }
    // The most frequent first, the smaller code where two are as frequent.
    usage.sort_by_key(|&(code, count)| (std::cmp::Reverse(count), code));
    let items = (codes.len() / n_levels) as f64;
    let n_removed = match remove {
        Remove::SecondLevel => None,
        Remove::Top { codes } => Some(codes as usize),
        Remove::TopShare { share } => {
            let mut carried = 0;
            let enough = |(_, count): &(u32, u64)| {
                carried += count;
                carried as f64 >= share * items
            };
            Some(usage.iter().position(enough).map_or(usage.len(), |at| at + 1))
        }
    };
    let tokens = n_removed.map(|n| {
        let mut tokens: Vec<u32> = usage.iter().take(n).map(|&(code, _)| code).collect();
        tokens.sort_unstable();
        tokens
    });
    match tokens {
        None => {
            levels.remove(1);
        }
        Some(_) => levels[1] += 1,
    }
    let removed = Removed { codes: before, tokens };
    *codes = codes.chunks_exact(n_levels).flat_map(|path| removed.spell(path)).collect();
    Ok(removed)
}
