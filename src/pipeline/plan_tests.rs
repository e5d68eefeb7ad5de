//! Keys of the steps of a small recipe under changes: what enters them, and what does not.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::*;

/// Keys of a small recipe's steps under overrides, by name.
fn keys(overrides: &[&str]) -> BTreeMap<String, String> {
    keys_of(include_str!("../../tests/it/tiny.toml"), overrides)
}

fn keys_of(text: &str, overrides: &[&str]) -> BTreeMap<String, String> {
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    let loaded = Recipe::parse(text, "tiny.toml", &overrides).unwrap();
    Plan::new(&loaded.recipe).unwrap().names
}

fn changed(by: &str) -> Vec<String> {
    let (before, after) = (keys(&[]), keys(&[by]));
    before.into_iter().filter(|(name, key)| after[name] != *key).map(|(name, _)| name).collect()
}

#[test]
fn names_enter_no_key() {
    let text = include_str!("../../tests/it/tiny.toml");
    let names = ["supervised", "aligned", "text", "sid", "decoder", "bm25", "popularity"];
    let mut renamed = text.to_owned();
    for name in names {
        renamed = renamed
            .replace(&format!("\"{name}\""), &format!("\"{name}-2\""))
            .replace(&format!(".{name}]"), &format!(".{name}-2]"))
            // Kinds stay what they are.
            .replace(&format!("kind = \"{name}-2\""), &format!("kind = \"{name}\""));
    }
    let (before, after) = (keys_of(text, &[]), keys_of(&renamed, &[]));
    assert_eq!(before.len(), after.len());
    let mut n_renamed = 0;
    for (name, key) in &before {
        let other = after.iter().find(|(_, other)| *other == key).map(|(other, _)| other);
        // The judge holds the names of what it judges.
        assert_eq!(other.is_some(), name != "evaluation", "{name}");
        n_renamed += usize::from(other.is_some_and(|other| other != name));
    }
    assert!(n_renamed >= 10, "{n_renamed}");
}

#[test]
fn identifiers_enter_keys_by_their_place() {
    let tiny = include_str!("../../tests/it/tiny.toml");
    let list = tiny.replacen("identifier = \"sid\"", "identifiers = [\"sid\"]", 1);
    assert_eq!(keys_of(&list, &[]), keys(&[]), "a list of one is that one");

    let two = include_str!("../../tests/it/identifiers.toml");
    let recipe = |text: &str| Recipe::parse(text, "two.toml", &[]).unwrap().recipe;
    let plan = Plan::new(&recipe(two)).unwrap();
    let reads = |step: &str| -> Vec<String> {
        let inputs = plan.step(step).unwrap().inputs.keys().cloned();
        inputs
            .filter(|role| role.starts_with("identifier") || role.starts_with("prompts"))
            .collect()
    };
    assert_eq!(reads("model.decoder"), ["identifier", "identifiers.1"]);
    assert_eq!(reads("prompts.decoder"), ["identifier"]);
    assert_eq!(reads("prompts.decoder.dealt"), ["identifiers.1"]);
    let supervised = ["identifier", "identifiers.1", "prompts", "prompts.1"];
    assert_eq!(reads("train.supervised"), supervised);
    assert_eq!(reads("train.aligned"), ["identifier", "prompts"]);
    assert_eq!(reads("system.in-sid"), ["identifier"]);
    assert_eq!(reads("system.in-dealt"), ["identifiers.1"]);

    let renamed = two.replace("\"dealt\"", "\"chance\"").replace(".dealt]", ".chance]");
    let before: BTreeSet<String> = plan.names.values().cloned().collect();
    let after: BTreeSet<String> = keys_of(&renamed, &[]).into_values().collect();
    assert_eq!(before, after);
    let swapped = keys_of(&two.replacen("[\"sid\", \"dealt\"]", "[\"dealt\", \"sid\"]", 1), &[]);
    for step in ["model.decoder", "train.supervised", "system.in-sid", "system.in-dealt"] {
        assert_ne!(swapped[step], plan.names[step], "{step}");
    }
    // Equal identifiers are one step, and still two languages.
    let start = two.find("[identifier.sid]").unwrap();
    let end = two.find("[identifier.dealt]").unwrap();
    let sid = "[identifier.sid]\nkind = \"random\"\nlevels = 2\ncodes = 16\n";
    let spare = "[[system]]\nname = \"near\"\nkind = \"two-tower\"\nvectors = \"text\"\n";
    let equal = keys_of(&format!("{}{sid}{}{spare}", &two[..start], &two[end..]), &[]);
    assert_eq!(equal["identifier.sid"], equal["identifier.dealt"]);
    assert_ne!(equal["prompts.decoder"], equal["prompts.decoder.dealt"]);
    assert_ne!(equal["system.in-sid"], equal["system.in-dealt"]);
}

