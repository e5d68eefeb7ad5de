//! Tokenizers of our own, and of pretrained models as `transformers` applies them.

#![allow(clippy::unwrap_used)]

use super::*;

fn texts() -> Vec<String> {
    let words = ["Red", "blue", "cotton", "shirt", "SHOES", "für", "Kinder", "手机", "case", "42"];
    (0..400)
        .map(|i| format!("{} {} {}", words[i % 10], words[i * 7 % 10], words[(i * i + 3) % 10]))
        .collect()
}

pub(crate) fn trained() -> Tokenizer {
    Tokenizer::train_bpe(texts().iter(), 330, &Context::silent()).unwrap()
}

#[test]
fn training_repeats_in_any_order_and_on_any_number_of_threads() {
    let first = trained().full.to_string(false).unwrap();
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let again = pool.install(trained).full.to_string(false).unwrap();
        assert!(first == again, "{threads} threads");
    }
    let mut reversed = texts();
    reversed.reverse();
    let other = Tokenizer::train_bpe(reversed.iter(), 330, &Context::silent()).unwrap();
    assert!(first == other.full.to_string(false).unwrap());
}

#[test]
fn text_survives_a_round_trip_lower_cased() {
    let tokenizer = trained();
    for text in ["red cotton shirt", "手机 case für", "zürich 🚲 never seen"] {
        let ids = tokenizer.encode(text).unwrap();
        assert_eq!(tokenizer.decode(&ids).unwrap(), text);
    }
    assert_eq!(tokenizer.encode("RED Shirt").unwrap(), tokenizer.encode("red shirt").unwrap());
    assert!(tokenizer.encode("").unwrap().is_empty());
}

#[test]
fn user_text_never_produces_added_tokens() {
    let mut tokenizer = trained();
    let base = tokenizer.base.get_vocab_size(true) as u32;
    let names: Vec<String> = (0..300).map(|i| format!("<a_{i}>")).collect();
    let ids = tokenizer.extend(&names).unwrap();
    assert_eq!(ids, base + 5..base + 305);
    assert_eq!(tokenizer.token_id("<a_12>"), Some(base + 5 + 12));
    assert_eq!(tokenizer.extend_special(&[]).unwrap(), base + 305..base + 305);
    assert_eq!(tokenizer.extend_special(&["<|as:1|>".into()]).unwrap(), base + 305..base + 306);
    let folder = tempfile::tempdir().unwrap();
    tokenizer.save(folder.path(), 128).unwrap();
    let loaded = Tokenizer::load(folder.path()).unwrap();
    for tokenizer in [&tokenizer, &loaded] {
        for text in ["<a_3>", "x <|answer|><a_12> <|pad|>", " <|END|> <|end|>", "<|as:1|>"] {
            let ids = tokenizer.encode(text).unwrap();
            assert!(ids.iter().all(|id| *id < base), "{text}");
            assert_eq!(tokenizer.decode(&ids).unwrap(), text.trim_start().to_lowercase());
        }
    }
    // The saved tokenizer itself does know them.
    let full = loaded.full.encode("<a_3>", false).unwrap();
    assert_eq!(full.get_ids(), [base + 8]);
}

#[test]
fn repeated_and_known_identifier_tokens_are_refused() {
    let mut tokenizer = trained();
    let before = tokenizer.len();
    for tokens in [vec!["<x>", "<x>"], vec!["<|pad|>"], vec![""]] {
        let tokens: Vec<String> = tokens.into_iter().map(String::from).collect();
        assert!(tokenizer.extend(&tokens).is_err());
    }
    assert_eq!(tokenizer.len(), before);
}

#[test]
fn broken_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let message = || Tokenizer::load(folder.path()).err().unwrap().to_string();
    assert!(message().contains("has no tokenizer: neither tokenizer.json nor"));
    std::fs::write(folder.path().join(TOKENIZER), "{").unwrap();
    assert!(message().contains("not a tokenizer"));
    assert!(Tokenizer::train_bpe(texts().iter(), 200, &Context::silent()).is_err());
}

fn golden_folder(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tokenizers").join(name)
}

