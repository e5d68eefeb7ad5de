//! A decoder that begins where its own dense encoder ends.

use std::path::Path;

use crate::support::{
    Running, figure, fingerprint, json, logged, run, run_args, step_folder, trieval,
};

const CEILING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/ceiling.toml");

fn recall(run: &Path, system: &str) -> f64 {
    figure(&json(&run.join("report.json")), system, "recall@10")
}

#[test]
fn the_decoder_says_what_its_own_vectors_find_and_any_stop_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (straight, stopped) = (folder.path().join("straight"), folder.path().join("stopped"));
    let told = run(CEILING, &straight, &[]).expect(0);
    told.says(&["by exact search over the vectors", "whose weights are kept"]);
    let dense = recall(&straight, "dense");
    let (distilled, ranked) = (recall(&straight, "distilled"), recall(&straight, "ranked"));
    assert!(dense > 0.1, "{dense}");
    assert!(distilled > 0.6 * dense && ranked > 0.8 * dense, "{dense} {distilled} {ranked}");

    // A plain folder, whose head is a table of its own.
    let model = step_folder(&straight, "train.distilled").unwrap().join("model");
    assert_eq!(json(&model.join("config.json"))["tie_word_embeddings"], false);

    // The finished run can be opened by itself.
    let asked = ["search", straight.to_str().unwrap(), "red", "--system", "ranked"];
    trieval(&asked).expect(0);

    for (step, lines) in [("train.dense", 3), ("train.distilled", 6)] {
        let mut process = Running::start(&run_args(CEILING, &stopped, &[]));
        let reached = process.wait_until(|| logged(&stopped, step) >= lines);
        assert!(reached, "{step} ended before the interrupt");
        process.interrupt();
        process.finish().expect(130);
    }
    run(CEILING, &stopped, &[]).expect(0).says(&["train.distilled (continuing)"]);
    assert!(fingerprint(&stopped) == fingerprint(&straight), "weights and answers differ");
}

#[test]
fn codes_of_other_vectors_have_no_centroids_to_begin_at() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let sets = [
        "identifier.sid={kind=\"random\"}",
        "train.dense.epochs=0.1",
        "train.distilled.epochs=0.1",
    ];
    let args: Vec<&str> = sets.iter().flat_map(|set| ["--set", *set]).collect();
    let told = run(CEILING, &out, &args).expect(2);
    told.says(&["rows cannot begin at centroids", "have none", "rows = \"mean\""]);
    assert!(!out.exists(), "before any work");
    let mean = [&args[..], &["--set", "model.generative.rows=mean"]].concat();
    run(CEILING, &out, &mean).expect(0);
}