#[test]
fn equal_parts_share_a_step_and_seeds_tell_them_apart() {
    let text = include_str!("../../tests/it/tiny.toml");
    let two = |seed: &str| {
        let twin = format!(
            "[vectors.twin]\nkind = \"two-tower\"\ndim = 16\nvocabulary = 400\nepochs = 3\nbatch = 64\n\
             uniform_negatives = 32\ncheckpoint_steps = 9\n{seed}\n[[system]]\nname = \"twin\"\n\
             kind = \"two-tower\"\nvectors = \"twin\"\n"
        );
        let keys = keys_of(&format!("{text}{twin}"), &[]);
        ["vectors", "system"].map(|what| {
            let own = if what == "vectors" { "text" } else { "two-tower" };
            keys[&format!("{what}.twin")] == keys[&format!("{what}.{own}")]
        })
    };
    assert_eq!(two(""), [true, true]);
    assert_eq!(two("seed = 5"), [true, true], "the recipe's own seed, written out");
    assert_eq!(two("seed = 6"), [false, false]);
    assert!(changed("train.aligned.seed=9").contains(&"train.aligned.pairs".to_owned()));
    assert!(!changed("train.aligned.seed=9").contains(&"train.supervised".to_owned()));
}

#[test]
fn a_dry_run_leaves_large_files_alone_and_says_what_it_does_not_know() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vectors.npy");
    let large = std::fs::File::create(&path).unwrap();
    large.set_len(DRY_BYTES + 1).unwrap();
    let text = include_str!("../../tests/it/tiny.toml");
    let own = format!("[vectors.own]\nkind = \"file\"\npath = \"{}\"\n", path.display());
    let text = text.replacen("vectors = \"text\"", "vectors = \"own\"", 1) + &own;
    let recipe = Recipe::parse(&text, "tiny.toml", &[]).unwrap().recipe;
    let unread = |plan: &Plan| {
        let is_unread = |step: &&Step| plan.status(step, folder.path()).unwrap() == Status::Unread;
        plan.steps.iter().filter(is_unread).map(|step| step.name.clone()).collect::<BTreeSet<_>>()
    };
    let dry = Plan::dry(&recipe, &[]).unwrap();
    let found = unread(&dry);
    assert!(
        ["vectors.own", "identifier.sid", "evaluation"].iter().all(|step| found.contains(*step))
    );
    assert!(["corpus", "system.bm25"].iter().all(|step| !found.contains(*step)), "{found:?}");
    let plan = Plan::new(&recipe).unwrap();
    assert!(unread(&plan).is_empty());
    let key = |plan: &Plan, step: &str| plan.names[step].clone();
    assert_eq!(key(&dry, "system.bm25"), key(&plan, "system.bm25"));
    large.set_len(DRY_BYTES).unwrap();
    let (dry, plan) = (Plan::dry(&recipe, &[]).unwrap(), Plan::new(&recipe).unwrap());
    assert!(unread(&dry).is_empty());
    assert_eq!(dry.names, plan.names);
}

#[test]
fn prompts_depend_on_corpus_and_model_and_on_no_training() {
    let prompts = "prompts.decoder".to_owned();
    for by in ["model.decoder.prompt_tokens=20", "corpus.requests=801", "seed=6"] {
        let changed = changed(by);
        assert!(changed.contains(&prompts), "{by}");
        assert!(changed.contains(&"train.aligned.pairs".to_owned()), "{by}");
    }
    let changed = changed("train.supervised.optimizer.learning_rate=0.5");
    assert!(changed.contains(&"train.supervised".to_owned()) && !changed.contains(&prompts));
}

