//! The prompts of the training requests: rendered once per model and identifier, for every training
//! and reference that reads them.

use std::path::Path;

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::Serialize;

use super::Work;
use crate::corpus::{Request, Split};
use crate::decode::prompt::PromptBuilder;
use crate::error::Result;
use crate::generative::{Bundle, PROMPTS_FILE};
use crate::inputs::StepContext;
use crate::kind::{Estimate, Role, Sizes};
use crate::model::settings::ModelSettings;
use crate::store::write_json;
use crate::train::data::prompts::{Rendered, write_prompts};

/// Figures about them.
const SUMMARY_FILE: &str = "prompts.json";
/// Requests rendered between two looks at the interrupt flag.
const CHUNK: usize = 4_096;

/// What was rendered.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Summary {
    requests: u64,
    tokens: u64,
    longest: u64,
    /// Requests of which query words or history items were cut off.
    truncated: u64,
}

/// Renders the prompts of the training requests for a model and one of its identifiers. They depend
/// on tokenizer, template and lengths, which the model's own step holds, and on the corpus; no
/// training changes them.
#[derive(Serialize, JsonSchema)]
pub struct RenderPrompts {
    /// The model.
    #[serde(skip)]
    pub model: ModelSettings,
}

impl Work for RenderPrompts {
    fn run(&self, step: &StepContext<'_>) -> Result<()> {
        let identifiers = step.inputs.identifiers();
        let bundle = Bundle::load(step.inputs.folder(Role::Model)?, &identifiers, &self.model)?;
        let corpus = step.inputs.corpus()?;
        let n_requests = corpus.request_range(Split::Train).len();
        let mut bar = step.ctx.bar("prompts", n_requests as u64, "prompt");
        let requests = corpus.request_iter(Split::Train)?;
        let summary = render(&bundle.prompts, requests, &step.out.join(PROMPTS_FILE), |n| {
            bar.advance(n as u64);
            step.ctx.check_interrupt()
        })?;
        drop(bar);
        write_json(&step.out.join(SUMMARY_FILE), &summary)?;
        let Summary { requests, tokens, longest, truncated } = summary;
        let name = step.name;
        step.ctx.say(format!("{name}: {tokens} tokens in {requests} prompts, at most {longest}"));
        if truncated > 0 {
            step.ctx.say(format!(
                "{name}: {truncated} of {requests} prompts were cut to the model's prompt_tokens or history_items"
            ));
        }
        Ok(())
    }

    fn estimate(&self, sizes: &Sizes) -> Estimate {
        Estimate::default().count("prompts", "", sizes.train)
    }
}

/// Renders all requests into a file; `each` hears of every chunk and may stop.
fn render(
    prompts: &PromptBuilder,
    mut requests: impl Iterator<Item = Result<Request>>,
    path: &Path,
    mut each: impl FnMut(usize) -> Result<()>,
) -> Result<Summary> {
    let mut summary = Summary::default();
    let mut chunk = || -> Result<Vec<Rendered>> {
        let some: Vec<Request> = requests.by_ref().take(CHUNK).collect::<Result<_>>()?;
        let rendered: Vec<(Rendered, bool)> =
            some.par_iter().map(|request| render_one(prompts, request)).collect::<Result<_>>()?;
        for (one, truncated) in &rendered {
            let length = one.asked.len() as u64;
            summary.requests += 1;
            summary.tokens += length;
            summary.longest = summary.longest.max(length);
            summary.truncated += u64::from(*truncated);
        }
        each(some.len())?;
        Ok(rendered.into_iter().map(|(one, _)| one).collect())
    };
    let chunks = std::iter::from_fn(|| match chunk() {
        Ok(some) if some.is_empty() => None,
        other => Some(other),
    });
    write_prompts(path, chunks)?;
    Ok(summary)
}

/// Both forms of a request, and whether the first was cut.
fn render_one(prompts: &PromptBuilder, request: &Request) -> Result<(Rendered, bool)> {
    let asked = prompts.build(request.ask.query.as_deref(), &request.ask.history)?;
    let before_last = match (&request.ask.query, request.ask.history.split_last()) {
        (None, Some((_, before))) => Some(prompts.build(None, before)?.tokens),
        _ => None,
    };
    Ok((Rendered { asked: asked.tokens, before_last }, asked.truncated))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::corpus::Ask;
    use crate::decode::prompt::tests::scratch;
    use crate::model::Tokenizer;
    use crate::model::item_tokens::ItemTokens;
    use crate::progress::Context;
    use crate::train::data::prompts::{Form, Prompts};

    fn builder() -> PromptBuilder {
        let words = ["red oak table", "blue sofa"];
        let mut tokenizer = Tokenizer::train_bpe(words.iter(), 270, &Context::silent()).unwrap();
        let tokens: Vec<String> = (0..4).map(|code| format!("<a_{code}>")).collect();
        let first = tokenizer.extend(&tokens).unwrap().start;
        // Queries of 12 tokens and histories of two items at most.
        PromptBuilder::new(tokenizer, ItemTokens::new(&[0, 1, 2, 3], &[4], first), &scratch())
            .unwrap()
    }

    fn request(idx: u32) -> Request {
        let query = (!idx.is_multiple_of(3))
            .then(|| format!("red sofa number {}", "9".repeat(idx as usize % 17)));
        let history = (0..idx % 4).collect();
        let ask = Ask { query, history, ..Ask::default() };
        Request { ask, split: Split::Train, ..Request::bare(idx) }
    }

    #[test]
    fn the_file_holds_what_rendering_each_time_would_give_for_any_number_of_threads() {
        let (builder, folder) = (builder(), tempfile::tempdir().unwrap());
        let n = CHUNK as u32 + 40;
        let mut files = Vec::new();
        for threads in [1, 3] {
            let path = folder.path().join(threads.to_string());
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut seen = 0;
            let requests = || (0..n).map(|idx| Ok(request(idx)));
            let each = |some| {
                seen += some;
                Ok(())
            };
            let summary = pool.install(|| render(&builder, requests(), &path, each)).unwrap();
            assert_eq!((summary.requests, seen), (u64::from(n), n as usize));
            assert!(0 < summary.truncated && summary.truncated < summary.requests);
            files.push(std::fs::read(&path).unwrap());
        }
        assert!(files[0] == files[1]);
        let path = folder.path().join("1");
        let (asked, before) = (
            Prompts::open(&path, Form::Asked).unwrap(),
            Prompts::open(&path, Form::BeforeLast).unwrap(),
        );
        assert_eq!(asked.len(), n as usize);
        for idx in (0..n).rev() {
            let Ask { query, history, .. } = request(idx).ask;
            let fresh = |history: &[u32]| builder.build(query.as_deref(), history).unwrap().tokens;
            assert_eq!(*asked.tokens(idx), fresh(&history));
            let known = match (&query, history.split_last()) {
                (None, Some((_, known))) => known,
                _ => &history,
            };
            assert_eq!(*before.tokens(idx), fresh(known));
        }
    }

    #[test]
    fn an_interrupt_leaves_no_file() {
        let (builder, folder) = (builder(), tempfile::tempdir().unwrap());
        let path = folder.path().join("prompts");
        let requests = (0..3).map(|idx| Ok(request(idx)));
        let stop = |_| Err(crate::error::Error::Interrupted);
        assert_eq!(render(&builder, requests, &path, stop).unwrap_err().exit_code(), 130);
        assert!(!path.exists());
    }
}
