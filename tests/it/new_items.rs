//! Items that come after a run: assigned by their texts or vectors, looked up, and found by a search.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::{Value, json};
use trieval::corpus::Corpus;

use crate::support::{Answer, TINY, copy_of_finished, copy_tree, run, step_folder, trieval};

/// A run with spare codes, beams for all its items, and a system that ranks by vectors alone.
fn made() -> &'static Path {
    static RUN: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = RUN.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let recipe = std::fs::read_to_string(TINY).unwrap();
        let recipe = recipe
            .replace("codes = 16\n", "codes = 16\nspare = 3\n")
            .replace("decode = { beam = 20 }", "decode = { beam = 400 }")
            .replacen(
                "[evaluation]",
                "[[system]]\nname = \"ranked\"\nkind = \"generative\"\ntrain = \"supervised\"\n\
                 decode = { beam = 400 }\nranking = { vectors = \"text\", weight = 1.0 }\n\n[evaluation]",
                1,
            );
        let path = folder.path().join("recipe.toml");
        std::fs::write(&path, recipe).unwrap();
        copy_of_finished(&folder.path().join("run"));
        run(path.to_str().unwrap(), &folder.path().join("run"), &[]).expect(0);
        folder
    });
    folder.path()
}

fn run_folder() -> PathBuf {
    made().join("run")
}

/// Id, title and further text of an item of the run.
fn item(number: u32) -> [String; 3] {
    let corpus = Corpus::open(&step_folder(&run_folder(), "corpus").unwrap()).unwrap();
    let catalogue = corpus.catalogue().unwrap();
    let title = catalogue.title(number).to_owned();
    let text = catalogue.text(number)[title.len()..].trim_start().to_owned();
    [catalogue.ids[number as usize].clone(), title, text]
}

/// A new item with the texts of a known one.
fn twin(id: &str, of: u32) -> Value {
    let [_, title, text] = item(of);
    json!({ "item_id": id, "title": title, "text": text })
}

fn file(folder: &Path, lines: &[Value]) -> PathBuf {
    let path = folder.join("new.jsonl");
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(&path, format!("\u{feff}{text}")).unwrap();
    path
}

fn assign(from: &Path, file: &Path, out: &Path) -> Answer {
    let [from, file, out] = [from, file, out].map(|path| path.to_str().unwrap());
    trieval(&["ids", from, "--assign", file, "--out", out])
}

fn search(folder: &Path, more: &[&str]) -> Answer {
    trieval(&[&["search", folder.to_str().unwrap(), "--json"], more].concat())
}

/// Places of items in an answer.
fn places(answer: &Answer) -> impl Fn(&str) -> usize {
    let answer = answer.json();
    move |id: &str| {
        let items = answer["items"].as_array().unwrap();
        items
            .iter()
            .position(|one| one["item"] == id)
            .unwrap_or_else(|| panic!("no {id}: {answer}"))
    }
}