#[test]
fn an_index_is_built_anew_for_what_it_is_built_of() {
    let index = |more: &str| format!("system.two-tower.index={{ kind = \"hnsw\"{more} }}");
    let plain = keys(&[&index("")]);
    assert!(!keys(&[]).contains_key("system.two-tower.index"));
    assert_ne!(keys(&[])["system.two-tower"], plain["system.two-tower"]);
    let changes = |more: &str, other: &[&str]| {
        let index = index(more);
        let after = keys(&[&[index.as_str()], other].concat());
        ["vectors.text", "system.two-tower.index", "system.two-tower"]
            .map(|step| after[step] != plain[step])
    };
    assert_eq!(changes(", connectivity = 8", &[]), [false, true, true]);
    assert_eq!(changes(", expansion_add = 99", &[]), [false, true, true]);
    assert_eq!(changes(", expansion_search = 99", &[]), [false, false, true]);
    assert_eq!(changes("", &["evaluation.depth=19"]), [false, false, true]);
    assert_eq!(changes("", &["vectors.text.dim=20"]), [true, true, true]);
    assert_eq!(changes("", &["seed=6"]), [true, true, true]);
}

#[test]
fn trackers_enter_no_key() {
    assert!(changed("train.supervised.log.tensorboard=true").is_empty());
    assert!(changed("train.aligned.log.mlflow=\"http://host:5000\"").is_empty());
}

#[test]
fn a_share_of_0_is_the_one_that_is_left_out() {
    for share in ["dropout", "average", "objective.label_smoothing"] {
        let set = |value: &str| changed(&format!("train.supervised.{share}={value}"));
        assert!(set("0").is_empty() && set("0.0").is_empty(), "{share}");
        assert!(set("0.1").contains(&"train.supervised".to_owned()), "{share}");
    }
}

