//! The happy path of every verb, on one finished run of the tiny recipe and two of imported data.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::data::{ITEMS, PAIRS, SASREC, SEQUENCES, USERS, sequence, write_pairs, write_sequences};
use crate::support::{TINY, copy_of_finished, finished, json, run, step_folder, tree, trieval};

const SYSTEMS: [(&str, &str); 7] = [
    ("popularity", "popularity"),
    ("bm25", "bm25"),
    ("two-tower", "two-tower"),
    ("supervised", "generative"),
    ("aligned", "generative"),
    ("fused", "fusion"),
    ("oracle", "oracle"),
];

/// Steps that the plan of a run folder counts.
fn planned(run: &Path) -> usize {
    json(&run.join("plan.json"))["steps"].as_array().unwrap().len()
}

fn path(folder: &Path) -> &str {
    folder.to_str().unwrap()
}

/// Items by request of a TREC run file, and a check of its form.
fn read_run(file: &Path, tag: &str) -> BTreeMap<String, Vec<String>> {
    let mut lists: BTreeMap<String, Vec<(String, f64)>> = BTreeMap::new();
    for line in std::fs::read_to_string(file).unwrap().lines() {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let &[request, "Q0", item, rank, score, name] = columns.as_slice() else {
            panic!("not a run line: {line}");
        };
        assert_eq!(name, tag);
        let list = lists.entry(request.to_owned()).or_default();
        list.push((item.to_owned(), score.parse().unwrap()));
        assert_eq!(rank.parse::<usize>().unwrap(), list.len());
    }
    for (request, list) in &lists {
        assert!(list.windows(2).all(|pair| pair[0].1 > pair[1].1), "{request} is not in order");
        let unique: BTreeSet<&String> = list.iter().map(|(item, _)| item).collect();
        assert_eq!(unique.len(), list.len(), "{request} names an item twice");
    }
    let ids = |list: Vec<(String, f64)>| list.into_iter().map(|(item, _)| item).collect();
    lists.into_iter().map(|(request, list)| (request, ids(list))).collect()
}

#[test]
fn the_report_has_every_figure() {
    let report = json(&finished().join("report.json"));
    assert_eq!(report["baseline"], "bm25");
    let systems = report["systems"].as_array().unwrap();
    let names: Vec<(&str, &str)> = systems
        .iter()
        .map(|system| (system["name"].as_str().unwrap(), system["kind"].as_str().unwrap()))
        .collect();
    assert_eq!(names, SYSTEMS);
    for system in systems {
        for metric in ["recall@10", "ndcg@10", "mrr@10"] {
            let figure = |end: &str| system["metrics"][metric][end].as_f64().unwrap();
            let (low, value, high) = (figure("low"), figure("value"), figure("high"));
            assert!(0.0 <= low && low <= value && value <= high && high <= 1.0, "{system}");
        }
        let latency = |q: &str| system["latency_ms"][q].as_f64().unwrap();
        assert!(0.0 < latency("p50") && latency("p50") <= latency("p99"));
        assert!(system["peak_bytes"].as_u64().unwrap() > 1 << 20);
        assert!(system["bytes"].as_u64().unwrap() > 100, "{system}");
        assert!(system["operational"]["bytes_per_item"].as_f64().unwrap() > 0.5);
        assert!(system["operational"]["qps_batch"].as_f64().unwrap() > 0.0);
        assert!(system["operational"]["batch"].as_f64().unwrap() > 1.0);
    }
    let value = |name: &str| {
        let system = systems.iter().find(|system| system["name"] == name).unwrap();
        system["metrics"]["ndcg@10"]["value"].as_f64().unwrap()
    };
    assert!((value("oracle") - 1.0).abs() < 1e-9, "the truth ranks perfectly");
    assert!(value("bm25") > value("popularity"));
    // Every other system is compared with the baseline, by every metric.
    let comparisons = report["comparisons"].as_array().unwrap();
    assert_eq!(comparisons.len(), 6 * 5);
    // Any two of the six others are compared too.
    assert_eq!(report["pairs"].as_array().unwrap().len(), 15 * 5);
    let divided: BTreeSet<&str> =
        report["slices"].as_array().unwrap().iter().filter_map(|one| one["by"].as_str()).collect();
    let expected =
        ["category", "day", "item exposure", "query length", "rarest term", "request frequency"];
    assert_eq!(divided.into_iter().collect::<Vec<_>>(), expected);
    assert!(!report["leaks"].as_array().unwrap().is_empty());
    for system in systems {
        assert_eq!(system["operational"]["invalid_rate"], 0.0);
        assert_eq!(system["operational"]["duplicate_rate"], 0.0);
        let run = finished().join(system["run"].as_str().unwrap());
        assert!(run.is_file(), "{}", run.display());
    }
    for name in ["supervised", "aligned"] {
        let curve = report["training"].as_array().unwrap();
        let curve = curve.iter().find(|training| training["name"] == name).unwrap();
        // An alignment is looked at before its first step, too.
        let n_starts = u64::from(name == "aligned");
        let n_points = curve["points"].as_array().unwrap().len() as u64;
        assert_eq!(n_points - n_starts, curve["steps"]);
        assert_eq!(curve["points"][0]["step"], 1 - n_starts);
    }
    assert_eq!(report["identifiers"][0]["items"], 150);
    assert!(!report["examples"].as_array().unwrap().is_empty());
}

