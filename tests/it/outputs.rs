//! What the program writes where: never over an input, never in the place of what is no file, and into no folder that nobody
//! made.

use std::path::{Path, PathBuf};

use crate::support::{TINY, finished, trieval};

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// A folder with small inputs of `eval`.
struct Inputs(tempfile::TempDir);

impl Inputs {
    fn new() -> Self {
        let inputs = Self(tempfile::tempdir().expect("temporary folder"));
        for (name, content) in [
            ("test.qrels", "q1 0 a 1\nq2 0 a 1\n"),
            ("a.run", "q1 Q0 a 1 1 a\nq2 Q0 b 1 1 a\n"),
            ("b.run", "q1 Q0 b 1 1 b\nq2 Q0 a 1 1 b\n"),
            ("values.txt", "q1 0.5\nq2 0.25\n"),
            ("slices.tsv", "q1\tkind\tx\nq2\tkind\ty\n"),
            ("catalog.tsv", "a\t3\nb\t1\n"),
            ("log.jsonl", "{\"reward\": 1, \"propensity\": 0.5, \"target\": 0.5}\n"),
        ] {
            std::fs::write(inputs.path(name), content).expect("a file");
        }
        inputs
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn named(&self, name: &str) -> String {
        text(&self.path(name)).to_owned()
    }

    /// `eval` of the first run, with every kind of input.
    fn eval(&self) -> Vec<String> {
        let values = format!("a:cost={}", self.named("values.txt"));
        let [qrels, run, slices, catalog] =
            ["test.qrels", "a.run", "slices.tsv", "catalog.tsv"].map(|name| self.named(name));
        let all = ["eval", "--qrels", &qrels, "--run", &run, "--slices", &slices];
        let more = ["--catalog", &catalog, "--values", &values, "-m", "mrr"];
        all.iter().chain(&more).map(ToString::to_string).collect()
    }
}

fn with(args: &[String], more: &[&str]) -> Vec<String> {
    args.iter().cloned().chain(more.iter().map(ToString::to_string)).collect()
}

#[test]
fn no_input_is_written_over() {
    let inputs = Inputs::new();
    let eval = inputs.eval();
    let all = ["test.qrels", "a.run", "values.txt", "slices.tsv", "catalog.tsv"];
    let before = all.map(|name| std::fs::read(inputs.path(name)).expect("a file"));
    let told = ["--html", "which the same command reads"];
    for name in all {
        trieval(&with(&eval, &["--html", &inputs.named(name)])).expect(2).says(&told);
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(inputs.path("a.run"), inputs.path("link")).expect("a link");
        std::fs::hard_link(inputs.path("a.run"), inputs.path("hard")).expect("a link");
        std::fs::create_dir(inputs.path("sub")).expect("a folder");
        for name in ["link", "hard", "sub/../a.run"] {
            trieval(&with(&eval, &["--html", &inputs.named(name)])).expect(2).says(&told);
        }
    }
    let [qrels, a, b] = ["test.qrels", "a.run", "b.run"].map(|name| inputs.named(name));
    trieval(&["compare", &a, &b, "--qrels", &qrels, "--html", &b]).expect(2).says(&told);
    let log = inputs.named("log.jsonl");
    trieval(&["eval", "--policy", &log, "--html", &log]).expect(2).says(&told);
    assert_eq!(all.map(|name| std::fs::read(inputs.path(name)).expect("a file")), before);
}

#[test]
fn values_per_request_are_written_over_no_input_and_over_none_of_each_other() {
    let inputs = Inputs::new();
    let [qrels, a, b] = ["test.qrels", "a.run", "b.run"].map(|name| inputs.named(name));
    let folder = inputs.named("values");
    let eval = ["eval", "--qrels", &qrels, "-m", "mrr", "--per-request", &folder].map(String::from);
    let [one, other] = [format!("x y={a}"), format!("x_y={b}")];
    let alike = with(&eval, &["--run", &one, "--run", &other]);
    trieval(&alike).expect(2).says(&["x y and x_y", "--run NAME=FILE"]);
    assert!(!inputs.path("values").exists());
    // Parquet files are read as runs, too: here it is a text under such a name that is given as slices.
    std::fs::create_dir(inputs.path("values")).expect("a folder");
    let slices = inputs.path("values/a.parquet");
    std::fs::write(&slices, "q1\tkind\tx\n").expect("a file");
    let eval = with(&eval, &["--run", &a]);
    let read = with(&eval, &["--slices", text(&slices)]);
    trieval(&read).expect(2).says(&["--per-request", "a.parquet", "reads"]);
    let page = with(&eval, &["--html", text(&slices)]);
    trieval(&page).expect(2).says(&["--per-request", "a.parquet"]);
    assert_eq!(std::fs::read_to_string(&slices).expect("a file"), "q1\tkind\tx\n");
    trieval(&eval).expect(0);
    let file = ["eval", "--qrels", &qrels, "--run", &a, "--per-request", &b];
    let answer = trieval(&file).expect(2).says(&["--per-request", "no folder"]);
    assert!(!answer.err.contains("--out"), "{}", answer.err);
}

#[test]
#[cfg(unix)]
fn what_is_no_file_is_not_replaced() {
    use std::os::unix::fs::FileTypeExt;
    let inputs = Inputs::new();
    let _socket = std::os::unix::net::UnixListener::bind(inputs.path("socket")).expect("a socket");
    std::os::unix::fs::symlink(inputs.path("socket"), inputs.path("link")).expect("a link");
    for name in ["socket", "link"] {
        let answer = trieval(&with(&inputs.eval(), &["--html", &inputs.named(name)])).expect(2);
        answer.says(&["a device, a pipe or a socket"]);
    }
    let kind = inputs.path("socket").symlink_metadata().expect("still there").file_type();
    assert!(kind.is_socket());
    let answer = trieval(&with(&inputs.eval(), &["--html", text(inputs.0.path())])).expect(2);
    answer.says(&["is a folder"]);
    // Refused before any work: nothing is read of a run that is not there.
    let gone = inputs.named("gone.run");
    let qrels = inputs.named("test.qrels");
    let socket = inputs.named("socket");
    let args = ["eval", "--qrels", &qrels, "--run", &gone, "--html", &socket];
    trieval(&args).expect(2).says(&["a socket"]);
}

#[test]
fn a_page_is_not_written_into_a_run_that_is_compared() {
    let run = text(finished());
    let inside = finished().join("report.html");
    let before = std::fs::read(&inside).expect("a page");
    let answer = trieval(&["compare", run, run, "--html", text(&inside)]).expect(2);
    answer.says(&["--html", "which the same command reads"]);
    assert_eq!(std::fs::read(&inside).expect("a page"), before);
}

#[test]
fn a_corpus_is_exported_over_nothing() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let log = folder.path().join("log.jsonl");
    std::fs::write(&log, "the only copy").expect("a file");
    let to = |path: &Path| trieval(&["corpus", TINY, "--export", text(path)]).expect(2);
    to(folder.path()).says(&["log.jsonl is there already"]);
    to(&log).says(&["--export", "no folder"]);
    assert_eq!(std::fs::read_to_string(&log).expect("a file"), "the only copy");
}

#[test]
fn recipes_are_written_into_folders_that_are_there() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = |name: &str| folder.path().join(name);
    let to = path("none/a.toml");
    let told = ["there is no folder", "none"];
    trieval(&["recipes", "copy", "quickstart", text(&to)]).expect(2).says(&told);
    let (items, log) = (path("items.csv"), path("log.csv"));
    let new = ["recipes", "new", text(&to), "--items", text(&items), "--log", text(&log)];
    trieval(&new).expect(2).says(&told);
    assert!(!path("none").exists());
    trieval(&["recipes", "copy", "quickstart", text(&path("a.toml"))]).expect(0);
}

#[test]
fn a_folder_is_no_recipe_and_is_told_as_one() {
    let folder = tempfile::tempdir().expect("temporary folder");
    std::fs::create_dir(folder.path().join("recipes")).expect("a folder");
    for name in ["recipes", "./recipes"] {
        let mut check = crate::support::command(&["check", name]);
        let output = check.current_dir(folder.path()).output().expect("an answer");
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("is a folder, expected a recipe file"), "{said}");
    }
}