/// A recipe with most kinds of components, none of which reads a file.
const MANY: &str = r#"
name = "many"
[corpus]
kind = "simulator"
history = 5
requested_items = 900
[vectors.drawn]
kind = "simulated"
[vectors.text]
kind = "two-tower"
[vectors.levels]
kind = "mmse"
[vectors.feedback]
kind = "collaborative"
ppmi = { window = 3, shift = 2.0 }
[vectors.both]
kind = "joined"
parts = ["text", "feedback"]
[identifier.sid]
kind = "residual-k-means"
vectors = "both"
first = { category = 0 }
collisions = "sinkhorn"
remove = { kind = "top-share", share = 0.2 }
length = "sum"
spare = 8
[identifier.in-parts]
kind = "product-quantization"
vectors = "drawn"
fit = "trained"
[identifier.learned]
kind = "rq-vae"
vectors = "text"
co_choice = { window = 3 }
[identifier.control]
kind = "random"
[model.decoder]
kind = "scratch"
identifier = "sid"
[model.dense]
kind = "scratch"
identifiers = []
[vectors.own]
kind = "contrastive"
train = "dense"
[identifier.own]
kind = "residual-k-means"
vectors = "own"
[model.generative]
kind = "scratch"
init = "dense"
identifier = "own"
[model.controlled]
kind = "scratch"
identifiers = ["sid", "control", "in-parts", "learned"]
[[train]]
name = "supervised"
model = "decoder"
[train.objective]
kind = "supervised"
[train.validation]
metric = "recall@10"
[[train]]
name = "aligned"
init = "supervised"
lora = { rank = 4 }
[train.objective]
kind = "preference"
pairs = { propensity = { by = "log" }, levels = { ordered = 2.0 }, similar_weight = 0.5 }
[[train]]
name = "dense"
model = "dense"
objective = { kind = "contrastive" }
[[train]]
name = "distilled"
model = "generative"
objective = { kind = "distillation", vectors = "own" }
[[train]]
name = "control"
model = "controlled"
[train.objective]
kind = "supervised"
teacher = { system = "taught-by", folds = 2 }
[[system]]
name = "popularity"
kind = "popularity"
[[system]]
name = "bm25"
kind = "bm25"
fields = [{ field = "title" }]
tune = { metric = "ndcg@10", k1 = [1.0], b = [0.5] }
[[system]]
name = "sasrec"
kind = "sasrec"
[[system]]
name = "item-cf"
kind = "item-cf"
[[system]]
name = "item-knn"
kind = "item-knn"
[[system]]
name = "two-tower"
kind = "two-tower"
vectors = "text"
index = { kind = "hnsw" }
[[system]]
name = "mmse"
kind = "two-tower"
vectors = "levels"
[[system]]
name = "aligned"
kind = "generative"
train = "aligned"
[[system]]
name = "distilled"
kind = "generative"
train = "distilled"
decode = { normalizer = "slice" }
[[system]]
name = "control"
kind = "generative"
train = "control"
identifier = "control"
ranking = { vectors = "text" }
[[system]]
name = "sum"
kind = "fusion"
runs = ["bm25", "aligned"]
tune = "ndcg@10"
[[system]]
name = "staged"
kind = "cascade"
retrieve = "popularity"
rank = "two-tower"
rerank = { kind = "mmr", vectors = "text" }
act = { kind = "softmax" }
[[system]]
name = "rate"
kind = "click-rate"
[[system]]
name = "features"
kind = "logistic"
features = [
  { column = "item.title", as = "words" },
  { column = "request.query", as = "words", buckets = 64 },
  { column = "item.price", as = "log" },
]
crosses = [{ of = ["item.title", "request.query"] }]
overlaps = [["item.title", "request.query"]]
scores = ["bm25"]
[[system]]
name = "oracle"
kind = "oracle"
[[train]]
name = "titles"
kind = "two-tower"
pseudo_requests = 1.0
[[train]]
name = "tower"
kind = "two-tower"
init = "titles"
[[train]]
name = "stages"
kind = "mmse"
validation = {}
[[train]]
name = "further"
kind = "mmse"
init = "stages"
[vectors.lent]
kind = "two-tower"
train = "tower"
[vectors.lent-stages]
kind = "mmse"
train = "further"
[[system]]
name = "lent"
kind = "two-tower"
vectors = "lent"
[[system]]
name = "taught-by"
kind = "two-tower"
vectors = "levels"
[[system]]
name = "lent-stages"
kind = "two-tower"
vectors = "lent-stages"
"#;

/// One key of a recipe: where it stands, and whether it is marked to stay out of keys.
struct Leaf {
    path: Vec<String>,
    is_marked: bool,
    others: Vec<Value>,
}

/// All keys of a value that its schema knows, with other values that each may take.
fn leaves(value: &Value, schema: &Value, root: &Value, path: &[String], found: &mut Vec<Leaf>) {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(target.strip_prefix('#').unwrap()).unwrap();
        leaves(value, target, root, path, found);
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        for option in schema.get(key).and_then(Value::as_array).into_iter().flatten() {
            let properties = option.get("properties").and_then(Value::as_object);
            let fits = properties.into_iter().flatten().all(|(name, one)| {
                one.get("const").is_none_or(|word| value.get(name) == Some(word))
            });
            if fits {
                leaves(value, option, root, path, found);
            }
        }
    }
    for (name, property) in
        schema.get("properties").and_then(Value::as_object).into_iter().flatten()
    {
        if property.get("const").is_some() {
            continue;
        }
        let path = [path, std::slice::from_ref(name)].concat();
        let is_marked = property.get("x-key") == Some(&Value::Bool(false));
        let inner = value.get(name).unwrap_or(&Value::Null);
        let before = found.len();
        if !is_marked {
            leaves(inner, property, root, &path, found);
        }
        if found.len() == before {
            found.push(Leaf { path, is_marked, others: others(inner, property, root) });
        }
    }
    if let (Some(items), Some(elements)) = (schema.get("items"), value.as_array()) {
        for (place, element) in elements.iter().enumerate().filter(|(_, one)| one.is_object()) {
            leaves(element, items, root, &[path, &[place.to_string()]].concat(), found);
        }
    }
    let named = schema.get("additionalProperties").filter(|one| one.is_object());
    if let (Some(element), Some(entries)) = (named, value.as_object()) {
        for (name, inner) in entries {
            leaves(inner, element, root, &[path, std::slice::from_ref(name)].concat(), found);
        }
    }
}

