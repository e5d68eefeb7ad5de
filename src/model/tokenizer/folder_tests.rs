//! Tokenizers of folders that are not as they should be, and those that are unusual and right.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{TOKENIZER, TOKENIZER_CONFIG, Tokenizer};

fn added(id: u32, content: &str) -> Value {
    json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true})
}

/// A tokenizer of words, with added tokens.
fn words(words: &[(&str, u32)], added: Value) -> Value {
    let vocab: serde_json::Map<String, Value> =
        words.iter().map(|(word, id)| ((*word).to_owned(), json!(id))).collect();
    json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": null, "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": null,
        "decoder": null, "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"}})
}

fn folder(tokenizer: &Value, config: &Value) -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join(TOKENIZER), tokenizer.to_string()).unwrap();
    std::fs::write(folder.path().join(TOKENIZER_CONFIG), config.to_string()).unwrap();
    folder
}

fn load(tokenizer: &Value) -> Tokenizer {
    Tokenizer::load(folder(tokenizer, &json!({})).path()).unwrap()
}

fn told(tokenizer: &Value, config: &Value) -> String {
    let error = Tokenizer::load(folder(tokenizer, config).path()).err().expect("a refusal");
    assert_eq!(error.exit_code(), 2);
    error.to_string()
}

const WORDS: [(&str, u32); 3] = [("<unk>", 0), ("red", 1), ("shoes", 2)];

#[test]
fn added_tokens_have_the_ids_of_the_file_in_any_order() {
    let tokenizer =
        load(&words(&WORDS, json!([added(4, "<b>"), added(5, "<c>"), added(3, "<a>")])));
    let ids = ["<a>", "<b>", "<c>"].map(|text| tokenizer.token_id(text));
    assert_eq!(ids, [Some(3), Some(4), Some(5)]);
    let saved = TempDir::new().unwrap();
    tokenizer.save(saved.path(), 8).unwrap();
    assert_eq!(Tokenizer::load(saved.path()).unwrap().token_id("<c>"), Some(5));
}

#[test]
fn added_tokens_that_cannot_have_their_ids_are_refused() {
    for (list, text, id, got) in [
        (json!([added(3, "<a>"), added(6, "<b>")]), "<b>", 6, 4),
        (json!([added(7, "<a>")]), "<a>", 7, 3),
        (json!([added(5, "red")]), "red", 5, 1),
        (json!([added(3, "<a>"), added(3, "<b>")]), "<b>", 3, 4),
    ] {
        let told = told(&words(&WORDS, list), &json!({}));
        let expected =
            format!("tokenizer.json: added_tokens: `{text}` has the id {id}, but would get {got}");
        assert!(told.contains(&expected), "{told}");
    }
}

#[test]
fn holes_and_rows_are_told_with_the_entry_behind_them() {
    let tokenizer = load(&words(&[("<unk>", 0), ("red", 1), ("shoes", 9)], json!([])));
    assert_eq!(tokenizer.len(), 10);
    let hole = tokenizer.check_holes().unwrap_err().to_string();
    assert!(hole.contains("tokenizer.json: no entry has the id 2, but \"shoes\" has 9"), "{hole}");
    let rows = tokenizer.check_rows(9).unwrap_err().to_string();
    assert!(
        rows.contains("\"shoes\" has the id 9") && rows.contains("only 9 embedding rows"),
        "{rows}"
    );
    tokenizer.check_rows(10).unwrap();
    // Nothing is added where ids would be given twice.
    assert!(tokenizer.clone().extend(&["<a_0>".into()]).is_err());
    load(&words(&WORDS, json!([added(3, "<a>")]))).check_holes().unwrap();
}

