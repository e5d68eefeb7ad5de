//! Characters of texts that come from outside: those that a form of the report must write otherwise.
//! Knows no form.

/// How a form writes a character.
pub(super) enum Written {
    /// As it is.
    Plain,
    /// Behind a backslash.
    Behind,
    /// As this.
    As(&'static str),
}

/// The text as a form shows it; control characters become spaces, unless the form writes them
/// otherwise.
pub(super) fn escape(text: &str, written: impl Fn(char) -> Written) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match written(c) {
            Written::As(other) => escaped.push_str(other),
            Written::Behind => escaped.extend(['\\', c]),
            Written::Plain if c.is_control() => escaped.push(' '),
            Written::Plain => escaped.push(c),
        }
    }
    escaped
}

/// The text, or its start and its end where it is longer than `most` characters: names of variants differ at their ends.
pub(super) fn shortened(text: &str, most: usize) -> String {
    let letters: Vec<char> = text.chars().collect();
    if letters.len() <= most {
        return text.to_owned();
    }
    let (first, last) = (most / 2, most - most / 2 - 1);
    let start: String = letters[..first].iter().collect();
    let end: String = letters[letters.len() - last..].iter().collect();
    format!("{start}…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_written_as_told_and_control_becomes_space() {
        let written = |c| match c {
            '<' => Written::As("&lt;"),
            '*' => Written::Behind,
            _ => Written::Plain,
        };
        assert_eq!(escape("a<b*\n\u{7}ü", written), "a&lt;b\\*  ü");
    }
}