/// Values of a key's type that differ from the one it has.
fn others(value: &Value, schema: &Value, root: &Value) -> Vec<Value> {
    let mut words = Vec::new();
    words_of(schema, root, &mut words);
    let mut others: Vec<Value> = words;
    others.extend([json!(3), json!(4), json!(0.25), json!(0.5), json!(true), json!(false)]);
    others.extend([json!([1, 2]), json!([0.25, 0.5]), json!(["title"]), json!("other")]);
    others.push(json!({"by": "grades", "ordered": 2.0, "clicked": 1.0}));
    others.extend([json!({"tensorboard": true}), json!({"ordered": 3.0})]);
    others.push(json!([["request.query", "item.title"]]));
    variants_of(schema, root, &mut others);
    let mut elements = Vec::new();
    words_of(schema.get("items").unwrap_or(&Value::Null), root, &mut elements);
    others.extend(elements.into_iter().map(|word| json!([word])));
    // 3 and 3.0 are one number.
    let is_same = |other: &Value| other.is_number() && other.as_f64() == value.as_f64();
    others.retain(|other| other != value && !is_same(other));
    others
}

/// Variants of a tagged table that say nothing but what they are.
fn variants_of(schema: &Value, root: &Value, found: &mut Vec<Value>) {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        variants_of(root.pointer(target.strip_prefix('#').unwrap()).unwrap(), root, found);
    }
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let tags = properties.filter_map(|(name, one)| Some((name.clone(), one.get("const")?.clone())));
    let tags: serde_json::Map<String, Value> = tags.collect();
    if !tags.is_empty() {
        found.push(Value::Object(tags));
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        for option in schema.get(key).and_then(Value::as_array).into_iter().flatten() {
            variants_of(option, root, found);
        }
    }
}

fn words_of(schema: &Value, root: &Value, words: &mut Vec<Value>) {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        words_of(root.pointer(target.strip_prefix('#').unwrap()).unwrap(), root, words);
    }
    words.extend(schema.get("enum").and_then(Value::as_array).into_iter().flatten().cloned());
    words.extend(schema.get("const").cloned());
    for key in ["anyOf", "oneOf", "allOf"] {
        for option in schema.get(key).and_then(Value::as_array).into_iter().flatten() {
            words_of(option, root, words);
        }
    }
}

fn set(value: &mut Value, path: &[String], other: Value) {
    let mut at = value;
    for key in path {
        at = match at {
            Value::Array(elements) => &mut elements[key.parse::<usize>().unwrap()],
            at => &mut at[key.as_str()],
        };
    }
    *at = other;
}

/// Steps by name, with what they read themselves and which steps they read.
fn steps(recipe: &Recipe) -> BTreeMap<String, (String, Value, BTreeMap<String, String>)> {
    let plan = Plan::new(recipe).unwrap();
    let one = |(name, key): (&String, &String)| {
        let step = plan.with_key(key).unwrap();
        (name.clone(), (key.clone(), json!([step.settings, step.seed]), step.inputs.clone()))
    };
    plan.names.iter().map(one).collect()
}

