//! `trieval eval` and `trieval compare`: run files without a recipe, finished runs side by side.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{TINY, copy_of_finished, copy_tree, run, trieval};

/// Four requests; `good` finds the relevant item first, `bad` last, both rank two items.
fn files(folder: &Path) -> [PathBuf; 3] {
    let mut qrels = String::new();
    let (mut good, mut bad) = (String::new(), String::new());
    for request in 0..40 {
        qrels += &format!("q{request} 0 a 2\nq{request} 0 b 0\n");
        good += &format!("q{request} Q0 a 1 0.9 good\nq{request} Q0 b 2 0.1 good\n");
        bad += &format!("q{request} Q0 b 1 0.9 bad\nq{request} Q0 a 2 0.1 bad\n");
    }
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    [write("test.qrels", &qrels), write("good.run", &good), write("bad.run", &bad)]
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

#[test]
fn run_files_are_judged_without_a_recipe() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let [qrels, good, bad] = files(folder.path());
    let page = folder.path().join("report.html");
    let values = folder.path().join("values");
    let ours = format!("ours={}", text(&good));
    let inputs = ["eval", "--qrels", text(&qrels), "--run", text(&bad), "--run", &ours];
    let asked = ["-m", "mrr,p(rel=2)@1,auc", "--fuse", "rrf", "--json"];
    let more = ["--html", text(&page), "--per-request", text(&values)];
    let report = trieval(&[&inputs[..], &asked, &more].concat()).expect(0).json();
    let systems = report["systems"].as_array().expect("systems");
    let names: Vec<&str> = systems.iter().map(|one| one["name"].as_str().expect("name")).collect();
    assert_eq!(names, ["bad", "ours", "rrf(bad,ours)"]);
    assert_eq!(report["baseline"], "bad");
    assert_eq!(systems[1]["metrics"]["mrr"]["value"], 1.0);
    assert_eq!(systems[0]["metrics"]["mrr"]["value"], 0.5);
    assert_eq!(systems[1]["metrics"]["precision(rel=2)@1"]["value"], 1.0);
    assert_eq!(systems[1]["metrics"]["auc"]["value"], 1.0);
    let comparisons = report["comparisons"].as_array().expect("comparisons");
    let one = comparisons.iter().find(|one| one["system"] == "ours" && one["metric"] == "mrr");
    assert_eq!(one.expect("ours on mrr")["verdict"], "better");
    assert!(std::fs::read_to_string(page).expect("a page").contains("</html>"));
    let written = std::fs::read_dir(values).expect("values").count();
    assert_eq!(written, 3);
}

#[test]
fn every_form_holds_the_figures() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let [qrels, good, bad] = files(folder.path());
    for (form, part) in [
        ("--csv", "good,run-file"),
        ("--latex", r"\toprule"),
        ("--markdown", "| [good][2] "),
        ("", "good"),
    ] {
        let mut args = vec!["eval", "--qrels", text(&qrels), "--run", text(&bad)];
        args.extend(["--run", text(&good), "-m", "mrr"]);
        args.extend(Some(form).filter(|form| !form.is_empty()));
        let answer = trieval(&args).expect(0);
        assert!(answer.out.contains(part), "{form}: {}", answer.out);
    }
}

#[test]
fn slices_and_values_from_outside_stand_in_the_report() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let [qrels, good, bad] = files(folder.path());
    let slices = folder.path().join("slices.tsv");
    let utility = folder.path().join("utility.tsv");
    let rows: String = (0..40).map(|i| format!("q{i}\tparity\t{}\n", i % 2)).collect();
    std::fs::write(&slices, rows).expect("slices");
    let rows: String = (0..40).map(|i| format!("q{i}\t{i}\n")).collect();
    std::fs::write(&utility, rows).expect("values");
    let values = ["bad", "good"].map(|run| format!("{run}:utility={}", text(&utility)));
    let inputs = ["eval", "--qrels", text(&qrels), "--run", text(&bad), "--run", text(&good)];
    let asked = ["-m", "mrr", "--slices", text(&slices), "--json"];
    let more = ["--values", &values[0], "--values", &values[1], "--lower-is-better", "utility"];
    let report = trieval(&[&inputs[..], &asked, &more].concat()).expect(0).json();
    assert_eq!(report["systems"][0]["metrics"]["utility"]["value"], 19.5);
    assert_eq!(report["evaluation"]["lower_is_better"], serde_json::json!(["utility"]));
    let slices = report["slices"].as_array().expect("slices");
    assert_eq!(slices.len(), 2);
    assert_eq!((&slices[0]["by"], &slices[0]["requests"]), (&"parity".into(), &20.into()));
}

