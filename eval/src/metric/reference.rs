//! The table of metrics as a page, from the same definitions that the parser reads.

use std::fmt::Write;

use super::better::Better;
use super::catalogue::Needs;
use super::definition::{Cutoff, DEFINITIONS, Definition, UnderTies};

const HEAD: &str = "\
# Metrics

Generated from `eval/src/metric/definition.rs`. A metric is written as a name, options in brackets and a cutoff: `recall@10`,
`p(rel=2)@5`, `ndcg(gain=exp)@10`. Names of trec_eval, ir_measures and MTEB are understood as well (`ndcg_cut.5,10`, `P_5`, `map`, `R@10`, `ndcg_at_10`).

| name | also | behind `@` | options | better | needs | what it measures |
|---|---|---|---|---|---|---|
";

const TAIL: &str = "
## What holds for all

- A request enters the figures when at least one judged item reaches `relevant_grade`. Requests that a system does not answer
  score 0 (`missing = \"zero\"`), are left out for all systems (`skip`) or end the evaluation (`error`); counts are kept.
- Scores are compared as `f32`; equal ones are ordered by item id, descending, as trec_eval does. A rank column is not read.
  With `ties = \"expected\"` every figure is its exact expectation under uniformly random order of equal scores (McSherry &
  Najork, ECIR 2008), so that a system that scores all items alike scores what chance does; refused then: RULE_ONLY.
- `rel=N` replaces `relevant_grade` for one metric. A request without an item of that grade scores 0 on it.
- In `ndcg` and `err` grades below the threshold gain nothing; trec_eval's threshold does not reach its ndcg: `ndcg(rel=1)` is
  that figure under any threshold.
- Items without judgment are not relevant; `bpref` passes over them, and over items of negative grade.
- The column *better* says which way verdicts, tuning and early stopping take a figure. Values from outside (`--values`) are
  better when higher, unless `--lower-is-better` names them.
- The column *needs* says what of a catalogue must be given: all item ids, some with how often training showed each item,
  some with a vector per item. A recipe gives ids, training clicks, and the first of its `[vectors]`. Such metrics look at the
  lists of the evaluated requests; an empty list counts 0. `coverage`, `gini` and the figures of labelled predictions are no
  means over requests: their intervals come from drawing requests.
";

/// The page.
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    for row in DEFINITIONS {
        let Definition { name, aliases, cutoff, options, meaning, .. } = row;
        let aliases: Vec<String> = aliases.iter().map(|alias| format!("`{alias}`")).collect();
        let cutoff = match cutoff {
            Cutoff::Optional => "places, or nothing",
            Cutoff::Required => "places",
            Cutoff::Never => "",
            Cutoff::Recall => "share of the relevant items",
        };
        let options: Vec<String> = options.iter().map(|one| format!("`{}`", one.name())).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            page,
            "| `{name}` | {} | {cutoff} | {} | {} | {} | {meaning} |",
            aliases.join(", "),
            options.join(", "),
            match row.better {
                Better::Higher => "higher",
                Better::Lower => "lower",
            },
            match row.basis.needs() {
                Needs::Nothing => "",
                Needs::Items => "ids",
                Needs::Exposures => "ids, counts",
                Needs::Vectors => "ids, vectors",
            },
        );
    }
    let refused = DEFINITIONS.iter().filter(|row| row.under_ties == UnderTies::RuleOnly);
    let refused: Vec<String> = refused.map(|row| format!("`{}`", row.name)).collect();
    page + &TAIL.replace("RULE_ONLY", &refused.join(", "))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_page_is_fresh() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
        let fresh = reference();
        if std::env::var_os("TRIEVAL_UPDATE_DOCS").is_some_and(|value| value == "1") {
            std::fs::write(path, &fresh).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == fresh,
            "docs/metrics.md is stale: run TRIEVAL_UPDATE_DOCS=1 cargo test -p trieval-eval --lib reference"
        );
    }
}
