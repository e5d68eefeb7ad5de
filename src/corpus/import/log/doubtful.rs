//! Logs that can be read and are not what they look like: rows twice, ids of another shop, fields that no row has.

use std::sync::Arc;

use arrow_array::{ArrayRef, Decimal128Array, RecordBatch, StringArray, Time64MicrosecondArray};

use super::settings::*;
use super::tests::{CSV, Shop, assert_says, events, some};

#[test]
fn rows_that_stand_twice_are_one_showing() {
    let once = Shop::new(events("log.csv"), &[("log.csv", CSV)]).import().unwrap().1;
    // Every row again, the first with an order that the first time did not have.
    let rows: Vec<&str> = CSV.lines().skip(1).collect();
    let twice = format!("{CSV}{}\n", rows.join("\n")).replacen("a,1,1,0", "a,1,1,1", 1);
    let summary = Shop::new(events("log.csv"), &[("log.csv", &twice)]).import().unwrap().1;
    assert_eq!(summary.impressions, once.impressions);
    assert_eq!((summary.clicks, summary.orders), (once.clicks, once.orders + 1));
    let warnings = summary.warnings.join("\n");
    assert_says(&warnings, &["6 showings repeat an item at the same position", "`q1`"]);
    assert!(!warnings.contains("several items at one position"), "{warnings}");
    // Without positions, an item stands once in a request all the same.
    let mut unplaced = events("log.csv");
    unplaced.position = None;
    let summary = Shop::new(unplaced, &[("log.csv", &twice)]).import().unwrap().1;
    assert_eq!(summary.impressions, once.impressions);
    // Another item at the position is another showing, and so is the item at another position.
    let others = format!("{CSV}q1,u1,s1,2026-05-01T10:00:00Z,tee,b,1,0,0\n");
    let summary = Shop::new(events("log.csv"), &[("log.csv", &others)]).import().unwrap().1;
    assert_eq!(summary.impressions, once.impressions + 1);
    assert_says(&summary.warnings.join("\n"), &["1 requests have several items at one position"]);
}

#[test]
fn a_log_of_clicks_on_what_was_never_shown_is_refused() {
    let lists = EventFiles {
        file: "log.csv".into(),
        query: some("query"),
        time: some("time"),
        time_unit: Some(TimeUnit::Order),
        shown: some("shown"),
        clicked: some("clicked"),
        ..EventFiles::default()
    };
    let log = "query,shown,clicked,time\na,x y,v,1\nb,x y,w v,2\nc,x y,x,3\nd,y,y,4\n";
    let mut shop = Shop::new(lists, &[("log.csv", log)]);
    shop.settings.items = None;
    let parts = ["3 of 5 chosen items were never shown, such as `v`, `w`", "corpus.log.shown"];
    assert_says(&shop.error(), &parts);
    // Half of them may come from anywhere.
    let log = log.replace("w v", "w");
    let mut shop = Shop::new(shop.settings.log[0].clone(), &[("log.csv", &log)]);
    shop.settings.items = None;
    assert_says(&shop.warnings(), &["2 chosen items were not shown"]);
}

#[test]
fn lists_that_stand_twice_are_one_page() {
    let log = "request,query,shown,clicked,time\nr1,a,b a b,b,1\nr1,a,b a b,a,1\nr2,a,b a,a,2\nr3,a,a,a,3\n";
    let lists = EventFiles {
        file: "log.csv".into(),
        request: vec!["request".into()],
        query: some("query"),
        time: some("time"),
        shown: some("shown"),
        clicked: some("clicked"),
        ..EventFiles::default()
    };
    let shop = Shop::new(lists, &[("log.csv", log)]);
    let (corpus, summary) = shop.import().unwrap();
    // The page names one item twice itself: that is what was shown.
    assert_eq!(summary.impressions, 6);
    let page = corpus.impressions().unwrap().next().unwrap().unwrap().1;
    let page: Vec<_> = page.iter().map(|one| (one.item, one.position, one.click)).collect();
    assert_eq!(page, [(1, 1, true), (0, 2, true), (1, 3, false)]);
    assert_says(&summary.warnings.join("\n"), &["3 showings repeat an item", "`r1`"]);
}

#[test]
fn counts_of_several_rows_add_up() {
    let log = "query,item,clicks,time\ntee,a,2,1\ntee,a,2,1\nsofa,b,1,2\nlamp,007,1,3\n";
    let counts = EventFiles {
        file: "log.csv".into(),
        query: some("query"),
        item: some("item"),
        time: some("time"),
        clicks: some("clicks"),
        ..EventFiles::default()
    };
    let summary = Shop::new(counts, &[("log.csv", log)]).import().unwrap().1;
    assert_eq!(summary.clicks, 6);
}

