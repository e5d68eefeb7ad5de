//! What of a question a system makes use of, so that whoever asks is told what it leaves aside.

use super::types::Ask;

/// How a query is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Words {
    /// Not at all.
    #[default]
    Ignored,
    /// Word by word, and none of its words is known.
    Unknown,
    /// It is.
    Read,
}

/// What of a question is made use of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heard {
    /// The query.
    pub query: Words,
    /// The history.
    pub history: bool,
    /// The id of the user.
    pub user: bool,
    /// Open columns, such as `user.style`.
    pub columns: Vec<String>,
}

impl Heard {
    /// The history and nothing else.
    pub fn history() -> Self {
        Self { history: true, ..Self::default() }
    }

    /// The query where there is one, else the history.
    pub fn query_or_history(ask: &Ask) -> Self {
        match &ask.query {
            Some(_) => Self { query: Words::Read, ..Self::default() },
            None => Self::history(),
        }
    }

    /// What either of two makes use of.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        self.query = self.query.max(other.query);
        self.history |= other.history;
        self.user |= other.user;
        self.columns.extend(other.columns);
        self
    }

    /// What `system` leaves aside of a question, one sentence each.
    pub fn remarks(&self, system: &str, ask: &Ask) -> Vec<String> {
        let mut remarks = Vec::new();
        if ask.query.is_some() {
            match self.query {
                Words::Read => {}
                Words::Unknown => {
                    remarks.push(format!("{system} knows no word of the query: no item has one"));
                }
                Words::Ignored => remarks.push(format!("{system} makes no use of the query")),
            }
        }
        if !ask.history.is_empty() && !self.history {
            remarks.push(match self.query {
                Words::Ignored => format!("{system} makes no use of the history"),
                _ => format!("{system} answers the query alone and makes no use of the history"),
            });
        }
        if ask.user.is_some() && !self.user {
            remarks.push(format!("{system} makes no use of the user's id"));
        }
        for (column, _) in &ask.features {
            let column = column.to_string();
            if !self.columns.contains(&column) {
                remarks.push(format!("{system} makes no use of {column}"));
            }
        }
        remarks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_aside_is_said_and_nothing_else() {
        let ask = |query: Option<&str>, history: &[u32], user: Option<&str>| Ask {
            query: query.map(str::to_owned),
            history: history.to_vec(),
            user: user.map(str::to_owned),
            ..Ask::default()
        };
        let (both, query) = (ask(Some("a"), &[1], Some("u")), ask(Some("a"), &[], None));
        assert_eq!(Heard::default().remarks("s", &ask(None, &[], None)), Vec::<String>::new());
        assert_eq!(Heard::default().remarks("s", &both).len(), 3);
        assert_eq!(Heard::history().remarks("s", &query), ["s makes no use of the query"]);
        let heard = Heard::query_or_history(&both);
        assert!(heard.remarks("s", &both)[0].contains("the query alone"));
        assert!(Heard::query_or_history(&query).remarks("s", &query).is_empty());
        let unknown = Heard { query: Words::Unknown, ..Heard::default() };
        assert!(unknown.remarks("s", &query)[0].contains("knows no word"));
        let joint = unknown.or(heard).or(Heard { user: true, ..Heard::history() });
        assert!(joint.remarks("s", &both).is_empty());
    }
}
