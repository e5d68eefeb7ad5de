//! What can be typed.

use std::path::PathBuf;
use std::sync::OnceLock;

use candle_core::DType;
use clap::{Args, Parser, Subcommand};
use serde::de::DeserializeOwned;
use trieval_eval::fusion::FusionMethod;
use trieval_eval::settings::{Missing, Ties};
use trieval_eval::significance::{Correction, Test};

use super::bench_args::BenchQuantizerArgs;
use crate::bench::{IndexBench, ItemVectors, TrainBench};
use crate::ranker::settings::HnswSettings;
use crate::train::course::settings::TrainDevice;

/// Generative retrieval from recipe to report.
#[derive(Debug, Parser)]
#[command(name = "trieval", version = version(), about, after_help = AFTER_HELP)]
pub struct Arguments {
    /// Say nothing but warnings and errors.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Version, commit and features of this build.
fn version() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let commit = option_env!("TRIEVAL_COMMIT").unwrap_or("not known to a development build");
        let features = if cfg!(feature = "cuda") { "cuda" } else { "none" };
        format!("{} (commit {commit}; features: {features})", env!("CARGO_PKG_VERSION"))
    })
}

const AFTER_HELP: &str = "Exit codes: 0 done · 1 ran, but a stated gate failed or the training diverged · \
2 usage, recipe or data that cannot be used · 3 environment (disk, locks) · 130 interrupted, checkpoint written";

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run a recipe: do every step that is not done yet, and write the report.
    Run(RunArgs),
    /// Check a recipe, and the paths, folders and headers that it names; bulk data are not read.
    Check(CheckArgs),
    /// Import the corpus of a recipe and tell what came in.
    Corpus(CorpusArgs),
    /// Ask a finished run.
    Search(SearchArgs),
    /// Judge run files against judgments, without a recipe.
    Eval(EvalArgs),
    /// Print the report of a finished run.
    Report(ReportArgs),
    /// Compare finished runs; runs of one recipe with several seeds are compared as such.
    Compare(CompareArgs),
    /// List, show, copy and explain recipes.
    Recipes(RecipesArgs),
    /// Look up identifiers of a finished run: item to tokens, tokens to item, diagnostics.
    Ids(IdsArgs),
    /// List what a run folder holds of earlier recipes, and delete it.
    Clean(CleanArgs),
    /// Print what a shell needs to complete verbs and flags.
    Completions(CompletionsArgs),
    /// Print the manual page of the program, or of a verb, in roff.
    Man(ManArgs),
    /// Measure this machine: a training step, or a search for nearest neighbors.
    Bench(BenchArgs),
}

/// A recipe and changes to it.
#[derive(Debug, Args)]
pub struct RecipeArgs {
    /// Recipe file, or the name of a shipped recipe. Paths in a file begin at its folder, and at the working folder where
    /// nothing is there; those of --set begin at the working folder.
    pub recipe: String,
    /// Change a key, for instance `--set train.aligned.optimizer.learning_rate=1e-4`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  trieval check my.toml\n  \
    trieval check home-depot --set corpus.path=DIR\n  \
    trieval check home-depot --set corpus.path=DIR --recipe-only")]
pub struct CheckArgs {
    /// The recipe.
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// Look at the recipe alone: what it names need not be on this machine.
    #[arg(long)]
    pub recipe_only: bool,
}

/// Arguments of `corpus`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  trieval corpus recipes/quickstart.toml\n  \
    trieval corpus my-shop.toml --json\n  \
    trieval corpus recipes/quickstart.toml --export shop")]
pub struct CorpusArgs {
    /// The recipe.
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// Also write the corpus as a log: items, users, requests with what was shown, and grades, as JSON lines, with the
    /// `[corpus]` table that imports them.
    #[arg(long, value_name = "DIR")]
    pub export: Option<PathBuf>,
    /// One JSON object on standard output.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  trieval run recipes/quickstart.toml\n  \
    trieval run recipes/home-depot.toml --set corpus.path=DIR --out runs/hd\n  \
    trieval run recipes/quickstart.toml --set corpus.seed=17 --seeds 17,18,19\n  \
    trieval run recipes/quickstart.toml --dry-run")]
pub struct RunArgs {
    /// The recipe.
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// Run folder; by default `runs/<recipe name>`.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Run the recipe under each of these seeds, at least two, in place of its own: what they share
    /// is done once, and one report has means over the seeds with two-level intervals.
    #[arg(
        long,
        value_name = "SEED,…",
        value_delimiter = ',',
        value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64)
    )]
    pub seeds: Vec<u64>,
    /// Print the plan and stop: steps and which are done, rows, tokens, parameters, memory. Where
    /// more than 64 MiB of outside files are not known, they are not read, and the steps that rest
    /// on them are unknown.
    #[arg(long)]
    pub dry_run: bool,
    /// With --dry-run: time the beginning of every step that is to be done, a few steps of each training and two batches
    /// of answers of each system, and say what all of it takes, in hours per step and in total. Outside files are read,
    /// and what neither trains nor answers is done in full, in a temporary folder that is removed again.
    #[arg(long, requires = "dry_run")]
    pub probe: bool,
    /// With --dry-run: the plan as JSON. Without: the report as JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `search`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  trieval search runs/quickstart \"red sofa\"\n  \
    trieval search runs/scientific --history B00B7CPUHW,B005PR3K0U --json\n  \
    trieval search runs/home-depot - --system bm25 --json < queries.txt > answers.jsonl")]
