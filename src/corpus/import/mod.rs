//! stub
use super::settings::*; use super::summary::*; use crate::{Result, progress::Context, seed::Seed}; use std::path::Path;
pub(super) fn judged_pairs(_: &JudgedPairsSettings, _: Seed, _: &Path, _: &Context) -> Result<CorpusSummary> { unreachable!() }
pub(super) fn sequences(_: &SequencesSettings, _: &Path, _: &Context) -> Result<CorpusSummary> { unreachable!() }
pub(super) fn estimate_judged_pairs(_: &JudgedPairsSettings) -> SizeEstimate { SizeEstimate::default() }
pub(super) fn estimate_sequences(_: &SequencesSettings) -> SizeEstimate { SizeEstimate::default() }
