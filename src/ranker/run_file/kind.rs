//! What a run file says of itself as a system.

use std::path::PathBuf;

use super::{RUN_FILE_KIND, RunFile};
use crate::corpus::Request;
use crate::error::Result;
use crate::inputs::Inputs;
use crate::kind::{Abilities, Faults, Kind, keys};
use crate::progress::Context;
use crate::ranker::Retrieve;
use crate::ranker::kinds::{System, SystemKind};
use crate::ranker::settings::RunFileSettings;

impl Kind for RunFileSettings {
    fn format(&self) -> u32 {
        // 5: its size is known.
        5
    }

    fn abilities(&self) -> Abilities {
        Abilities { is_bound: true, ..Abilities::default() }
    }

    fn sources(&self) -> Result<Vec<PathBuf>> {
        Ok(vec![self.path.path()?.to_owned()])
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        faults.source(keys!["path"], &self.path);
    }
}

impl SystemKind for RunFileSettings {
    fn name(&self) -> &str {
        &self.name
    }

    fn open(&self, _system: &System, inputs: &Inputs) -> Result<Box<dyn Retrieve>> {
        Ok(Box::new(RunFile::read(self.path.path()?, inputs.corpus()?, inputs.catalogue()?)?))
    }

    fn files(&self, _inputs: &Inputs) -> Result<Vec<PathBuf>> {
        Ok(vec![self.path.path()?.to_owned()])
    }

    /// Looking lists up in a run file is not what their system took.
    fn is_measured(&self) -> bool {
        false
    }

    fn reported_kind(&self) -> Option<&'static str> {
        Some(RUN_FILE_KIND)
    }

    fn refuses_questions(&self) -> Option<String> {
        Some(format!(
            "system {} is a run file, which only answers the requests it was written for",
            self.name
        ))
    }

    fn inspect(
        &self,
        inputs: &Inputs,
        requests: &[Request],
        is_part: bool,
        ctx: &Context,
    ) -> Result<()> {
        let path = self.path.path()?;
        let file = RunFile::read(path, inputs.corpus()?, inputs.catalogue()?)?;
        file.compare(&self.name, path, requests, ctx)?;
        if is_part { file.check_finite(path) } else { Ok(()) }
    }
}
