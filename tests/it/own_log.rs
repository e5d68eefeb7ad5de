//! A shop's own log: from files to a recipe that runs, the way back, and the shapes of public logs.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Answer, TINY, trieval};

/// Products with umlauts, quotes and commas, and events of `n` requests, one a quarter of an hour.
fn write_shop(folder: &Path, n: usize) {
    let kinds = ["Sofa", "Tisch", "Lampe", "Regal"];
    let colors = ["grün", "rot", "weiß"];
    let mut items = String::new();
    for item in 0..60 {
        let (kind, color) = (kinds[item % 4], colors[item % 3]);
        let row = json!({
            "sku": format!("{item:04}"),
            "name": format!("{kind} \"{color}\", Nr. {item}"),
            "brand": "Müller, Söhne",
            "category": format!("Möbel > {kind}"),
            "price": 10 + item,
        });
        let _ = writeln!(items, "{row}");
    }
    let mut events = String::new();
    for request in 0..n {
        let wanted = request * 7 % 60;
        for position in 0..4 {
            let item = (wanted + position * 12) % 60;
            let row = json!({
                "search_id": format!("s{request}"),
                "visitor": {"visitor_id": format!("v{}", request % 9)},
                "ts": 1_780_000_000 + 900 * request,
                "search_term": format!("{} {}", kinds[wanted % 4], colors[wanted % 3]),
                "product": {"sku": format!("{item:04}")},
                "rank": position + 1,
                "clicked": position == 0 || request % 5 == position,
                "purchased": u8::from(position == 0 && request % 4 == 0),
            });
            let _ = writeln!(events, "{row}");
        }
    }
    std::fs::write(folder.join("products.jsonl"), items).unwrap();
    std::fs::write(folder.join("events.jsonl"), events).unwrap();
}

/// Runs the program with file names below a folder: `@name` is `name` in it.
fn below(folder: &Path, args: &[&str]) -> Answer {
    let full = |arg: &&str| match arg.strip_prefix('@') {
        Some(name) => folder.join(name).display().to_string(),
        None => (*arg).to_owned(),
    };
    trieval(&args.iter().map(full).collect::<Vec<String>>())
}

/// Figures of a report without times and memory.
fn figures(report: &Value) -> Value {
    let systems = report["systems"].as_array().unwrap().iter();
    systems
        .filter(|system| system["kind"] != "oracle")
        .map(|system| json!([system["name"], system["metrics"]]))
        .collect()
}

#[test]
fn two_files_become_a_recipe_that_checks_imports_and_runs() {
    let folder = tempfile::tempdir().unwrap();
    write_shop(folder.path(), 300);
    let new =
        ["recipes", "new", "@shop.toml", "--items", "@products.jsonl", "--log", "@events.jsonl"];
    let told = below(folder.path(), &new).expect(0).out;
    let guesses = [
        "items.id         sku",
        "items.title      name",
        "log.item       product.sku",
        "log.query      search_term",
    ];
    for guess in guesses {
        assert!(told.contains(guess), "`{guess}` is not in:\n{told}");
    }
    below(folder.path(), &new).expect(2).says(&["shop.toml is there already"]);
    let profile = below(folder.path(), &["-q", "corpus", "@shop.toml", "--json"]).expect(0).json();
    assert_eq!(profile["summary"]["impressions"], 1_200);
    let requests = json!({"train": 240, "validation": 30, "test": 30});
    assert_eq!(profile["summary"]["requests"], requests);
    // Small trainings: what is proposed is for a shop of thousands.
    let mut run = vec!["-q", "run", "@shop.toml", "--out", "@run", "--json"];
    for change in [
        "vectors.text.epochs=1",
        "identifier.sid.codes=8",
        "model.decoder.layers=1",
        "model.decoder.hidden=16",
        "model.decoder.heads=2",
        "train.supervised.epochs=1",
        "train.aligned.objective.pairs.beam_requests=20",
    ] {
        run.extend(["--set", change]);
    }
    let report = below(folder.path(), &run).expect(0).json();
    assert_eq!(report["systems"].as_array().unwrap().len(), 5);
    // A log without carts: what the resolved recipe writes out is read again by all that open the run.
    below(folder.path(), &["search", "@run", "Sofa"]).expect(0);
    below(folder.path(), &["ids", "@run"]).expect(0);
    below(folder.path(), &["compare", "@run"]).expect(0);
    below(folder.path(), &["check", "@run/recipe.toml"]).expect(0);
}

