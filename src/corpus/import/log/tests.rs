//! Logs by hand: every shape and format, and what is odd or wrong in them.

use super::as_parquet::write_parquet;
use super::settings::*;
use crate::corpus::cell::{Entity, Holds};
use crate::corpus::summary::CorpusSummary;
use crate::corpus::{Cell, ColumnName, Corpus, Split};
use crate::error::Result;
use crate::progress::Context;
use crate::store::Source;

/// Files, and how they are read.
pub(super) struct Shop {
    pub(super) folder: tempfile::TempDir,
    pub(super) settings: LogSettings,
}

const ITEMS: &str = r#"{"item_id": "a", "title": "Grüner \"Tee\", lose", "brand": "Höhe", "path": ["Food", "Tea"], "price": 3.5, "more": {"color": "green"}}
{"item_id": "b", "title": "Sofa", "brand": null, "path": "Home > Sofas", "price": 100}
{"item_id": "007", "title": "Lamp\u001b[31m", "tags": ["led", "warm"]}
"#;

pub(super) fn some(name: &str) -> Option<String> {
    Some(name.to_owned())
}

/// Fields of events called as the keys are.
pub(super) fn events(file: &str) -> EventFiles {
    EventFiles {
        file: file.into(),
        request: vec!["request".into()],
        user: some("user"),
        session: some("session"),
        time: some("time"),
        query: some("query"),
        item: some("item"),
        position: some("position"),
        click: some("click"),
        order: some("order"),
        ..EventFiles::default()
    }
}

