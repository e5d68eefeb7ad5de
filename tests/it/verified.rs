//! What is read of a run is what was written: answers, tables, manifests, plan and report; and nothing is written
//! through a link.

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use serde_json::Value;
use trieval::pipeline::finished::FinishedRun;
use trieval::pipeline::runner;
use trieval::progress::Context;
use trieval::recipe::Recipe;

use crate::support::{Answer, copy_of_finished, json, run, step_folder, tree, trieval};

/// A recipe whose run takes a few milliseconds.
const SMALL: &str = "name = \"small\"\nseed = 3\n[corpus]\nkind = \"sequences\"\npath = \"PATH\"\n\
    sequences_file = \"sequences.txt\"\n[[system]]\nname = \"popularity\"\nkind = \"popularity\"\n\
    [[system]]\nname = \"item-knn\"\nkind = \"item-knn\"\n[evaluation]\nmetrics = [\"recall@10\"]\n\
    depth = 10\nrelevant_grade = 1\nbootstrap = 100\n";

/// Data, a recipe and its finished run, in a folder of their own.
pub(crate) struct Small {
    pub(crate) place: tempfile::TempDir,
    pub(crate) recipe: PathBuf,
    pub(crate) out: PathBuf,
}

impl Small {
    pub(crate) fn finished() -> Self {
        let small = Self::new();
        small.run(&[]).expect(0);
        small
    }

    pub(crate) fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let line = |user: usize| {
            let items: Vec<String> =
                (0..4 + user % 4).map(|k| format!("i{}", (user * 3 + k * 2) % 23)).collect();
            format!("u{user} {}\n", items.join(" "))
        };
        let lines: String = (0..30).map(line).collect();
        std::fs::write(place.path().join("sequences.txt"), lines).unwrap();
        let recipe = place.path().join("small.toml");
        let text = SMALL.replace("PATH", &place.path().display().to_string());
        std::fs::write(&recipe, text).unwrap();
        let out = place.path().join("run");
        Self { place, recipe, out }
    }

    pub(crate) fn run(&self, more: &[&str]) -> Answer {
        run(&self.recipe.display().to_string(), &self.out, more)
    }

    fn ask(&self, args: &[&str]) -> Answer {
        ask(&self.out, args)
    }
}

/// A verb that is asked of a run folder.
fn ask(out: &Path, args: &[&str]) -> Answer {
    let out = out.display().to_string();
    let mut all = vec![args[0], out.as_str()];
    all.extend(&args[1..]);
    trieval(&all)
}

/// Changes a file, asks, and puts it back.
fn with_altered(path: &Path, alter: impl Fn(&str) -> String, check: impl Fn()) {
    let good = std::fs::read(path).unwrap();
    let bad = alter(&String::from_utf8_lossy(&good));
    assert_ne!(bad.as_bytes(), good, "{} was not altered", path.display());
    std::fs::write(path, bad).unwrap();
    check();
    std::fs::write(path, good).unwrap();
}

#[test]
fn answers_judgments_and_tables_that_were_altered_are_refused() {
    let small = Small::finished();
    let other = small.place.path().join("other");
    let run = small.recipe.display().to_string();
    crate::support::run(&run, &other, &[]).expect(0);
    let other = other.display().to_string();
    // Two runs of one training are no comparison; what was altered is told before that.
    ask(&small.out, &["compare", &other]).expect(2).says(&["are the same training"]);
    let answers = step_folder(&small.out, "system.item-knn").unwrap().join("run.trec");
    let without_best =
        |text: &str| text.lines().filter(|l| !l.contains(" 1 ")).collect::<Vec<_>>().join("\n");
    with_altered(&answers, without_best, || {
        let path = answers.display().to_string();
        let says = [path.as_str(), "altered since step system.item-knn wrote it", "delete"];
        small.ask(&["compare", &other]).expect(2).says(&says);
        ask(Path::new(&other), &["compare", &small.out.display().to_string()])
            .expect(2)
            .says(&says);
    });
    let qrels = step_folder(&small.out, "evaluation").unwrap().join("qrels.trec");
    with_altered(
        &qrels,
        |text| text.replacen(" i", " j", 1),
        || {
            let says = ["qrels.trec", "altered since step evaluation wrote it"];
            small.ask(&["compare", &other]).expect(2).says(&says);
        },
    );
    for table in ["corpus.json", "items.parquet", "requests.parquet"] {
        let path = step_folder(&small.out, "corpus").unwrap().join(table);
        let good = std::fs::read(&path).unwrap();
        let mut bad = good.clone();
        let at = bad.len() / 2;
        bad[at] ^= 1;
        std::fs::write(&path, bad).unwrap();
        for args in [&["compare", &other][..], &["search", "--history", "i1"]] {
            small.ask(args).expect(2).says(&[table, "altered since step corpus wrote it"]);
        }
        std::fs::write(&path, good).unwrap();
    }
    ask(&small.out, &["compare", &other]).expect(2).says(&["are the same training"]);
}