#[test]
fn bad_input_is_named_and_exits_with_2() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let [qrels, good, bad] = files(folder.path());
    let torn = folder.path().join("torn.run");
    std::fs::write(&torn, "q1 Q0 a 1 0.5 t\nq1 Q0 b").expect("a file");
    let (qrels, good, bad) = (text(&qrels), text(&good), text(&bad));
    for (arguments, part) in [
        (vec!["--qrels", qrels, "--run", good, "-m", "ndgc@10"], "did you mean `ndcg@10`"),
        (vec!["--qrels", qrels, "--run", text(&torn)], "torn.run:2: expected 6 fields"),
        (vec!["--qrels", good, "--run", good], "good.run:1: expected 4 fields"),
        (vec!["--qrels", qrels, "--run", "/nowhere.run"], "cannot be read"),
        (vec!["--qrels", qrels, "--run", good, "--run", good], "two systems are called good"),
        (vec!["--qrels", qrels, "--run", good, "--baseline", "x"], "one of good, not x"),
        (vec!["--qrels", qrels, "--run", good, "--fuse", "rrf"], "two runs or more"),
        (vec!["--qrels", qrels, "--run", good, "--values", "u"], "RUN:METRIC=FILE"),
        (vec!["--qrels", qrels, "--run", good, "--lower-is-better", "regret"], "--values"),
        (vec!["--qrels", qrels, "--run", good, "-m", "coverage@10"], "coverage@10"),
        (vec!["--qrels", qrels, "--run", good, "--relevant-grade", "9"], "grade 9 or above"),
        (vec!["--qrels", qrels, "--run", good, "--run", bad, "--margin", "0"], "margin"),
    ] {
        trieval(&[&["eval"], &arguments[..]].concat()).expect(2).says(&[part]);
    }
}

#[test]
fn seeds_of_one_recipe_are_compared_as_such() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let out = |seed: u32| folder.path().join(format!("seed-{seed}"));
    for seed in [17, 18] {
        let seed_key = format!("seed={seed}");
        run(TINY, &out(seed), &["--set", "corpus.seed=17", "--set", &seed_key]).expect(0);
    }
    let (first, second) = (out(17), out(18));
    let args = ["compare", text(&first), text(&second), "-m", "recall@10", "--json"];
    let report = trieval(&args).expect(0).json();
    let single = trieval(&["report", text(&first), "--json"]).expect(0).json();
    let names = |report: &Value| -> Vec<String> {
        let systems = report["systems"].as_array().expect("systems").iter();
        systems.map(|one| one["name"].to_string()).collect()
    };
    assert_eq!(names(&report), names(&single));
    let comparisons = report["comparisons"].as_array().expect("comparisons");
    assert!(!comparisons.is_empty());
    // What no seed changes has one run, as under `run --seeds`.
    for one in comparisons {
        let is_seeded = one["system"] != "popularity" && one["system"] != "oracle";
        assert_eq!(one["test"] == "two-level bootstrap", is_seeded, "{one}");
    }
    let notes = report["notes"].to_string();
    assert!(notes.contains("no seed changes what these systems answer:"), "{notes}");
    let text_form = trieval(&args[..5]).expect(0).out.replace('\n', " ");
    assert!(text_form.contains("over 2 seeds"), "{text_form}");
    // The same training twice, under whatever name of its folder, is nothing to compare.
    let copy = folder.path().join("copy");
    copy_tree(&first, &copy);
    let beside = format!("{}/../seed-17", text(&first));
    for other in [text(&first), text(&copy), &beside] {
        let answer = trieval(&["compare", text(&first), other]).expect(2);
        answer.says(&["the same training", "nothing to compare", other]);
    }
    // By default the recipe's own metrics are compared, those of the catalogue and its vectors too.
    let report = trieval(&["compare", text(&first), text(&second), "--json"]).expect(0).json();
    assert!(
        report["systems"][0]["metrics"]["diversity@10"]["value"].as_f64().expect("diversity") > 0.0
    );
    // Slices and requests are means over the seeds; lists are the first seed's.
    let single = trieval(&["report", text(&first), "--json"]).expect(0).json();
    let slices = |report: &Value| report["slices"].as_array().expect("slices").clone();
    assert_eq!(slices(&report).len(), slices(&single).len());
    let figure = |report: &Value, slice: usize, system: usize| {
        let metrics = slices(report)[slice]["systems"][system]["metrics"].clone();
        metrics["recall@10"]["value"].as_f64().expect("recall@10")
    };
    let other = trieval(&["report", text(&second), "--json"]).expect(0).json();
    let n_systems = names(&report).len();
    for (slice, system) in
        (0..slices(&report).len()).flat_map(|s| (0..n_systems).map(move |y| (s, y)))
    {
        let mean = (figure(&single, slice, system) + figure(&other, slice, system)) / 2.0;
        assert!((figure(&report, slice, system) - mean).abs() < 1e-9, "{slice} {system}");
    }
    let examples = report["examples"].as_array().expect("examples");
    assert!(!examples.is_empty());
    for one in examples {
        let why = one["chosen"].as_str().expect("why");
        assert!(why.ends_with("by means over 2 seeds"), "{why}");
        let items = one["systems"][0]["items"].as_array().expect("items");
        assert!(items.iter().all(|item| item["title"] != ""), "{one}");
    }
    assert!(report["notes"][0].as_str().expect("a note").contains("means over the seeds"));
    // The page leads to the runs from wherever it lies.
    let page = folder.path().join("pages").join("seeds.html");
    std::fs::create_dir(folder.path().join("pages")).expect("a folder");
    let html = folder.path().join("seeds.html");
    for (path, start) in [(&html, "href=\"./seed-17/steps/"), (&page, "href=\"/")] {
        trieval(&["compare", text(&first), text(&second), "--html", text(path)]).expect(0);
        let text = std::fs::read_to_string(path).expect("a page").replace("&#x2f;", "/");
        assert!(text.contains(start) && text.contains("by means over 2 seeds"));
    }
    // A shop of another seed has other requests.
    run(TINY, &out(19), &["--set", "seed=19"]).expect(0);
    trieval(&["compare", text(&first), text(&out(19))]).expect(2).says(&["corpus.seed"]);
}

