//! What `search` says of its answers: who answers, what is left aside, how many can be found; and many queries at once.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::support::{Answer, command, finished, trieval};
use crate::verified::Small;

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Asks with this on standard input.
fn fed(args: &[&str], input: &[u8]) -> Answer {
    let mut command = command(args);
    let mut process = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = process.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // A refusal closes the pipe early.
        let _ = pipe.write_all(&input);
    });
    let output = process.wait_with_output().unwrap();
    writer.join().unwrap();
    Answer {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn who_answers_is_said_and_what_is_left_aside() {
    let run = path(finished());
    let answer = trieval(&["search", run, "red table"]).expect(0);
    answer.says(&[
        "aligned (generative) answers; --system asks another: popularity, bm25, two-tower",
    ]);
    let quiet = trieval(&["-q", "search", run, "red table"]).expect(0);
    assert_eq!(quiet.err, "");
    let item = trieval(&["ids", run, "i00000017", "--json"]).expect(0).json();
    let title = item["items"][0]["title"].as_str().unwrap().to_owned();
    let ask = |system: &str, more: &[&str]| {
        trieval(&[&["search", run, "--json", "--system", system][..], more].concat()).expect(0)
    };
    let remarks = |answer: &Answer| answer.json()["remarks"].as_array().unwrap().len();
    for (system, more, says) in [
        ("bm25", &["zzqx vvkq"][..], "bm25 knows no word of the query"),
        ("bm25", &[&title, "--history", "i00000017"], "bm25 answers the query alone"),
        ("two-tower", &["red", "--history", "i00000017"], "makes no use of the history"),
        ("popularity", &["red"], "popularity makes no use of the query"),
        ("aligned", &["red", "--user", "u1"], "aligned makes no use of the user's id"),
        ("aligned", &["red", "--feature", "user.style=style-3"], "makes no use of user.style"),
    ] {
        let answer = ask(system, more);
        assert_eq!(answer.json()["system"], system);
        assert_eq!(remarks(&answer), 1, "{}", answer.out);
        assert!(answer.out.contains(says), "{says}: {}", answer.out);
        let told = trieval(&[&["search", run, "--system", system][..], more].concat()).expect(0);
        told.says(&["warning:", says]);
    }
    for (system, more) in [
        ("bm25", &[title.as_str()][..]),
        ("bm25", &["--history", "i00000017"]),
        ("aligned", &["red", "--history", "i00000017"]),
        // Its parts together make use of all.
        ("fused", &["red", "--history", "i00000017"]),
    ] {
        assert_eq!(remarks(&ask(system, more)), 0, "{system} {more:?}");
    }
    let small = Small::finished();
    let out = path(&small.out);
    let answer = trieval(&["search", out, "red", "--history", "i1", "--system", "item-knn"]);
    answer.expect(0).says(&["item-knn makes no use of the query"]);
}

#[test]
fn more_than_a_beam_finds_is_refused() {
    let run = path(finished());
    let refused = trieval(&["search", run, "red", "--top", "21"]).expect(2);
    refused.says(&["--top 21", "aligned", "which is 20", "system.aligned.decode.beam"]);
    let items = |top: &str, system: &str| {
        let args = ["search", run, "red", "--top", top, "--system", system, "--json"];
        trieval(&args).expect(0).json()["items"].as_array().unwrap().len()
    };
    assert_eq!((items("20", "aligned"), items("150", "two-tower")), (20, 150));
}

#[test]
fn many_queries_come_from_standard_input() {
    let run = path(finished());
    let input = b"red table\n\nblue sofa\r\n  \ngreen lamp";
    for how in ["-", "--stdin"] {
        let answer = fed(&["search", run, how, "--json", "--top", "3"], input).expect(0);
        let lines: Vec<Value> =
            answer.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let queries: Vec<&str> = lines.iter().map(|one| one["query"].as_str().unwrap()).collect();
        assert_eq!(queries, ["red table", "blue sofa", "green lamp"]);
        for line in &lines {
            let query = line["query"].as_str().unwrap();
            let alone = trieval(&["search", run, query, "--json", "--top", "3"]).expect(0).json();
            assert_eq!(*line, alone, "many queries are answered as one is");
        }
        answer.says(&["2 blank lines of standard input were passed over"]);
    }
    let table = fed(&["search", run, "-", "--top", "2"], b"red table\nblue sofa\n").expect(0);
    assert_eq!(table.out.lines().count(), 2 * (1 + 2 + 1), "{}", table.out);
    let none = fed(&["search", run, "-", "--json"], b"").expect(0);
    assert_eq!(none.out, "");
    let answer = fed(&["search", run, "-"], b"red\n\xff\xfe\n").expect(2);
    answer.says(&["standard input:2: is not UTF-8"]);
    let answer = fed(&["search", run, "-"], &vec![b'a'; (1 << 20) + 1]).expect(2);
    answer.says(&["standard input:1: more than 1048576 bytes"]);
    trieval(&["search", run, "red", "--stdin"]).expect(2).says(&["--stdin"]);
}
