//! Identifiers as people read and type them: `<a_12><b_3><c_40>`.

use super::Identifiers;

impl Identifiers {
    /// The tokens of an item in one string; empty for an item that does not exist.
    pub fn spell(&self, item: u32) -> String {
        self.spell_codes(self.codes_of(item as usize).unwrap_or_default())
    }

    /// Tokens of an item.
    pub fn spelled_length(&self, item: u32) -> usize {
        let silent = self.unspelled().map(|code| (1, code));
        let codes = self.codes_of(item as usize).unwrap_or_default().iter().copied();
        (0..).zip(codes).filter(|&token| Some(token) != silent).count()
    }

    /// The tokens of the first codes of an item.
    pub fn spell_codes(&self, codes: &[u32]) -> String {
        let silent = self.unspelled().map(|code| (1, code));
        let spelled = (0..).zip(codes.iter().copied()).filter(|&token| Some(token) != silent);
        spelled.map(|(level, code)| Self::token(level, code)).collect()
    }

    /// Codes of the first levels from tokens such as `<a_12><b_3>`; blanks between them are allowed.
    ///
    /// # Errors
    /// A sentence that names the first token that is not one of this identifier.
    pub fn parse_tokens(&self, text: &str) -> Result<Vec<u32>, String> {
        let mut codes = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let end = rest.find('>').map_or(rest.len(), |end| end + 1);
            let (token, behind) = rest.split_at(end);
            // A token of the third level behind one of the first: what is between is not spelled.
            if let Some(silent) = self.unspelled()
                && codes.len() == 1
                && token.starts_with(Self::token(2, 0).trim_end_matches("0>"))
            {
                codes.push(silent);
            }
            let level = codes.len();
            let Some(&n_codes) = self.levels.get(level) else {
                let most = self.levels.len();
                return Err(format!("{token}: an identifier has at most {most} tokens"));
            };
            let digits = token.trim_matches(|c: char| !c.is_ascii_digit());
            let code = digits.parse().ok().filter(|&code| code < n_codes);
            match code.filter(|&code| Self::token(level, code) == token) {
                Some(code) => codes.push(code),
                None => {
                    let (first, last) = (Self::token(level, 0), Self::token(level, n_codes - 1));
                    return Err(format!(
                        "{token} is not a token of level {}: expected {first} to {last}",
                        level + 1
                    ));
                }
            }
            rest = behind.trim_start();
        }
        Ok(codes)
    }

    /// All items whose codes begin with `prefix`, ascending.
    pub fn items_below(&self, prefix: &[u32]) -> Vec<u32> {
        let rows = self.codes.chunks_exact(self.levels.len());
        (0..).zip(rows).filter(|(_, row)| row.starts_with(prefix)).map(|(item, _)| item).collect()
    }
}