#[test]
fn the_page_stands_alone_and_all_forms_agree() {
    let page = std::fs::read_to_string(finished().join("report.html")).unwrap();
    for attribute in ["src=\"http", "href=\"http", "src='http", "href='http", "url(http", "@import"]
    {
        assert!(!page.contains(attribute), "{attribute}");
    }
    for (name, _) in SYSTEMS {
        assert!(page.contains(name));
    }
    let whole = std::fs::read_to_string(finished().join("report.json")).unwrap();
    let printed = trieval(&["report", path(finished()), "--json"]).expect(0).out;
    assert!(printed == whole, "report --json prints the report to the last digit");
    let markdown = trieval(&["report", path(finished()), "--markdown"]).expect(0).out;
    assert_eq!(markdown, std::fs::read_to_string(finished().join("report.md")).unwrap());
    let table = trieval(&["report", path(finished())]).expect(0).out;
    assert!(table.contains("bm25 (baseline)") && table.contains("oracle (ceiling)"), "{table}");
}

#[test]
fn run_files_are_trec_and_name_catalogue_items_in_order() {
    let report = json(&finished().join("report.json"));
    for (name, _) in SYSTEMS {
        let folder = step_folder(finished(), &format!("system.{name}")).unwrap();
        let lists = read_run(&folder.join("run.trec"), name);
        // BM25, and what fuses nothing else, has no answer where no word matches; the report counts those.
        let system = report["systems"].as_array().unwrap().iter().find(|s| s["name"] == name);
        let unanswered = system.unwrap()["unanswered"].as_u64().unwrap();
        let evaluated = report["counts"]["evaluated"].as_u64().unwrap();
        let by_words = name == "bm25" || name == "fused";
        assert!(by_words || unanswered == 0, "{name}: {unanswered}");
        assert!(lists.len() as u64 + unanswered >= evaluated, "{name}");
        for item in lists.values().flatten() {
            let number: u32 = item.strip_prefix('i').unwrap().parse().unwrap();
            assert!(number < 150, "{item}");
        }
        let longest = lists.values().map(Vec::len).max().unwrap();
        assert_eq!(longest, 20, "{name} fills the depth");
    }
}

#[test]
fn a_second_run_does_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    copy_of_finished(&out);
    let before = tree(&out);
    let answer = run(TINY, &out, &[]).expect(0);
    let done = answer.err.lines().filter(|line| line.ends_with(": done before")).count();
    assert_eq!(done, planned(finished()), "{}", answer.err);
    assert!(tree(&out) == before, "a file changed");
}

/// Steps that a run did, with the reasons it gave.
fn steps_done(err: &str) -> Vec<(String, String)> {
    let again = |line: &str| {
        let (step, reason) = line.split_once(" (again: ")?;
        Some((step.to_owned(), reason.trim_end_matches(')').to_owned()))
    };
    err.lines().filter_map(again).collect()
}