#[test]
fn odd_files_are_read_with_a_word_or_refused() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let [qrels, good, _] = files(folder.path());
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        path.to_str().expect("a path in UTF-8").to_owned()
    };
    let asked = |run: &str, more: &[&str]| {
        let inputs = ["eval", "--qrels", text(&qrels), "--run", run, "-m", "mrr", "--json"];
        trieval(&[&inputs[..], more].concat())
    };
    // Scores out of order are put into order; ranks that contradict them are told, not believed.
    let unsorted = write("unsorted.run", b"q1 Q0 b 2 0.1 s\nq1 Q0 a 1 0.9 s\n");
    let answer = asked(&unsorted, &[]).expect(0);
    assert!(!answer.err.contains("contradicts"), "{}", answer.err);
    let ranks = write("ranks.run", b"q1 Q0 a 2 0.9 s\nq1 Q0 b 1 0.1 s\n");
    let answer = asked(&ranks, &[]).expect(0).says(&["ranks.run:2", "contradicts the score"]);
    assert_eq!(answer.json()["systems"][0]["metrics"]["mrr"]["value"], 0.025);
    // Requests that nobody judged, and judged ones that nobody answered, are counted.
    let strangers = write("strangers.run", b"q1 Q0 a 1 0.9 s\nother Q0 a 1 0.9 s\n");
    let report = asked(&strangers, &[]).expect(0).json();
    assert_eq!(report["counts"]["other"]["unjudged_requests"], 1);
    assert_eq!(report["systems"][0]["unanswered"], 39);
    asked(&strangers, &["--missing", "error"]).expect(2).says(&["39 of 40"]);
    asked(&strangers, &[]).says(&[
        "39 of 40 judged requests are not answered and count 0: such as q0, q10, q11",
        "1 of 2 answered requests are not judged and are left out: other",
    ]);
    // Two runs over different requests.
    let other = write("other.run", b"q2 Q0 a 1 0.9 t\n");
    asked(&strangers, &["--run", &other, "--missing", "skip"]).expect(2).says(&["missing"]);
    let report = asked(&strangers, &["--run", text(&good), "--missing", "skip"]).expect(0).json();
    assert_eq!(report["counts"]["other"]["skipped_requests"], 39);
    asked(&write("nan.run", b"q1 Q0 a 1 nan s\n"), &[]).expect(2).says(&["nan.run:1", "number"]);
    let twice = write("twice.run", b"q1 Q0 a 1 2 s\nq1 Q0 a 2 1 s\n");
    asked(&twice, &[]).expect(2).says(&["twice.run:2", "appears twice"]);
    // A gzip file that ends early.
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x4b, 0x54];
    asked(&write("torn.run.gz", &gzip), &[]).expect(2).says(&["torn.run.gz"]);
    // Negative grades are judgments of items that are not relevant.
    let negative = write("negative.qrels", b"q1 0 a -1\nq1 0 b 1\n");
    let args = ["eval", "--qrels", &negative, "--run", text(&good), "-m", "ndcg,bpref", "--json"];
    let report = trieval(&args).expect(0).json();
    assert!(report["systems"][0]["metrics"]["ndcg"]["value"].as_f64().expect("ndcg") < 1.0);
}

