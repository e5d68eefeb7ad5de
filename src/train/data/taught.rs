//! What a system answers to the training requests, for those who learn it.

use std::path::Path;

use crate::corpus::Split;
use crate::error::Result;
use crate::inputs::StepContext;
use crate::kind::Role;
use crate::store::{Packer, SealKind, Unpacker};
use crate::text::grouped;
use crate::train::settings::{TaughtRequests, TeacherSettings};

const FILE: &str = "taught.bin";
const TAUGHT: SealKind = SealKind { kind: "answers of a teacher", version: 1 };

/// Items that a system answers, best first, by training request.
pub struct Taught(Vec<Vec<u32>>);

impl Taught {
    /// Answers by training request: `[requests]`, each with any number of items.
    pub fn new(lists: Vec<Vec<u32>>) -> Self {
        Self(lists)
    }

    /// Writes them into a step's folder.
    ///
    /// # Errors
    /// [`crate::Error::Environment`] when the disk refuses.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let mut table = Packer::default();
        table.number(self.0.len() as u64);
        self.0.iter().for_each(|list| table.numbers(list));
        table.write(&folder.join(FILE), TAUGHT)
    }

    /// Reads what a teacher answered for a step that learns it; none where none teaches it.
    ///
    /// # Errors
    /// [`crate::Error::Data`] when the file is damaged or of another corpus.
    fn of(step: &StepContext<'_>) -> Result<Option<Self>> {
        let Some(folder) = step.inputs.find(Role::Teacher) else { return Ok(None) };
        let (requests, items) =
            (step.inputs.corpus()?.request_range(Split::Train), step.inputs.catalogue()?.len());
        let mut table = Unpacker::open(&folder.join(FILE), TAUGHT)?;
        table.expect(requests.len() as u64, "training requests")?;
        let lists = requests.map(|_| table.numbers(items as u64)).collect::<Result<_>>()?;
        table.finish()?;
        Ok(Some(Self(lists)))
    }

    /// Pairs of a training request and an item that is learned for it, in the order of requests; `chosen` are the pairs
    /// that are learned anyway.
    fn pairs(&self, requests: TaughtRequests, chosen: &[(u32, u32)]) -> Vec<(u32, u32)> {
        let mut known: Vec<Vec<u32>> = vec![Vec::new(); self.0.len()];
        chosen.iter().for_each(|&(request, item)| known[request as usize].push(item));
        let mut pairs = Vec::new();
        for ((request, list), known) in (0..).zip(&self.0).zip(&known) {
            let teaches = requests == TaughtRequests::All || known.is_empty();
            let new = list.iter().filter(|item| teaches && !known.contains(item));
            pairs.extend(new.map(|&item| (request, item)));
        }
        pairs
    }
}

/// Adds what a step's teacher answers to the pairs of training requests and items that were chosen, and says how much that
/// is; nothing where none teaches it.
///
/// # Errors
/// [`crate::Error::Data`] when what it answered is damaged or of another corpus.
pub fn teach(
    step: &StepContext<'_>,
    teacher: Option<&TeacherSettings>,
    pairs: &mut Vec<(u32, u32)>,
) -> Result<()> {
    let Some((taught, teacher)) = Taught::of(step)?.zip(teacher) else { return Ok(()) };
    let (n, new) = (pairs.len(), taught.pairs(teacher.requests, pairs));
    let told = format!(
        "{}: {} clicked items and {} answers of system {} are learned",
        step.name,
        grouped(n as u64),
        grouped(new.len() as u64),
        teacher.system
    );
    match new.is_empty() {
        true => step.ctx.warn(format!("{told}: it teaches nothing new")),
        false => step.ctx.say(told),
    }
    pairs.extend(new);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_clicked_is_not_taught_again() {
        let taught = Taught::new(vec![vec![4, 2], vec![], vec![7, 1], vec![3]]);
        let chosen = [(0, 2), (0, 9), (1, 5)];
        assert_eq!(taught.pairs(TaughtRequests::All, &chosen), [(0, 4), (2, 7), (2, 1), (3, 3)]);
        let unanswered = taught.pairs(TaughtRequests::Unanswered, &chosen);
        assert_eq!(unanswered, [(2, 7), (2, 1), (3, 3)]);
    }
}