impl Shop {
    pub(super) fn new(log: EventFiles, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files.iter().chain(&[("items.jsonl", ITEMS)]) {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        let text = format!(
            "path = {:?}\nlog = []\n[items]\nfile = \"items.jsonl\"\ntitle = \"title\"\n\
                            text = [\"brand\"]\ncategory = [\"path\"]\nprice = \"price\"\n",
            folder.path()
        );
        let mut settings: LogSettings = toml::from_str(&text).unwrap();
        settings.path = Source::from(folder.path());
        settings.log = vec![log];
        settings.split = LogSplit::Time { validation: 0.25, test: 0.25 };
        Self { folder, settings }
    }

    pub(super) fn import(&self) -> Result<(Corpus, CorpusSummary)> {
        let out = self.folder.path().join("out");
        let summary = super::import(&self.settings, &out, &Context::silent())?;
        Ok((Corpus::open(&out)?, summary))
    }

    pub(super) fn warnings(&self) -> String {
        self.import().unwrap().1.warnings.join("\n")
    }

    pub(super) fn error(&self) -> String {
        self.import().unwrap_err().to_string()
    }
}

#[track_caller]
pub(super) fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

/// Four requests of one item each, one a day, the last of which is for testing.
pub(super) const CSV: &str = "request,user,session,time,query,item,position,click,order\n\
    q1,u1,s1,2026-05-01T10:00:00Z,tee,a,1,1,0\n\
    q1,u1,s1,2026-05-01T10:00:00Z,tee,b,2,0,0\n\
    q2,u1,s2,2026-05-02T10:00:00Z,sofa,b,1,1,1\n\
    q3,u2,s3,2026-05-03T10:00:00Z,lamp,007,1,true,\n\
    q4,u1,s4,2026-05-04T10:00:00Z,tee,b,1,0,0\n\
    q4,u1,s4,2026-05-04T10:00:00Z,tee,007,2,0,1\n";

#[test]
fn events_come_out_as_requests_pages_histories_and_grades() {
    let shop = Shop::new(events("log.csv"), &[("log.csv", CSV)]);
    let (corpus, summary) = shop.import().unwrap();
    assert_eq!(summary.start.as_deref(), Some("2026-05-01T10:00:00Z"));
    let train = corpus.requests(Split::Train).unwrap();
    let ids = |split| -> Vec<String> {
        corpus.requests(split).unwrap().into_iter().map(|request| request.id).collect()
    };
    assert_eq!(ids(Split::Train), ["q1", "q2"]);
    assert_eq!((ids(Split::Validation), ids(Split::Test)), (vec!["q3".into()], vec!["q4".into()]));
    assert_eq!((train[1].day, train[1].ask.query.as_deref()), (1, Some("sofa")));
    assert_eq!(train[1].ask.history, [0]);
    let test = &corpus.requests(Split::Test).unwrap()[0];
    assert_eq!((test.ask.user.as_deref(), test.ask.history.as_slice()), (Some("u1"), &[0, 1][..]));
    assert_eq!(corpus.judgements(Split::Validation).unwrap(), [(2, 2, 1.0)]);
    assert_eq!(corpus.judgements(Split::Test).unwrap(), [(3, 2, 3.0)]);
    let catalogue = corpus.catalogue().unwrap();
    assert_eq!(catalogue.ids, ["a", "b", "007"]);
    assert_eq!(catalogue.text(0), "Grüner \"Tee\", lose Höhe");
    assert_eq!(catalogue.title(2), "Lamp [31m");
    let items: Vec<_> = corpus.items().unwrap().map(|row| row.unwrap()).collect();
    assert_eq!(
        (items[0].category.as_slice(), items[0].price),
        (&["Food".into(), "Tea".into()][..], Some(3.5))
    );
    assert_eq!(items[1].category, ["Home", "Sofas"]);
    assert_eq!(items[0].attributes, [("more.color".into(), "green".into())]);
    assert_eq!(
        items[2].attributes,
        [("tags".into(), "led".into()), ("tags".into(), "warm".into())]
    );
}

#[test]
fn rows_lists_and_packed_files_of_any_format_give_the_same_tables() {
    let tables = |shop: &Shop| -> Vec<Vec<u8>> {
        let (corpus, _) = shop.import().unwrap();
        ["items", "users", "sessions", "requests", "impressions", "judgements"]
            .map(|name| std::fs::read(corpus.folder().join(format!("{name}.parquet"))).unwrap())
            .to_vec()
    };
    let expected = tables(&Shop::new(events("log.csv"), &[("log.csv", CSV)]));
    // Semicolons, and Excel's first line.
    let semicolons = format!("sep=;\r\n{}", CSV.replace(',', ";").replace('\n', "\r\n"));
    assert_eq!(tables(&Shop::new(events("log.csv"), &[("log.csv", &semicolons)])), expected);
    // JSON lines with nested fields, and the same as one list.
    let row = |line: &str| {
        let f: Vec<&str> = line.split(',').collect();
        format!(
            r#"{{"request": "{}", "who": {{"user": "{}", "session": "{}"}}, "time": "{}", "query": "{}", "item": "{}", "position": {}, "click": {}, "order": {}, "other": [1, {{"x": 2}}]}}"#,
            f[0],
            f[1],
            f[2],
            f[3],
            f[4],
            f[5],
            f[6],
            f[7] != "0",
            if f[8].is_empty() { "null" } else { f[8] }
        )
    };
    let rows: Vec<String> = CSV.lines().skip(1).map(row).collect();
    let nested =
        EventFiles { user: some("who.user"), session: some("who.session"), ..events("log.jsonl") };
    let lines = rows.join("\n");
    assert_eq!(tables(&Shop::new(nested.clone(), &[("log.jsonl", &lines)])), expected);
    let whole = EventFiles { file: "log.json".into(), ..nested.clone() };
    let list = format!("[{}]", rows.join(",\n"));
    assert_eq!(tables(&Shop::new(whole, &[("log.json", &list)])), expected);
    // Two packed parts.
    let parts = EventFiles { file: "part-*".into(), ..nested.clone() };
    let shop = Shop::new(parts, &[]);
    let first = zstd::encode_all(rows[..4].join("\n").as_bytes(), 1).unwrap();
    std::fs::write(shop.folder.path().join("part-1.jsonl.zst"), first).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, rows[4..].join("\n").as_bytes()).unwrap();
    std::fs::write(shop.folder.path().join("part-2.jsonl.gz"), gzip.finish().unwrap()).unwrap();
    assert_eq!(tables(&shop), expected);
    // Parquet, with numbers, flags and structures.
    let packed = Shop::new(EventFiles { file: "log.parquet".into(), ..nested.clone() }, &[]);
    write_parquet(CSV, &packed.folder.path().join("log.parquet"));
    assert_eq!(tables(&packed), expected);
    // A request a row, with lists of objects.
    let requests = r#"{"request": "q1", "user": "u1", "session": "s1", "time": 1777629600, "query": "tee", "results": [{"id": "a", "clicked": true, "ordered": 0}, {"id": "b", "clicked": false, "ordered": 0}]}
{"request": "q2", "user": "u1", "session": "s2", "time": 1777716000000, "query": "sofa", "results": [{"id": "b", "clicked": 1, "ordered": 1}]}
{"request": "q3", "user": "u2", "session": "s3", "time": 1777802400, "query": "lamp", "results": [{"id": "007", "clicked": 1}]}
{"request": "q4", "user": "u1", "session": "s4", "time": 1777888800, "query": "tee", "results": [{"id": "b"}, {"id": "007", "clicked": 0, "ordered": 1}]}
"#;
    let lists = EventFiles {
        item: None,
        position: None,
        shown: some("results.id"),
        click: some("results.clicked"),
        order: some("results.ordered"),
        ..events("log.jsonl")
    };
    assert_eq!(tables(&Shop::new(lists, &[("log.jsonl", requests)])), expected);
}

