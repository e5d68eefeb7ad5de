//! A recipe for files that nobody described: the corpus as it was guessed, with what was seen beside each
//! guess, and systems that fit its size.

use std::fmt::Write as _;
use std::path::Path;

use crate::corpus::propose::{Field, Found, Looked, Proposal};

/// The recipe as text; `name` is that of the recipe, `folder` that of the files as the recipe names it.
pub(super) fn proposed(name: &str, folder: &Path, proposal: &Proposal) -> String {
    let mut out = String::new();
    let (_, files) = proposal.folder();
    let has_query = proposal.has("query");
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "# Proposed by `trieval recipes new` from the first rows of the files. Look at each guess: what is"
    );
    let _ = writeln!(
        out,
        "# behind a `#` was seen. `trieval corpus` imports alone and tells what came in.\n"
    );
    let looked = [Some(&proposal.items), Some(&proposal.log), proposal.queries.as_ref()];
    for (one, file) in looked.into_iter().flatten().zip(&files) {
        fields(&mut out, one, file);
    }
    for remark in &proposal.remarks {
        let _ = writeln!(out, "# Note: {}", remark.replace(['\n', '\r'], " "));
    }
    let _ = writeln!(out, "name = {}\nseed = 17\n", quoted(&plain_name(name)));
    let _ =
        writeln!(out, "[corpus]\nkind = \"log\"\npath = {}", quoted(&folder.display().to_string()));
    let has_user = proposal.has("user");
    let _ = writeln!(
        out,
        "history = {}                                  # items that a user chose before, of each request",
        if has_user || proposal.has("history") { 20 } else { 0 }
    );
    let _ = writeln!(
        out,
        "seen = \"keep\"                                # items of the history may be answered again"
    );
    let _ = writeln!(
        out,
        "malformed_share = 0.01                       # more than that is refused, with the first rows"
    );
    let _ = writeln!(out, "\n[corpus.split]\n{}", split(proposal));
    let _ = writeln!(out, "\n[corpus.items]\nfile = {}", quoted(&files[0].display().to_string()));
    let lists = ["text", "category", "request"];
    keys(&mut out, &proposal.of_items, &lists);
    if let Some(queries) = &proposal.queries {
        let file = files.get(2).map_or(queries.path.display(), |file| file.display());
        let _ = writeln!(out, "\n[corpus.queries]\nfile = {}", quoted(&file.to_string()));
        keys(&mut out, &proposal.of_queries, &[]);
    }
    let _ = writeln!(out, "\n[[corpus.log]]\nfile = {}", quoted(&files[1].display().to_string()));
    let tables = ["event", "label"];
    let plain: Vec<Found> =
        proposal.of_log.iter().filter(|found| !tables.contains(&found.key)).cloned().collect();
    keys(&mut out, &plain, &lists);
    if let Some(found) = proposal.of_log.iter().find(|found| found.key == "event")
        && let Some([shown, click, cart, order, unknown]) = &proposal.events
    {
        let _ = writeln!(out, "\n[corpus.log.event]\nfield = {}", quoted(&found.fields[0]));
        for (key, words) in [
            ("shown", shown),
            ("click", click),
            ("cart", cart),
            ("order", order),
            ("ignore", unknown),
        ] {
            if !words.is_empty() {
                let _ = writeln!(out, "{key} = {}", list(words));
            }
        }
    }
    if let Some(found) = proposal.of_log.iter().find(|found| found.key == "label")
        && let Some(least) = proposal.label
    {
        let _ = writeln!(out, "\n[corpus.log.label]");
        keys(&mut out, &[Found { key: "field", ..found.clone() }], &[]);
        let pair = format!("click = {least:?}");
        let _ = writeln!(out, "{pair:<44} # from this value on");
    }
    systems(&mut out, proposal, has_query);
    out
}

/// A name that a recipe may have.
fn plain_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = name.chars().map(plain).take(64).collect();
    match name.trim_matches('-') {
        "" => "shop".into(),
        name => name.into(),
    }
}

