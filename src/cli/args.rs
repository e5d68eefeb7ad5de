//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Generative retrieval from recipe to report.
#[derive(Debug, Parser)]
#[command(name = "trieval", version, about, after_help = AFTER_HELP)]
pub struct Arguments {
    /// Say nothing but warnings and errors.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

const AFTER_HELP: &str = "Exit codes: 0 done · 1 ran, but a stated gate failed or the training diverged · \
2 usage, recipe or data that cannot be used · 3 environment (disk, locks) · 130 interrupted, checkpoint written";

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run a recipe: do every step that is not done yet, and write the report.
    Run(RunArgs),
    /// Check a recipe and print nothing but its faults.
    Check(RecipeArgs),
    /// Ask a finished run.
    Search(SearchArgs),
    /// Print the report of a finished run.
    Report(ReportArgs),
    /// List, show, copy and explain recipes.
    Recipes(RecipesArgs),
    /// Look up identifiers of a finished run: item to tokens, tokens to item, diagnostics.
    Ids(IdsArgs),
}

/// A recipe and changes to it.
#[derive(Debug, Args)]
pub struct RecipeArgs {
    /// Recipe file, or the name of a shipped recipe.
    pub recipe: String,
    /// Change a key, for instance `--set train.aligned.optimizer.learning_rate=1e-4`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  trieval run recipes/quickstart.toml\n  \
    trieval run recipes/home-depot.toml --set corpus.path=DIR --out runs/hd\n  \
    trieval run recipes/quickstart.toml --dry-run")]
pub struct RunArgs {
    /// The recipe.
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// Run folder; by default `runs/<recipe name>`.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print the plan and stop: steps and which are done, rows, tokens, parameters, memory.
    #[arg(long)]
    pub dry_run: bool,
    /// With --dry-run: the plan as JSON. Without: the report as JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `search`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  trieval search runs/quickstart \"red sofa\"\n  \
    trieval search runs/scientific --history B00B7CPUHW,B005PR3K0U --json")]
pub struct SearchArgs {
    /// Folder of a finished run.
    pub run: PathBuf,
    /// The query.
    pub query: Option<String>,
    /// Ids of items that the user met, oldest first, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "ID,…")]
    pub history: Vec<String>,
    /// Which system answers; by default the last generative one.
    #[arg(long, value_name = "NAME")]
    pub system: Option<String>,
    /// Most items returned.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub top: u32,
    /// One JSON object on standard output.
    #[arg(long)]
    pub json: bool,
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
        /// File or folder to write to.
        to: PathBuf,
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
    after_help = "Examples:\n  trieval ids runs/quickstart\n  trieval ids runs/quickstart --item item-17\n  \
    trieval ids runs/quickstart --tokens \"<a_3><b_17><c_5><d_0>\""
)]
pub struct IdsArgs {
    /// Folder of a finished run.
    pub run: PathBuf,
    /// Name of the identifier; needed only where the recipe has several.
    #[arg(long, value_name = "NAME")]
    pub identifier: Option<String>,
    /// Print the tokens of this item.
    #[arg(long, value_name = "ID", conflicts_with = "tokens")]
    pub item: Option<String>,
    /// Print the item, or the items below a prefix, that these tokens spell.
    #[arg(long, value_name = "TOKENS")]
    pub tokens: Option<String>,
    /// JSON on standard output.
    #[arg(long)]
    pub json: bool,
}