/// Whether a step is one that may read the keys at a path.
fn may_read(path: &[String], step: &str, recipe: &Value) -> bool {
    let named = |list: &str| {
        let place: usize = path[1].parse().unwrap();
        recipe[list][place]["name"].as_str().unwrap().to_owned()
    };
    // What is made without some training requests, to answer them, is made like what is made of all.
    let of_teacher = step.contains(".fold-") || step.contains(".answers-");
    let step = step.split(".fold-").next().unwrap_or(step);
    let step = step.split(".answers-").next().unwrap_or(step);
    match path[0].as_str() {
        // How many answers, by how many folds, is the student's to say.
        "train" if of_teacher && path.iter().any(|key| key == "teacher") => true,
        "corpus" => step == "corpus",
        "vectors" | "identifier" | "model" => step == format!("{}.{}", path[0], path[1]),
        "train" => {
            let own = format!("train.{}", named("train"));
            step == own || step.starts_with(&format!("{own}."))
        }
        "system" => {
            let own = format!("system.{}", named("system"));
            // Those that ask it, read its settings too: its cost is theirs.
            step == own
                || step.starts_with(&format!("{own}."))
                || ["system.sum", "system.staged"].contains(&step)
                || step.starts_with("system.features")
                // The ceiling is searched for as systems search.
                || (step.ends_with(".ceiling") && path.iter().any(|key| key == "beam"))
        }
        // What counts as relevant decides what a validated part keeps and what a tuned one chooses.
        "evaluation" => {
            step == "evaluation"
                || ["system.", "train."].iter().any(|family| step.starts_with(family))
                || step.ends_with(".ceiling")
        }
        "report" => step == "evaluation",
        "seed" => true,
        _ => false,
    }
}

#[test]
fn any_key_of_the_schema_redoes_exactly_the_steps_that_read_it() {
    let loaded = Recipe::parse(MANY, "many.toml", &[]).unwrap();
    let recipe = serde_json::to_value(&loaded.recipe).unwrap();
    let before = steps(&loaded.recipe);
    let schema = schemars::schema_for!(Recipe).to_value();
    let mut all = Vec::new();
    leaves(&recipe, &schema, &schema, &[], &mut all);
    assert!(all.len() > 250, "only {} keys found", all.len());
    // Names, references and lists of references are what recipes are wired by: what they lead to enters keys.
    let wires = [
        "name",
        "vectors",
        "identifier",
        "identifiers",
        "model",
        "init",
        "train",
        "retrieve",
        "rank",
        "runs",
        "parts",
        "scores",
        "system",
    ];
    let (mut n_changed, mut n_refused, mut unreached) = (0, 0, Vec::new());
    for Leaf { path, is_marked, others } in all {
        let last = path[path.len() - 1].as_str();
        if is_marked && wires.contains(&last) {
            continue;
        }
        // What a part has from a training is not its own; the check of recipes refuses it there.
        let part = &recipe[&path[0]][path.get(1).map_or("", String::as_str)];
        let is_lent = path[0] == "vectors" && !part["train"].is_null();
        let place = path.get(1).and_then(|place| place.parse::<usize>().ok()).unwrap_or_default();
        let is_inherited = path[0] == "train"
            && loaded.recipe.train[place].it().inherited().contains(&path[2].as_str());
        if is_lent || is_inherited {
            continue;
        }
        let read = others.into_iter().find_map(|other| {
            let mut changed = recipe.clone();
            set(&mut changed, &path, other);
            let changed = serde_json::from_value::<Recipe>(changed).ok();
            changed.filter(|changed| *changed != loaded.recipe)
        });
        let at = path.join(".");
        let Some(changed) = read else {
            // A table that is not given, and must say more than this one key.
            let above = path[..path.len() - 1].iter().fold(&recipe, |at, key| match at {
                Value::Array(elements) => &elements[key.parse::<usize>().unwrap()],
                at => &at[key.as_str()],
            });
            if !above.is_null() {
                unreached.push(at);
            }
            continue;
        };
        let after = steps(&changed);
        let redone = |name: &&String| after.get(*name).is_none_or(|one| one.0 != before[*name].0);
        let redone: BTreeSet<&String> = before.keys().filter(redone).collect();
        let own: BTreeSet<&String> = redone
            .iter()
            .copied()
            .filter(|name| after.get(*name).is_none_or(|one| one.1 != before[*name].1))
            .collect();
        if is_marked && last != "seed" {
            assert!(redone.is_empty(), "{at} is marked to stay out of keys, but {redone:?} change");
            continue;
        }
        let silent = ["name", "description"].contains(&at.as_str())
            || (path[0] == "evaluation" && last == "baseline" && redone.is_empty());
        if redone.is_empty() && !silent {
            // Nothing reads it beside the other keys: then it is refused there.
            let text = changed.to_toml().unwrap();
            let read = Recipe::parse(&text, "changed.toml", &[]);
            assert!(read.is_err(), "{at} changes nothing and is not refused");
            n_refused += 1;
            continue;
        }
        assert!(redone.is_empty() == silent, "{at}: {redone:?}");
        for name in &own {
            // A part that has the table of a training has its step.
            let same = before.iter().filter(|(_, step)| step.0 == before[*name].0);
            let may = same.into_iter().any(|(name, _)| may_read(&path, name, &recipe));
            assert!(may, "{at} changes {name}");
        }
        // All that follows from what reads the key, and nothing else.
        let mut follows: BTreeSet<&String> = own.clone();
        loop {
            let keys: BTreeSet<&String> = follows.iter().map(|name| &before[*name].0).collect();
            let reads = |name: &&String| before[*name].2.values().any(|key| keys.contains(key));
            let more: BTreeSet<&String> = before.keys().filter(reads).collect();
            if more.is_subset(&follows) {
                break;
            }
            follows.extend(more);
        }
        assert_eq!(redone, follows, "{at}");
        n_changed += 1;
    }
    assert!(n_changed > 200, "only {n_changed} keys were changed");
    assert!(unreached.is_empty(), "no other value could be found of {unreached:?}");
    assert!(n_refused < 12, "{n_refused} keys could not be changed alone");
}

