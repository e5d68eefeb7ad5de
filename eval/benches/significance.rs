//! How long the tests take, at the size that a large comparison has: 5 systems × 10 metrics × 10,000 requests, 10,000
//! resamples. Prints seconds per test, also of
//! processor time, which other work on the machine does not lengthen, and the peak memory; `cargo bench -p trieval-eval --bench significance`.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::time::Instant;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use trieval_eval::labelled::{Predictions, column};
use trieval_eval::metric::{Better, Metric};
use trieval_eval::significance::{SignificanceOptions, Test, assess};
use trieval_eval::{Column, ScoreCounts, SystemScores, Values};

const SYSTEMS: usize = 5;
const METRICS: usize = 10;
const REQUESTS: usize = 10_000;
const RESAMPLES: u32 = 10_000;

fn main() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let requests: Vec<String> = (0..REQUESTS).map(|i| format!("{i:06}")).collect();
    let systems: Vec<SystemScores> = (0..SYSTEMS)
        .map(|system| {
            let columns = (0..METRICS).map(|metric| {
                let values: Vec<f64> = (0..REQUESTS).map(|_| rng.random()).collect();
                Column {
                    metric: format!("m{metric}"),
                    better: Better::Higher,
                    value: values.iter().sum::<f64>() / REQUESTS as f64,
                    values: Values::PerRequest(values),
                }
            });
            SystemScores {
                system: format!("s{system}"),
                requests: requests.clone(),
                columns: columns.collect(),
                counts: ScoreCounts::default(),
            }
        })
        .collect();
    println!(
        "{SYSTEMS} systems, {METRICS} metrics, {REQUESTS} requests, {RESAMPLES} resamples, {} threads",
        rayon::current_num_threads()
    );
    for test in [Test::Bootstrap, Test::Randomization, Test::T, Test::Wilcoxon] {
        let options = SignificanceOptions { resamples: RESAMPLES, test, ..Default::default() };
        let (start, used) = (Instant::now(), processor_seconds());
        let found = assess(&systems, 0, &options);
        let n_found = found.map(|found| found.comparisons.len()).unwrap_or_default();
        println!(
            "{test:?}: {:.2} s, {:.2} s of processor time, {n_found} comparisons",
            start.elapsed().as_secs_f64(),
            processor_seconds() - used
        );
    }

    let mut builder = Predictions::builder("labelled");
    for request in &requests {
        for item in 0..20 {
            let score: f64 = rng.random();
            let grade = f64::from(u8::from(rng.random::<f64>() < score));
            if let Err(fault) = builder.push(request, &item.to_string(), grade, score) {
                println!("{fault}");
            }
        }
    }
    let column = "auc".parse().and_then(|auc: Metric| column(&auc, &builder.finish(1.0)?));
    if let Ok(column) = column {
        let one = SystemScores {
            system: "labelled".to_owned(),
            requests,
            columns: vec![column],
            counts: ScoreCounts::default(),
        };
        let options = SignificanceOptions { resamples: 1_000, ..Default::default() };
        let (start, used) = (Instant::now(), processor_seconds());
        let found = assess(&[one], 0, &options);
        let value = found.map(|found| found.estimates[0][0].value).unwrap_or_default();
        println!(
            "auc over 200,000 rows, 1,000 resamples: {:.2} s, {:.2} s of processor time ({value:.4})",
            start.elapsed().as_secs_f64(),
            processor_seconds() - used
        );
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for line in status.lines().filter(|line| line.starts_with("VmHWM")) {
        println!("peak memory {}", line.trim_start_matches("VmHWM:").trim());
    }
}

/// Processor time of all threads so far, from Linux's ticks of 1/100 s; 0 elsewhere.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}