#[test]
fn a_search_finds_new_items_beside_old_ones() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("with-new");
    let [known, title, _] = item(17);
    let lines =
        [twin("new-a", 17), twin("new-b", 17), json!({ "item_id": "new-c", "title": "red lamp" })];
    let answer = assign(&run_folder(), &file(folder.path(), &lines), &out).expect(0);
    assert!(
        answer.out.contains("3 new items have identifiers beside 150 known ones"),
        "{}",
        answer.out
    );

    // Both systems in this identifier answer; equal texts have equal vectors, and stand together.
    let ranked = search(&out, &[&title, "--system", "ranked", "--top", "153"]).expect(0);
    let place = places(&ranked);
    let twins = [place(&known), place("new-a"), place("new-b")];
    let first = *twins.iter().min().unwrap();
    assert!(twins.iter().all(|place| place - first <= 2), "{twins:?}");
    place("new-c");
    assert_eq!(ranked.json()["items"].as_array().unwrap().len(), 153);
    let titles: Vec<Value> = ranked.json()["items"].as_array().unwrap()[first..first + 3].to_vec();
    assert!(titles.iter().all(|one| one["title"] == title), "{titles:?}");
    let plain = search(&out, &[&title, "--top", "153"]).expect(0);
    plain.says(&["ranked (generative) answers; --system asks another: supervised, aligned"]);
    // What the run itself answers stays in its order; new items stand in between.
    for system in ["aligned", "ranked"] {
        let ids = |folder: &Path, top: &str| -> Vec<String> {
            let answer =
                search(folder, &["red", "--system", system, "--top", top]).expect(0).json();
            let items = answer["items"].as_array().unwrap().iter();
            items.map(|one| one["item"].as_str().unwrap().to_owned()).collect()
        };
        let mut all = ids(&out, "153");
        all.retain(|id| !id.starts_with("new-"));
        assert_eq!(all, ids(&run_folder(), "150"), "{system}");
    }
    // New items are history too.
    let by_history =
        search(&out, &["--history", "new-a", "--system", "ranked", "--top", "5"]).expect(0);
    assert_eq!(by_history.json()["items"].as_array().unwrap().len(), 5);

    // Looked up by id and by tokens, and counted.
    let path = out.to_str().unwrap();
    let told = trieval(&["ids", path, "new-b", "--json"]).expect(0).json();
    let tokens = told["items"][0]["tokens"].as_str().unwrap();
    let prefix = &tokens[..tokens.rfind('<').unwrap()];
    let below = trieval(&["ids", path, prefix, "--json"]).expect(0).json();
    let below = below["items"].as_array().unwrap();
    assert!(below.iter().any(|one| one["item"] == known.as_str()), "{below:?}");
    let diagnostics = trieval(&["ids", path, "--json"]).expect(0).json();
    assert_eq!(diagnostics["items"], 153);
    assert_eq!(
        diagnostics["levels"][0]["usage"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_u64)
            .sum::<u64>(),
        153
    );
    assert_eq!(diagnostics["outcome"]["leaves"], 153);

    // More may be added to what was added.
    let again = folder.path().join("with-more");
    let many: Vec<Value> = (0..9).map(|i| twin(&format!("n{i}"), 17)).collect();
    assign(&out, &file(folder.path(), &many), &again).expect(2).says(&["find no identifier: "]);
    assign(&out, &file(folder.path(), &[twin("new-d", 30)]), &again).expect(0);
    let all = search(&again, &["red", "--system", "ranked", "--top", "154"]).expect(0);
    let place = places(&all);
    for id in ["new-a", "new-c", "new-d"] {
        place(id);
    }
}

#[test]
fn given_vectors_and_those_of_texts_may_stand_together() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("with-new");
    let vectors = step_folder(&run_folder(), "vectors.text").unwrap().join("vectors.safetensors");
    let vectors = trieval::vectors::Vectors::read(&vectors, Some(150)).unwrap();
    let lines = [
        json!({ "item_id": "given", "vector": vectors.row(17) }),
        twin("said", 17),
        json!({ "item_id": "both", "title": "red", "vector": vectors.row(30) }),
    ];
    assign(&run_folder(), &file(folder.path(), &lines), &out).expect(0);
    let spelled = |id: &str| {
        let told = trieval(&["ids", out.to_str().unwrap(), id, "--json"]).expect(0).json();
        let tokens = told["items"][0]["tokens"].as_str().unwrap().to_owned();
        tokens[..tokens.rfind('<').unwrap()].to_owned()
    };
    assert_eq!(spelled("given"), spelled(&item(17)[0]));
    assert_eq!(spelled("given"), spelled("said"));
    assert_eq!(spelled("both"), spelled(&item(30)[0]));
    let answer = search(&out, &["red", "--system", "ranked", "--top", "153"]).expect(0);
    let place = places(&answer);
    assert!(place("given").abs_diff(place("said")) <= 2);
}

