//! The command-line reference, rendered from the arguments themselves.

use std::fmt::Write as _;

use clap::CommandFactory;

use super::Arguments;

/// `docs/cli.md`.
pub fn cli_reference() -> String {
    let mut text = String::from(
        "# Command line\n\nGenerated from the program; do not edit. Regenerate with \
         `TRIEVAL_UPDATE_DOCS=1 cargo test --test it docs`.\n",
    );
    // A fixed width: the reference must not depend on the terminal it was made in.
    let root = Arguments::command().term_width(100);
    section(&mut text, &root, "");
    text
}

fn section(text: &mut String, command: &clap::Command, prefix: &str) {
    let name = format!("{prefix}{}", command.get_name());
    let mut printable = command.clone().bin_name(&name).version(None::<&str>);
    let help = printable.render_long_help().to_string();
    // Writing to a string cannot fail.
    let _ = write!(text, "\n## `{name}`\n\n```text\n{}\n```\n", trimmed(&help));
    for inner in command.get_subcommands() {
        if inner.get_name() != "help" {
            section(text, &inner.clone().term_width(100), &format!("{name} "));
        }
    }
}

fn trimmed(help: &str) -> String {
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    lines.join("\n").trim().to_owned()
}