#[test]
fn a_changed_key_redoes_what_depends_on_it_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    copy_of_finished(&out);
    let set = |key: &str| {
        let answer = run(TINY, &out, &["--set", key]).expect(0);
        let done = answer.err.lines().filter(|line| line.ends_with(": done before")).count();
        let steps = steps_done(&answer.err);
        assert_eq!(done + steps.len(), planned(finished()), "{}", answer.err);
        steps
    };
    let pair = |step: &str, why: &str| (step.to_owned(), why.to_owned());
    let why = "bootstrap: 200 → 300";
    assert_eq!(set("evaluation.bootstrap=300"), [pair("evaluation", why)]);
    let steps = set("train.aligned.objective.beta=0.3");
    let names: Vec<&str> = steps.iter().map(|(step, _)| step.as_str()).collect();
    assert_eq!(names, ["train.aligned", "system.aligned", "system.fused", "evaluation"]);
    assert_eq!(steps[0].1, "objective.beta: 0.1 → 0.3");
    assert_eq!(steps[1].1, "train.aligned changed");
    assert!(steps[3].1.contains("system.aligned changed"), "{}", steps[3].1);
    // What was done before with the old key is still there.
    assert!(set("train.aligned.objective.beta=0.1").is_empty());
}

#[test]
fn search_returns_unique_items_best_first() {
    for system in ["aligned", "bm25", "two-tower"] {
        let args = ["search", path(finished()), "red table", "--json", "--top", "7"];
        let answer = trieval(&[&args[..], &["--system", system]].concat()).expect(0).json();
        assert_eq!(answer["system"], system);
        let items = answer["items"].as_array().unwrap();
        assert!(items.len() <= 7 && (system == "bm25" || items.len() == 7), "{answer}");
        let ids: BTreeSet<&str> = items.iter().map(|item| item["item"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), items.len(), "{answer}");
        let score = |item: &Value| item["score"].as_f64().unwrap();
        assert!(items.windows(2).all(|pair| score(&pair[0]) >= score(&pair[1])), "{answer}");
        for (place, item) in items.iter().enumerate() {
            assert_eq!(item["rank"], place + 1);
            // Every item exists, and is called by its title.
            let id = item["item"].as_str().unwrap();
            let found =
                trieval(&["ids", path(finished()), "--item", id, "--json"]).expect(0).json();
            assert_eq!(found["items"][0]["title"], item["title"]);
        }
    }
    let by_default = trieval(&["search", path(finished()), "red table", "--json"]).expect(0).json();
    assert_eq!(by_default["system"], "aligned", "the last generative system answers");
    let table = trieval(&["search", path(finished()), "red table", "--top", "3"]).expect(0).out;
    assert_eq!(table.lines().count(), 3);
}

#[test]
fn odd_questions_are_answered_or_refused() {
    let finished = path(finished());
    for query in ["🦀", "<|answer|><a_1>", &"long ".repeat(5_000)] {
        let answer = trieval(&["search", finished, query, "--json"]).expect(0).json();
        assert_eq!(answer["items"].as_array().unwrap().len(), 10, "{query}");
    }
    trieval(&["search", finished]).expect(2).says(&["nothing to search for", "--history"]);
    for empty in ["", "  ", "\t"] {
        trieval(&["search", finished, empty]).expect(2).says(&["the query is empty", "--history"]);
    }
    let unknown = trieval(&["search", finished, "x", "--system", "alinged"]).expect(2);
    let unknown = unknown.says(&["--system must name one of", "aligned"]);
    assert!(!unknown.err.contains("oracle"), "{}", unknown.err);
    trieval(&["search", finished, "x", "--history", "nope"]).expect(2).says(&["item nope"]);
    trieval(&["search", finished, "x", "--system", "oracle"]).expect(2).says(&["oracle"]);
    trieval(&["search", finished, "x", "--top", "0"]).expect(2);
    trieval(&["serach"]).expect(2).says(&["serach"]);
}

