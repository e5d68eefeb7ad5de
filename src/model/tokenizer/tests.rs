//! Tokenizers of our own, and of pretrained models as `transformers` applies them.

use super::*;

fn texts() -> Vec<String> {
    let words =
        ["Red", "blue", "cotton", "shirt", "SHOES", "für", "Kinder", "手机", "case", "42"];
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
    let folder = tempfile::tempdir().unwrap();
    tokenizer.save(folder.path(), 128).unwrap();
    let loaded = Tokenizer::load(folder.path()).unwrap();
    for tokenizer in [&tokenizer, &loaded] {
        for text in ["<a_3>", "x <|answer|><a_12> <|pad|>", " <|END|> <|end|>"] {
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