#[test]
fn a_shop_exported_as_a_log_and_imported_again_gives_the_same_figures() {
    let folder = tempfile::tempdir().unwrap();
    let exported = folder.path().join("exported");
    below(folder.path(), &["-q", "corpus", TINY, "--export", "@exported"]).expect(0);
    let recipe = std::fs::read_to_string(TINY).unwrap();
    let table = std::fs::read_to_string(exported.join("corpus.toml")).unwrap();
    let table = table.replace("path = \".\"", &format!("path = {:?}", exported.to_str().unwrap()));
    let (start, end) = (recipe.find("[corpus]").unwrap(), recipe.find("[vectors").unwrap());
    let (before, after) = (&recipe[..start], &recipe[end..]);
    // The truth of the simulated shop is not in its log.
    let (after, evaluation) = after.split_at(after.find("[evaluation]").unwrap());
    let systems: Vec<&str> = after.split("[[system]]").collect();
    let kept: Vec<&str> = systems.into_iter().filter(|part| !part.contains("\"oracle\"")).collect();
    let again = format!("{before}{table}\n{}{evaluation}", kept.join("[[system]]"));
    std::fs::write(folder.path().join("again.toml"), again).unwrap();
    let run = |recipe: &str, out: &str| {
        below(folder.path(), &["-q", "run", "--json", recipe, "--out", out]).expect(0).json()
    };
    assert_eq!(figures(&run("@again.toml", "@b")), figures(&run(TINY, "@a")));
}

/// Rows as KuaiSearch and JDsearch have them, few of whose items are known.
#[test]
fn shipped_recipes_read_the_shapes_of_public_logs() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "items.jsonl",
        "{\"item_id\": 58, \"item_title\": \"舞蹈鞋\", \"brand_name\": \"x\", \"category_level1_name\": \"女装\", \"category_level2_name\": \"y\", \"category_level3_name\": \"z\"}\n",
    );
    write(
        "users.jsonl",
        "{\"user_id\": 1, \"gender\": \"F\", \"age_bucket\": \"31-40\", \"fre_province\": \"q\"}\n",
    );
    write(
        "recall.jsonl",
        "{\"user_id\": 1, \"session_id\": 1, \"impressed_item_ids\": [38, 58], \"clicked_item_ids\": [58], \"purchased_item_ids\": [], \"time_index\": 384565, \"query\": \"广场舞\"}\n{\"user_id\": 2, \"session_id\": 1, \"impressed_item_ids\": [3], \"clicked_item_ids\": [], \"purchased_item_ids\": [], \"time_index\": 384566, \"query\": \"q\"}\n",
    );
    write(
        "rank.jsonl",
        "{\"user_id\": 1, \"session_id\": 1, \"time_index\": 384565, \"search_entrance\": \"mall\", \"recently_clicked_item_ids\": [1, 58], \"query\": \"广场舞\", \"target_item_id\": 58, \"is_clicked\": 1, \"is_purchased\": 1}\n",
    );
    let path = format!("corpus.path={}", folder.path().display());
    let recipe = |name: &str| {
        let recipes = concat!(env!("CARGO_MANIFEST_DIR"), "/recipes");
        format!("{recipes}/{name}.toml")
    };
    let profile = |name: &str| -> Value {
        trieval(&["-q", "corpus", &recipe(name), "--json", "--set", &path]).expect(0).json()
    };
    let kuai = profile("kuaisearch");
    let summary = &kuai["summary"];
    let counts = ["items", "impressions", "clicks", "orders", "dropped_requests"]
        .map(|key| summary[key].as_u64().unwrap());
    assert_eq!(counts, [1, 1, 1, 1, 1]);
    assert_eq!(kuai["with_history"]["train"], 1);
    // A run of it ends in one refusal that says why.
    let out = folder.path().join("run").display().to_string();
    trieval(&["-q", "run", &recipe("kuaisearch"), "--set", &path, "--out", &out])
        .expect(2)
        .says(&["no test request with a judged item (1 training"]);

    write(
        "product_meta_data_sample.txt",
        "wid\tname\tbrand_id\tbrand_name\tcate_id_1\tcate_name_1\tcate_id_2\tcate_name_2\tcate_id_3\tcate_name_3\tcate_id_4\tcate_name_4\tshop_id\n7\t12\u{18}34\t1\t2\t3\t4\t5\t6\t7\t8\t9\t10\t11\n",
    );
    let row = "63\u{18}60\t36_17_7\t1.0_0.0_3.0\t-1_68\t7_9\tORD_CLICK\t0_2\n";
    write(
        "user_behavior_data_sample.txt",
        &format!(
            "query\tcandidate_wid_list\tcandidate_label_list\thistory_qry_list\thistory_wid_list\thistory_type_list\thistory_time_list\n{row}"
        ),
    );
    let jd = profile("jdsearch");
    let summary = &jd["summary"];
    let counts = ["items", "impressions", "clicks", "carts", "orders"]
        .map(|key| summary[key].as_u64().unwrap());
    assert_eq!(counts, [4, 3, 2, 1, 1]);
}
