//! Files that nobody described, and what is guessed of them.

use std::path::Path;

use super::Proposal;
use crate::error::Result;
use crate::progress::Context;

/// Ten items.
fn items() -> String {
    let rows = (0..10).map(|item| format!("p{item},Chair no. {item},{}.5\n", 10 + item));
    format!("item_id,title,price\n{}", rows.collect::<String>())
}

fn proposed(items: (&str, &str), log: (&str, &str)) -> Result<Proposal> {
    let folder = tempfile::tempdir().unwrap();
    let [items, log] = [items, log].map(|(name, text)| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    });
    Proposal::of(&items, &log, None, &Context::silent())
}

/// What is guessed of a log of the ten items.
fn of_log(name: &str, log: &str) -> Result<Proposal> {
    proposed(("items.csv", &items()), (name, log))
}

/// A key's first field.
fn field<'p>(proposal: &'p Proposal, key: &str) -> Option<&'p str> {
    let found = proposal.of_log.iter().chain(&proposal.of_items).find(|found| found.key == key);
    found.map(|found| found.fields[0].as_str())
}

#[track_caller]
fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

#[track_caller]
fn refused(result: Result<Proposal>, parts: &[&str]) {
    let error = result.map(|proposal| proposal.of_log).unwrap_err();
    assert_says(&error.to_string(), parts);
}

/// Rows `0..n` as `row` writes them, below a header.
fn rows(header: &str, n: usize, row: impl Fn(usize) -> String) -> String {
    format!("{header}\n{}", (0..n).map(|place| row(place) + "\n").collect::<String>())
}

#[test]
fn whole_numbers_beside_a_query_are_counts() {
    let log = |header: &str| rows(header, 20, |n| format!("q{n},p{},{},{}", n % 10, n % 4, 5 + n));
    let guess = of_log("log.csv", &log("query,item,clicks,impressions")).unwrap();
    assert_eq!(field(&guess, "clicks"), Some("clicks"));
    assert_eq!(field(&guess, "impressions"), Some("impressions"));
    assert_eq!(field(&guess, "click"), None);
    let guess = of_log("log.csv", &log("search_term,sku,click_count,views")).unwrap();
    assert_eq!(field(&guess, "clicks"), Some("click_count"));
    assert_eq!(field(&guess, "impressions"), Some("views"));
    // Of a request, and as a flag, they are clicks.
    let of_request = rows("request_id,query,item,clicks", 20, |n| format!("r{n},q,p1,{}", n % 4));
    let guess = of_log("log.csv", &of_request).unwrap();
    assert_eq!((field(&guess, "clicks"), field(&guess, "click")), (None, Some("clicks")));
    let flags = rows("query,item,clicks", 20, |n| format!("q{n},p1,{}", n % 2));
    let guess = of_log("log.csv", &flags).unwrap();
    assert_eq!((field(&guess, "clicks"), field(&guess, "click")), (None, Some("clicks")));
    let of_users = rows("user,query,item,clicks", 20, |n| format!("u{n},q{n},p1,{}", n % 4));
    let guess = of_log("log.csv", &of_users).unwrap();
    assert_eq!((field(&guess, "clicks"), field(&guess, "user")), (Some("clicks"), None));
    assert_says(&guess.remarks.join("\n"), &["counts are of a query for all users: `user`"]);
}

const CLICKED: &str = "query,item,click\nchair,p1,1\nchair,p2,0\n";

#[test]
fn the_items_id_is_the_field_that_the_log_knows() {
    let doubled = format!("{}p3,Chair no. 3b,3\np4,Chair no. 4b,4\n", items());
    let guess = proposed(("items.csv", &doubled), ("log.csv", CLICKED)).unwrap();
    assert_eq!((field(&guess, "id"), field(&guess, "title")), (Some("item_id"), Some("title")));
    assert_says(&guess.remarks.join("\n"), &["`item_id` repeats in 2 of the first 12 rows"]);
    // A name that fits no log gives way to a field that does.
    let two = rows("id,nr,title", 10, |n| format!("{},p{n},Chair {n}", 100 + n));
    let guess = proposed(("items.csv", &two), ("log.csv", CLICKED)).unwrap();
    assert_eq!(field(&guess, "id"), Some("nr"));
    assert_eq!(guess.known, 1.0);
}

#[test]
fn files_of_two_shops_are_refused_with_ids_of_both() {
    let log = |ids: [&str; 2]| format!("query,item,click\nchair,{},1\nsofa,{},0\n", ids[0], ids[1]);
    let parts = ["`item` is the likely one and has `x1`, `x2`", "`item_id`", "`p0`, `p1`, `p2`"];
    refused(of_log("log.csv", &log(["x1", "x2"])), &parts);
    refused(of_log("log.csv", &log(["P1", "P2"])), &["upper and lower case"]);
    refused(of_log("log.csv", &log(["1", "2"])), &["around their digits"]);
    let zeros = rows("item_id,title", 10, |n| format!("00{n},Chair {n}"));
    let of_zeros = proposed(("items.csv", &zeros), ("log.csv", &log(["1", "2"])));
    refused(of_zeros, &["lost the zeros"]);
    let numbers = rows("item_id,title", 10, |n| format!("{n},Chair {n}"));
    let floats = "{\"query\": \"a\", \"item\": 1.0, \"click\": 1}\n";
    refused(proposed(("items.csv", &numbers), ("log.jsonl", floats)), &["as floats"]);
    // Prices are no ids, though they stand in the log, too.
    let priced = "query,item,click,bid\nchair,x1,1,10.5\nsofa,x2,0,11.5\n";
    refused(of_log("log.csv", priced), &["has `x1`, `x2`"]);
    // A few strangers are told.
    let few = rows("query,item,click", 10, |n| format!("q,{},1", if n == 0 { "p1" } else { "x" }));
    let guess = of_log("log.csv", &few).unwrap();
    assert_says(&guess.remarks.join("\n"), &["only 10.0 % of the items"]);
}

