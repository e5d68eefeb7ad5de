//! Folders that come from elsewhere: what is wrong with them is told by file and name, before any work.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use trieval::model::Tokenizer;
use trieval::model::config::Family;

use crate::pretrained::model_folder;
use crate::support::{Answer, json as read_json, run};

const RECIPE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/pretrained.toml");
/// No refusal takes longer, on any machine.
const LONGEST: Duration = Duration::from_secs(60);

/// Plans a run with a folder of a small decoder, changed in one way.
fn planned(change: impl FnOnce(&Path)) -> Answer {
    let root = tempfile::tempdir().unwrap();
    let model = model_folder(root.path(), Family::Qwen3, "qwen", true);
    change(&model);
    let out = root.path().join("run");
    let path = format!("model.decoder.path={}", model.display());
    let began = Instant::now();
    let answer = run(RECIPE, &out, &["--set", &path, "--dry-run"]);
    assert!(began.elapsed() < LONGEST, "{:?}", began.elapsed());
    assert!(!out.join("steps").exists());
    if answer.code == 0 {
        return answer;
    }
    // A run that is meant says the same, and leaves nothing.
    let meant = run(RECIPE, &out, &["--set", &path]).expect(answer.code);
    assert!(!out.join("steps").exists(), "work was done");
    meant
}

fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value = read_json(path);
    change(&mut value);
    std::fs::write(path, value.to_string()).unwrap();
}

fn with_template(template: Value) -> Answer {
    planned(|model| {
        edit(&model.join("tokenizer_config.json"), |config| config["chat_template"] = template);
    })
}

const PLAIN: &str =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}";

#[test]
fn chat_templates_of_any_origin_are_read_or_refused_by_the_file() {
    let file = "tokenizer_config.json: its chat template";
    let turns = "{% for a in range(9999) %}".repeat(3) + &"{% endfor %}".repeat(3);
    with_template((turns + PLAIN).into()).expect(2).says(&[file, "takes too long"]);
    let minus = format!("{{{{ {}1 }}}}{PLAIN}", "-".repeat(60_000));
    with_template(minus.into()).expect(2).says(&[file, "is nested too deeply"]);
    let value = "{% set ns = namespace(a=[]) %}{% for i in range(90000) %}{% set ns.a = [ns.a] %}{% endfor %}";
    with_template(format!("{value}{PLAIN}").into()).expect(2).says(&[file, "is nested too deeply"]);
    // Sixty lists that hold each other twice are short to write and long to compare.
    let twice = |name: &str| {
        format!("{{% set {name} = [1] %}}")
            + &format!("{{% set {name} = [{name}, {name}] %}}").repeat(60)
    };
    let compared = twice("a") + &twice("b") + "{{ a == b }}" + PLAIN;
    with_template(compared.into())
        .expect(2)
        .says(&[file, "takes too long: it does not come to an end"]);
    let named = |name: &str| json!([{"name": name, "template": PLAIN}, {"name": "tools", "template": "{{ tools }}"}]);
    with_template(named("default")).expect(0);
    with_template(named("rag"))
        .expect(2)
        .says(&["tokenizer_config.json: has several chat templates (`rag`, `tools`)"]);
    let marked =
        PLAIN.replace("{{ m.content }}", "{% generation %}{{ m.content }}{% endgeneration %}");
    with_template(marked.into()).expect(0);
    let beside =
        planned(|model| std::fs::write(model.join("chat_template.jinja"), "{{ 1").unwrap());
    beside.expect(2).says(&["chat_template.jinja: its chat template is not a template"]);
}

#[test]
fn a_vocabulary_with_a_hole_is_refused() {
    let moved = |by: u64| {
        planned(|model| {
            edit(&model.join("tokenizer.json"), |tokenizer| {
                let vocab = tokenizer["model"]["vocab"].as_object_mut().unwrap();
                let (_, id) = vocab.iter_mut().max_by_key(|(_, id)| id.as_u64()).unwrap();
                // Behind the added tokens, whose ids stay.
                *id = (id.as_u64().unwrap() + by).into();
            });
        })
    };
    moved(8).expect(2).says(&["tokenizer.json", "no entry has the id 337"]);
    moved(200).expect(2).says(&["tokenizer.json", "has the id 537", "embedding rows"]);
}

#[test]
fn tokens_of_another_identifier_are_refused() {
    let holding = |codes: usize| {
        planned(|model| {
            let mut tokenizer = Tokenizer::load(model).unwrap();
            let level = |letter: char| (0..codes).map(move |code| format!("<{letter}_{code}>"));
            let tokens: Vec<String> = level('a').chain(level('b')).collect();
            // Into the rows that are padding.
            tokenizer.extend(&tokens).unwrap();
            tokenizer.save(model, 64).unwrap();
        })
    };
    holding(2).expect(2).says(&[
        "model: its vocabulary has identifier tokens already (<a_0> to <a_1>, <b_0> to <b_1>)",
        "but the identifier needs <a_0> to <a_7>, <b_0> to <b_7>",
    ]);
}

#[test]
fn numbers_of_a_configuration_cost_nothing_before_they_are_refused() {
    let with = |key: &str, value: Value| {
        planned(|model| edit(&model.join("config.json"), |config| config[key] = value))
    };
    for value in
        [json!(1_000_000_000_000u64), json!(2_000_000_000), json!(-1), json!(1.5), json!(0)]
    {
        with("num_hidden_layers", value).expect(2).says(&["config.json", "num_hidden_layers is"]);
    }
    with("hidden_size", json!(1 << 19)).expect(2).says(&["of another shape"]);
    with("vocab_size", json!(1 << 26)).expect(2).says(&["of another shape"]);
    with("max_position_embeddings", json!(2_000_000_000)).expect(0);
    with("is_causal", json!(false))
        .expect(2)
        .says(&["config.json: is_causal is false, expected true"]);
}