#[test]
fn lists_of_ids_labels_and_events_say_what_was_chosen() {
    let log = "query\tshown\tclicked\tordered\ttime\n\
               a\tx_y_z\ty\tz\t1\nb\tx_y\tw\t\t2\nc\tz\tz\t\t3\nd\ty\ty\ty\t4\n";
    let lists = EventFiles {
        file: "log.tsv".into(),
        query: some("query"),
        time: some("time"),
        time_unit: Some(TimeUnit::Order),
        shown: some("shown"),
        clicked: some("clicked"),
        ordered: some("ordered"),
        separator: some("_"),
        ..EventFiles::default()
    };
    let mut shop = Shop::new(lists.clone(), &[("log.tsv", log)]);
    shop.settings.items = None;
    let (corpus, summary) = shop.import().unwrap();
    assert_eq!(corpus.catalogue().unwrap().ids, ["x", "y", "z", "w"]);
    let pages: Vec<_> = corpus.impressions().unwrap().map(|page| page.unwrap().1).collect();
    let signals: Vec<_> = pages[0].iter().map(|one| (one.item, one.click, one.order)).collect();
    assert_eq!(signals, [(0, false, false), (1, true, false), (2, false, true)]);
    assert_says(&summary.warnings.join("\n"), &["1 chosen items were not shown (`w`)"]);
    assert_eq!(summary.requests.total(), 4);

    let labels = "query,shown,label,time\na,x y z,0.0 1.0 3.0,1\nb,x y,0 0,2\nc,z,1,3\nd,y,2,4\n";
    let label =
        LabelField { field: "label".into(), click: Some(1.0), cart: Some(2.0), order: Some(3.0) };
    let along = EventFiles {
        file: "log.csv".into(),
        clicked: None,
        ordered: None,
        separator: None,
        label: Some(label),
        ..lists
    };
    let mut shop = Shop::new(along.clone(), &[("log.csv", labels)]);
    shop.settings.items = None;
    let (_, summary) = shop.import().unwrap();
    assert_eq!((summary.clicks, summary.carts, summary.orders), (4, 2, 1));
    let wrong = labels.replace("0.0 1.0 3.0", "0 1");
    let mut shop = Shop::new(along, &[("log.csv", &wrong)]);
    shop.settings.items = None;
    assert_says(&shop.error(), &["log.csv:2:", "`label` holds 2 entries, and `shown` has 3"]);

    let words = "request,user,item,what,time\n\
                 r1,u,a,view,1\nr1,u,a,click,2\nr1,u,a,buy,3\nr1,u,b,view,1\nr1,u,b,hover,2\n\
                 r2,u,b,click,4\nr3,u,b,click,5\nr4,u,b,click,6\n";
    let event = EventField {
        field: "what".into(),
        shown: vec!["view".into()],
        click: vec!["click".into()],
        cart: Vec::new(),
        order: vec!["buy".into()],
        ignore: vec!["hover".into()],
    };
    let rows = EventFiles {
        file: "log.csv".into(),
        request: vec!["request".into()],
        user: some("user"),
        time: some("time"),
        item: some("item"),
        event: Some(event),
        ..EventFiles::default()
    };
    let shop = Shop::new(rows.clone(), &[("log.csv", words)]);
    let (corpus, _) = shop.import().unwrap();
    let page = corpus.impressions().unwrap().next().unwrap().unwrap().1;
    let signals: Vec<_> = page.iter().map(|one| (one.item, one.click, one.order)).collect();
    assert_eq!(signals, [(0, true, true), (1, false, false)]);
    let unknown = words.replace("hover", "stare");
    let error = Shop::new(rows, &[("log.csv", &unknown)]).error();
    assert_says(&error, &["log.csv:6:", "`stare`, which log.event gives no meaning"]);
}

