//! The text of a template before it is parsed: how deep it nests, and tags that mean nothing to a prompt.
//!
//! The parser of `minijinja` and what follows it recurse into expressions, some of them without a bound. The depth of
//! the tree is bounded here from the tokens alone, by the number of parts that may lie within each other.

use minijinja::machinery::{Span, Token, tokenize};
use minijinja::syntax::SyntaxConfig;

/// Most bytes of a template; the longest of those that models come with have 40,000.
const MOST_BYTES: usize = 256 << 10;
/// Most parts of one expression that may lie within each other; those of real templates have 100.
const DEEPEST_EXPRESSION: usize = 1000;
/// Most blocks within each other, a further `elif` counted as one.
const DEEPEST_BLOCKS: usize = 100;

/// Tags of `transformers` that mark what an assistant said, for masks of trainings. They render what they hold.
const MARKS: [(&str, &str); 2] = [("generation", "with"), ("endgeneration", "endwith")];

/// How Hugging Face reads chat templates.
pub(super) fn syntax() -> Result<SyntaxConfig, String> {
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    syntax.map_err(|e| line(&e))
}

/// What is wrong, on one line.
pub(super) fn line(error: &minijinja::Error) -> String {
    let text = format!("{error:#}");
    text.lines().next().unwrap_or_default().to_owned()
}

/// The template as it can be parsed, or what is wrong with it.
pub(super) fn prepared(text: &str) -> Result<String, String> {
    if text.len() > MOST_BYTES {
        return Err(format!("has {} bytes, at most {MOST_BYTES} are read", text.len()));
    }
    let mut reader = Reader::default();
    for token in tokenize(text, false, syntax()?) {
        // What cannot be cut into tokens is told by the parser.
        let Ok((token, span)) = token else { break };
        reader.read(&token, span)?;
    }
    let mut prepared = String::with_capacity(text.len());
    let mut at = 0;
    for (span, name) in reader.marks {
        let (start, end) = (span.start_offset as usize, span.end_offset as usize);
        prepared.push_str(&text[at..start]);
        prepared.push_str(name);
        at = end;
    }
    prepared.push_str(&text[at..]);
    Ok(prepared)
}

/// Parts within one pair of brackets: those since the last comma, and the most before one.
#[derive(Default)]
struct Level {
    parts: usize,
    most: usize,
}

#[derive(Default)]
struct Reader<'t> {
    /// Open brackets of the expression that is read.
    levels: Vec<Level>,
    /// Open blocks by name.
    blocks: Vec<&'t str>,
    /// Name of the tag that is read, and whether it holds a `=`.
    tag: Option<&'t str>,
    begins: bool,
    assigns: bool,
    /// A mark whose tag has nothing else so far.
    mark: Option<(Span, &'static str)>,
    marks: Vec<(Span, &'static str)>,
}

impl<'t> Reader<'t> {
    fn read(&mut self, token: &Token<'t>, span: Span) -> Result<(), String> {
        let line = span.start_line;
        let begins = std::mem::replace(&mut self.begins, matches!(token, Token::BlockStart));
        let mark = self.mark.take();
        match token {
            Token::BlockStart | Token::VariableStart => {
                (self.tag, self.assigns) = (None, false);
                self.levels = vec![Level::default()];
            }
            Token::BlockEnd => {
                self.marks.extend(mark);
                self.block(line)?;
            }
            Token::TemplateData(_) | Token::VariableEnd => {}
            Token::Ident(name) if begins => {
                self.tag = Some(name);
                let of = MARKS.iter().find(|(mark, _)| mark == name);
                self.mark = of.map(|(_, plain)| (span, *plain));
            }
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => {
                self.part(1, line)?;
                self.levels.push(Level::default());
            }
            Token::ParenClose | Token::BracketClose | Token::BraceClose => {
                // What the brackets held lies within whatever is made of them.
                if self.levels.len() > 1
                    && let Some(Level { parts, most }) = self.levels.pop()
                {
                    self.part(parts.max(most), line)?;
                }
            }
            Token::Comma => {
                if let Some(level) = self.levels.last_mut() {
                    level.most = level.most.max(std::mem::take(&mut level.parts));
                }
            }
            other => {
                self.assigns |= matches!(other, Token::Assign);
                self.part(1, line)?;
            }
        }
        Ok(())
    }

    fn part(&mut self, n: usize, line: u16) -> Result<(), String> {
        if let Some(level) = self.levels.last_mut() {
            level.parts += n;
        }
        let depth: usize = self.levels.iter().map(|level| level.parts).sum();
        if depth <= DEEPEST_EXPRESSION {
            return Ok(());
        }
        Err(format!(
            "is nested too deeply: line {line} has an expression of more than {DEEPEST_EXPRESSION} parts within each other"
        ))
    }

    /// The end of a tag that opens or closes a block, or does neither.
    fn block(&mut self, line: u16) -> Result<(), String> {
        match self.tag {
            Some("set") if self.assigns => {}
            Some(
                name @ ("if" | "elif" | "for" | "macro" | "call" | "filter" | "with" | "block"
                | "autoescape" | "set" | "generation"),
            ) => self.blocks.push(name),
            Some(name) => {
                let of = name.strip_prefix("end").unwrap_or_default();
                if let Some(at) = self.blocks.iter().rposition(|open| *open == of) {
                    self.blocks.truncate(at);
                }
            }
            None => {}
        }
        if self.blocks.len() <= DEEPEST_BLOCKS {
            return Ok(());
        }
        Err(format!(
            "is nested too deeply: line {line} opens more than {DEEPEST_BLOCKS} blocks within each other"
        ))
    }
}
