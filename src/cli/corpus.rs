//! `trieval corpus`: import what a recipe names, tell what came in, and write it out as a log.

use std::fmt::Write as _;

use super::args::CorpusArgs;
use super::outputs::check_folder;
use crate::corpus::{Corpus, Profile, Split, build, check_export};
use crate::error::{Error, Result};
use crate::progress::Context;
use crate::recipe::Recipe;
use crate::seed::Seed;
use crate::text::grouped;

pub(super) fn execute(args: &CorpusArgs, ctx: &Context) -> Result<()> {
    let loaded = Recipe::open(&args.recipe.recipe, &args.recipe.overrides)?;
    let recipe = &loaded.recipe;
    if let Some(to) = &args.export {
        check_folder("--export", to)?;
        check_export(to)?;
    }
    // The tables are looked at and not kept: `run` makes them in its own folder.
    let folder = tempfile::tempdir().map_err(|e| Error::unwritable(std::env::temp_dir(), &e))?;
    let seed = recipe.corpus.it().draws().under(recipe.seed).unwrap_or(recipe.seed);
    build(&recipe.corpus, Seed::new(seed), folder.path(), ctx)?;
    let corpus = Corpus::open(folder.path())?;
    if let Some(to) = &args.export {
        let files = corpus.export(to, ctx)?;
        ctx.say(format!("{}: {}", to.display(), files.join(", ")));
    }
    let profile = Profile::of(&corpus)?;
    if args.json {
        let text =
            serde_json::to_string_pretty(&profile).map_err(|e| Error::Failed(e.to_string()))?;
        return super::print_json(&format!("{text}\n"));
    }
    super::print(&text(&profile))
}

/// The profile for people, in lines of 80 columns.
fn text(profile: &Profile) -> String {
    let summary = &profile.summary;
    let mut out = String::new();
    // Writing to a string cannot fail.
    let mut line = |name: &str, value: String| {
        let _ = writeln!(out, "{name:<13} {value}");
    };
    line("kind", summary.kind.clone());
    line(
        "items",
        format!("{} · {} of them shown", grouped(summary.items), grouped(profile.shown_items)),
    );
    line("users", grouped(summary.users));
    line("sessions", grouped(summary.sessions));
    line(
        "requests",
        format!("{} · {} queries", grouped(summary.requests.total()), grouped(profile.queries)),
    );
    for split in Split::ALL {
        let days = profile.days.iter().find(|(of, _, _)| *of == split);
        let days =
            days.map_or(String::new(), |(_, first, last)| format!(" · days {first} to {last}"));
        line(
            &format!("  {}", split.name()),
            format!(
                "{}{days} · {} chose something · {} have a history · {} judged items",
                grouped(summary.requests.of(split)),
                grouped(profile.with_choice.of(split)),
                grouped(profile.with_history.of(split)),
                grouped(summary.judgements.of(split))
            ),
        );
    }
    if let Some(start) = &summary.start {
        line("starts", start.clone());
    }
    line(
        "impressions",
        format!(
            "{} · {} clicks, {} carts, {} orders",
            grouped(summary.impressions),
            grouped(summary.clicks),
            grouped(summary.carts),
            grouped(summary.orders)
        ),
    );
    if profile.click_rate.iter().any(Option::is_some) {
        let percent = |rate: &Option<f64>| match rate {
            Some(rate) => format!("{:.1}", 100.0 * rate),
            None => "-".into(),
        };
        let rates: Vec<String> = profile.click_rate.iter().map(percent).collect();
        line(
            "clicked, %",
            format!(
                "{} at positions 1 to 10, {} below",
                rates.join(" "),
                percent(&profile.click_rate_below)
            ),
        );
    }
    let share = |share: Option<f64>| match share {
        Some(share) => format!("{:.1} %", 100.0 * share),
        None => "-".into(),
    };
    let overlap = &summary.overlap;
    line(
        "test, known",
        format!(
            "from training: queries {}, users {}, wanted items {}",
            share(overlap.queries),
            share(overlap.users),
            share(overlap.items)
        ),
    );
    if overlap.history.is_some() {
        line(
            "repeats",
            format!("{} of wanted test items are in the history", share(overlap.history)),
        );
    }
    line(
        "malformed",
        format!("{} of {} rows", grouped(summary.malformed.rows), grouped(summary.malformed.of)),
    );
    let columns: Vec<String> =
        summary.columns.iter().map(|column| column.column.to_string()).collect();
    if !columns.is_empty() {
        line("columns", columns.join(", "));
    }
    out
}