#[test]
fn objects_of_queries_users_and_items_are_looked_into() {
    let row = r#"{"query": {"text": "chair", "lang": "en"}, "user": {"id": "u1"}, "ts": 5, "results": [{"item": {"id": "p1"}, "clicked": true}, {"item": {"id": "p2"}, "clicked": false}]}"#;
    let guess = of_log("log.jsonl", &format!("{row}\n{row}\n")).unwrap();
    for (key, name) in [
        ("query", "query.text"),
        ("user", "user.id"),
        ("shown", "results.item.id"),
        ("click", "results.clicked"),
    ] {
        assert_eq!(field(&guess, key), Some(name), "{key}");
    }
    assert!(guess.remarks.is_empty(), "{:?}", guess.remarks);
    let without = of_log("log.csv", "nr,item,click\n7,p1,1\n8,p2,0\n").unwrap();
    assert_says(&without.remarks.join("\n"), &["looks like a query", "looks like a user"]);
}

#[test]
fn ratings_labels_and_mere_rows_are_signals() {
    let log = |name: &str, most: usize| {
        rows(&format!("user_id:token\titem_id:token\t{name}:float\ttimestamp:float"), 20, |n| {
            format!("{n}\tp{}\t{}\t{n}", n % 10, n % (most + 1))
        })
    };
    for (name, most, least) in [("label", 1, 1.0), ("rating", 5, 4.0), ("score", 10, 8.0)] {
        let guess = of_log("x.inter", &log(name, most)).unwrap();
        assert_eq!((field(&guess, "label"), guess.label), (Some(name), Some(least)));
    }
    let bare =
        rows("user_id:token\titem_id:token\ttimestamp:float", 5, |n| format!("{n}\tp{n}\t{n}"));
    let guess = of_log("x.inter", &bare).unwrap();
    assert_eq!(field(&guess, "means"), Some("click"));
    assert_says(&guess.remarks.join("\n"), &["each row is taken as a click"]);
}

#[test]
fn words_of_flags_are_clicks_and_others_are_named() {
    let log = |yes: &str, no: &str| format!("query,item,click\na,p1,{yes}\nb,p2,{no}\n");
    for (yes, no) in [("yes", "no"), ("Y", "N"), ("TRUE", "FALSE")] {
        assert_eq!(field(&of_log("log.csv", &log(yes, no)).unwrap(), "click"), Some("click"));
    }
    refused(of_log("log.csv", &log("ja", "nein")), &["`click` holds `ja`, `nein`", "yes and no"]);
}

#[test]
fn fields_that_nearly_fit_are_told() {
    let log = rows("query,item,click,time,propensity", 40, |n| {
        let propensity = if n == 7 { "NaN" } else { "0.5" };
        format!("q{n},p1,1,am {n}. Mai,{propensity}")
    });
    let guess = of_log("log.csv", &log).unwrap();
    assert_eq!((field(&guess, "time"), field(&guess, "propensity")), (None, None));
    let told = [
        "`time` is called like a time, and `am 0. Mai` in it",
        "but for 1 of its first values, such as `NaN`",
    ];
    assert_says(&guess.remarks.join("\n"), &told);
    let priced = items().replace("15.5", "on request");
    let priced = priced.replace("p5", "p50") + &rows("", 30, |n| format!("z{n},Sofa {n},{n}"))[1..];
    let guess = proposed(("items.csv", &priced), ("log.csv", CLICKED)).unwrap();
    assert_says(&guess.remarks.join("\n"), &["`price` holds numbers, but for 1", "`on request`"]);
}

#[test]
fn rows_that_are_no_objects_are_named() {
    for value in ["NaN", "null", "5"] {
        let log = format!("{value}\n{value}\n");
        refused(of_log("log.jsonl", &log), &["none of its 2 rows can be read", "log.jsonl:1: "]);
    }
    let some = "{\"query\": \"a\", \"item\": \"p1\", \"click\": 1}\nnull\n";
    let guess = of_log("log.jsonl", some).unwrap();
    assert_says(&guess.remarks.join("\n"), &["1 of the first rows are malformed", "log.jsonl:2: "]);
}

#[test]
fn patterns_are_files_and_missing_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("logs")).unwrap();
    std::fs::write(at("items.csv"), items()).unwrap();
    std::fs::write(at("logs/log-1.csv"), CLICKED).unwrap();
    std::fs::write(at("logs/log-2.csv"), CLICKED).unwrap();
    let of = |log: &str| Proposal::of(&at("items.csv"), &at(log), None, &Context::silent());
    for pattern in ["logs/log-*.csv", "l*/log-?.csv"] {
        let guess = of(pattern).unwrap();
        assert_eq!(guess.log.rows, 4);
        let (below, files) = guess.folder();
        assert_eq!((below.as_path(), files[1].as_path()), (folder.path(), Path::new(pattern)));
    }
    for wrong in ["none-*.csv", "none.csv"] {
        let error = of(wrong).map(|guess| guess.of_log).unwrap_err().to_string();
        assert!(error.contains("none") && !error.contains("corpus.path"), "{error}");
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(at("gone.csv"), at("link.csv")).unwrap();
        let error = of("link.csv").map(|guess| guess.of_log).unwrap_err().to_string();
        assert_says(&error, &["link.csv", "it is a link to", "gone.csv"]);
    }
}