#[test]
fn run_files_can_be_compared_too() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let [qrels, good, bad] = files(folder.path());
    let runs = ["compare", text(&bad), text(&good)];
    let report = trieval(&[&runs[..], &["--qrels", text(&qrels), "-m", "mrr", "--json"]].concat());
    assert_eq!(report.expect(0).json()["systems"][1]["metrics"]["mrr"]["value"], 1.0);
    trieval(&runs).expect(2).says(&["--qrels"]);
}

#[test]
fn policies_are_estimated_from_logs() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let log = folder.path().join("log.jsonl");
    // Two actions, shown half of the time each; the first earns 1, the target shows it always.
    let rows: String = (0..200)
        .map(|i| {
            let (reward, target) = if i % 2 == 0 { (1.0, 1.0) } else { (0.0, 0.0) };
            format!("{{\"reward\": {reward}, \"propensity\": 0.5, \"target\": {target}}}\n")
        })
        .collect();
    std::fs::write(&log, rows).expect("a log");
    let named = format!("new={}", text(&log));
    let report = trieval(&["eval", "--policy", &named, "--json"]).expect(0).json();
    let system = &report["systems"][0];
    assert_eq!((&system["name"], &system["metrics"]["ips"]["value"]), (&"new".into(), &1.0.into()));
    assert_eq!(system["metrics"]["snips"]["value"], 1.0);
    assert_eq!(system["operational"]["effective_rows"], 100.0);
    let of = |rows: &[&str]| {
        std::fs::write(&log, rows.join("\n")).expect("a log");
        trieval(&["eval", "--policy", &named])
    };
    let sound = "{\"reward\": 1, \"propensity\": 0.5, \"target\": 0.5}";
    of(&[sound]).expect(0).says(&["warning: new: only 1 request was evaluated"]);
    let estimated = sound.replace('}', ", \"estimate\": 1}");
    let modeled = sound.replace('}', ", \"estimate\": 1, \"expectation\": 1}");
    of(&[&estimated]).expect(0).says(&["row 1 has `estimate` and no `expectation`"]);
    let answer = of(&[&modeled, sound]).expect(0);
    answer.says(&["no doubly robust estimate", "row 2 has neither"]);
    let answer = of(&[&modeled]).expect(0);
    assert!(answer.out.contains("doubly_robust") && !answer.err.contains("doubly robust"));
    let tiny = sound.replace("0.5,", "1e-320,");
    of(&[sound, &tiny]).expect(2).says(&["log.jsonl", "row 2", "not a finite number"]);
    let huge = sound.replace("1,", "1e308,");
    of(&[sound, &huge, &huge]).expect(2).says(&["reward 1e308", "not a finite number"]);
    std::fs::write(&log, "{\"reward\": 1, \"propensity\": 0, \"target\": 1}\n").expect("a log");
    trieval(&["eval", "--policy", &named]).expect(2).says(&["log.jsonl:1", "propensity"]);
    trieval(&["eval"]).expect(2).says(&["--qrels"]);
}

#[test]
fn weights_are_tuned_anew_when_relevance_changes_and_never_on_what_is_judged() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let out = folder.path().join("run");
    copy_of_finished(&out);
    let answer = run(TINY, &out, &["--set", "evaluation.relevant_grade=2"]).expect(0);
    let again =
        |step: &str| answer.err.lines().any(|line| line.starts_with(&format!("{step} (again")));
    assert!(again("system.fused") && !again("system.bm25"), "{}", answer.err);
    let validation = ["--set", "evaluation.split=validation"];
    run(TINY, &out, &validation).expect(2).says(&["tuned on the requests"]);
    run(TINY, &out, &["--set", "system.fused.tune=auc"]).expect(2).says(&["cannot be tuned for"]);
}

