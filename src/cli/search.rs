//! `trieval search`: ask a finished run.

use std::fmt::Write as _;
use std::io::{BufRead, Read};

use serde_json::{Value, json};

use super::args::SearchArgs;
use super::evidence::{Span, Spans, lines, marked};
use crate::corpus::ItemName;
use crate::error::{Error, Result};
use crate::pipeline::finished::{FinishedRun, OpenSystem};
use crate::progress::{Context, data_columns, marks_data};
use crate::text::{one_line, visible};

/// Items returned where nothing is said.
const TOP: u32 = 10;
/// Most bytes of a query that is read from standard input.
const LONGEST: u64 = 1 << 20;
/// Columns of a line where standard output is no terminal.
const COLUMNS: usize = 80;
/// How standard input is named as a query, and in messages.
const STDIN: &str = "-";

pub(super) fn execute(args: &SearchArgs, ctx: &Context) -> Result<()> {
    let reads_many = args.stdin || args.query.as_deref() == Some(STDIN);
    if !reads_many {
        match &args.query {
            Some(query) if query.trim().is_empty() => {
                return Err(Error::Usage(
                    "the query is empty: give words, or leave it out and ask with --history ID,…"
                        .into(),
                ));
            }
            None if args.history.is_empty() => {
                return Err(Error::Usage(
                    "nothing to search for: give a query, `-` for queries from standard input, or \
                     --history ID,…"
                        .into(),
                ));
            }
            _ => {}
        }
    }
    let opening = ctx.working("opening the run");
    let run = FinishedRun::open_with_added(&args.run, args.seed)?;
    let system = open(&run, args.system.as_deref())?;
    drop(opening);
    let top = top(args, &system)?;
    let others = run.others_to_ask(&system.name);
    let others = match others.as_slice() {
        [] => String::new(),
        others => format!("; --system asks another: {}", others.join(", ")),
    };
    ctx.say(format!("{} ({}) answers{others}", system.name, system.kind));
    let spans = Spans::new(&run);
    let mut asking = Asking { args, run: &run, system: &system, top, ctx, spans };
    if reads_many { asking.many() } else { asking.one() }
}

/// The system of a name, or the one that answers by default.
fn open<'a>(run: &'a FinishedRun, name: Option<&str>) -> Result<OpenSystem<'a>> {
    let systems = &run.recipe().system;
    match name {
        Some(name) if systems.iter().all(|system| system.name() != name) => {
            // No system is called nothing: these are all that answer questions.
            let names = run.others_to_ask("").join(", ");
            Err(Error::Usage(format!("--system must name one of {names}, not {name}")))
        }
        _ => run.open_system(name),
    }
}

/// How many items are asked for: never more than the system can find, which would be fewer without a word.
fn top(args: &SearchArgs, system: &OpenSystem<'_>) -> Result<usize> {
    let most = system.at_most.as_ref();
    match (args.top, most) {
        (Some(top), Some((most, key))) if top > *most => Err(Error::Usage(format!(
            "--top {top} is more than {} can find, which is {most} ({key}); ask for {most} or fewer, or give \
             the key a larger value and run the recipe again",
            system.name
        ))),
        (Some(top), _) => Ok(top as usize),
        (None, Some((most, _))) => Ok(TOP.min(*most) as usize),
        (None, None) => Ok(TOP as usize),
    }
}

/// What is asked of whom.
struct Asking<'a> {
    args: &'a SearchArgs,
    run: &'a FinishedRun,
    system: &'a OpenSystem<'a>,
    top: usize,
    ctx: &'a Context,
    spans: Spans<'a>,
}

