//! Templates that turn a request into the text of a prompt: what is asked, and the chat around it.
//!
//! A rendered prompt comes in pieces that remember where they are from, so that no text of a user is
//! ever taken for a special token. Knows no tokens.
//!
//! Chat templates come from elsewhere, as the rest of a model's folder does. `source` limits what is read,
//! `guarded` what a rendering may do.

mod guarded;
mod source;

use std::path::{Path, PathBuf};

use minijinja::{Environment, Value, context};

use crate::error::{Error, Result};

/// Frames the text of a user inside a rendered template; private characters, removed from what users say.
const USER: [char; 2] = ['\u{e000}', '\u{e001}'];
/// Frames the number of an item.
const ITEM: [char; 2] = ['\u{e002}', '\u{e003}'];

/// A piece of a rendered prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Words of the template, which may name special tokens.
    Frame(String),
    /// Words of the user, which may not.
    User(String),
    /// Index of an item in the history that was rendered.
    Item(usize),
}

/// A chat template and the file that holds it.
#[derive(Debug, Clone, Copy)]
pub struct ChatTemplate<'a> {
    /// The template.
    pub text: &'a str,
    /// What messages name.
    pub origin: &'a Path,
}

/// A template for requests.
pub struct Template {
    environment: Environment<'static>,
    /// Where the chat template is from; none without a chat.
    chat: Option<PathBuf>,
    system: Option<String>,
    bos: String,
    eos: String,
}

impl Template {
    /// `ask` sees `query` and `history`; `chat`, where given, is a chat template as in a tokenizer's folder, around
    /// `ask` as the user's turn. `bos` and `eos` are the texts of the tokens that chat templates know by these names.
    ///
    /// # Errors
    /// [`Error::Recipe`] when `ask` is not a template that can be read, [`Error::Data`] when `chat` is not.
    pub fn new(
        ask: &str,
        chat: Option<ChatTemplate<'_>>,
        system: Option<&str>,
        bos: &str,
        eos: &str,
    ) -> Result<Self> {
        let mut template = Self {
            environment: guarded::environment()?,
            chat: chat.map(|chat| chat.origin.to_owned()),
            system: system.map(str::to_owned),
            bos: bos.to_owned(),
            eos: eos.to_owned(),
        };
        let chat = chat.map(|chat| (CHAT, chat.text));
        for (name, text) in [(ASK, ask)].into_iter().chain(chat) {
            let added = source::prepared(text)
                .and_then(|text| guarded::add(&mut template.environment, name, text));
            added.map_err(|fault| template.fault(name, &fault))?;
        }
        Ok(template)
    }

    /// Renders a request with `n_history` items, oldest first.
    ///
    /// # Errors
    /// As [`Template::new`], when a template refuses, does too much, or changes what is put into it.
    pub fn render(&self, query: Option<&str>, n_history: usize) -> Result<Vec<Piece>> {
        let framed = |[open, close]: [char; 2], text: &str| format!("{open}{text}{close}");
        let query = query.map(|query| framed(USER, &plain(query)));
        let history: Vec<String> =
            (0..n_history).map(|item| framed(ITEM, &item.to_string())).collect();
        let ask = self.apply(ASK, context! { query, history })?;
        let alone = pieces(&ask).map_err(|fault| self.fault(ASK, fault))?;
        if self.chat.is_none() {
            let system = self.system.iter().map(|text| Piece::Frame(format!("{text}\n")));
            return Ok(joined(system.chain(alone)));
        }
        let turn = |role: &str, content: &str| context! { role, content };
        let system = self.system.iter().map(|text| turn("system", text));
        let messages: Vec<Value> = system.chain([turn("user", &ask)]).collect();
        let values = context! {
            messages,
            add_generation_prompt => true,
            enable_thinking => false,
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
        };
        let text = self.apply(CHAT, values)?;
        pieces(&text).map_err(|fault| self.fault(CHAT, fault))
    }

    /// Renders a short request with text, and one without, by a template that nobody has tried before.
    ///
    /// # Errors
    /// As [`Template::new`] and [`Template::render`], or when it does not come to an end.
    pub fn try_out(
        ask: &str,
        chat: Option<ChatTemplate<'_>>,
        system: Option<&str>,
        bos: &str,
        eos: &str,
    ) -> Result<[Vec<Piece>; 2]> {
        let owned = chat.map(|chat| (chat.text.to_owned(), chat.origin.to_owned()));
        let origin = owned.as_ref().map(|(_, origin)| origin.clone());
        let system = system.map(str::to_owned);
        let [ask, bos, eos] = [ask, bos, eos].map(str::to_owned);
        let tried = guarded::tried(move || {
            let chat = owned.as_ref().map(|(text, origin)| ChatTemplate { text, origin });
            let template = Self::new(&ask, chat, system.as_deref(), &bos, &eos)?;
            Ok([template.render(Some("query"), 2)?, template.render(None, 1)?])
        });
        tried.map_err(|error| {
            let name = if origin.is_some() { CHAT } else { ASK };
            error.unwrap_or_else(|| {
                fault(origin.as_deref(), name, "takes too long: it does not come to an end")
            })
        })
    }

    fn apply(&self, name: &str, values: Value) -> Result<String> {
        guarded::render(&self.environment, name, values).map_err(|fault| self.fault(name, &fault))
    }

    fn fault(&self, name: &str, what: &str) -> Error {
        fault(self.chat.as_deref(), name, what)
    }
}

/// What is wrong with a template, with its place.
fn fault(chat: Option<&Path>, name: &str, what: &str) -> Error {
    match chat {
        Some(origin) if name == CHAT => Error::data(origin, format!("its chat template {what}"))
            .with_help("correct the template, or set prompt = \"plain\""),
        _ => Error::Recipe(format!("model: ask {what}")),
    }
}

/// Name of the template that asks.
const ASK: &str = "ask";
/// Name of the template around it.
const CHAT: &str = "chat";

/// Pieces whose frames are not cut without need.
fn joined(pieces: impl Iterator<Item = Piece>) -> Vec<Piece> {
    let mut all: Vec<Piece> = Vec::new();
    for piece in pieces {
        match (all.last_mut(), piece) {
            (Some(Piece::Frame(last)), Piece::Frame(more)) => last.push_str(&more),
            (_, piece) => all.push(piece),
        }
    }
    all
}

/// A user's text without the characters that frame it.
fn plain(text: &str) -> String {
    text.replace(|c| USER.contains(&c) || ITEM.contains(&c), "\u{fffd}")
}

fn pieces(text: &str) -> Result<Vec<Piece>, &'static str> {
    let broken = || "changes the query or history that is put into it; use them as they are";
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find([USER[0], ITEM[0]]) {
        if at > 0 {
            pieces.push(Piece::Frame(rest[..at].to_owned()));
        }
        let is_user = rest[at..].starts_with(USER[0]);
        let [open, close] = if is_user { USER } else { ITEM };
        let inner = &rest[at + open.len_utf8()..];
        let end = inner.find(close).ok_or_else(broken)?;
        let body = &inner[..end];
        if body.contains([USER[0], ITEM[0]]) {
            return Err(broken());
        }
        pieces.push(if is_user {
            Piece::User(body.to_owned())
        } else {
            Piece::Item(body.parse().map_err(|_| broken())?)
        });
        rest = &inner[end + close.len_utf8()..];
    }
    if rest.contains([USER[1], ITEM[1]]) {
        return Err(broken());
    }
    if !rest.is_empty() {
        pieces.push(Piece::Frame(rest.to_owned()));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests;
