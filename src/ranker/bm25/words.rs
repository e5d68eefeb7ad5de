//! Words of a text: runs of letters and digits in compatible composed form (NFKC), case folded, optionally stemmed (English
//! Snowball). Scripts that put no blanks between words give their characters and pairs of neighbors instead.

use std::borrow::Cow;

use caseless::default_case_fold_str;
use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_script::{Script, UnicodeScript};

/// Scripts without blanks between words.
const UNSPACED: [Script; 8] = [
    Script::Han,
    Script::Hiragana,
    Script::Katakana,
    Script::Bopomofo,
    Script::Thai,
    Script::Lao,
    Script::Khmer,
    Script::Myanmar,
];

/// Words of a text, in order.
pub fn words(text: &str, stem: bool) -> Vec<String> {
    let stemmer = stem.then(|| Stemmer::create(Algorithm::English));
    let folded = fold(text);
    let mut words = Vec::new();
    let mut push = |word: &str| {
        words.push(match &stemmer {
            Some(stemmer) => stemmer.stem(word).into_owned(),
            None => word.to_owned(),
        });
    };
    if folded.is_ascii() {
        let runs = folded.split(|c: char| !c.is_ascii_alphanumeric());
        runs.filter(|run| !run.is_empty()).for_each(push);
        return words;
    }
    // A mark belongs to the letter before it; one without a letter, as behind an emoji, to none.
    for run in folded.split(|c: char| !c.is_alphanumeric() && !is_combining_mark(c)) {
        let mut rest = run.trim_start_matches(is_combining_mark);
        while let Some(first) = rest.chars().next() {
            let unspaced = is_unspaced(first);
            let ends = |c: char| !is_combining_mark(c) && is_unspaced(c) != unspaced;
            let (part, behind) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
            if unspaced {
                neighbors(part, &mut push);
            } else {
                push(part);
            }
            rest = behind;
        }
    }
    words
}

/// A text as it is compared: ASCII is lower-cased, other text composed, folded, and composed again.
fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Owned(text.to_ascii_lowercase());
    }
    let composed: String = text.nfkc().collect();
    Cow::Owned(default_case_fold_str(&composed).nfkc().collect())
}

/// Whether a text has letters of such a script.
pub(super) fn has_unspaced(text: &str) -> bool {
    !text.is_ascii() && text.chars().any(is_unspaced)
}

fn is_unspaced(c: char) -> bool {
    let scripts = c.script_extension();
    // Common characters, such as digits, say that they are of every script.
    !c.is_ascii()
        && !scripts.is_common()
        && !scripts.is_inherited()
        && UNSPACED.iter().any(|&script| scripts.contains_script(script))
}

/// Each letter with its marks, and each pair of neighbors: a query of one letter finds what a pair finds more surely.
fn neighbors(run: &str, push: &mut impl FnMut(&str)) {
    let starts = run.char_indices().filter(|&(_, c)| !is_combining_mark(c)).map(|(at, _)| at);
    let bounds: Vec<usize> = starts.chain([run.len()]).collect();
    bounds.windows(2).for_each(|one| push(&run[one[0]..one[1]]));
    bounds.windows(3).for_each(|two| push(&run[two[0]..two[2]]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_is_cut_at_what_is_no_letter() {
        assert_eq!(words("Red-Chair, 2nd_hand", false), ["red", "chair", "2nd", "hand"]);
        assert_eq!(words("running SHOES", true), ["run", "shoe"]);
    }

    #[test]
    fn scripts_without_blanks_give_letters_and_pairs() {
        assert_eq!(words("红木椅", false), ["红", "木", "椅", "红木", "木椅"]);
        assert_eq!(words("iPhone15手机 茶", false), ["iphone15", "手", "机", "手机", "茶"]);
        assert_eq!(words("コーヒー", false).last().map(String::as_str), Some("ヒー"));
        // A tone mark stays with its consonant.
        assert_eq!(words("ที่", false), ["ที่"]);
        assert_eq!(words("한국어 의자", false), ["한국어", "의자"]);
    }

    #[test]
    fn forms_and_cases_of_a_letter_are_one() {
        for (left, right) in [
            ("Café", "CAFE\u{301}"),
            ("ＳＯＦＡ", "sofa"),
            ("Straße", "STRASSE"),
            ("ΟΔΟΣ", "οδος"),
            ("ｶﾞﾗｽ", "ガラス"),
            ("❤\u{fe0f}lamp", "lamp"),
            ("हिन्दी", "हिन्दी"),
        ] {
            assert_eq!(words(left, false), words(right, false), "{left}");
        }
        assert_eq!(words("हिन्दी", false).len(), 1, "a mark does not cut a word");
    }
}