impl Asking<'_> {
    fn one(&mut self) -> Result<()> {
        let answer = self.answer(self.args.query.as_deref())?;
        self.warn(&answer);
        if self.args.json {
            return super::print_json(&format!("{:#}\n", answer.object));
        }
        super::print_drawn(&answer.table)
    }

    /// One query per line, each answered before the next is read.
    fn many(&mut self) -> Result<()> {
        let mut input = std::io::stdin().lock();
        let mut blank = 0u64;
        let mut told: Vec<String> = Vec::new();
        // Read once for all answers; a single answer reads its own alone.
        self.run.names()?;
        for number in 1.. {
            let mut line = Vec::new();
            let unreadable = |e: std::io::Error| Error::unreadable("standard input", &e);
            input.by_ref().take(LONGEST + 1).read_until(b'\n', &mut line).map_err(unreadable)?;
            if line.is_empty() {
                break;
            }
            let fault = |message: String| Error::data_at("standard input", number, message);
            if line.len() as u64 > LONGEST {
                return Err(fault(format!("more than {LONGEST} bytes in one query")));
            }
            let line = String::from_utf8(line).map_err(|_| fault("is not UTF-8".into()))?;
            let query = line.trim_end_matches(['\n', '\r']);
            if query.trim().is_empty() {
                blank += 1;
                continue;
            }
            let answer = self.answer(Some(query))?;
            if self.args.json {
                super::print_json(&format!("{}\n", answer.object))?;
                continue;
            }
            // What holds for all queries is said once.
            if answer.remarks != told {
                self.warn(&answer);
                told.clone_from(&answer.remarks);
            }
            super::print_drawn(&format!("{}\n{}\n", one_line(query), answer.table))?;
        }
        if blank > 0 {
            let (lines, were) = if blank == 1 { ("line", "was") } else { ("lines", "were") };
            self.ctx.warn(format!("{blank} blank {lines} of standard input {were} passed over"));
        }
        Ok(())
    }

    fn warn(&self, answer: &Answer) {
        for remark in &answer.remarks {
            self.ctx.warn(remark);
        }
    }

    fn answer(&mut self, query: Option<&str>) -> Result<Answer> {
        let Self { args, run, system, .. } = *self;
        let ask = run.ask(query, &args.history, args.user.as_deref(), &args.features)?;
        let remarks = system.remarks(&ask);
        let found = system.search(&ask, self.top)?;
        let items: Vec<u32> = found.iter().map(|(item, _)| *item).collect();
        let names = run.some_names(&items)?;
        let spans = self.spans.of(system, &ask, &items, &names)?;
        let object = json!({
            "query": query,
            "history": args.history,
            "user": args.user,
            "features": args.features,
            "system": system.name,
            "kind": system.kind,
            "remarks": remarks,
            "items": objects(&names, &found, spans.as_deref()),
        });
        let table = table(&names, &system.name, &found, &spans.unwrap_or_default());
        Ok(Answer { object, table, remarks })
    }
}

/// An answer in its forms.
struct Answer {
    object: Value,
    /// As it may reach a terminal.
    table: String,
    remarks: Vec<String>,
}

fn objects(names: &[ItemName], found: &[(u32, f32)], spans: Option<&[Vec<Span>]>) -> Vec<Value> {
    let one = |(rank, (name, (_, score))): (usize, (&ItemName, &(u32, f32)))| {
        let ItemName { id, title } = name;
        let mut object = json!({ "rank": rank, "item": id, "title": title, "score": score });
        if let Some(spans) = spans.and_then(|spans| spans.get(rank - 1)) {
            object["spans"] = json!(spans);
        }
        object
    };
    (1..).zip(names.iter().zip(found)).map(one).collect()
}

/// The items as they may reach a terminal, each with the spans that earned it its place, where there are some.
fn table(names: &[ItemName], system: &str, found: &[(u32, f32)], spans: &[Vec<Span>]) -> String {
    if found.is_empty() {
        return visible(&format!("{system} found nothing\n")).into_owned();
    }
    let (columns, marks) = (data_columns().unwrap_or(COLUMNS), marks_data());
    let mut text = String::new();
    for (place, (name, (_, score))) in names.iter().zip(found).enumerate() {
        let spans = spans.get(place).map_or(&[][..], Vec::as_slice);
        let id = one_line(&name.id);
        let title = match marks && !spans.is_empty() {
            true => marked(&name.title, spans),
            false => one_line(&name.title),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:>3}  {score:>8.3}  {id}  {title}", place + 1);
        text.push_str(&lines(spans, columns));
    }
    text
}