#[test]
fn counts_are_what_they_count_and_rows_may_mean_a_click_by_themselves() {
    let counts = "query,item,n,shown\ntee,a,2,3\ntee,b,1,4\nsofa,b,1,1\nlamp,007,0,2\n";
    let log = EventFiles {
        file: "log.csv".into(),
        query: some("query"),
        item: some("item"),
        clicks: some("n"),
        impressions: some("shown"),
        ..EventFiles::default()
    };
    let mut shop = Shop::new(log.clone(), &[("log.csv", counts)]);
    shop.settings.split = LogSplit::Query { validation: 0.0, test: 0.5 };
    let (corpus, summary) = shop.import().unwrap();
    let asked = |split| -> Vec<String> {
        corpus.requests(split).unwrap().into_iter().filter_map(|one| one.ask.query).collect()
    };
    let (train, test) = (asked(Split::Train), asked(Split::Test));
    // A query that is held out is asked once, the others as often as any of their items was shown.
    for (query, times) in [("tee", 4), ("sofa", 1), ("lamp", 2)] {
        let n_train = train.iter().filter(|one| *one == query).count();
        let n_test = test.iter().filter(|one| *one == query).count();
        assert!((n_train, n_test) == (times, 0) || (n_train, n_test) == (0, 1), "{query}");
    }
    assert!(!train.is_empty() && !test.is_empty());
    assert!(summary.clicks >= 2);
    let wrong = Shop::new(log, &[("log.csv", &counts.replace("2,3", "5,3"))]).error();
    assert_says(&wrong, &["log.csv:2:", "`n` holds 5 clicks of 3 impressions"]);

    // RecBole's atomic files.
    let inter = "user_id:token\titem_id:token\ttimestamp:float\n\
                 u\ta\t3\nu\tb\t1\nu\t007\t2\nv\ta\t1\nv\tb\t2\nv\t007\t3\nv\ta\t4\n";
    let rows = EventFiles {
        file: "x.inter".into(),
        user: some("user_id"),
        item: some("item_id"),
        time: some("timestamp"),
        means: Some(Meaning::Click),
        ..EventFiles::default()
    };
    let mut shop = Shop::new(rows, &[("x.inter", inter)]);
    shop.settings.split = LogSplit::LeaveOneOut {};
    let (corpus, _) = shop.import().unwrap();
    let histories: Vec<Vec<u32>> =
        corpus.requests(Split::Test).unwrap().into_iter().map(|one| one.ask.history).collect();
    assert_eq!(histories, [vec![1, 2], vec![0, 1, 2]]);
    let lists = crate::corpus::choices(&corpus).unwrap();
    assert_eq!(lists.iter().filter(|list| !list.is_empty()).count(), 2);
}

#[test]
fn several_logs_say_different_things_of_one_request() {
    let pages =
        "request,user,time,query,shown\nr1,u,1,tee,a b\nr2,u,2,sofa,b\nr3,u,3,x,a\nr4,u,4,y,b\n";
    let clicks = "req,article,dwell,device\nr1,b,12.5,phone\nr4,b,,tablet\n";
    let first = EventFiles {
        file: "pages.csv".into(),
        request: vec!["request".into()],
        user: some("user"),
        time: some("time"),
        query: some("query"),
        shown: some("shown"),
        ..EventFiles::default()
    };
    let column = |name: &str, of, holds| LogColumn {
        name: name.into(),
        field: None,
        of,
        holds,
        signal: false,
    };
    let second = EventFiles {
        file: "clicks.csv".into(),
        request: vec!["req".into()],
        item: some("article"),
        click: some("article"),
        dwell: some("dwell"),
        columns: vec![column("device", Entity::Request, Holds::Category)],
        ..EventFiles::default()
    };
    // A click of an id that is no number or word of a flag is refused.
    let mut shop = Shop::new(first, &[("pages.csv", pages), ("clicks.csv", clicks)]);
    shop.settings.log.push(second.clone());
    assert_says(
        &shop.error(),
        &["clicks.csv:2:", "`article` holds `b`, which is no number, nor true or false"],
    );
    let event = EventField {
        field: "what".into(),
        shown: Vec::new(),
        click: vec!["click".into()],
        cart: Vec::new(),
        order: Vec::new(),
        ignore: Vec::new(),
    };
    shop.settings.log[1] = EventFiles { click: None, event: Some(event), ..second };
    let clicks = "req,article,dwell,device,what\nr1,b,12.5,phone,click\nr4,b,,tablet,click\n";
    std::fs::write(shop.folder.path().join("clicks.csv"), clicks).unwrap();
    let (corpus, summary) = shop.import().unwrap();
    assert_eq!((summary.impressions, summary.clicks), (5, 2));
    let page = corpus.impressions().unwrap().next().unwrap().unwrap().1;
    assert_eq!(
        (page[1].item, page[1].position, page[1].click, page[1].dwell),
        (1, 2, true, Some(12.5))
    );
    let device = ColumnName::new(Entity::Request, "device");
    let train = corpus.requests(Split::Train).unwrap();
    assert_eq!(train[0].ask.feature(&device), Some(&Cell::Text("phone".into())));
    assert_eq!(train[1].ask.feature(&device), None);
}