#[test]
fn plans_of_several_seeds_are_one_plan_with_equal_steps_once() {
    let text = include_str!("../../tests/it/seeds.toml");
    let recipe = Recipe::parse(text, "seeds.toml", &[]).unwrap().recipe;
    let seeds = [17, 18, 19];
    let joint = Plan::under(&recipe, &seeds).unwrap();
    assert_eq!(joint.seeds(), seeds);
    let mut keys = BTreeSet::new();
    for (seed, replicate) in seeds.into_iter().zip(&joint.replicates) {
        let alone = Plan::new(&Recipe { seed, ..recipe.clone() }).unwrap();
        assert_eq!(replicate.names, alone.names);
        keys.extend(alone.names.into_values());
        for step in alone.steps {
            let same = joint.with_key(&step.key).unwrap();
            assert_eq!((&same.name, &same.inputs), (&step.name, &step.inputs));
        }
    }
    assert_eq!(joint.steps.len(), keys.len() + 1, "one step judges all");
    for (at, step) in joint.steps.iter().enumerate() {
        let before = |key: &String| joint.steps[..at].iter().any(|one| one.key == *key);
        assert!(step.inputs.values().all(before), "{} comes before its inputs", step.name);
    }
    // Every system under every seed, and the tables.
    let last = joint.step("replicates").unwrap();
    assert_eq!(last.inputs.len(), 3 * recipe.system.len() + 1);
    let (text, bm25) = (joint.all("vectors.text"), joint.all("system.bm25"));
    assert_eq!((text.len(), bm25.len()), (3, 1));
    assert_eq!(joint.label(text[1]), "vectors.text [seed 18]");
    assert_eq!(joint.label(bm25[0]), "system.bm25");
    let single = Plan::under(&recipe, &[]).unwrap();
    assert_eq!(single.names, Plan::new(&recipe).unwrap().names);
    assert_eq!(single.all("vectors.text").len(), 1);
    assert_eq!(single.label(single.step("vectors.text").unwrap()), "vectors.text");
}

#[test]
fn a_sample_of_requests_keeps_the_seed_of_the_evaluation() {
    let sampled = |more: &[&str]| keys(&[&["evaluation.requests=20"], more].concat());
    let (first, second) = (sampled(&["seed=1"]), sampled(&["seed=2"]));
    assert_ne!(first["system.bm25"], second["system.bm25"]);
    let kept =
        |seed: &str| sampled(&[seed, "corpus.seed=3", "evaluation.seed=4"])["system.bm25"].clone();
    assert_eq!(kept("seed=1"), kept("seed=2"));
    let other = sampled(&["seed=1", "corpus.seed=3", "evaluation.seed=5"]);
    assert_ne!(other["system.bm25"], kept("seed=1"));
}
