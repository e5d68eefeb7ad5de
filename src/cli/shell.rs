//! `trieval completions` and `trieval man`: what a shell and a reader of manuals want, made from the arguments.

use clap::CommandFactory;

use super::Arguments;
use super::args::{CompletionsArgs, ManArgs};
use crate::error::{Error, Result};

/// The name of the program.
const NAME: &str = "trieval";

pub(super) fn completions(args: &CompletionsArgs) -> Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Arguments::command(), NAME, &mut text);
    super::print(&String::from_utf8_lossy(&text))
}

/// The page of the program, or of a verb.
pub(super) fn man(args: &ManArgs) -> Result<()> {
    let mut root = Arguments::command();
    root.build();
    let command = match &args.verb {
        None => root,
        Some(verb) => {
            let verbs: Vec<&str> = root.get_subcommands().map(clap::Command::get_name).collect();
            let unknown = || Error::Usage(format!("man: verbs are {}", verbs.join(", ")));
            let found = root.find_subcommand(verb).ok_or_else(unknown)?;
            found.clone()
        }
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .map_err(|e| Error::Failed(format!("the page cannot be rendered: {e}")))?;
    super::print(&String::from_utf8_lossy(&page))
}