#[test]
fn identifiers_that_were_altered_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    copy_of_finished(&out);
    let file = step_folder(&out, "identifier.sid").unwrap().join("identifier.json");
    let more_items = |text: &str| text.replacen("150", "151", 1);
    with_altered(&file, more_items, || {
        let says = ["identifier.json", "altered since step identifier.sid wrote it"];
        ask(&out, &["ids"]).expect(2).says(&says);
        ask(&out, &["search", "red"]).expect(2).says(&says);
    });
    ask(&out, &["ids"]).expect(0);
}

#[test]
fn a_report_is_checked_and_says_what_it_belongs_to() {
    let small = Small::finished();
    let quiet = small.ask(&["report"]).expect(0);
    assert_eq!(quiet.err, "");
    let report = small.out.join("report.json");
    with_altered(
        &report,
        |text| text.replacen("0.", "1.", 1),
        || {
            small.ask(&["report"]).expect(2).says(&[
                "report.json",
                "altered",
                "run the recipe again",
            ]);
        },
    );
    let cut = |text: &str| text[..text.len() / 2].to_owned();
    with_altered(&report, cut, || {
        small.ask(&["report", "--json"]).expect(2).says(&["report.json", "altered"]);
    });
    // A recipe whose run is refused: the folder holds another plan than the report belongs to.
    let data = small.place.path().join("sequences.txt");
    let good = std::fs::read(&data).unwrap();
    std::fs::write(&data, "u0 i1\n").unwrap();
    small.run(&["--set", "seed=4"]).expect(2);
    for form in [&["report"][..], &["report", "--json"], &["report", "--markdown"]] {
        let answer = small.ask(form).expect(0);
        answer.says(&["earlier recipe", "not finished", "corpus is missing"]);
    }
    std::fs::write(&data, good).unwrap();
    // Steps that are all there, of a run that ended before its report.
    small.run(&[]).expect(0);
    let record = small.out.join("finished.json");
    let before = std::fs::read(&record).unwrap();
    small.run(&["--set", "evaluation.bootstrap=150"]).expect(0);
    std::fs::write(&record, before).unwrap();
    small.ask(&["report"]).expect(2).says(&["report.json", "altered"]);
    std::fs::remove_file(&record).unwrap();
    small.ask(&["report"]).expect(0).says(&["nothing says what this report belongs to"]);
    small.run(&[]).expect(0);
    assert_eq!(small.ask(&["report"]).expect(0).err, "");
    // A change of the recipe that changes no step: the report of the old one is an earlier one.
    let recipe = small.out.join("recipe.toml");
    with_altered(
        &recipe,
        |text| text.replace("small", "other"),
        || {
            small.ask(&["report"]).expect(0).says(&["earlier recipe"]);
            let says = ["recipe.toml", "altered since the run wrote it", "run the recipe again"];
            small.ask(&["compare"]).expect(2).says(&says);
        },
    );
}