pub struct SearchArgs {
    /// Folder of a finished run, or of items that were added to one (`trieval ids RUN --assign`).
    pub run: PathBuf,
    /// The query; `-` reads many from standard input.
    pub query: Option<String>,
    /// Read queries from standard input, one per line, and answer each; blank lines are passed over.
    #[arg(long, conflicts_with = "query")]
    pub stdin: bool,
    /// Ids of items that the user met, oldest first, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "ID,…")]
    pub history: Vec<String>,
    /// Id of the user who asks.
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,
    /// What else is known of the question, by an open column of requests, users or sessions, such as
    /// `user.style=style-3`; may be given several times.
    #[arg(long = "feature", value_name = "COLUMN=VALUE")]
    pub features: Vec<String>,
    /// Which system answers; by default the last generative one, or the first of all.
    #[arg(long, value_name = "NAME")]
    pub system: Option<String>,
    /// Of a run under several seeds, the replicate of this one; by default the first.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Most items returned, by default 10 where the system finds as many. More than the system can find, as the beam of a
    /// generative one says, is refused.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub top: Option<u32>,
    /// One JSON object on standard output; one per line for queries from standard input.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `eval`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    trieval eval --qrels test.qrels --run bm25.run --run ours.run.gz -m ndcg@10,recall@100\n  \
    trieval eval --qrels q.parquet --run a.json --run b.jsonl -m mrr@10,p(rel=2)@5 --missing skip --json\n  \
    trieval eval --qrels test.qrels --run a.run --run b.run --fuse rrf -m ndcg@10 --html report.html")]
pub struct EvalArgs {
    /// Judgments: TREC, JSON, JSONL or Parquet; text also as .gz or .zst.
    #[arg(long, value_name = "FILE", required_unless_present = "policy")]
    pub qrels: Option<PathBuf>,
    /// A run file, in any of the same formats; `NAME=FILE` names the system, which else has the tag
    /// of the file.
    #[arg(long = "run", value_name = "[NAME=]FILE", required_unless_present = "policy")]
    pub runs: Vec<String>,
    /// Instead of runs: the log of a policy as JSON lines of reward, propensity and target (and estimate
    /// and expectation, for the doubly robust estimate); estimates what the target policy would earn.
    #[arg(long, value_name = "[NAME=]FILE", conflicts_with_all = [
        "qrels", "runs", "metrics", "fuse", "values", "lower_is_better", "slices", "catalog", "vectors", "per_request",
        "relevant_grade", "ties", "missing", "baseline", "test", "correction", "margin",
    ])]
    pub policy: Vec<String>,
    /// With --policy: cut weights to this.
    #[arg(long, value_name = "WEIGHT", conflicts_with_all = ["qrels", "runs"])]
    pub clip: Option<f64>,
    /// Metrics, separated by commas, such as `ndcg@10,p(rel=2)@5,auc`.
    #[arg(
        long = "metric",
        short = 'm',
        value_name = "METRIC,…",
        default_value = "ndcg@10,recall@10,recall@100,mrr@10"
    )]
    pub metrics: Vec<String>,
    /// How to judge and test.
    #[command(flatten)]
    pub judging: JudgingArgs,
    /// Also judge all runs fused: `rrf`, `comb-sum` or `comb-mnz`.
    #[arg(long, value_name = "rrf|comb-sum|comb-mnz", value_parser = word::<FusionMethod>)]
    pub fuse: Vec<FusionMethod>,
    /// Values per request from outside, such as true utility, of one run under the name of a metric:
    /// lines of request and value, or JSON lines. Must be given for every run.
    #[arg(long, value_name = "RUN:METRIC=FILE")]
    pub values: Vec<String>,
    /// Metrics of --values of which less is better, such as regret.
    #[arg(long, value_name = "METRIC", requires = "values")]
    pub lower_is_better: Vec<String>,
    /// Slices: lines of request, attribute and value, separated by tabs.
    #[arg(long, value_name = "FILE")]
    pub slices: Option<PathBuf>,
    /// The catalog, for coverage, gini, popularity, novelty and tail_share: lines of item and number
    /// of training clicks, separated by a tab.
    #[arg(long, value_name = "FILE")]
    pub catalog: Option<PathBuf>,
    /// Item vectors for diversity, `.npy` or `.safetensors`, one row per line of --catalog.
    #[arg(long, value_name = "FILE", requires = "catalog")]
    pub vectors: Option<PathBuf>,
    /// Write the value of every metric for every request to this folder, one Parquet file per system.
    #[arg(long, value_name = "DIR")]
    pub per_request: Option<PathBuf>,
    /// How the figures are shown.
    #[command(flatten)]
    pub form: FormArgs,
}

