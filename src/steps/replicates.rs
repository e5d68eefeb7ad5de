//! Judges the systems of several seeds together: figures are means over the seeds, and intervals
//! and tests hold the spread over seeds as well as over requests.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use super::Work;
use super::evaluation::{Entries, Evaluate};
use super::system::SystemFile;
use crate::error::Result;
use crate::inputs::StepContext;
use crate::judging::runs::read_answers;
use crate::kind::{Estimate, Role, Sizes};

/// Judges the replicates of all systems.
#[derive(Serialize, JsonSchema)]
pub struct EvaluateSeeds {
    /// What is judged under each seed, and how.
    pub each: Evaluate,
    /// The seeds, in the order of the report.
    pub seeds: Vec<u64>,
}

impl EvaluateSeeds {
    /// The role of a system under the seed at a place of `n_seeds`.
    pub fn role(system: usize, seed: usize, n_seeds: usize) -> Role {
        Role::System(system * n_seeds + seed)
    }
}

impl Work for EvaluateSeeds {
    fn run(&self, step: &StepContext<'_>) -> Result<()> {
        let n_seeds = self.seeds.len();
        let vectors: Vec<Option<&Path>> =
            (0..n_seeds).map(|seed| step.inputs.find(Role::Part(seed))).collect();
        let is_shared = vectors.windows(2).all(|pair| pair[0] == pair[1]);
        let mut entries = Entries {
            seeds: &self.seeds,
            n_runs: Vec::new(),
            runs: Vec::new(),
            files: Vec::new(),
            vectors: if is_shared { vectors[..1].to_vec() } else { vectors },
        };
        for (place, system) in self.each.systems.iter().enumerate() {
            let folder = |seed| step.inputs.folder(Self::role(place, seed, n_seeds));
            let mut folders: Vec<&Path> = (0..n_seeds).map(folder).collect::<Result<_>>()?;
            // A system that no seed changes has one run, which stands beside each of the others';
            // unless what measures it differs.
            let is_same = folders.windows(2).all(|pair| pair[0] == pair[1]);
            let mut files = Vec::new();
            for folder in &folders[..if is_same { 1 } else { n_seeds }] {
                files.push(SystemFile::read(folder)?);
            }
            entries.files.extend(SystemFile::joined(files));
            if is_same && is_shared {
                folders.truncate(1);
            }
            entries.n_runs.push(folders.len());
            for folder in folders {
                entries.runs.push(read_answers(folder)?.renamed(&system.name));
            }
        }
        self.each.judge(step, entries).map(drop)
    }

    fn estimate(&self, sizes: &Sizes) -> Estimate {
        let seeds: Vec<String> = self.seeds.iter().map(u64::to_string).collect();
        let each = self.each.estimate(sizes);
        let mut estimate = Estimate::default().figure("seeds", seeds.join(", "));
        estimate.figures.extend(each.figures);
        estimate
    }
}