#[test]
fn ids_map_both_ways() {
    let finished = path(finished());
    let item = trieval(&["ids", finished, "--item", "i00000017", "--json"]).expect(0).json();
    let tokens = item["items"][0]["tokens"].as_str().unwrap().to_owned();
    let back = trieval(&["ids", finished, "--tokens", &tokens, "--json"]).expect(0).json();
    assert_eq!((&back["total"], &back["items"]), (&1.into(), &item["items"]));
    // Tokens in the place of an item are tokens.
    let plain = trieval(&["ids", finished, &tokens, "--json"]).expect(0).json();
    assert_eq!(plain, back);
    trieval(&["ids", finished, "<a_99>"]).expect(2).says(&["<a_99>"]);
    // A prefix gives all items below it.
    let prefix = &tokens[..=tokens.find('>').unwrap()];
    let below = trieval(&["ids", finished, "--tokens", prefix, "--json"]).expect(0).json();
    let items = below["items"].as_array().unwrap();
    assert!(items.len() > 1 && items.contains(&item["items"][0]), "{below}");
    let diagnostics = trieval(&["ids", finished, "--json"]).expect(0).json();
    assert_eq!(diagnostics["items"], 150);
    trieval(&["ids", finished, "--tokens", "<a_99>"]).expect(2).says(&["<a_99>"]);
    trieval(&["ids", finished, "--item", "nope"]).expect(2).says(&["item nope", "150 items"]);
}

#[test]
fn a_dry_run_creates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let text = run(TINY, &out, &["--dry-run"]).expect(0).out;
    assert!(text.contains("train.aligned.pairs") && text.contains("parameters"), "{text}");
    assert_eq!(text.lines().count(), planned(finished()));
    let plan = run(TINY, &out, &["--dry-run", "--json"]).expect(0).json();
    assert!(plan.as_array().unwrap().iter().all(|step| step["status"] == "to do"));
    assert!(!out.exists());
    let plan = run(TINY, finished(), &["--dry-run", "--json"]).expect(0).json();
    assert!(plan.as_array().unwrap().iter().all(|step| step["status"] == "done"), "{plan}");
}

#[test]
fn shipped_recipes_are_listed_shown_copied_explained_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let list = trieval(&["recipes", "list"]).expect(0).out;
    let names = [
        "quickstart",
        "mmse-shop",
        "home-depot",
        "home-depot-ceiling",
        "home-depot-spans",
        "home-depot-smollm2",
        "home-depot-mmse",
        "mmse-ablations",
        "hourglass",
        "scientific",
        "beauty",
    ];
    for name in names {
        assert!(list.lines().any(|line| line.starts_with(name)), "{list}");
        let shown = trieval(&["recipes", "show", name]).expect(0).out;
        let to = folder.path().join(format!("{name}.toml"));
        trieval(&["recipes", "copy", name, path(&to)]).expect(0);
        assert_eq!(std::fs::read_to_string(&to).unwrap(), shown);
        // The others lack the path of their data.
        let set = ["--set", "corpus.path=."];
        let encoder = [set[0], set[1], "--set", "vectors.minilm.path=."];
        let decoder = [set[0], set[1], "--set", "model.smollm2.path=."];
        let more: &[&str] = match name {
            "quickstart" | "mmse-shop" | "hourglass" => &[],
            "home-depot-mmse" => &encoder,
            "home-depot-smollm2" => &decoder,
            _ => &set,
        };
        let check = [&["check", path(&to)], more].concat();
        let answer = trieval(&[&check[..], &["--recipe-only"]].concat()).expect(0);
        assert!(answer.out.contains("no faults"), "{}", answer.out);
        // Their data are not here, which is said unless the recipe alone is asked about.
        trieval(&check).expect(if more.is_empty() { 0 } else { 2 });
    }
    // A file that is there is not overwritten.
    let to = folder.path().join("quickstart.toml");
    std::fs::write(&to, "mine").unwrap();
    let refused = trieval(&["recipes", "copy", "quickstart", path(&to)]);
    assert_ne!(refused.code, 0);
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "mine");
    let unknown = trieval(&["recipes", "show", "quikstart"]).expect(2);
    unknown.says(&["quikstart", "quickstart"]);

    let key = "train.aligned.objective.beta";
    let explained = trieval(&["recipes", "explain", key, "--recipe", TINY]).expect(0).out;
    assert!(explained.contains("default") && explained.contains("0.1"), "{explained}");
    let set = format!("{key}=0.7");
    let args = ["recipes", "explain", key, "--recipe", TINY, "--set", &set];
    let explained = trieval(&args).expect(0).out;
    assert!(explained.contains("0.7") && explained.contains("--set"), "{explained}");
    let unknown = format!("{key}a");
    let unknown = trieval(&["recipes", "explain", &unknown, "--recipe", TINY]).expect(2);
    unknown.says(&["did you mean", key]);
}