#[test]
fn a_log_of_strangers_is_refused_with_ids_of_both() {
    let log = CSV.replace(",a,", ",x1,").replace(",b,", ",x2,").replace(",007,", ",x3,");
    let mut shop = Shop::new(events("log.csv"), &[("log.csv", &log)]);
    assert_says(
        &shop.error(),
        &["none of the 6 items that the log names", "the log has `x1`", "items files have `a`"],
    );
    shop.settings.unknown_items = UnknownItems::Add;
    assert_eq!(shop.import().unwrap().1.items, 6);
}

#[test]
fn fields_that_no_row_has_are_told() {
    let log = r#"{"request": "1", "time": 1, "item": "a", "click": 1, "ask": {"text": "tee"}}
{"request": "2", "time": 2, "item": "b", "click": 1, "ask": {"text": "sofa"}}
{"request": "3", "time": 3, "item": "b", "click": 1, "ask": {"text": "sofa"}}
"#;
    let mut files = events("log.jsonl");
    (files.user, files.session, files.position, files.order) = (None, None, None, None);
    let warnings = Shop::new(files.clone(), &[("log.jsonl", log)]).warnings();
    let told =
        ["no row of log.jsonl has a value of `query` (corpus.log.query)", "no request has a"];
    assert_says(&warnings, &told);
    files.query = some("ask.text");
    let warnings = Shop::new(files, &[("log.jsonl", log)]).warnings();
    assert!(!warnings.contains("no r"), "{warnings}");
}

#[test]
fn faults_of_values_are_sentences() {
    for (column, value, said) in [
        (
            "propensity",
            "2.5",
            "`propensity` holds `2.5`; expected a probability above 0 and at most 1",
        ),
        ("propensity", "0", "`propensity` holds `0`; expected a probability above 0"),
        ("propensity", "1e-300", "`propensity` holds `1e-300`; a probability below"),
        ("propensity", "NaN", "`propensity` holds `NaN`, which is no number"),
        ("time", "old chair", "`time` holds `old chair`, which is no time"),
        ("click", "-1", "`click` holds `-1`, which is below 0"),
        ("position", "first", "`position` holds `first`, which is no number"),
    ] {
        let mut row = [("time", "1"), ("click", "1"), ("position", "1"), ("propensity", "0.5")];
        row.iter_mut().find(|(name, _)| *name == column).unwrap().1 = value;
        let values: Vec<&str> = row.iter().map(|(_, value)| *value).collect();
        let log = format!(
            "request,item,query,time,click,position,propensity\n1,a,tee,{}\n",
            values.join(",")
        );
        let mut files = events("log.csv");
        (files.user, files.session, files.order) = (None, None, None);
        files.propensity = some("propensity");
        assert_says(&Shop::new(files, &[("log.csv", &log)]).error(), &[said]);
    }
}

#[test]
fn decimals_of_parquet_are_exact_and_other_types_are_passed_over() {
    let shop = Shop::new(events("log.csv"), &[("log.csv", CSV)]);
    let text = |texts: [&str; 3]| -> ArrayRef { Arc::new(StringArray::from_iter_values(texts)) };
    let decimals = |digits: [i128; 3], scale| -> ArrayRef {
        let decimals = Decimal128Array::from_iter_values(digits);
        Arc::new(decimals.with_precision_and_scale(20, scale).unwrap())
    };
    let opened: ArrayRef = Arc::new(Time64MicrosecondArray::from_iter_values([1, 2, 3]));
    let batch = RecordBatch::try_from_iter([
        ("item_id", text(["a", "b", "007"])),
        ("title", text(["x", "y", "z"])),
        ("brand", decimals([7, 8, 12_345_678_901_234_567], 0)),
        ("path", text(["x", "y", "z"])),
        ("price", decimals([199, 5, -1_250], 2)),
        ("opened", opened),
    ])
    .unwrap();
    let path = shop.folder.path().join("items.parquet");
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let mut settings = shop.settings.clone();
    settings.items.as_mut().unwrap().file = "items.parquet".into();
    let shop = Shop { settings, ..shop };
    let corpus = shop.import().unwrap().0;
    let prices: Vec<_> = corpus.items().unwrap().map(|row| row.unwrap().price).collect();
    assert_eq!(prices, [Some(1.99), Some(0.05), Some(-12.5)]);
    assert_eq!(corpus.catalogue().unwrap().text(2), "z 12345678901234567");
}
