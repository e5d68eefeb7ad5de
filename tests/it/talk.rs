//! Messages never end a run, and nothing that acts on a terminal is among them; an interrupt ends anything.

use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Answer, Running, TINY, command, run, run_args, trieval};
use crate::verified::Small;

/// What no message may hold: controls but line ends and tabs.
#[track_caller]
fn is_visible(text: &str) {
    let odd = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
    assert_eq!(odd, None, "{text:?}");
}

#[track_caller]
fn all_visible(answer: &Answer) {
    is_visible(&answer.out);
    is_visible(&answer.err);
}

#[test]
fn a_reader_of_messages_that_goes_away_ends_nothing() {
    let small = Small::new();
    let args = run_args(&small.recipe.display().to_string(), &small.out, &[]);
    // Its reader is gone before the first message.
    let mut gone = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
    let pipe = gone.stdin.take().unwrap();
    gone.wait().unwrap();
    let status = command(&args).stdout(Stdio::null()).stderr(Stdio::from(pipe)).status().unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(small.out.join("report.json").exists());
}

#[test]
#[cfg(target_os = "linux")]
fn messages_to_a_full_disk_end_nothing_and_data_does() {
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    let small = Small::new();
    let args = run_args(&small.recipe.display().to_string(), &small.out, &[]);
    let status = command(&args).stdout(Stdio::null()).stderr(full()).status().unwrap();
    assert_eq!(status.code(), Some(0));
    // A refusal that nobody can read still has its code.
    let nonsense = command(&["run", "nonsense"]).stderr(full()).status().unwrap();
    assert_eq!(nonsense.code(), Some(2));
    assert_eq!(command(&["nonsense"]).stderr(full()).status().unwrap().code(), Some(2));
    // Data that cannot be written is a fault of the environment, and is said.
    let mut report = command(&["report", &small.out.display().to_string()]);
    let output = report.stdout(full()).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("standard output: cannot be written"), "{said}");
    assert!(!said.contains("--out") && said.contains("where standard output leads"), "{said}");
}

#[test]
#[cfg(target_os = "linux")]
fn help_that_cannot_be_written_is_a_fault_like_any_data() {
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    for args in [&["--help"][..], &["eval", "--help"], &["--version"], &["--help", "\u{9b}"]] {
        let output = command(args).stdout(full()).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{args:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("standard output: cannot be written"), "{said}");
        let mut gone = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
        let pipe = gone.stdin.take().unwrap();
        gone.wait().unwrap();
        let status = command(args).stdout(Stdio::from(pipe)).status().unwrap();
        assert_eq!(status.code(), Some(0), "{args:?}");
    }
}

#[test]
fn a_reader_of_data_that_goes_away_is_no_fault() {
    let small = Small::finished();
    let mut gone = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
    let pipe = gone.stdin.take().unwrap();
    gone.wait().unwrap();
    let output = command(&["report", &small.out.display().to_string(), "--json"])
        .stdout(Stdio::from(pipe))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// Sets a title, rings, colors, and the same in the other alphabet of controls.
const ODD: &str = "\u{1b}]0;t\u{7}\u{1b}[31m\u{9b}32m\u{7f}\r";

#[test]
fn whatever_a_message_quotes_it_acts_on_no_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = folder.path().join("odd.toml");
    let text = std::fs::read_to_string(TINY).unwrap();
    // Names, escaped and raw; comments are part of excerpts.
    for odd in [
        text.replace("name = \"bm25\"", "name = \"\\u001b[31mbm25\\u0007\""),
        text.replace("name = \"bm25\"", &format!("name = \"{ODD}\"")),
        text.replace("kind = \"bm25\"", &format!("kind = \"bm26\" # {}", ODD.replace('\r', ""))),
        text.replace("seed = 5", "seed = -5\r\nsed = \"\u{9b}31m\""),
        text.replace("seed = 5", "\"\\u001b[31msed\" = 5"),
    ] {
        std::fs::write(&recipe, odd).unwrap();
        let answer = trieval(&["check", &recipe.display().to_string()]).expect(2);
        all_visible(&answer);
    }
    // Rows of data.
    let rows = format!("u0 i1 i2 i3\nu0{ODD} i1 i2 i3\nu1 i1{} i2 i2\n", ODD.replace('\r', ""));
    let small = Small::new();
    std::fs::write(small.place.path().join("sequences.txt"), rows).unwrap();
    all_visible(&small.run(&[]));
    let csv = format!("item_id,title\np1,a\n{0}p2,b\n{0}p2,c\n", &ODD[..14]);
    std::fs::write(small.place.path().join("items.csv"), csv).unwrap();
    let pairs = format!("query,item_id,grade,split\nlamp,p1,3,train\nlamp,p1,2,{}\n", &ODD[..14]);
    std::fs::write(small.place.path().join("pairs.csv"), pairs).unwrap();
    let set = format!("corpus.path={}", small.place.path().display());
    let answer = run(crate::data::PAIRS, &folder.path().join("out"), &["--set", &set]).expect(2);
    all_visible(&answer);
    // Everything that can be typed.
    let small = Small::finished();
    let out = small.out.display().to_string();
    let set = format!("--set=system.{ODD}=1");
    for args in [
        &["search", &out, "--history", ODD][..],
        &["search", &out, "--system", ODD, "--history", "i1"],
        &["search", &out, "--feature", ODD, "--history", "i1"],
        &["ids", &out, "--item", ODD],
        &["ids", &out, "--identifier", ODD],
        &["check", &small.recipe.display().to_string(), &set],
        &["check", ODD],
        &["report", ODD],
        &["eval", "--qrels", ODD, "--run", ODD],
        &["recipes", "explain", ODD],
        &["recipes", "show", ODD],
        &["compare", &out, "-m", ODD],
        &[ODD],
        &["run", &format!("--{ODD}")],
        &["search", &out, "--top", ODD],
    ] {
        let answer = trieval(args);
        assert_eq!(answer.code, 2, "{args:?}: {}", answer.err);
        assert!(!answer.err.contains("panicked"), "{}", answer.err);
        all_visible(&answer);
    }
}

