//! The command line: one file per verb. Standard output carries data, standard error talk.

mod args;
mod assign;
mod bench;
mod bench_args;
mod check;
mod clean;
mod compare;
mod corpus;
mod docs;
mod eval;
mod evidence;
mod form;
mod ids;
mod interrupt;
mod judging;
mod new_items;
mod outputs;
mod policy;
mod proposed;
mod recipes;
mod report;
mod run;
mod search;
mod shell;

use std::ffi::OsString;
use std::io::Write;
use std::panic::catch_unwind;
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};

use clap::Parser;
use clap::error::ErrorKind;

pub use args::Arguments;
pub use docs::cli_reference;

use crate::error::Error;
use crate::progress::{Context, Interrupts, talk, talk_drawn};
use crate::text::{visible, visible_json};
use args::Verb;

/// Exit code of an interrupted process.
const INTERRUPTED: u8 = 130;
/// Exit code after a panic, as Rust has it.
const PANICKED: u8 = 101;

/// Parses the arguments, does what they say, and turns the outcome into an exit code.
pub fn main() -> ExitCode {
    // Readers of strangers' files catch panics of the libraries that they rest on: what is told is what nobody caught.
    static PANIC: Mutex<String> = Mutex::new(String::new());
    std::panic::set_hook(Box::new(|panic| {
        // A panic of a worker goes on in who waits for it; of any other thread nobody hears.
        let is_main = std::thread::current().name() == Some("main");
        match is_main || rayon::current_thread_index().is_some() {
            true => *unpoisoned(&PANIC) = panic.to_string(),
            false => tell(&panic.to_string()),
        }
    }));
    catch_unwind(dispatch).unwrap_or_else(|_| {
        tell(&unpoisoned(&PANIC));
        ExitCode::from(PANICKED)
    })
}

fn tell(panic: &str) {
    talk(&format!("{panic}\nthis is a fault of trieval, please report it"));
}

/// What the lock holds, whoever panicked with it.
fn unpoisoned(text: &Mutex<String>) -> MutexGuard<'_, String> {
    text.lock().unwrap_or_else(PoisonError::into_inner)
}

fn dispatch() -> ExitCode {
    let typed: Vec<OsString> = std::env::args_os().collect();
    let arguments = match Arguments::try_parse_from(&typed) {
        Ok(arguments) => arguments,
        Err(error) => return refused(&error, &typed),
    };
    let interrupts = Interrupts::default();
    let ctx = Context::new(arguments.quiet, interrupts.clone());
    if let Err(e) = interrupt::catch(interrupts) {
        ctx.warn(format!("interrupts cannot be caught: {e}"));
    }
    let outcome = match &arguments.verb {
        Verb::Run(args) => run::execute(args, &ctx),
        Verb::Check(args) => check::execute(args, &ctx),
        Verb::Corpus(args) => corpus::execute(args, &ctx),
        Verb::Search(args) => search::execute(args, &ctx),
        Verb::Eval(args) => match &args.qrels {
            Some(qrels) => eval::execute(args, qrels, &ctx),
            None => policy::execute(args, &ctx),
        },
        Verb::Report(args) => report::execute(args, &ctx),
        Verb::Compare(args) => compare::execute(args, &ctx),
        Verb::Recipes(args) => recipes::execute(args),
        Verb::Ids(args) => ids::execute(args, &ctx),
        Verb::Clean(args) => clean::execute(args, &ctx),
        Verb::Completions(args) => shell::completions(args),
        Verb::Man(args) => shell::man(args),
        Verb::Bench(args) => bench::execute(args, &ctx),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::Broken) => ExitCode::SUCCESS,
        Err(error) => {
            match &error {
                Error::Faults(drawn) => talk_drawn(&format!("error: {drawn}")),
                other => talk(&format!("error: {other}")),
            }
            ExitCode::from(error.exit_code())
        }
    }
}

/// What the parser of arguments has to say: help and version too.
fn refused(error: &clap::Error, typed: &[OsString]) -> ExitCode {
    let plain = error.render().to_string();
    let quotes = |text: &OsString| {
        let text = text.to_string_lossy();
        visible(&text) != text
    };
    // Colors only where nothing quoted could act on the terminal.
    let is_plain = !typed.iter().any(quotes);
    let is_data = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let printed = match is_data {
        true if is_plain => told(error.print().and_then(|()| std::io::stdout().flush())),
        true => print(&plain),
        false if is_plain => {
            // Messages that nobody can read change no outcome.
            let _ = error.print();
            Ok(())
        }
        false => {
            talk(plain.trim_end());
            Ok(())
        }
    };
    match printed {
        Err(error) if error.exit_code() != 0 => {
            talk(&format!("error: {error}"));
            ExitCode::from(error.exit_code())
        }
        _ => ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2)),
    }
}

/// Prints text to standard output as it may reach a terminal. A reader that went away is not an error.
fn print(text: &str) -> crate::Result<()> {
    write(&visible(text))
}

/// As [`print`], for what was made visible before it was drawn with marks.
fn print_drawn(text: &str) -> crate::Result<()> {
    write(text)
}

/// Prints JSON to standard output: the same values, without characters that act on a terminal.
fn print_json(text: &str) -> crate::Result<()> {
    write(&visible_json(text))
}

fn write(text: &str) -> crate::Result<()> {
    let mut out = std::io::stdout().lock();
    told(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// What became of a write to standard output.
fn told(outcome: std::io::Result<()>) -> crate::Result<()> {
    match outcome {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Err(Error::Broken),
        Err(e) => Err(Error::unprintable(&e)),
        Ok(()) => Ok(()),
    }
}
