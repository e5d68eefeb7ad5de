//! Committed documents that are generated from the program: stale ones fail.
//!
//! `TRIEVAL_UPDATE_DOCS=1 cargo test --test it docs` writes them anew. The recipe reference and its
//! schema are checked beside the code that makes them, in `src/recipe`.

use crate::source::root;

fn compare(name: &str, fresh: &str) {
    let path = root().join("docs").join(name);
    if std::env::var_os("TRIEVAL_UPDATE_DOCS").is_some_and(|value| value == "1") {
        std::fs::write(&path, fresh).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == fresh,
        "docs/{name} is stale: run TRIEVAL_UPDATE_DOCS=1 cargo test --test it docs"
    );
}

#[test]
fn the_command_line_reference_is_fresh() {
    compare("cli.md", &trieval::cli::cli_reference());
}

#[test]
fn the_report_schema_is_fresh() {
    compare("report.schema.json", &format!("{:#}\n", trieval_eval::report::json_schema()));
}
