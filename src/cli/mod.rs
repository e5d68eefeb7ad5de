//! The command line: one file per verb. Standard output carries data, standard error talk.

mod args;
mod bench;
mod check;
mod compare;
mod corpus;
mod docs;
mod eval;
mod form;
mod ids;
mod judging;
mod policy;
mod recipes;
mod report;
mod run;
mod search;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;

pub use args::Arguments;
pub use docs::cli_reference;

use crate::error::Error;
use crate::progress::Context;
use args::Verb;

/// Exit code of an interrupted process.
const INTERRUPTED: u8 = 130;

/// Parses the arguments, does what they say, and turns the outcome into an exit code.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    let handler = ctrlc::set_handler(move || {
        // The second interrupt does not wait for a checkpoint.
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(INTERRUPTED));
        }
        eprintln!("interrupted: finishing the current step of work (again to leave at once)");
    });
    let ctx = Context::new(arguments.quiet, interrupted);
    if let Err(e) = handler {
        ctx.warn(format!("interrupts cannot be caught: {e}"));
    }
    let outcome = match &arguments.verb {
        Verb::Run(args) => run::execute(args, &ctx),
        Verb::Check(args) => check::execute(args),
        Verb::Corpus(args) => corpus::execute(args, &ctx),
        Verb::Search(args) => search::execute(args, &ctx),
        Verb::Eval(args) => match &args.qrels {
            Some(qrels) => eval::execute(args, qrels, &ctx),
            None => policy::execute(args),
        },
        Verb::Report(args) => report::execute(args, &ctx),
        Verb::Compare(args) => compare::execute(args, &ctx),
        Verb::Recipes(args) => recipes::execute(args, &ctx),
        Verb::Ids(args) => ids::execute(args),
        Verb::Bench(args) => bench::execute(args, &ctx),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::Broken) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Prints data to standard output. A reader that went away is not an error.
fn print(text: &str) -> crate::Result<()> {
    use std::io::Write;
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Err(Error::Broken),
        Err(e) => Err(Error::unwritable("standard output", &e)),
        Ok(()) => Ok(()),
    }
}