#[test]
fn a_text_that_says_a_special_token_is_text() {
    let special = json!([added(1, "<pad>"), added(2, "</s>"), added(0, "<unk>")]);
    let pieces = [
        ("<unk>", 0.0),
        ("<pad>", 0.0),
        ("</s>", 0.0),
        ("<", -5.0),
        ("p", -5.0),
        ("a", -5.0),
        ("d", -5.0),
        (">", -5.0),
        ("/", -5.0),
        ("s", -5.0),
        ("\u{2581}", -3.0),
    ];
    let mut unigram = words(&WORDS, special.clone());
    unigram["model"] =
        json!({"type": "Unigram", "unk_id": 0, "vocab": pieces, "byte_fallback": false});
    unigram["pre_tokenizer"] = json!({"type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "always", "split": true});
    let bpe = {
        let mut bpe = words(&WORDS, special.clone());
        let vocab = json!({"<unk>": 0, "<pad>": 1, "</s>": 2, "<": 3, "p": 4, "a": 5, "d": 6, ">": 7,
            "<p": 8, "ad": 9, "<pad": 10, "/": 11, "s": 12});
        bpe["model"] = json!({"type": "BPE", "vocab": vocab, "unk_token": "<unk>", "ignore_merges": true,
            "merges": [["<", "p"], ["a", "d"], ["<p", "ad"], ["<pad", ">"]]});
        bpe
    };
    let piece = {
        let mut piece = words(&WORDS, special.clone());
        let vocab = json!({"<unk>": 0, "<pad>": 1, "</s>": 2, "<": 3, "##p": 4, "##a": 5, "##d": 6, "##>": 7});
        piece["model"] = json!({"type": "WordPiece", "vocab": vocab, "unk_token": "<unk>",
            "continuing_subword_prefix": "##", "max_input_chars_per_word": 100});
        piece
    };
    let word = words(&[("<unk>", 0), ("<pad>", 1), ("</s>", 2), ("red", 3)], special);
    for (name, value) in
        [("Unigram", unigram), ("BPE", bpe), ("WordPiece", piece), ("WordLevel", word)]
    {
        let tokenizer = load(&value);
        assert_eq!(tokenizer.token_id("<pad>"), Some(1), "{name}");
        for text in ["<pad>", "a <pad> red", "</s>", "\u{fdd0}<pad>"] {
            let ids = tokenizer.encode(text).unwrap();
            assert!(
                !ids.is_empty() && ids.iter().all(|id| ![1, 2].contains(id)),
                "{name} {text}: {ids:?}"
            );
        }
        // It is saved as it was.
        let saved = TempDir::new().unwrap();
        tokenizer.save(saved.path(), 8).unwrap();
        let text = std::fs::read_to_string(saved.path().join(TOKENIZER)).unwrap();
        assert!(text.contains("<pad>") && !text.contains('\u{fdd0}'));
    }
    // A token with a role is special too, whatever list it is missing from.
    let value = words(&[("<unk>", 0), ("<pad>", 1), ("red", 2)], json!([]));
    let tokenizer = Tokenizer::load(folder(&value, &json!({"pad_token": "<pad>"})).path()).unwrap();
    assert_eq!(tokenizer.encode("<pad> red").unwrap(), [0, 2]);
    assert_eq!(tokenizer.role("pad_token"), Some("<pad>"));
    // A character that fills rows as well stays what texts are made of.
    let value = words(&[("<unk>", 0), ("!", 1)], json!([added(1, "!")]));
    assert_eq!(load(&value).encode("! !").unwrap(), [1, 1]);
}

#[test]
fn of_several_chat_templates_the_default_is_used() {
    let of = |template: Value| {
        let folder = folder(&words(&WORDS, json!([])), &json!({ "chat_template": template }));
        let tokenizer = Tokenizer::load(folder.path()).unwrap();
        tokenizer.chat_template().map(|found| found.map(|template| template.text.to_owned()))
    };
    let named = |name: &str| json!([{"name": "tool_use", "template": "t"}, {"name": name, "template": "d"}]);
    assert_eq!(of(json!("d")).unwrap().as_deref(), Some("d"));
    assert_eq!(of(named("default")).unwrap().as_deref(), Some("d"));
    assert_eq!(of(json!({"default": "d", "rag": "r"})).unwrap().as_deref(), Some("d"));
    assert_eq!(of(json!(null)).unwrap(), None);
    let several = of(named("rag")).unwrap_err().to_string();
    assert!(
        several.contains(
            "several chat templates (`rag`, `tool_use`), of which none is called `default`"
        ),
        "{several}"
    );
    for bad in [json!(3), json!([]), json!([1]), json!([{"name": "default", "template": 1}])] {
        let error = of(bad).unwrap_err();
        assert!(
            error.exit_code() == 2 && error.to_string().contains("tokenizer_config.json"),
            "{error}"
        );
    }
}

#[test]
fn a_file_beside_it_holds_the_chat_template() {
    let folder = folder(&words(&WORDS, json!([])), &json!({"chat_template": "old"}));
    std::fs::write(folder.path().join("chat_template.jinja"), "new").unwrap();
    let tokenizer = Tokenizer::load(folder.path()).unwrap();
    let template = tokenizer.chat_template().unwrap().unwrap();
    assert_eq!(
        (template.text, template.origin.file_name()),
        ("new", Some(Path::new("chat_template.jinja").as_os_str()))
    );
}

#[test]
fn descriptions_that_say_something_else_than_the_tokenizer_are_refused() {
    let mut bert = words(&WORDS, json!([]));
    bert["normalizer"] = json!({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
        "strip_accents": null, "lowercase": true});
    bert["pre_tokenizer"] = json!({"type": "BertPreTokenizer"});
    let class = |key: &str, value: Value| json!({"tokenizer_class": "BertTokenizer", key: value});
    let lower = told(&bert, &class("do_lower_case", json!(false)));
    assert!(
        lower.contains(
            "tokenizer_config.json: do_lower_case is false, but what tokenizer.json does is true"
        ),
        "{lower}"
    );
    assert!(
        told(&bert, &class("tokenize_chinese_chars", json!(false)))
            .contains("tokenize_chinese_chars")
    );
    assert!(Tokenizer::load(folder(&bert, &class("do_lower_case", json!(true))).path()).is_ok());
    let begins = told(&bert, &json!({"add_bos_token": true, "bos_token": "red"}));
    assert!(
        begins.contains("add_bos_token is true, but what tokenizer.json does is false"),
        "{begins}"
    );
    for (key, value) in [
        ("truncation_side", json!("left")),
        ("split_special_tokens", json!(true)),
        ("auto_map", json!({"AutoTokenizer": ["a.B", null]})),
        ("model_max_length", json!("long")),
    ] {
        assert!(told(&bert, &class(key, value)).contains(key), "{key}");
    }
    assert!(Tokenizer::load(folder(&bert, &class("padding_side", json!("left"))).path()).is_ok());
    let mut drawn = bert;
    drawn["model"]["dropout"] = json!(0.1);
    assert!(told(&drawn, &json!({})).contains("tokenizer.json: model.dropout is 0.1"));
}
