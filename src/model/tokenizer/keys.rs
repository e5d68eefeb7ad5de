//! The keys of `tokenizer_config.json` that matter to what is computed here.

use crate::model::keys::{Is, Keys, only, read};

pub(super) const TOKENIZER_KEYS: Keys = Keys {
    keys: &[
        read(
            "chat_template",
            Is::Any,
            "a template, or several with names, of which `default` is used",
        ),
        read("model_max_length", Is::Number, "longest text of an encoder that states none itself"),
        read("tokenizer_class", Is::Text, "how `vocab.json` with `merges.txt` is read"),
        read(
            "added_tokens_decoder",
            Is::Object,
            "the added tokens of `vocab.json` with `merges.txt`",
        ),
        read("bos_token", Is::Any, "text of the token that begins a text"),
        read("eos_token", Is::Any, "text of the token that ends one"),
        read("add_bos_token", Is::Flag, "must be what `tokenizer.json` does"),
        read("add_eos_token", Is::Flag, "must be what `tokenizer.json` does"),
        read("do_lower_case", Is::Flag, "must be what `tokenizer.json` does"),
        read("strip_accents", Is::Flag, "must be what `tokenizer.json` does"),
        read("tokenize_chinese_chars", Is::Flag, "must be what `tokenizer.json` does"),
        read("add_prefix_space", Is::Flag, "must be what `tokenizer.json` does"),
        only("truncation_side", &["\"right\""], "long texts lose their end"),
        only("split_special_tokens", &["false"], "templates name special tokens"),
        only("auto_map", &["{}"], "programs that come with a model are not run"),
    ],
    harmless: &[],
    others_are_harmless: true,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::keys::tests::assert_documented;

    #[test]
    fn the_document_lists_all_keys() {
        assert_documented("models.md", "tokenizer_config.json", &TOKENIZER_KEYS);
    }
}