#[test]
fn sequences_run_and_never_return_items_of_the_history() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    write_sequences(&data);
    let out = folder.path().join("run");
    let set = format!("corpus.path={}", data.display());
    run(SEQUENCES, &out, &["--set", &set]).expect(0).says(&["leave-one-out"]);
    // All but the last item of a user are the test history.
    let histories: BTreeMap<String, Vec<String>> = (0..USERS)
        .map(|user| (format!("u{user}"), sequence(user)))
        .map(|(user, mut items)| {
            items.pop();
            (user, items)
        })
        .collect();
    for name in ["popularity", "sasrec", "two-tower", "supervised", "aligned"] {
        let file = step_folder(&out, &format!("system.{name}")).unwrap().join("run.trec");
        let lists = read_run(&file, name);
        assert_eq!(lists.len(), USERS);
        for (request, items) in &lists {
            let user =
                histories.keys().find(|user| request.split([':', '/', '-']).any(|p| p == *user));
            let history = &histories[user.unwrap_or_else(|| panic!("whose request is {request}?"))];
            assert!(items.iter().all(|item| !history.contains(item)), "{name}, {request}");
            assert!(!items.is_empty(), "{name}, {request}");
        }
    }
    // The source may go: the run answers from its own tables, and leaves the history out.
    std::fs::remove_dir_all(&data).unwrap();
    let args = ["search", path(&out), "--history", "p1,p2,p3", "--json", "--top", "20"];
    let answer = trieval(&args).expect(0).json();
    let items: Vec<&str> =
        answer["items"].as_array().unwrap().iter().map(|i| i["item"].as_str().unwrap()).collect();
    assert!(!items.is_empty() && items.len() <= ITEMS - 3);
    assert!(items.iter().all(|item| !["p1", "p2", "p3"].contains(item)), "{items:?}");
    // A model of sequences knows nothing of a query, and answers the history alone.
    let args = ["search", path(&out), "--system", "sasrec", "--json"];
    let found = |more: &[&str]| trieval(&[&args[..], more].concat()).expect(0).json();
    let items = found(&["--history", "p1,p2"])["items"].as_array().unwrap().len();
    assert_eq!(items, 10);
    assert_eq!(found(&["blue sofa"])["items"].as_array().unwrap().len(), 0);
}

#[test]
fn a_sequence_model_is_trained_once_and_answers_anew() {
    let folder = tempfile::tempdir().unwrap();
    write_sequences(folder.path());
    let out = folder.path().join("run");
    let set = format!("corpus.path={}", folder.path().display());
    run(SASREC, &out, &["--set", &set]).expect(0).says(&["system.sasrec.fit"]);
    let fit = step_folder(&out, "system.sasrec.fit").unwrap();
    assert!(fit.join("sasrec.safetensors").exists() && fit.join("train.jsonl").exists());
    let again = run(SASREC, &out, &["--set", &set, "--set", "evaluation.depth=15"]).expect(0);
    again.says(&["system.sasrec.fit: done before", "system.sasrec (again: depth"]);
    let again = run(SASREC, &out, &["--set", &set, "--set", "system.sasrec.loss.kind=gbce"]);
    again.expect(0).says(&["system.sasrec.fit (again: loss", "system.sasrec (again:"]);
}