/// How to judge and test.
#[derive(Debug, Clone, Args)]
pub struct JudgingArgs {
    /// An item counts as relevant from this grade on; by default 1, or what the first run was judged by.
    #[arg(long, value_name = "GRADE")]
    pub relevant_grade: Option<f64>,
    /// Equal scores: trec_eval's order (by id, descending), or the expected value under random order.
    #[arg(long, value_name = "item-id|expected", default_value = "item-id", value_parser = word::<Ties>)]
    pub ties: Ties,
    /// Judged requests that a run lacks: count as zero, are left out of all runs, or are refused.
    #[arg(long, value_name = "zero|skip|error", default_value = "zero", value_parser = word::<Missing>)]
    pub missing: Missing,
    /// The system that the others are compared with; by default the first.
    #[arg(long, value_name = "NAME")]
    pub baseline: Option<String>,
    /// Where p values come from.
    #[arg(long, value_name = "bootstrap|randomization|t|wilcoxon", default_value = "bootstrap", value_parser = word::<Test>)]
    pub test: Test,
    /// How p values are corrected for the number of comparisons.
    #[arg(long, value_name = "holm|benjamini-hochberg|none", default_value = "holm", value_parser = word::<Correction>)]
    pub correction: Correction,
    /// Also judge non-inferiority: the largest loss that is acceptable.
    #[arg(long)]
    pub margin: Option<f64>,
    /// Resamples of the bootstrap.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub bootstrap: u32,
    /// Confidence of intervals and tests.
    #[arg(long, default_value_t = 0.95)]
    pub confidence: f64,
    /// Seed of the resampling.
    #[arg(long, default_value_t = 17)]
    pub seed: u64,
}