#[test]
fn whatever_data_hold_tables_and_reports_act_on_no_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let odd = ODD.replace(['\r', '\n'], "");
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let qrels = write("a.qrels", format!("q{odd} 0 d{odd} 1\nq2 0 d2 1\n"));
    let lists =
        write("a.run", format!("q{odd} Q0 d{odd} 1 2.0 tag{odd}\nq2 Q0 d2 1 1.0 tag{odd}\n"));
    let page = folder.path().join("page.html").display().to_string();
    for form in ["--json", "--csv", "--latex", "--markdown", "--html"] {
        let mut args = vec!["eval", "--qrels", &qrels, "--run", &lists, form];
        if form == "--html" {
            args.push(&page);
        }
        let answer = trieval(&args).expect(0);
        all_visible(&answer);
        if form == "--json" {
            let name = answer.json()["systems"][0]["name"].as_str().unwrap().to_owned();
            assert_eq!(name, format!("tag{odd}"), "JSON keeps the value");
        }
    }
    is_visible(&std::fs::read_to_string(&page).unwrap());
}

#[test]
fn credentials_of_an_address_are_never_said() {
    let small = Small::finished();
    let out = small.out.display().to_string();
    let address = "https://me:s3cret@host/x";
    let track = format!("report.mlflow={address}");
    for args in [
        &["check", address][..],
        &["check", &small.recipe.display().to_string(), "--set", &track],
        &["search", &out, "--history", address],
        &["search", &out, "--system", address, "--history", "i1"],
        &["eval", "--qrels", address, "--run", address],
        &["search", &out, "--top", address],
        &[address],
    ] {
        let answer = trieval(args);
        assert_eq!(answer.code, 2, "{args:?}: {}", answer.err);
        assert!(!answer.err.contains("s3cret") && !answer.out.contains("s3cret"), "{}", answer.err);
    }
}

/// Starts a verb, waits a moment, interrupts it once, and says how long it took to end.
fn interrupted(args: &[String], after: Duration, signal: &str) -> (Answer, Duration) {
    let process = Running::start(args);
    std::thread::sleep(after);
    let started = Instant::now();
    process.signal(signal);
    (process.finish(), started.elapsed())
}

#[test]
fn one_interrupt_ends_what_never_looks() {
    // Judging reads and sorts many lines, and looks at no flag.
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, line: &dyn Fn(usize, usize) -> String| {
        let path = folder.path().join(name);
        let mut file = std::io::BufWriter::new(File::create(&path).unwrap());
        for query in 0..20_000 {
            for place in 0..50 {
                file.write_all(line(query, place).as_bytes()).unwrap();
            }
        }
        path.display().to_string()
    };
    let qrels = write("a.qrels", &|q, p| format!("q{q} 0 d{} 1\n", (q * 7 + p * 3) % 9_999));
    let lists = write("a.run", &|q, p| format!("q{q} Q0 d{} {p} {}.5 a\n", q + p, 90 - p));
    let page = folder.path().join("page.html").display().to_string();
    let mut args = vec!["eval", "--qrels", &qrels, "--html", &page, "--bootstrap", "100000000"];
    for _ in 0..2 {
        args.extend(["--run", &lists]);
    }
    let named = format!("b={lists}");
    args[8] = &named;
    let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
    for (signal, after, says) in [("INT", 400, "interrupted"), ("TERM", 6_000, "judging: ")] {
        let (answer, took) = interrupted(&args, Duration::from_millis(after), signal);
        // Work that goes on for longer than five seconds says so.
        answer.expect(130).says(&["interrupted", says]);
        assert!(took < Duration::from_secs(4), "{took:?}");
    }
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "nothing is half written: {left:?}");
}

#[test]
fn one_interrupt_ends_a_run_wherever_it_is() {
    let folder = tempfile::tempdir().unwrap();
    for (at, after) in [60, 200, 400, 700].into_iter().enumerate() {
        let out = folder.path().join(format!("run-{at}"));
        let args = run_args(TINY, &out, &["--set", "corpus.requests=20000"]);
        let (answer, took) = interrupted(&args, Duration::from_millis(after), "INT");
        answer.expect(130).says(&["interrupted"]);
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
}