#[test]
fn histories_grades_and_users_come_from_files_too() {
    let log = EventFiles { history: some("past"), separator: some("|"), ..events("log.csv") };
    let csv = CSV
        .replace("order\n", "order,past\n")
        .replace(",\n", ",,a|b|a\n")
        .replace("0,0\n", "0,0,b|zz\n")
        .replace("1,0\n", "1,0,\n")
        .replace("1,1\n", "1,1,\n")
        .replace("0,1\n", "0,1,\n");
    let grades = "id,article,how\nq1,b,2\nq4,a,3\nq4,b,0.5\nq9,a,1\nq4,none,1\n";
    let users = "user_id,segment,age\nu1,new,31\nu9,old,\n";
    let files = [("log.csv", csv.as_str()), ("grades.csv", grades), ("users.csv", users)];
    let mut shop = Shop::new(log, &files);
    shop.settings.history = 2;
    shop.settings.grades = Some(GradeFiles {
        file: "grades.csv".into(),
        format: None,
        delimiter: None,
        request: some("id"),
        query: None,
        item: "article".into(),
        grade: "how".into(),
    });
    let column =
        |name: &str, holds| crate::corpus::settings::ItemColumn { name: name.into(), holds };
    shop.settings.users = Some(UserFiles {
        file: "users.csv".into(),
        format: None,
        delimiter: None,
        id: "user_id".into(),
        columns: vec![column("segment", Holds::Category), column("age", Holds::Number)],
    });
    let (corpus, summary) = shop.import().unwrap();
    assert_eq!(corpus.judgements(Split::Train).unwrap(), [(0, 1, 2.0)]);
    assert_eq!(corpus.judgements(Split::Test).unwrap(), [(3, 0, 3.0), (3, 1, 0.5)]);
    let validation = &corpus.requests(Split::Validation).unwrap()[0];
    assert_eq!(validation.ask.history, [1, 0]);
    let test = &corpus.requests(Split::Test).unwrap()[0];
    assert_eq!(test.ask.feature(&ColumnName::new(Entity::User, "age")), Some(&Cell::Number(31.0)));
    assert_says(
        &summary.warnings.join("\n"),
        &[
            "2 items of histories are not in the items files and were left out, such as `zz`",
            "1 grades are of requests that the log does not have, such as `q9`",
            "1 grades are of items that are none of the 3, such as `none`",
            "1 of 1 validation requests have no grades",
            "1 users are not in the files of users",
            "of 1 judged test requests, 1 want an item of their own history",
        ],
    );
    shop.settings.seen = crate::corpus::settings::Seen::Remove;
    assert_says(&shop.warnings(), &["1 want an item of their own history, and 0 nothing else"]);
}