/// How figures are shown; a table by default.
#[derive(Debug, Args)]
pub struct FormArgs {
    /// The whole report as JSON (schema: docs/report.schema.json).
    #[arg(long, group = "form")]
    pub json: bool,
    /// The table in LaTeX.
    #[arg(long, group = "form")]
    pub latex: bool,
    /// The table as CSV.
    #[arg(long, group = "form")]
    pub csv: bool,
    /// The report as Markdown.
    #[arg(long, group = "form")]
    pub markdown: bool,
    /// Also write the report as one HTML page.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// Arguments of `compare`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  trieval compare runs/quickstart runs/quickstart-18 runs/quickstart-19\n  \
    trieval compare runs/a runs/b --metric recall@10 --json\n  \
    trieval compare runs/a runs/b --all-seeds\n  \
    trieval compare a.run b.run --qrels test.qrels"
)]
pub struct CompareArgs {
    /// Folders of finished runs; or run files, with --qrels.
    #[arg(required = true, num_args = 1..)]
    pub runs: Vec<PathBuf>,
    /// Judgments, where run files are compared.
    #[arg(long, value_name = "FILE")]
    pub qrels: Option<PathBuf>,
    /// Take every seed of the runs that have several; by default the first.
    #[arg(long, conflicts_with = "qrels")]
    pub all_seeds: bool,
    /// Metrics, separated by commas; by default those of the first run's recipe.
    #[arg(long = "metric", short = 'm', value_name = "METRIC,…")]
    pub metrics: Vec<String>,
    /// How to judge and test.
    #[command(flatten)]
    pub judging: JudgingArgs,
    /// How the figures are shown.
    #[command(flatten)]
    pub form: FormArgs,
}

/// Arguments of `report`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  trieval report runs/quickstart\n  \
    trieval report runs/quickstart --json | jq '.systems[].metrics[\"recall@10\"].value'")]
pub struct ReportArgs {
    /// Folder of a finished run.
    pub run: PathBuf,
    /// The whole report as JSON (schema: docs/report.schema.json).
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,
    /// The report as Markdown.
    #[arg(long)]
    pub markdown: bool,
}

/// Arguments of `recipes`.
#[derive(Debug, Args)]
pub struct RecipesArgs {
    /// What to do with recipes.
    #[command(subcommand)]
    pub action: RecipesAction,
}

/// What to do with recipes.
#[derive(Debug, Subcommand)]
pub enum RecipesAction {
    /// List the shipped recipes.
    List,
    /// Print a shipped recipe.
    Show {
        /// Name of the recipe.
        name: String,
    },
    /// Copy a shipped recipe to a file.
    Copy {
        /// Name of the recipe.
        name: String,
        /// File or folder to write to; by default NAME.toml in the working folder. A file that is there is never
        /// written over.
        to: Option<PathBuf>,
    },
    /// Propose a recipe for files of your own: what looks like items, queries and clicks, with what was seen.
    New {
        /// Recipe to write; a file that is there is not replaced.
        to: PathBuf,
        /// Items: CSV, TSV, JSON, JSON lines or Parquet.
        #[arg(long, value_name = "FILE")]
        items: PathBuf,
        /// Events or requests.
        #[arg(long, value_name = "FILE")]
        log: PathBuf,
        /// Texts of queries, where the log names them by ids.
        #[arg(long, value_name = "FILE")]
        queries: Option<PathBuf>,
    },
    /// Tell value, origin and meaning of a key.
    Explain {
        /// Dotted key, for instance `train.aligned.objective.beta`.
        key: String,
        /// Recipe that gives value and origin; without it, only the meaning is told.
        #[arg(long, value_name = "FILE")]
        recipe: Option<String>,
        /// Change a key first.
        #[arg(long = "set", value_name = "KEY=VALUE", requires = "recipe")]
        overrides: Vec<String>,
    },
    /// Print the recipe reference as Markdown, or the JSON Schema of recipes.
    Reference {
        /// The JSON Schema instead.
        #[arg(long)]
        schema: bool,
    },
}

