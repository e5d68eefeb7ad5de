//! `trieval bench`: what this machine makes of a decoder of a given shape.

use super::args::{BenchAction, BenchArgs};
use crate::bench::TrainFigures;
use crate::error::{Error, Result};
use crate::progress::Context;

pub(super) fn execute(args: &BenchArgs, ctx: &Context) -> Result<()> {
    let BenchAction::Train(args) = &args.action;
    let figures = args.bench().run(ctx)?;
    if args.json {
        let json = serde_json::to_string(&figures)
            .map_err(|e| Error::Failed(format!("figures cannot be written as JSON: {e}")))?;
        return super::print(&format!("{json}\n"));
    }
    super::print(&table(&figures))
}

fn table(figures: &TrainFigures) -> String {
    let or_unknown = |value: Option<String>| value.unwrap_or_else(|| "unknown".into());
    let cpu = or_unknown(figures.cpu_ms_per_step.map(|ms| format!("{ms:.1} ms")));
    let peak = or_unknown(figures.peak_bytes.map(|bytes| format!("{:.1} MB", bytes as f64 / 1e6)));
    let TrainFigures { ms_per_step, examples_per_s, tokens_per_s, .. } = figures;
    format!(
        "step        {ms_per_step:.1} ms (CPU {cpu})\nexamples/s  {examples_per_s:.1}\n\
         tokens/s    {tokens_per_s:.0}\npeak        {peak}\nparameters  {} ({} trained)\n",
        figures.parameters, figures.trained_parameters
    )
}