#[test]
fn splits_are_by_date_session_user_query_column_or_the_last_of_each_user() {
    let parts = |split: LogSplit, csv: &str, log: EventFiles| {
        let mut shop = Shop::new(log, &[("log.csv", csv)]);
        shop.settings.split = split;
        let (corpus, _) = shop.import().unwrap();
        Split::ALL.map(|split| -> Vec<String> {
            corpus.requests(split).unwrap().into_iter().map(|request| request.id).collect()
        })
    };
    let date = LogSplit::Date {
        validation_from: some("2026-05-03"),
        test_from: "2026-05-04T10:00:00Z".into(),
    };
    assert_eq!(parts(date, CSV, events("log.csv")), [vec!["q1", "q2"], vec!["q3"], vec!["q4"]]);
    let column = CSV
        .replace("request,", "part,request,")
        .replace("q1,", "a,q1,")
        .replace("q2,", "b,q2,")
        .replace("q3,", "c,q3,")
        .replace("q4,", "a,q4,");
    let log = EventFiles { split: some("part"), ..events("log.csv") };
    let names = LogSplit::Column { train: "a".into(), validation: "b".into(), test: "c".into() };
    assert_eq!(
        parts(names.clone(), &column, log.clone()),
        [vec!["q1", "q4"], vec!["q2"], vec!["q3"]]
    );
    let mut shop = Shop::new(log, &[("log.csv", &column.replace("c,q3", "d,q3"))]);
    shop.settings.split = names;
    assert_says(&shop.error(), &["log.csv:5:", "`part` holds `d`; expected `a`, `b`, `c`"]);
    // A second log whose requests no split is known of.
    let mut shop = Shop::new(
        EventFiles { split: some("part"), ..events("log.csv") },
        &[("log.csv", &column), ("more.csv", &CSV.replace("q4,", "q9,"))],
    );
    shop.settings.log.push(events("more.csv"));
    shop.settings.split =
        LogSplit::Column { train: "a".into(), validation: "b".into(), test: "c".into() };
    assert_says(&shop.error(), &["1 of 5 requests have no split, such as `q9`", "log.split"]);
    let mut shop = Shop::new(events("log.csv"), &[("log.csv", &CSV.replace("q3,u2", "q3,"))]);
    shop.settings.split = LogSplit::LeaveOneOut {};
    assert_says(&shop.warnings(), &["1 requests have no user: they are for training"]);
    // q1, q2 and q4 are of one user, who chose something in each.
    assert_eq!(
        parts(LogSplit::LeaveOneOut {}, CSV, events("log.csv")),
        [vec!["q1", "q3"], vec!["q2"], vec!["q4"]]
    );
    // Many sessions, users and queries: no session is torn.
    let mut many = CSV.lines().next().unwrap().to_owned() + "\n";
    for request in 0..400 {
        let (user, session) = (request % 60, request / 2);
        many += &format!("r{request},u{user},s{session},{request},query {user},a,1,1,0\n");
    }
    for split in [
        LogSplit::Session { validation: 0.2, test: 0.2 },
        LogSplit::User { validation: 0.2, test: 0.2 },
        LogSplit::Query { validation: 0.2, test: 0.2 },
    ] {
        let key = |id: &String| {
            let number: u32 = id[1..].parse().unwrap();
            match split {
                LogSplit::Session { .. } => number / 2,
                _ => number % 60,
            }
        };
        let found = parts(split.clone(), &many, events("log.csv"));
        let keys = found.map(|ids| ids.iter().map(key).collect::<std::collections::HashSet<_>>());
        assert!(keys.iter().all(|keys| !keys.is_empty()), "{split:?}");
        assert!(keys[0].is_disjoint(&keys[1]) && keys[0].is_disjoint(&keys[2]), "{split:?}");
    }
}

#[test]
fn what_is_odd_is_counted_and_told() {
    let odd = "request,user,session,time,query,item,position,click,order\n\
        q1,u1,s1,2026-05-04T10:00:00Z,tee,a,0,1,0\n\
        q1,u1,s1,2026-05-04T10:00:00Z,tee,b,0,0,0\n\
        q2,u1,s1,2026-05-01 10:00:00,sofa,b,,1,1\n\
        q2,u1,s1,2026-05-01 10:00:00,sofa,a,5,1,1\n\
        q3,u2,s3,2026-05-03T12:00:00+02:00,lamp,zz,1,1,0\n\
        q5,u2,s3,2026-05-03T12:00:00+02:00,lamp,a,1,0,0\n\
        q4,u1,s4,2026-05-05T10:00:00Z,tee,b,1,0,0\n";
    let shop = Shop::new(events("log.csv"), &[("log.csv", odd)]);
    assert_says(
        &shop.warnings(),
        &[
            "1 of 7 shown items (14.3 %) are not in the items files and were left out, such as `zz`",
            "1 of 5 requests were left out because none of their items is known",
            "positions are counted from 0",
            "1 requests have items with a position and items without (`q2`)",
            "1 requests have several items at one position (`q1`)",
            "times run backwards in 1 of 7 rows",
            "5 times have a zone and 2 have none (`2026-05-01 10:00:00`)",
            "1 sessions last more than a day",
            "1 sessions have requests in more than one split",
            "1 of 1 test requests have nothing chosen",
        ],
    );
    let (corpus, _) = shop.import().unwrap();
    let pages: Vec<_> = corpus.impressions().unwrap().map(|page| page.unwrap().1).collect();
    let positions: Vec<_> = pages[0].iter().map(|one| (one.item, one.position)).collect();
    assert_eq!(positions, [(0, 6), (1, 7)]);
}

