//! `trieval bench`: what this machine makes of a decoder of a given shape, of an index of vectors, or of a quantizer.

use serde::Serialize;

use super::args::{BenchAction, BenchArgs};
use crate::bench::{IndexFigures, QuantizerFigures, TrainFigures};
use crate::error::{Error, Result};
use crate::progress::Context;

pub(super) fn execute(args: &BenchArgs, ctx: &Context) -> Result<()> {
    match &args.action {
        BenchAction::Train(args) => show(&args.bench().run(ctx)?, args.json, table),
        BenchAction::Quantizer(args) => show(&args.bench().run(ctx)?, args.json, quantizer_table),
        BenchAction::Index(args) => show(&args.bench().run(ctx)?, args.json, index_table),
    }
}

fn show<T: Serialize>(figures: &T, as_json: bool, table: fn(&T) -> String) -> Result<()> {
    if as_json {
        let json = serde_json::to_string(figures)
            .map_err(|e| Error::Failed(format!("figures cannot be written as JSON: {e}")))?;
        return super::print_json(&format!("{json}\n"));
    }
    super::print(&table(figures))
}

fn index_table(figures: &IndexFigures) -> String {
    let IndexFigures { items, dim, build_seconds, bytes, search } = figures;
    format!(
        "vectors     {items} of {dim} numbers\nbuild       {build_seconds:.1} s\nsize        {:.1} MB\n\
         exact       {:.0} µs per query (median of {}, one thread)\nindex       {:.0} µs per query\n\
         speed-up    {:.1}\nrecall@10   {:.4}\n",
        *bytes as f64 / 1e6,
        search.exact_us,
        search.requests,
        search.approximate_us,
        search.speedup,
        search.recall_at_10,
    )
}

fn quantizer_table(figures: &QuantizerFigures) -> String {
    let QuantizerFigures { rows, dim, seconds, cpu_seconds, peak_bytes, own_peak_bytes, errors } =
        figures;
    let cpu = cpu_seconds.map_or_else(|| "unknown".into(), |seconds| format!("{seconds:.1} s"));
    let [peak, own] = [peak_bytes, own_peak_bytes].map(|peak| {
        peak.map_or_else(|| "unknown".into(), |bytes| format!("{:.1} MB", bytes as f64 / 1e6))
    });
    let mut text = format!(
        "vectors     {rows} of {dim} numbers\ntime        {seconds:.1} s (CPU {cpu})\nmemory      {peak} at most, {own} without mapped files\n"
    );
    for (level, error) in errors.iter().enumerate() {
        let behind = match level {
            0 => "before".to_owned(),
            level => format!("level {level}"),
        };
        text += &format!("{behind:<12}{error:.6} left over (mean squared length)\n");
    }
    text
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