#[test]
fn sequences_too_short_for_a_model_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    write_sequences(folder.path());
    let users = br#"{"u1": ["p1", "p2", "p3"], "u2": ["p3", "p4", "p5"]}"#;
    std::fs::write(folder.path().join("users.json"), users).unwrap();
    let set = format!("corpus.path={}", folder.path().display());
    let out = folder.path().join("run");
    let says = ["no training sequence has two items", "users with four items or more are needed"];
    run(SASREC, &out, &["--set", &set]).expect(2).says(&says);
}

#[test]
fn judged_pairs_run_and_bm25_finds_the_words() {
    let folder = tempfile::tempdir().unwrap();
    write_pairs(folder.path());
    let out = folder.path().join("run");
    let set = format!("corpus.path={}", folder.path().display());
    let report = run(PAIRS, &out, &["--set", &set, "--json"]).expect(0).json();
    assert_eq!(
        (&report["counts"]["items"], &report["counts"]["evaluated"]),
        (&40.into(), &4.into())
    );
    let bm25 = &report["systems"][1]["metrics"]["ndcg@10"]["value"];
    assert!(bm25.as_f64().unwrap() > 0.9, "the grades count matching words: {bm25}");
    let found = trieval(&["search", path(&out), "blue sofa", "--system", "bm25", "--json"]);
    let best = found.expect(0).json()["items"][0]["title"].as_str().unwrap().to_owned();
    assert!(best.starts_with("blue sofa"), "{best}");
}

#[test]
fn a_sample_of_requests_is_judged_whole_whichever_system_comes_first() {
    // BM25 leaves some requests without an answer. Judged are all that were drawn.
    let folder = tempfile::tempdir().unwrap();
    let recipe = folder.path().join("sample.toml");
    let text = std::fs::read_to_string(TINY).unwrap();
    let corpus = &text[..text.find("[vectors.text]").unwrap()];
    let systems = |first: &str, second: &str| {
        let system = |name| format!("[[system]]\nname = \"{name}\"\nkind = \"{name}\"\n");
        let tail = "[evaluation]\nmetrics = [\"mrr@10\"]\nrequests = 60\nrelevant_grade = 3\n";
        format!("{corpus}{}{}{tail}", system(first), system(second))
    };
    let counts = [("bm25", "popularity"), ("popularity", "bm25")].map(|(first, second)| {
        std::fs::write(&recipe, systems(first, second)).unwrap();
        let out = folder.path().join(first);
        let report = run(path(&recipe), &out, &["--json"]).expect(0).json();
        let counts = &report["counts"];
        let unanswered = |name: &str| {
            let systems = report["systems"].as_array().unwrap();
            systems.iter().find(|s| s["name"] == name).unwrap()["unanswered"].clone()
        };
        let of = |name: &str| counts[name].as_u64().unwrap();
        assert_eq!(of("evaluated") + of("without_relevant"), 60);
        assert!(unanswered("bm25").as_u64().unwrap() > 0);
        (counts["evaluated"].clone(), unanswered("bm25"))
    });
    assert_eq!(counts[0], counts[1]);
}

#[test]
fn a_probe_says_what_a_run_takes_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let plan = run(TINY, &out, &["--dry-run", "--probe", "--json"]).expect(0).json();
    let steps = plan.as_array().unwrap();
    assert!(
        steps.iter().all(|step| step["hours"].as_f64().is_some_and(|hours| hours > 0.0)),
        "{plan}"
    );
    assert!(!out.exists() && folder.path().read_dir().unwrap().next().is_none());
    // What is done already is used and not timed; the run folder stays as it is.
    let copy = folder.path().join("copy");
    copy_of_finished(&copy);
    let before = tree(&copy);
    let more = ["--dry-run", "--probe", "--set", "train.aligned.epochs=40"];
    let text = run(TINY, &copy, &more).expect(0).out;
    assert!(tree(&copy) == before, "the run folder has changed");
    let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(line("train.aligned ").contains("takes ≈"), "{text}");
    assert!(
        line("train.supervised ").contains("done") && !line("train.supervised ").contains("takes")
    );
    assert!(line("in total").contains(" h ("), "{text}");
    run(TINY, &out, &["--probe"]).expect(2).says(&["--dry-run"]);
}