#[test]
fn what_cannot_be_used_names_file_line_and_field() {
    let cases: [(&str, &str, &[&str]); 12] = [
        ("q3,u2", "q3,u 2", &["log.csv:5:", "`user` holds `u 2`; an id holds no blanks"]),
        (
            "q3,u2,s3,2026-05-03T10:00:00Z",
            "q3,u2,s3,someday",
            &["log.csv:5:", "`time` holds `someday`, which is no time"],
        ),
        ("q3,u2,s3,2026-05-03T10:00:00Z", "q3,u2,s3,", &["log.csv:5:", "`time` holds nothing"]),
        ("q3,", ",", &["log.csv:5:", "`request` is empty"]),
        (
            "007,1,true",
            "007,1.5,true",
            &["log.csv:5:", "`position` holds 1.5; expected a whole number"],
        ),
        (
            "007,1,true",
            "007,1,perhaps",
            &["log.csv:5:", "`click` holds `perhaps`, which is no number, nor true"],
        ),
        (
            "q1,u1,s1,2026-05-01T10:00:00Z,tee,b",
            "q1,u1,s1,2026-05-01T10:00:00Z,cup,b",
            &["log.csv:3:", "request `q1` has the query `cup` here and `tee` before"],
        ),
        (
            "q1,u1,s1,2026-05-01T10:00:00Z,tee,b",
            "q1,u2,s1,2026-05-01T10:00:00Z,tee,b",
            &["log.csv:3:", "has the user `u2` here and `u1` before"],
        ),
        ("0,1\n", "0,1", &[]),
        ("007,2,0,1\n", "00", &["log.csv:7:", "6 fields; the header has 9"]),
        (",query,", ",queri,", &["no column `query`", "did you mean `queri`"]),
        ("request,user", "request,request", &["log.csv", "`request`"]),
    ];
    for (from, to, parts) in cases {
        let csv = CSV.replacen(from, to, 1);
        assert_ne!(csv, CSV, "{from}");
        let shop = Shop::new(events("log.csv"), &[("log.csv", &csv)]);
        match parts.is_empty() {
            true => drop(shop.import().unwrap()),
            false => assert_says(&shop.error(), parts),
        }
    }
    let lines = "{\"request\": 1.5, \"item\": \"a\"}\n";
    let log = EventFiles {
        file: "log.jsonl".into(),
        request: vec!["request".into()],
        item: some("item"),
        click: some("click"),
        ..EventFiles::default()
    };
    let error = |text: &str| Shop::new(log.clone(), &[("log.jsonl", text)]).error();
    assert_says(
        &error(lines),
        &["log.jsonl:1:", "`request` holds `1.5`; an id is text or a whole number"],
    );
    assert_says(&error("{\"request\": 1, \"item\": [\"a\"]}\n"), &["`item` holds a list"]);
    assert_says(
        &error("{\"request\": 1, \"item\": \"a\"}\n{\"request\": 2, \"it"),
        &["log.jsonl:2:", "is no JSON object", "1 of 2 rows"],
    );
    assert_says(
        &error("{\"request\": 1, \"request\": 2, \"item\": \"a\"}"),
        &["`request` stands there twice"],
    );
    assert_says(&error("[1, 2]\n"), &["is no JSON object"]);
    assert_says(&error(""), &["the file is empty"]);
    let deep = format!("{{\"request\": {}1{}}}", "[".repeat(100), "]".repeat(100));
    assert_says(&error(&deep), &["nested more than 32 deep"]);
    let shop = Shop::new(EventFiles { file: "none-*.csv".into(), ..log }, &[]);
    assert_says(&shop.error(), &["no file matches `none-*.csv`"]);
}