/// What was guessed, a line each, for the terminal.
pub(super) fn guesses(proposal: &Proposal) -> String {
    let mut out = String::new();
    let tables = [
        ("items", &proposal.of_items),
        ("log", &proposal.of_log),
        ("queries", &proposal.of_queries),
    ];
    for (table, found) in tables {
        for one in found {
            let _ =
                writeln!(out, "{table}.{:<10} {:<28} {}", one.key, one.fields.join(", "), one.why);
        }
    }
    let _ = writeln!(
        out,
        "{:.1} % of the items in the log's first rows are in the items file",
        100.0 * proposal.known
    );
    for remark in &proposal.remarks {
        let _ = writeln!(out, "note: {remark}");
    }
    out
}

fn fields(out: &mut String, looked: &Looked, file: &Path) {
    let delimiter = match looked.delimiter {
        Some('\t') => ", tabs".to_owned(),
        Some(delimiter) => format!(", `{delimiter}`"),
        None => String::new(),
    };
    let _ = writeln!(
        out,
        "# {} ({}{delimiter}), the first {} rows:",
        file.display(),
        looked.format.name(),
        looked.rows
    );
    for Field { name, holds, empty, example, .. } in &looked.fields {
        let _ = writeln!(
            out,
            "#   {name:<28} {:<8} {:>5.1} % empty  {}",
            holds.name(),
            100.0 * empty,
            example.replace(['\n', '\r'], " ")
        );
    }
    out.push_str("#\n");
}

fn keys(out: &mut String, found: &[Found], lists: &[&str]) {
    for Found { key, fields, why } in found {
        let value = match lists.contains(key) {
            true => list(fields),
            false => quoted(&fields[0]),
        };
        let pair = format!("{key} = {value}");
        let why = why.replace(['\n', '\r'], " ");
        let _ = writeln!(out, "{pair:<44} # {why}");
    }
}

fn split(proposal: &Proposal) -> &'static str {
    if proposal.has("time") {
        "by = \"time\"                                  # the last requests are held out\nvalidation = 0.1\ntest = 0.1"
    } else if proposal.has("session") {
        "by = \"session\"                               # the log has no time: a hash decides\nvalidation = 0.1\ntest = 0.1"
    } else if proposal.has("user") {
        "by = \"user\"                                  # the log has no time: a hash decides\nvalidation = 0.1\ntest = 0.1"
    } else {
        "by = \"query\"                                 # the log has no time: a hash decides\nvalidation = 0.1\ntest = 0.1"
    }
}

/// Systems that the corpus can feed, of a size for its items.
fn systems(out: &mut String, proposal: &Proposal, has_query: bool) {
    let asks = has_query && proposal.has_text();
    if asks {
        // Three levels name every item, with room to spare.
        let codes = match proposal.n_items {
            0..=5_000 => 64,
            5_001..=100_000 => 256,
            _ => 1_024,
        };
        let _ = write!(
            out,
            r#"
[vectors.text]
kind = "two-tower"

[identifier.sid]
kind = "residual-k-means"
vectors = "text"
levels = 3
codes = {codes}

[model.decoder]
kind = "scratch"
identifier = "sid"
layers = 3
hidden = 128
heads = 4

[[train]]
name = "supervised"
model = "decoder"
epochs = 8

[train.objective]
kind = "supervised"
pseudo_requests = 0.5
pseudo_words = [2, 6]

[[train]]
name = "aligned"
init = "supervised"

[train.objective]
kind = "preference"
anchor = 0.1

[train.objective.pairs]
beam_requests = 2000
unshown_weight = 0.25

[train.optimizer]
learning_rate = 2e-5

"#
        );
    }
    out.push_str("\n[[system]]\nname = \"popularity\"\nkind = \"popularity\"\n");
    if asks {
        out.push_str(
            r#"
[[system]]
name = "bm25"
kind = "bm25"

[[system]]
name = "two-tower"
kind = "two-tower"
vectors = "text"

[[system]]
name = "supervised"
kind = "generative"
train = "supervised"

[[system]]
name = "aligned"
kind = "generative"
train = "aligned"
"#,
        );
    } else if proposal.has("user") || proposal.has("history") {
        out.push_str("\n[[system]]\nname = \"item-cf\"\nkind = \"item-cf\"\n");
    }
    let baseline = if asks { "bm25" } else { "popularity" };
    let _ = write!(
        out,
        r#"
[evaluation]
metrics = ["recall@10", "recall@50", "ndcg@10", "mrr@10", "hit_rate@10"]
baseline = "{baseline}"
relevant_grade = 1                           # clicked 1, carted 2, ordered 3
"#
    );
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", texts.join(", "))
}
