//! Time and memory from files to figures: reads a run and judgments, computes ten metrics, prints the phases. `peers.py` does
//! the same on the same files with ranx and pytrec_eval.
//!
//!     cargo bench -p trieval-eval --bench judge -- --dir /tmp/judge --requests 100000 --items 100 --format trec
//!
//! Files that are not in the folder are made first; without a folder a small set is made and removed.

#![allow(clippy::unwrap_used)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use trieval_eval::io::{Format, read_qrels, read_run, write_qrels, write_run};
use trieval_eval::metric::parse_metrics;
use trieval_eval::{Qrels, Run, evaluate};

const METRICS: [&str; 10] = [
    "ndcg@10",
    "ndcg@100",
    "recall@10",
    "recall@100",
    "precision@10",
    "ap",
    "mrr",
    "rprec",
    "bpref",
    "success@10",
];
/// Distinct items, a power of two.
const CATALOGUE: u64 = 1 << 20;
/// Judged items per request.
const JUDGED: u64 = 10;

struct Arguments {
    dir: Option<PathBuf>,
    requests: u64,
    items: u64,
    format: String,
    repetitions: usize,
}

fn arguments() -> Arguments {
    let mut parsed = Arguments {
        dir: None,
        requests: 1_000,
        items: 100,
        format: "trec".to_owned(),
        repetitions: 3,
    };
    let mut given = std::env::args().skip(1);
    while let Some(key) = given.next() {
        let mut value = || given.next().unwrap_or_else(|| panic!("{key} needs a value"));
        match key.as_str() {
            "--dir" => parsed.dir = Some(value().into()),
            "--requests" => parsed.requests = value().parse().unwrap(),
            "--items" => parsed.items = value().parse().unwrap(),
            "--format" => parsed.format = value(),
            "--repetitions" => parsed.repetitions = value().parse().unwrap(),
            // Cargo's own.
            _ => {}
        }
    }
    parsed
}

/// A stateless generator (splitmix64): the files do not depend on the order of writing.
fn draw(key: u64) -> u64 {
    let mut z = key.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The item at a rank: an odd stride visits every item once.
fn item(request: u64, rank: u64) -> u64 {
    let (start, stride) = (draw(request * 4), draw(request * 4 + 1) | 1);
    start.wrapping_add(rank.wrapping_mul(stride)) % CATALOGUE
}

fn make(dir: &Path, requests: u64, items: u64) {
    std::fs::create_dir_all(dir).unwrap();
    if !dir.join("run.trec").exists() {
        let mut out = BufWriter::new(File::create(dir.join("run.trec")).unwrap());
        for request in 0..requests {
            for rank in 0..items {
                // Falls with the rank; every eighth score ties with the one before.
                let noise = draw(request * items + rank) % 1_000;
                let step = if rank % 8 == 7 { rank - 1 } else { rank };
                let score =
                    20.0 - step as f64 * 0.1 - if step == rank { noise as f64 * 1e-5 } else { 0.0 };
                let item = item(request, rank);
                writeln!(out, "q{request} Q0 d{item} {} {score:.5} bench", rank + 1).unwrap();
            }
        }
        out.flush().unwrap();
        let mut out = BufWriter::new(File::create(dir.join("qrels.trec")).unwrap());
        for request in 0..requests {
            for judged in 0..JUDGED {
                // Seven of ten are somewhere in the list.
                let rank = if judged < 7 {
                    (draw(request * 31) % items + judged * (items / JUDGED).max(1)) % items
                } else {
                    items + judged
                };
                let grade = if judged == 0 { 1 } else { draw(request * 31 + judged) % 4 };
                writeln!(out, "q{request} 0 d{} {grade}", item(request, rank)).unwrap();
            }
        }
        out.flush().unwrap();
    }
    if !dir.join("run.parquet").exists() {
        let run = read_run(&dir.join("run.trec")).unwrap();
        let mut out = BufWriter::new(File::create(dir.join("run.parquet")).unwrap());
        write_run(&run, Format::Parquet, &mut out).unwrap();
        let qrels = read_qrels(&dir.join("qrels.trec")).unwrap();
        let mut out = BufWriter::new(File::create(dir.join("qrels.parquet")).unwrap());
        write_qrels(&qrels, Format::Parquet, &mut out).unwrap();
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Most memory that was resident so far, in MB; 0 where the system does not tell.
fn peak_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    line.trim().split(' ').next().and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1_000
}

/// Processor seconds of this process so far, all threads together; 0 where the system does not tell.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name in brackets: user and system time are the 12th and 13th field, in hundredths.
    let behind = stat.rsplit_once(')').map_or("", |parts| parts.1);
    let ticks =
        behind.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

fn main() {
    let Arguments { dir, requests, items, format, repetitions } = arguments();
    let scratch = tempfile::tempdir().unwrap();
    let dir = dir.unwrap_or_else(|| scratch.path().to_owned());
    let missing = !dir.join("run.parquet").exists();
    make(&dir, requests, items);
    if missing {
        println!("the files were made; memory includes making them");
    }
    let metrics = parse_metrics(&METRICS).unwrap();
    let (mut reads, mut judged, mut evals) = (Vec::new(), Vec::new(), Vec::new());
    let mut cpu = Vec::new();
    let mut figures = Vec::new();
    for _ in 0..repetitions.max(1) {
        let cpu_before = cpu_seconds();
        let start = Instant::now();
        let run: Run = read_run(&dir.join(format!("run.{format}"))).unwrap();
        reads.push(start.elapsed().as_secs_f64());
        let start = Instant::now();
        let qrels: Qrels = read_qrels(&dir.join(format!("qrels.{format}"))).unwrap();
        judged.push(start.elapsed().as_secs_f64());
        let start = Instant::now();
        let scores = evaluate(&run, &qrels, &metrics, 1.0).unwrap();
        evals.push(start.elapsed().as_secs_f64());
        cpu.push(cpu_seconds() - cpu_before);
        figures = scores.columns.into_iter().map(|one| (one.metric, one.value)).collect();
    }
    let totals = (0..reads.len()).map(|at| reads[at] + judged[at] + evals[at]).collect();
    println!(
        "trieval {format} {requests} x {items} on {} threads: run {:.3} s, qrels {:.3} s, metrics {:.3} s, all {:.3} s, processor {:.2} s (medians of {}), peak {} MB",
        rayon::current_num_threads(),
        median(reads),
        median(judged),
        median(evals),
        median(totals),
        median(cpu),
        repetitions.max(1),
        peak_megabytes()
    );
    for (metric, value) in figures {
        println!("  {metric} {value:.12}");
    }
}