/// What can be done to a JSON value, in every place of it: members go, change their type, are cut.
fn mutations(value: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    match value {
        Value::Object(object) => {
            for (key, inner) in object {
                let mut less = object.clone();
                less.shift_remove(key);
                all.push(less.into());
                for other in mutations(inner) {
                    let mut changed = object.clone();
                    changed.insert(key.clone(), other);
                    all.push(changed.into());
                }
            }
            all.push(Value::Array(Vec::new()));
        }
        Value::Array(list) => {
            for at in 0..list.len() {
                let mut less = list.clone();
                less.remove(at);
                all.push(less.into());
                for other in mutations(&list[at]) {
                    let mut changed = list.clone();
                    changed[at] = other;
                    all.push(changed.into());
                }
            }
            all.push(Value::from("list"));
        }
        Value::String(text) => {
            let cut: String = text.chars().take(text.chars().count() / 2).collect();
            all.extend([Value::from(cut), format!("{text}é").into(), Value::Null, 7.into()]);
        }
        Value::Number(_) => all.extend([Value::from(-1), "x".into(), Value::Null]),
        Value::Bool(is) => all.push((!is).into()),
        Value::Null => all.push(5.into()),
    }
    all
}

/// Puts every mutation of a file in its place, and cuts it everywhere a step apart.
fn for_all_mutations(path: &Path, check: impl Fn(&str)) -> usize {
    let good = std::fs::read_to_string(path).unwrap();
    let value: Value = serde_json::from_str(&good).unwrap();
    let mut texts: Vec<String> = mutations(&value).iter().map(ToString::to_string).collect();
    let before = value.to_string();
    texts.retain(|text| *text != before);
    // As earlier versions wrote it: without checksums, so that only sense is checked.
    let mut unsigned = value.clone();
    unsigned.as_object_mut().unwrap().shift_remove("checksum");
    if path.ends_with("plan.json") {
        unsigned.as_object_mut().unwrap().shift_remove("format");
    } else {
        unsigned["format"] = 2.into();
    }
    let n_signed = texts.len();
    let ends = (0..good.len()).step_by(97).filter(|&at| good.is_char_boundary(at));
    texts.extend(ends.map(|at| good[..at].to_owned()));
    for text in &texts {
        std::fs::write(path, text).unwrap();
        check(text);
    }
    // These may be read, for nobody can know; nothing may panic.
    for text in mutations(&unsigned) {
        std::fs::write(path, text.to_string()).unwrap();
        let out = path.ancestors().find(|one| one.join("recipe.toml").exists()).unwrap();
        assert!(catch_unwind(|| read_all(out).map_err(|e| e.exit_code())).is_ok(), "{text}");
    }
    std::fs::write(path, good).unwrap();
    n_signed
}

/// Reads what `compare` and `search` read.
fn read_all(out: &Path) -> trieval::Result<()> {
    let run = FinishedRun::open(out, None)?;
    run.qrels()?;
    run.labels()?;
    run.answers()?;
    run.open_system(Some("item-knn"))?;
    Ok(())
}

#[test]
fn every_alteration_of_a_plan_or_a_manifest_is_told_by_its_file() {
    let small = Small::finished();
    read_all(&small.out).unwrap();
    let plan = small.out.join("plan.json");
    let refuse = |path: &Path, text: &str, advice: &str| {
        let outcome = catch_unwind(|| read_all(&small.out));
        let error = outcome.expect("no panic").err().unwrap_or_else(|| panic!("read: {text}"));
        assert_eq!(error.exit_code(), 2, "{error}: {text}");
        let said = error.to_string();
        assert!(said.contains(&path.display().to_string()), "{said}: {text}");
        assert!(said.contains(advice), "{said}: {text}");
    };
    let n = for_all_mutations(&plan, |text| refuse(&plan, text, "run the recipe again"));
    assert!(n > 200, "{n}");
    let recipe = Recipe::load(&small.recipe, &[]).unwrap();
    for step in ["system.item-knn", "corpus", "evaluation"] {
        let manifest = step_folder(&small.out, step).unwrap().join("step.json");
        let n = for_all_mutations(&manifest, |text| {
            refuse(&manifest, text, "delete the step's folder and run again");
            // A run does not go over it either.
            let again = || runner::run(&recipe, &[], &small.out, &Context::silent());
            let error = catch_unwind(std::panic::AssertUnwindSafe(again)).expect("no panic");
            let error = error.err().unwrap_or_else(|| panic!("run: {text}"));
            assert_eq!(error.exit_code(), 2, "{error}: {text}");
            assert!(error.to_string().contains("step.json"), "{error}: {text}");
        });
        assert!(n > 20, "{n}");
    }
    read_all(&small.out).unwrap();
    // As a merge or an editor does it; the verbs end as the library does.
    let cut = |text: &str| {
        let at = text.find("\"key\": \"").unwrap() + 16;
        let end = at + text[at..].find('"').unwrap();
        format!("{}{}", &text[..at], &text[end..])
    };
    with_altered(&plan, cut, || {
        for args in [&["search", "--history", "i1"][..], &["compare"], &["report"]] {
            small.ask(args).expect(2).says(&["plan.json", "altered", "run the recipe again"]);
        }
    });
    with_altered(&plan, cut, || {
        small.run(&[]).expect(0);
        assert_eq!(small.ask(&["compare"]).expect(0).code, 0);
    });
}