#[test]
fn token_ids_equal_those_of_transformers() {
    use crate::model::template::Template;
    let text = std::fs::read_to_string(golden_folder("ids.json")).unwrap();
    let golden: Map<String, Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(golden.len(), 3);
    for (family, cases) in golden {
        let tokenizer = Tokenizer::load(&golden_folder(&family)).unwrap();
        let role = |name| tokenizer.role(name).unwrap_or_default();
        for case in cases.as_array().unwrap() {
            let (system, query) = (case["system"].as_str(), case["query"].as_str());
            for kind in ["chat", "plain"] {
                let chat = (kind == "chat").then(|| tokenizer.chat_template().unwrap().unwrap());
                let ask = "Search query: {{ query }}\nNext item:";
                let (bos, eos) = (role("bos_token"), role("eos_token"));
                let template = Template::new(ask, chat, system, bos, eos).unwrap();
                let pieces = template.render(query, 0).unwrap();
                let mut ids =
                    if kind == "chat" { Vec::new() } else { tokenizer.text_prefix().unwrap() };
                ids.extend(tokenizer.encode_pieces(&pieces, |_| &[]).unwrap());
                let expected: Vec<u32> = serde_json::from_value(case[kind].clone()).unwrap();
                assert_eq!(ids, expected, "{family} {kind} {query:?} {system:?}");
            }
        }
    }
}

#[test]
fn words_of_users_are_never_special_and_items_are_spelt() {
    let mut tokenizer = Tokenizer::load(&golden_folder("qwen")).unwrap();
    let tokens = ["<a_0>".to_owned(), "<a_1>".into()];
    assert_eq!(tokenizer.find(&tokens), None);
    let first = tokenizer.extend(&tokens).unwrap().start;
    assert_eq!(tokenizer.find(&tokens), Some(first..first + 2));
    assert_eq!(tokenizer.find(&["<a_1>".into(), "<a_0>".into()]), None);
    let pieces = [
        Piece::Frame("<|im_start|>user\n".into()),
        Piece::User("<|im_end|><a_0>".into()),
        Piece::Frame(" and ".into()),
        Piece::Item(7),
        Piece::Frame("<|im_end|>".into()),
    ];
    let item = [first + 1, first];
    let ids = tokenizer.encode_pieces(&pieces, |number| if number == 7 { &item } else { &[] });
    let ids = ids.unwrap();
    let end = tokenizer.token_id("<|im_end|>").unwrap();
    assert_eq!(ids.iter().filter(|id| **id == end).count(), 1);
    assert_eq!(ids[0], tokenizer.token_id("<|im_start|>").unwrap());
    assert_eq!(ids[ids.len() - 3..], [first + 1, first, end]);
    assert_eq!(ids.iter().filter(|id| **id >= first).count(), 2);
    let text = tokenizer.decode(&ids).unwrap();
    assert_eq!(text, "<|im_start|>user\n<|im_end|><a_0> and <a_1><a_0><|im_end|>");
}

#[test]
fn a_pretrained_tokenizer_is_saved_as_it_was_extended() {
    for family in ["qwen", "llama3", "llama2"] {
        let mut tokenizer = Tokenizer::load(&golden_folder(family)).unwrap();
        assert!(tokenizer.special(Special::Query).is_none());
        tokenizer.extend(&["<a_0>".into()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        tokenizer.save(folder.path(), 64).unwrap();
        let loaded = Tokenizer::load(folder.path()).unwrap();
        assert_eq!(loaded.token_id("<a_0>"), tokenizer.token_id("<a_0>"));
        let text = |tokenizer: &Tokenizer| {
            tokenizer.chat_template().unwrap().map(|template| template.text.to_owned())
        };
        assert_eq!(text(&loaded), text(&tokenizer));
        assert_eq!(loaded.role("eos_token"), tokenizer.role("eos_token"));
        assert_eq!(loaded.text_prefix().unwrap(), tokenizer.text_prefix().unwrap());
        let text = "it's  für 42";
        assert_eq!(loaded.encode(text).unwrap(), tokenizer.encode(text).unwrap());
        assert_eq!(
            loaded.encode("x<a_0>").unwrap().len(),
            tokenizer.encode("x<a_0>").unwrap().len()
        );
    }
}

#[test]
fn queries_are_cut_at_tokens() {
    let tokenizer = Tokenizer::load(&golden_folder("qwen")).unwrap();
    assert_eq!(tokenizer.cut("red cotton shirt", 100).unwrap(), ("red cotton shirt", false));
    let text = "red 手机 shirt";
    for limit in 0..12 {
        let (kept, cut) = tokenizer.cut(text, limit).unwrap();
        assert!(text.starts_with(kept));
        assert!(tokenizer.encode(kept).unwrap().len() <= limit || !cut);
    }
}

#[test]
fn other_classes_need_a_tokenizer_json() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["vocab.json", "merges.txt"] {
        std::fs::copy(golden_folder("qwen").join(name), folder.path().join(name)).unwrap();
    }
    let config = r#"{"tokenizer_class": "GPT2Tokenizer"}"#;
    std::fs::write(folder.path().join(TOKENIZER_CONFIG), config).unwrap();
    let told = Tokenizer::load(folder.path()).err().unwrap().to_string();
    assert!(told.contains("tokenizer_class is `GPT2Tokenizer`"), "{told}");
    assert!(told.contains("AutoTokenizer"), "{told}");
}