/// Arguments of `ids`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  trieval ids runs/quickstart\n  trieval ids runs/quickstart i00000017\n  \
    trieval ids runs/quickstart --tokens \"<a_3>\"\n  \
    trieval ids runs/quickstart --assign new.jsonl --out with-new"
)]
pub struct IdsArgs {
    /// Folder of a finished run, or of items that were added to one.
    pub run: PathBuf,
    /// Name of the identifier; needed only where the recipe has several.
    #[arg(long, value_name = "NAME")]
    pub identifier: Option<String>,
    /// Of a run under several seeds, the replicate of this one; by default the first.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Print the tokens of this item; or, where no item is called so, what these tokens spell.
    #[arg(value_name = "ITEM", conflicts_with_all = ["tokens", "item"])]
    pub positional: Option<String>,
    /// The same, for an id that begins with a hyphen.
    #[arg(long, value_name = "ID", conflicts_with = "tokens", allow_hyphen_values = true)]
    pub item: Option<String>,
    /// Print the item, or the items below a prefix, that these tokens spell.
    #[arg(long, value_name = "TOKENS")]
    pub tokens: Option<String>,
    /// Give identifiers to the new items of this file of JSON lines, {"item_id": "n1", "title": "red lamp", "text": "of
    /// brass"}, by the codes nearest to what the run's own vectors make of them; or {"item_id": "n1", "vector": [0.1, -0.2]}.
    /// The spare codes of the run must suffice.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["positional", "tokens", "item"])]
    pub assign: Option<PathBuf>,
    /// Where to write the identifiers of all items, which `search` and `ids` read; a folder that does not exist.
    #[arg(long, value_name = "FOLDER", requires = "assign")]
    pub out: Option<PathBuf>,
    /// JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `clean`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  trieval clean runs/quickstart\n  trieval clean runs/quickstart --yes"
)]
pub struct CleanArgs {
    /// A run folder. What its last report and its present recipe rest on is kept.
    pub run: PathBuf,
    /// Delete what is listed: going back to an earlier recipe then does its steps again.
    #[arg(long)]
    pub yes: bool,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  trieval completions bash > ~/.local/share/bash-completion/completions/trieval\n  \
    trieval completions fish > ~/.config/fish/completions/trieval.fish"
)]
pub struct CompletionsArgs {
    /// The shell.
    pub shell: clap_complete::Shell,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  trieval man | man -l -\n  trieval man run > trieval-run.1")]
pub struct ManArgs {
    /// The verb; by default the program.
    pub verb: Option<String>,
}

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// What to measure.
    #[command(subcommand)]
    pub action: BenchAction,
}

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum BenchAction {
    /// A training step on random tokens: forward, backward, clipping, AdamW.
    Train(BenchTrainArgs),
    /// An index of item vectors beside exact search: time, size, and share of the nearest items that it finds.
    Index(BenchIndexArgs),
    /// Residual k-means over item vectors: time, and what it leaves over of them.
    Quantizer(BenchQuantizerArgs),
}

/// Arguments of `bench train`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  trieval bench train --prompt 0 --target 64 --threads 2\n  \
    trieval bench train --prompt 128 --target 4 --vocab 32000 --json\n  \
    trieval bench train --prompt 128 --target 4 --negatives 4\n  \
    trieval bench train --lora 16 --dtype bf16\n  \
    trieval bench train --device cuda --dtype bf16")]
pub struct BenchTrainArgs {
    /// Layers of the decoder.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..))]
    pub layers: u32,
    /// Width of the residual stream.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(2..))]
    pub width: u32,
    /// Attention heads.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    pub heads: u32,
    /// Key-value heads; by default as many as heads.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub kv_heads: Option<u32>,
    /// Width of a head; by default width / heads.
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..))]
    pub head_dim: Option<u32>,
    /// Width of the feed-forward.
    #[arg(long, default_value_t = 768, value_parser = clap::value_parser!(u32).range(1..))]
    pub ffn: u32,
    /// Tokens of the vocabulary.
    #[arg(long, default_value_t = 4_096, value_parser = clap::value_parser!(u32).range(2..))]
    pub vocab: u32,
    /// Examples per step.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: u32,
    /// Tokens of a prompt; 0 is a row of `--target` tokens, each of which predicts the next.
    #[arg(long, default_value_t = 0)]
    pub prompt: u32,
    /// Tokens of an answer.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub target: u32,
    /// Rejected answers of each prompt; with any, the loss is DPO's.
    #[arg(long, default_value_t = 0)]
    pub negatives: u32,
    /// Threads.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub threads: u32,
    /// Type of frozen weights with --lora, and of activations on a GPU.
    #[arg(long, default_value = "f32", value_parser = dtype, value_name = "f32|bf16|f16")]
    pub dtype: DType,
    /// What computes; cuda is the first NVIDIA GPU.
    #[arg(long, default_value = "cpu", value_parser = device, value_name = "cpu|cuda")]
    pub device: TrainDevice,
    /// Train an adapter of this rank beside frozen weights; 0 trains all weights.
    #[arg(long, default_value_t = 0, value_name = "RANK")]
    pub lora: u32,
    /// Keep only the inputs of layers for the backward pass, and compute the rest again.
    #[arg(long)]
    pub recompute: bool,
    /// Steps that are measured, after three that are not.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..))]
    pub steps: u32,
    /// One JSON object on standard output.
    #[arg(long)]
    pub json: bool,
}