#[test]
fn a_manifest_of_another_step_is_none() {
    let small = Small::finished();
    let [one, two] = ["system.item-knn", "system.popularity"]
        .map(|step| step_folder(&small.out, step).unwrap().join("step.json"));
    std::fs::copy(&two, &one).unwrap();
    small.ask(&["compare"]).expect(2).says(&["step.json", "of another step, system.popularity"]);
    small.run(&[]).expect(2).says(&["step.json", "of another step"]);
}

#[test]
fn runs_of_earlier_versions_are_read_as_they_are() {
    let small = Small::finished();
    let strip = |path: &Path, format: Option<u64>| {
        let mut value = json(path);
        let object = value.as_object_mut().unwrap();
        object.shift_remove("checksum");
        match format {
            Some(format) => object.insert("format".into(), format.into()),
            None => object.shift_remove("format"),
        };
        object.shift_remove("recipe");
        std::fs::write(path, value.to_string()).unwrap();
    };
    strip(&small.out.join("plan.json"), None);
    for step in ["corpus", "system.item-knn"] {
        strip(&step_folder(&small.out, step).unwrap().join("step.json"), Some(2));
    }
    std::fs::remove_file(small.out.join("finished.json")).unwrap();
    small.ask(&["compare"]).expect(0);
    let done = small.run(&[]).expect(0);
    assert!(!done.err.contains("(again"), "{}", done.err);
    assert_eq!(done.err.matches("done before").count(), 6, "{}", done.err);
}

#[test]
#[cfg(unix)]
fn nothing_is_written_through_a_link() {
    use std::os::unix::fs::symlink;
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().join("mine");
    let folder = outside.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(&target, "mine").unwrap();
    std::fs::write(folder.join("file"), "mine").unwrap();
    let before = tree(outside.path());
    let refused = |small: &Small, link: &Path| {
        let answer = small.run(&[]).expect(2);
        answer.says(&[&link.display().to_string(), "is a symbolic link", "--out DIR"]);
        assert!(tree(outside.path()) == before, "something was written through {}", link.display());
    };
    for name in ["lock", "recipe.toml", "plan.json"] {
        let small = Small::new();
        std::fs::create_dir(&small.out).unwrap();
        let link = small.out.join(name);
        symlink(&target, &link).unwrap();
        refused(&small, &link);
    }
    for name in ["steps", "tensorboard"] {
        let small = Small::new();
        std::fs::create_dir(&small.out).unwrap();
        let link = small.out.join(name);
        symlink(&folder, &link).unwrap();
        refused(&small, &link);
    }
    // In a step's folder, and on the way to it.
    let small = Small::finished();
    let key = step_folder(&small.out, "system.item-knn").unwrap();
    let moved = small.place.path().join("moved");
    for link in [key.clone(), key.join("work"), key.join("run.trec")] {
        let is_new = !link.exists();
        if !is_new {
            std::fs::rename(&link, &moved).unwrap();
        }
        let leads_to = if is_new { &folder } else { &moved };
        symlink(leads_to, &link).unwrap();
        refused(&small, &link);
        std::fs::remove_file(&link).unwrap();
        if !is_new {
            std::fs::rename(&moved, &link).unwrap();
        }
    }
    // The run folder itself may be one.
    let linked = small.place.path().join("linked");
    symlink(&small.out, &linked).unwrap();
    run(&small.recipe.display().to_string(), &linked, &[]).expect(0);
}