#[test]
fn a_split_without_test_says_what_there_is() {
    let mut shop = Shop::new(events("log.csv"), &[("log.csv", CSV)]);
    shop.settings.split = LogSplit::Date { validation_from: None, test_from: "2027-01-01".into() };
    assert_says(
        &shop.warnings(),
        &[
            "by date leaves nothing to test on: 4 requests, from 2026-05-01T10:00:00Z to 2026-05-04T10:00:00Z",
        ],
    );
}

#[test]
fn a_page_of_a_million_items_is_refused_or_cut_and_counted() {
    let n = 70_000;
    let ids: Vec<String> = (0..n).map(|item| format!("i{item}")).collect();
    let log = format!(
        "query,shown,clicked,time\na,{},i1,1\nb,i1,i1,2\nc,i1,i1,3\nd,i1,i1,4\n",
        ids.join(" ")
    );
    let lists = EventFiles {
        file: "log.csv".into(),
        query: some("query"),
        time: some("time"),
        shown: some("shown"),
        clicked: some("clicked"),
        ..EventFiles::default()
    };
    let mut shop = Shop::new(lists, &[("log.csv", &log)]);
    shop.settings.items = None;
    assert_says(&shop.error(), &["log.csv:2:", "70000 items; at most 65535 can be shown at once"]);
    let mut rows = CSV.to_owned();
    for item in 0..n {
        rows += &format!("q1,u1,s1,2026-05-01T10:00:00Z,tee,n{item},{},0,0\n", item + 3);
    }
    let mut shop = Shop::new(events("log.csv"), &[("log.csv", &rows)]);
    shop.settings.items = None;
    assert_says(&shop.warnings(), &["1 requests show items beyond position 65535", "`q1`"]);
}

#[test]
fn small_files_that_unpack_to_much_are_refused() {
    let bomb = vec![b'x'; 80 << 20];
    let log = EventFiles { file: "log.jsonl.zst".into(), ..events("log.jsonl") };
    let shop = Shop::new(log, &[]);
    let packed = zstd::encode_all(&bomb[..], 3).unwrap();
    assert!(packed.len() < 100_000);
    std::fs::write(shop.folder.path().join("log.jsonl.zst"), packed).unwrap();
    assert_says(&shop.error(), &["log.jsonl.zst:1:", "a line of more than 16 MiB"]);
    let lines = vec![b'\n'; 200 << 20];
    let packed = zstd::encode_all(&[b"{}".as_slice(), &lines].concat()[..], 3).unwrap();
    std::fs::write(shop.folder.path().join("log.jsonl.zst"), packed).unwrap();
    assert_says(&shop.error(), &["unpacks to more than 1000 times its size"]);
}

#[test]
fn headers_are_looked_at_and_rows_are_not() {
    use crate::kind::Kind;
    // A row that no import would take.
    let csv = format!("{CSV}q9,u1,s4,never,tee,b,first,perhaps,0\n");
    let mut shop = Shop::new(events("*.csv"), &[("log.csv", &csv)]);
    shop.settings.check_headers().unwrap();
    std::fs::write(shop.folder.path().join("more.csv"), CSV.replacen("session", "visit", 1))
        .unwrap();
    let fault = |shop: &Shop| shop.settings.check_headers().unwrap_err().to_string();
    assert_says(&fault(&shop), &["more.csv", "`session`", "corpus.log.session", "visit"]);
    write_parquet(CSV, &shop.folder.path().join("log.parquet"));
    shop.settings.log = vec![EventFiles {
        user: some("who.user"),
        session: some("who.session"),
        ..events("log.parquet")
    }];
    shop.settings.check_headers().unwrap();
    shop.settings.log[0].item = some("sku");
    assert_says(&fault(&shop), &["log.parquet", "`sku`", "corpus.log.item"]);
    shop.settings.log[0].item = some("item");
    let users = "users = { file = \"users.tsv\", id = \"user\", columns = [{ name = \"age\", holds = \"number\" }] }";
    #[derive(serde::Deserialize)]
    struct Users {
        users: UserFiles,
    }
    shop.settings.users = Some(toml::from_str::<Users>(users).unwrap().users);
    assert_says(&fault(&shop), &["users.tsv"]);
    std::fs::write(shop.folder.path().join("users.tsv"), "user\told\nu1\t7\n").unwrap();
    assert_says(&fault(&shop), &["users.tsv", "`age`", "corpus.users.columns"]);
}
