//! Text for people: numbers that are easy to read, and what may reach a terminal.

use std::borrow::Cow;

/// What stands for a character that cannot be shown.
const SIGN: char = char::REPLACEMENT_CHARACTER;
/// What stands for the secret part of an address.
const MASK: &str = "…";

/// A whole number with thousands separated, as in `1,234,567`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of bytes, as in `1.5 GiB`.
pub fn bytes(n: u64) -> String {
    match n {
        0..1024 => format!("{n} B"),
        1024..1_048_576 => format!("{:.1} KiB", n as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", n as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", n as f64 / 1_073_741_824.0),
    }
}

/// Text as it may reach a terminal or a page, whatever it quotes: control characters but line ends
/// and tabs become the sign of what cannot be shown, and addresses lose their credentials.
pub fn visible(text: &str) -> Cow<'_, str> {
    let text = without_credentials(text);
    if !text.chars().any(is_hidden) {
        return text;
    }
    // A line end of two characters is one.
    let text = text.replace("\r\n", "\n");
    Cow::Owned(text.chars().map(|c| if is_hidden(c) { SIGN } else { c }).collect())
}

/// Text as one cell of a table shows it: on one line, and [`visible`].
pub fn one_line(text: &str) -> String {
    visible(text).replace(['\n', '\t'], " ")
}

/// JSON text with the control characters escaped that JSON itself lets pass: the same value.
pub fn visible_json(text: &str) -> Cow<'_, str> {
    let text = without_credentials(text);
    if !text.chars().any(is_hidden) {
        return text;
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) {
            escaped.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// As [`visible`], for an excerpt in which places are counted in bytes: each hidden character becomes as many `?` as it has
/// bytes, and so does what is secret of an address.
pub fn visible_excerpt(text: &str) -> String {
    let mut shown: Vec<u8> = Vec::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        match c {
            '\r' if text[at + 1..].starts_with('\n') => shown.push(b' '),
            c if is_hidden(c) => shown.extend(std::iter::repeat_n(b'?', c.len_utf8())),
            c => shown.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    for secret in credentials(text) {
        shown[secret].fill(b'?');
    }
    String::from_utf8_lossy(&shown).into_owned()
}

/// Whether a character acts on a terminal instead of being shown: controls, and what turns the
/// direction of the text behind it.
fn is_hidden(c: char) -> bool {
    let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (c.is_control() && c != '\n' && c != '\t')
}

fn without_credentials(text: &str) -> Cow<'_, str> {
    let secrets = credentials(text);
    if secrets.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    for secret in secrets {
        shown.push_str(&text[from..secret.start]);
        shown.push_str(MASK);
        from = secret.end;
    }
    shown.push_str(&text[from..]);
    Cow::Owned(shown)
}

/// Where addresses hold a user, a password or a token: what stands between `://` and the last `@` before the path.
fn credentials(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find("://") {
        let start = from + at + "://".len();
        let ends = |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '`');
        let rest = &text[start..];
        let end = start + rest.find(ends).unwrap_or(rest.len());
        if let Some(last) = text[start..end].rfind('@').filter(|&last| last > 0) {
            found.push(start..start + last);
        }
        from = start;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_acts_on_a_terminal_is_left() {
        let text = "a\u{1b}]0;t\u{7}b\u{9b}31m\u{7f}\r\nc\td\r\u{202e}e\u{0}";
        assert_eq!(visible(text), "a�]0;t�b�31m�\nc\td��e�");
        assert!(matches!(visible("plain ✓\n"), Cow::Borrowed(_)));
        let all: String = (0..=0x2100).filter_map(char::from_u32).collect();
        let left: Vec<char> = visible(&all).chars().filter(|c| c.is_control()).collect();
        assert_eq!(left, ['\t', '\n']);
        let excerpt = visible_excerpt(&all);
        assert_eq!(excerpt.len(), all.len());
        assert_eq!(excerpt.chars().filter(|c| c.is_control()).collect::<String>(), "\t\n");
        assert_eq!(visible_excerpt("x\r\ny"), "x \ny");
    }

    #[test]
    fn json_stays_the_same_value() {
        let value = serde_json::json!({ "a\u{9b}": "\u{7f}\u{1b}é\u{85}" });
        let shown = visible_json(&value.to_string()).into_owned();
        assert!(!shown.chars().any(char::is_control), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).ok(), Some(value));
    }

    #[test]
    fn addresses_lose_their_credentials_and_nothing_else_does() {
        for (text, expected) in [
            ("at https://me:pa@ss@host:80/x?a=1 now", "at https://…@host:80/x?a=1 now"),
            ("\"http://token@h\"", "\"http://…@h\""),
            ("http://h/@a and ftp://u:p@h", "http://h/@a and ftp://…@h"),
            ("hf://models/a/b@v1/c", "hf://models/a/b@v1/c"),
            ("mail me@host://", "mail me@host://"),
            ("://@h", "://@h"),
        ] {
            assert_eq!(visible(text), expected);
        }
        assert_eq!(visible_excerpt("x = \"http://u:p@h\""), "x = \"http://???@h\"");
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(999), "999");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(12), "12 B");
        assert_eq!(bytes(3 << 30), "3.0 GiB");
    }
}