#[test]
fn requests_that_change_a_figure_are_told_in_every_form() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let write = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("a file");
        path.to_str().expect("a path in UTF-8").to_owned()
    };
    let qrels = write("judged.qrels", "q1 0 a 1\nq2 0 a 1\nq3 0 a 0.5\n");
    let none = write("none.run", "x1 Q0 a 1 1 s\n");
    let inputs =
        |run: &str| ["eval", "--qrels", &qrels, "--run", run, "-m", "mrr@10"].map(str::to_owned);
    let asked = |run: &str, more: &[&str]| {
        let inputs = inputs(run);
        let all: Vec<&str> =
            inputs.iter().map(String::as_str).chain(more.iter().copied()).collect();
        trieval(&all)
    };
    asked(&none, &[]).expect(2).says(&[
        "answers none of the 3 judged requests: it holds x1; the judgments hold q1, q2, q3",
    ]);
    let some = write("some.run", "q1 Q0 a 1 1 s\nx1 Q0 a 1 1 s\n");
    let told = [
        "1 of 3 judged requests have no item of grade 1 or above and are left out: q3",
        "1 of 2 judged requests are not answered and count 0: q2",
        "1 of 2 answered requests are not judged and are left out: x1",
    ];
    let page = folder.path().join("report.html");
    let answer = asked(&some, &["--html", text(&page)]).expect(0);
    let html = std::fs::read_to_string(page).expect("a page");
    let json = asked(&some, &["--json"]).expect(0);
    let markdown = asked(&some, &["--markdown"]).expect(0);
    for part in told {
        for form in [&answer.out, &html, &json.out, &markdown.out] {
            // The terminal's lines are wrapped.
            let form = form.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(form.contains(part), "`{part}` is not in: {form}");
        }
    }
}

#[test]
fn flags_of_another_mode_are_refused_by_name() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let [qrels, good, bad] = files(folder.path());
    let log = folder.path().join("log.jsonl");
    let row = "{\"reward\": 1, \"propensity\": 0.5, \"target\": 0.5}\n";
    std::fs::write(&log, row).expect("a log");
    let runs = ["eval", "--qrels", text(&qrels), "--run", text(&good), "--clip", "3"];
    trieval(&runs).expect(2).says(&["--clip"]);
    let (bad, values) = (text(&bad), format!("good:cost={}", text(&bad)));
    for flag in [
        ["--metric", "mrr"],
        ["--fuse", "rrf"],
        ["--values", &values],
        ["--slices", bad],
        ["--catalog", bad],
        ["--per-request", bad],
        ["--relevant-grade", "2"],
        ["--ties", "expected"],
        ["--missing", "skip"],
        ["--baseline", "x"],
        ["--test", "t"],
        ["--correction", "none"],
        ["--margin", "0.1"],
    ] {
        let args = [&["eval", "--policy", text(&log)][..], &flag].concat();
        trieval(&args).expect(2).says(&["cannot be used with", flag[0]]);
    }
}

#[test]
fn judgments_without_a_judgment_are_told() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let [qrels, good, _] = files(folder.path());
    for (content, says) in
        [("", "qrels: the file is empty"), ("\n\n", "qrels: it holds no judgment")]
    {
        std::fs::write(&qrels, content).expect("a file");
        let args = ["eval", "--qrels", text(&qrels), "--run", text(&good)];
        trieval(&args).expect(2).says(&["test.qrels", says]);
    }
}

#[test]
fn lines_without_end_are_refused_in_every_file() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let [qrels, good, _] = files(folder.path());
    let write = |name: &str, first: &str| {
        let path = folder.path().join(name);
        let file = std::fs::File::create(&path).expect("a file");
        let sound = std::io::Cursor::new(first.to_owned());
        let mut bytes =
            std::io::Read::chain(sound, std::io::Read::take(std::io::repeat(b'x'), 50 << 20));
        std::io::copy(&mut bytes, &mut std::io::BufWriter::new(file)).expect("bytes");
        path.to_str().expect("a path in UTF-8").to_owned()
    };
    let (qrels, good) = (text(&qrels), text(&good));
    let run = write("long.run", "q1 Q0 a 1 1 s\n");
    let judged = write("long.qrels", "q1 0 a 1\n");
    let slices = write("slices.tsv", "q1\tkind\tx\n");
    let values = format!("good:cost={}", write("values.txt", "q1 0.5\n"));
    let catalog = write("catalog.tsv", "a\t3\n");
    for arguments in [
        vec!["--qrels", qrels, "--run", &run],
        vec!["--qrels", &judged, "--run", good],
        vec!["--qrels", qrels, "--run", good, "--slices", &slices],
        vec!["--qrels", qrels, "--run", good, "--values", &values],
        vec!["--qrels", qrels, "--run", good, "--catalog", &catalog],
    ] {
        let answer = trieval(&[&["eval"], &arguments[..]].concat()).expect(2);
        answer.says(&[":2: the line is longer than 16 MiB"]);
    }
}
