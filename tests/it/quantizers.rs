//! Identifiers by product quantization and by an RQ-VAE, through the whole of a small run.

use std::path::{Path, PathBuf};

use crate::support::{
    Running, TINY, assert_same, json, logged, run, run_args, step_folder, trieval,
};

/// The tiny recipe with another table of identifiers.
fn recipe(folder: &Path, table: &str) -> PathBuf {
    let tiny = std::fs::read_to_string(TINY).unwrap();
    let start = tiny.find("[identifier.sid]").unwrap();
    let end = start + tiny[start..].find("\n[model").unwrap();
    let path = folder.join("recipe.toml");
    let text = format!(
        "{}[identifier.sid]\nvectors = \"text\"\n{table}\n{}",
        &tiny[..start],
        &tiny[end..]
    );
    std::fs::write(&path, text).unwrap();
    path
}

const LEARNED: &str = "kind = \"rq-vae\"\nlevels = 2\ncodes = 16\ndim = 8\nhidden = [24]\nepochs = 60\nbatch = 50\n\
                       revive_steps = 10\ncheckpoint_steps = 7\n";

fn told(run: &Path, step: &str, file: &str) -> serde_json::Value {
    json(&step_folder(run, step).unwrap().join(file))
}

#[test]
fn codes_of_parts_serve_a_whole_run() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let path = recipe(folder.path(), "kind = \"product-quantization\"\nparts = 3\ncodes = 8\n");
    run(path.to_str().unwrap(), &out, &[]).expect(0);
    let identifier = told(&out, "identifier.sid", "identifier.json");
    assert_eq!(identifier["kind"], "product-quantization");
    assert_eq!((&identifier["levels"][2], &identifier["dim"]), (&8.into(), &16.into()));
    let ceiling = told(&out, "identifier.sid.ceiling", "ceiling.json");
    assert!(ceiling["codes"].as_f64().unwrap() > 0.3 * ceiling["exact"].as_f64().unwrap());
    let asked = trieval(&["ids".as_ref(), out.as_os_str(), "<a_0>".as_ref()]).expect(0);
    assert!(asked.out.contains("<a_0><b_"), "{}", asked.out);
}

#[test]
fn more_parts_than_numbers_are_refused_where_the_vectors_are_known() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let path = recipe(folder.path(), "kind = \"product-quantization\"\nparts = 24\ncodes = 8\n");
    let answer = run(path.to_str().unwrap(), &out, &[]).expect(2);
    answer.says(&[
        "vectors of 16 numbers cannot be cut into 24 parts",
        "identifier.sid.parts to 16 or less",
    ]);
}

#[test]
fn a_killed_training_of_codes_ends_with_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let [out, straight] = ["run", "straight"].map(|name| folder.path().join(name));
    let path = recipe(folder.path(), LEARNED);
    let path = path.to_str().unwrap();
    let step = "identifier.sid";
    let mut hits = 0;
    for (lines, kills) in [(12, false), (40, true), (90, false)] {
        let mut process = Running::start(&run_args(path, &out, &[]));
        let alive = process.wait_until(|| logged(&out, step) >= lines);
        if kills {
            process.kill();
            continue;
        }
        process.interrupt();
        hits += usize::from(process.finish().code == 130 && alive);
    }
    assert!(hits > 0, "no interrupt arrived in time");
    run(path, &out, &[]).expect(0).says(&["train"]);
    run(path, &straight, &[]).expect(0);
    assert_same(&out, &straight);

    let identifier = told(&out, step, "identifier.json");
    assert_eq!((&identifier["format"], &identifier["dim"]), (&2.into(), &8.into()));
    let ceiling = told(&out, "identifier.sid.ceiling", "ceiling.json");
    assert!(ceiling["codes"].as_f64().unwrap() > 0.3 * ceiling["exact"].as_f64().unwrap());
    // Its training has a curve of its own in the report.
    let report = json(&out.join("report.json"));
    let trainings = report["training"].as_array().unwrap();
    let learned = trainings.iter().find(|one| one["name"] == "identifier.sid").unwrap();
    assert_eq!((&learned["objective"], &learned["steps"]), (&"reconstruction".into(), &180.into()));
}