#[test]
fn what_cannot_be_assigned_or_asked_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("with-new");
    let many: Vec<Value> = (0..9).map(|i| twin(&format!("n{i}"), 17)).collect();
    let told = assign(&run_folder(), &file(folder.path(), &many), &out).expect(2);
    told.says(&["new items find no identifier: ", " fit; the first that do not: n"]);
    assert!(!out.exists());
    let unsaid = json!({ "item_id": "n", "text": "of brass" });
    assign(&run_folder(), &file(folder.path(), &[unsaid]), &out)
        .expect(2)
        .says(&["new.jsonl:1", "no `title`"]);
    assert!(!out.exists());

    assign(&run_folder(), &file(folder.path(), &[twin("n", 17)]), &out).expect(0);
    for (more, says) in [
        (
            &["red", "--system", "bm25"][..],
            "system bm25 (kind bm25) does not answer in identifier sid",
        ),
        (
            &["red", "--system", "fused"],
            "system fused (kind fusion) does not answer in identifier sid",
        ),
        (&["red", "--system", "none"], "--system must name one of supervised, aligned, ranked"),
        (&["red", "--seed", "6"], "were added under seed 5: leave --seed out"),
        (&["--history", "m"], "item m is not in the catalogue of 151 items"),
    ] {
        search(&out, more).expect(2).says(&[says]);
    }
    let path = out.to_str().unwrap();
    let identifier = trieval(&["ids", path, "--identifier", "other"]).expect(2);
    identifier.says(&["--identifier must name one of sid"]);
    trieval(&["report", path]).expect(2).says(&["holds items that were added to the run in"]);
    trieval(&["compare", path, path])
        .expect(2)
        .says(&["holds items that were added to the run in"]);

    // Whatever file is missing, cut or altered is named.
    for name in [
        "index.bin",
        "items.jsonl",
        "codes.safetensors",
        "identifier.json",
        "vectors.text.safetensors",
    ] {
        let copy = tempfile::tempdir().unwrap();
        copy_tree(&out, copy.path());
        let whole = std::fs::read(out.join(name)).unwrap();
        std::fs::write(copy.path().join(name), &whole[..whole.len() - 1]).unwrap();
        search(copy.path(), &["red"]).expect(2).says(&[name, "ids RUN --assign FILE"]);
        std::fs::remove_file(copy.path().join(name)).unwrap();
        search(copy.path(), &["red"]).expect(2).says(&[name, "ids RUN --assign FILE"]);
    }
    let copy = tempfile::tempdir().unwrap();
    copy_tree(&out, copy.path());
    let added = copy.path().join("added.json");
    let text = std::fs::read_to_string(&added).unwrap();
    std::fs::write(&added, text.replace("\"seed\": 5", "\"seed\": 6")).unwrap();
    search(copy.path(), &["red"]).expect(2).says(&["added.json", "does not match its checksum"]);
    // A checksum under another name is none.
    std::fs::write(&added, text.replace("\"checksum\"", "\"checksun\"")).unwrap();
    search(copy.path(), &["red"]).expect(2).says(&["added.json", "its checksum is missing"]);
    std::fs::remove_file(&added).unwrap();
    search(copy.path(), &["red"]).expect(2).says(&["was not written to its end", "--assign"]);
}

#[test]
fn a_run_that_was_changed_or_moved_is_not_searched() {
    let folder = tempfile::tempdir().unwrap();
    let (own, out) = (folder.path().join("run"), folder.path().join("with-new"));
    copy_tree(&run_folder(), &own);
    let recipe = made().join("recipe.toml");
    let recipe = recipe.to_str().unwrap();
    assign(&own, &file(folder.path(), &[twin("n", 17)]), &out).expect(0);
    // Another system changes nothing of the items.
    run(recipe, &own, &["--set", "system.bm25.k1=1.5"]).expect(0);
    search(&out, &["red", "--system", "aligned"]).expect(0);
    run(recipe, &own, &["--set", "identifier.sid.spare=4"]).expect(0);
    let told = search(&out, &["red"]).expect(2);
    told.says(&["whose step identifier.sid is another since then", "assign the new items again"]);
    // Going back is free.
    run(recipe, &own, &[]).expect(0);
    search(&out, &["red"]).expect(0);
    std::fs::rename(&own, folder.path().join("elsewhere")).unwrap();
    search(&out, &["red"])
        .expect(2)
        .says(&["is not a run folder", "holds items that were added to this run"]);
}

#[test]
fn vectors_that_no_text_says_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (own, out) = (folder.path().join("run"), folder.path().join("with-new"));
    let recipe = std::fs::read_to_string(TINY).unwrap().replace(
        "[identifier.sid]\nkind = \"residual-k-means\"\nvectors = \"text\"",
        "[vectors.feedback]\nkind = \"collaborative\"\ndim = 8\n\n[vectors.both]\nkind = \"joined\"\nparts = [\"text\", \"feedback\"]\n\n\
         [identifier.sid]\nkind = \"residual-k-means\"\nvectors = \"both\"\nspare = 2",
    );
    let path = folder.path().join("recipe.toml");
    std::fs::write(&path, recipe).unwrap();
    copy_of_finished(&own);
    run(path.to_str().unwrap(), &own, &[]).expect(0);
    let told = assign(&own, &file(folder.path(), &[twin("n", 17)]), &out).expect(2);
    told.says(&[
        "item \"n\" has no `vector`",
        "vectors `feedback` are (kind collaborative)",
        "of 24 numbers",
    ]);
    assert!(!out.exists());
    let vector: Vec<f64> = (0..24).map(|x| f64::from(x) / 24.0).collect();
    let lines = [json!({ "item_id": "n", "vector": vector })];
    assign(&own, &file(folder.path(), &lines), &out).expect(0);
    search(&out, &["red"]).expect(0);
}