impl BenchTrainArgs {
    /// What they ask for.
    pub fn bench(&self) -> TrainBench {
        TrainBench {
            layers: self.layers,
            width: self.width,
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_dim: self.head_dim,
            ffn: self.ffn,
            vocab: self.vocab,
            batch: self.batch,
            prompt: self.prompt,
            target: self.target,
            negatives: self.negatives,
            threads: self.threads,
            dtype: self.dtype,
            device: self.device,
            lora: self.lora,
            recompute: self.recompute,
            steps: self.steps,
        }
    }
}

/// Arguments of `bench index`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  trieval bench index --items 100000 --dim 64\n  \
    trieval bench index --vectors items.npy --query-vectors queries.npy --json\n  \
    trieval bench index --vectors items.safetensors --expansion-search 128")]
pub struct BenchIndexArgs {
    /// Item vectors: a `.npy` or `.safetensors` file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["items", "dim"])]
    pub vectors: Option<PathBuf>,
    /// Queries of the same dimension; by default rows of --vectors are held out and perturbed.
    #[arg(long, value_name = "FILE", requires = "vectors")]
    pub query_vectors: Option<PathBuf>,
    /// Simulated items, where no file is given: a mixture of √N Gaussians, scaled to unit length; queries are drawn near
    /// items.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(2..))]
    pub items: u32,
    /// Numbers of a simulated vector.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub dim: u32,
    /// Most queries.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub queries: u32,
    /// Neighbors of an item on the upper levels of the graph; twice as many on the lowest.
    #[arg(long, default_value_t = HnswSettings::default().connectivity,
        value_parser = clap::value_parser!(u32).range(2..=256))]
    pub connectivity: u32,
    /// Candidates kept while an item is inserted.
    #[arg(long, default_value_t = HnswSettings::default().expansion_add,
        value_parser = clap::value_parser!(u32).range(2..=65_536))]
    pub expansion_add: u32,
    /// Candidates kept while a query is searched.
    #[arg(long, default_value_t = HnswSettings::default().expansion_search,
        value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub expansion_search: u32,
    /// Seed of simulated vectors, queries and the order of insertion.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Print the figures as JSON.
    #[arg(long)]
    pub json: bool,
}

impl BenchIndexArgs {
    /// What they ask for.
    pub fn bench(&self) -> IndexBench {
        let vectors = match &self.vectors {
            Some(items) => {
                ItemVectors::Files { items: items.clone(), queries: self.query_vectors.clone() }
            }
            None => ItemVectors::Simulated { items: self.items, dim: self.dim },
        };
        IndexBench {
            vectors,
            queries: self.queries,
            settings: HnswSettings {
                connectivity: self.connectivity,
                expansion_add: self.expansion_add,
                expansion_search: self.expansion_search,
                seed: None,
            },
            seed: self.seed,
        }
    }
}

/// A type of weights by its name.
fn dtype(name: &str) -> Result<DType, String> {
    match name {
        "f32" => Ok(DType::F32),
        "bf16" => Ok(DType::BF16),
        "f16" => Ok(DType::F16),
        _ => Err("expected f32, bf16 or f16".into()),
    }
}

/// What computes, by its name.
fn device(name: &str) -> Result<TrainDevice, String> {
    match name {
        "cpu" => Ok(TrainDevice::Cpu),
        "cuda" => Ok(TrainDevice::Cuda),
        _ => Err("expected cpu or cuda".into()),
    }
}

/// A word of a recipe's choice, such as `item-id`, as clap wants it parsed.
fn word<T: DeserializeOwned>(text: &str) -> std::result::Result<T, String> {
    serde_json::from_value(serde_json::Value::from(text)).map_err(|e| e.to_string())
}
