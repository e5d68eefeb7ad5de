//! A model folder tied to the identifiers it speaks: the one layout that is written, and the one
//! loader.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use trieval_kernels::index::SidIndex;
use trieval_kernels::ops::Threads;

use super::files::{INDEX_FILE, mismatch};
use super::named::Named;
use super::spans::{self, SpanFolder};
use super::vocabulary::{self, Ids};
use crate::decode::prompt::PromptBuilder;
use crate::decode::retriever::Retriever;
use crate::decode::settings::{DecodeSettings, Normalizer};
use crate::decode::spans::Spans;
use crate::error::{Error, Result};
use crate::identifier::Identifiers;
use crate::identifier::settings::Length;
use crate::identifier::spans::{Declared, View};
use crate::inputs::StepContext;
use crate::model::inference::FrozenDecoder;
use crate::model::item_tokens::{ItemTokens, Silence};
use crate::model::lora::AdapterSpec;
use crate::model::settings::{LoraSettings, ModelSettings};
use crate::model::tokenizer::TOKENIZER;
use crate::model::{Decoder, ModelFolder};
use crate::seed::Seed;
use crate::store::{digest, known_digest, write_json};

/// Ties a model folder to the identifier and tokenizer it was made for.
const BINDING_FILE: &str = "bundle.json";

#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
struct Binding {
    format: u32,
    /// BLAKE3 of the catalogue's item ids.
    catalogue: String,
    /// BLAKE3 of `tokenizer.json`.
    tokenizer: String,
    /// The first identifier.
    #[serde(flatten)]
    spoken: Spoken,
    /// Token id of the first code of the first level.
    first_token: u32,
    /// Further identifiers, in the order of their tokens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    others: Vec<Spoken>,
    /// What its probabilities are normalised over: a model that was taught legal codes alone says nothing of others.
    #[serde(default, skip_serializing_if = "Normalizer::is_default")]
    normalizer: Normalizer,
}

/// An identifier that a model speaks; of no level where it speaks none.
#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq)]
struct Spoken {
    /// Codes per level.
    levels: Vec<u32>,
    /// BLAKE3 of all codes, where a model speaks several, which may have one shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    codes: Option<String>,
    /// What can be asked for in spans; none of codes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    views: Vec<View>,
}

impl Spoken {
    fn is_none(&self) -> bool {
        self.levels.is_empty() && self.views.is_empty()
    }

    /// Ways to ask for it.
    fn modes(&self) -> usize {
        self.views.len().max(1)
    }
}

impl Binding {
    /// All identifiers, in the order of their tokens.
    fn all(&self) -> Vec<&Spoken> {
        let all = std::iter::once(&self.spoken).chain(&self.others);
        all.filter(|spoken| !spoken.is_none()).collect()
    }

    /// The tokens of each.
    fn ids(&self) -> Vec<Ids> {
        let all = self.all();
        let all: Vec<(&[u32], usize)> =
            all.iter().map(|spoken| (spoken.levels.as_slice(), spoken.modes())).collect();
        vocabulary::ids(&all, self.first_token)
    }

    fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(BINDING_FILE);
        let text = std::fs::read(&path).map_err(|e| Error::unreadable(&path, &e))?;
        serde_json::from_slice(&text)
            .map_err(|e| Error::data(&path, format!("not an identifier binding: {e}")))
    }

    fn write(&self, folder: &Path) -> Result<()> {
        let tokenizer = digest(&folder.join(TOKENIZER))?.blake3;
        write_json(&folder.join(BINDING_FILE), &Self { tokenizer, ..self.clone() })
    }
}

/// Ties a model folder to its identifiers, the first code of which has the token `first_token`.
///
/// `catalogue` is the hash of the items.
///
/// # Errors
/// When the folder cannot be read or written.
pub(super) fn bind(
    folder: &Path,
    identifiers: &[Named],
    catalogue: &str,
    first_token: u32,
) -> Result<()> {
    let spoken = |one: &Named| match one {
        Named::Codes(one) => Spoken {
            levels: one.levels.clone(),
            codes: (identifiers.len() > 1).then(|| one.hash()),
            views: Vec::new(),
        },
        Named::Spans(settings) => Spoken { views: settings.views(), ..Spoken::default() },
    };
    let mut all = identifiers.iter().map(spoken);
    let binding = Binding {
        format: 1,
        catalogue: catalogue.to_owned(),
        tokenizer: String::new(),
        spoken: all.next().unwrap_or_default(),
        first_token,
        others: all.collect(),
        normalizer: Normalizer::default(),
    };
    binding.write(folder)
}

/// Makes the spans of a model, one of whose identifiers they are, at a place: in its tokens, with its mode tokens.
///
/// # Errors
/// [`Error::Data`] when the model is of other items or identifiers, or no item has a text.
pub fn make_spans(
    step: &StepContext<'_>,
    model: &Path,
    place: usize,
    declared: &Path,
) -> Result<()> {
    let declared = Declared::read(declared)?;
    let (binding, path) = (Binding::read(model)?, model.join(BINDING_FILE));
    check(&binding, &path, place, &Answers::Spans(&declared))?;
    let digest = known_digest(&model.join(TOKENIZER))?.blake3;
    let folder = ModelFolder::open(model)?;
    let modes = binding.ids().swap_remove(place).modes;
    spans::make(step, &declared, &modes, (folder.tokenizer(), &digest))
}

/// What a model answers in.
enum Answers<'a> {
    Codes(&'a Identifiers),
    Spans(&'a Declared),
}

/// Whether a model was made for an identifier, at its place.
fn check(binding: &Binding, path: &Path, place: usize, answers: &Answers<'_>) -> Result<()> {
    let catalogue = match answers {
        Answers::Codes(one) => one.catalogue_of_run(),
        Answers::Spans(one) => &one.catalogue,
    };
    if binding.catalogue != catalogue {
        return mismatch(path, "catalogue");
    }
    let is_same = binding.all().get(place).is_some_and(|spoken| match answers {
        Answers::Codes(one) => {
            let same_codes = spoken.codes.as_ref().is_none_or(|codes| *codes == one.hash());
            spoken.levels == one.levels && same_codes
        }
        Answers::Spans(one) => spoken.views == one.settings.views(),
    });
    if is_same { Ok(()) } else { mismatch(path, "identifier") }
}

/// A model with everything that is needed to prompt it and to search with it.
pub struct Bundle {
    /// Renders requests, and spells items, in the first identifier that was opened.
    pub prompts: PromptBuilder,
    /// The same in the others.
    pub others: Vec<PromptBuilder>,
    /// Where the identifiers that were opened lie, if they are spans, in their order.
    spans: Vec<Option<SpanFolder>>,
    folder: ModelFolder,
    binding: Binding,
}

impl Bundle {
    /// Opens a model folder and checks that it belongs to the identifiers in some folders, which
    /// come with their places among those of the model. It need not be all of them: who searches in
    /// one opens that one.
    ///
    /// # Errors
    /// [`Error::Data`] when a file is missing or damaged, or they do not belong together.
    pub fn load(
        folder: &Path,
        identifiers: &[(usize, &Path)],
        settings: &ModelSettings,
    ) -> Result<Self> {
        let (binding, path) = (Binding::read(folder)?, folder.join(BINDING_FILE));
        let tokenizer = known_digest(&folder.join(TOKENIZER))?.blake3;
        let ids = binding.ids();
        let mut opened = Vec::with_capacity(identifiers.len());
        for (place, folder) in identifiers {
            let of_spans = binding.all().get(*place).is_some_and(|one| !one.views.is_empty());
            if of_spans {
                let spans = SpanFolder::open(folder, ids[*place].modes.clone())?;
                check(&binding, &path, *place, &Answers::Spans(spans.declared()))?;
                spans.check_tokenizer(&tokenizer)?;
                opened.push((ItemTokens::none(), None, Some(spans)));
                continue;
            }
            let one = Identifiers::load(folder, None)?;
            check(&binding, &path, *place, &Answers::Codes(&one))?;
            let Ids { first, modes } = &ids[*place];
            let items = ItemTokens::new(&one.codes, &one.levels, *first);
            let items = match one.unspelled() {
                Some(code) => {
                    let is_mean = one.naming.length() == Length::Mean;
                    items.without(Silence { level: 1, code, is_mean })
                }
                None => items,
            };
            opened.push((items, modes.first().copied(), None));
        }
        if binding.tokenizer != tokenizer {
            return mismatch(&path, "tokenizer");
        }
        let folder = ModelFolder::open(folder)?;
        let (mut prompts, mut spans) = (Vec::new(), Vec::new());
        for (items, mode, of_spans) in opened {
            let builder = PromptBuilder::new(folder.tokenizer().clone(), items, settings)?;
            prompts.push(match of_spans {
                // Which view is asked for is decided each time.
                Some(_) => builder.deaf_to_history(),
                None => builder.in_mode(mode),
            });
            spans.push(of_spans);
        }
        let mut prompts = prompts.into_iter();
        let first = match prompts.next() {
            Some(first) => first,
            None => PromptBuilder::new(folder.tokenizer().clone(), ItemTokens::none(), settings)?,
        };
        Ok(Self { prompts: first, others: prompts.collect(), spans, folder, binding })
    }

    /// Whether the identifier at a place of those that were opened is one of spans.
    pub fn has_spans(&self, place: usize) -> bool {
        self.spans.get(place).is_some_and(Option::is_some)
    }

    /// The spans at a place of the identifiers that were opened; none where these are codes.
    ///
    /// # Errors
    /// [`Error::Data`] when texts or index are missing or damaged.
    pub fn spans(&self, place: usize) -> Result<Option<Spans>> {
        let folder = self.spans.get(place).and_then(Option::as_ref);
        folder.map(|folder| folder.spans(self.folder.tokenizer())).transpose()
    }

    /// Whether any identifier that was opened is one of spans.
    pub fn speaks_spans(&self) -> bool {
        self.spans.iter().any(Option::is_some)
    }

    /// The mode token of spans of titles at a place of the identifiers that were opened, where there is one.
    pub fn mode_of_spans(&self, place: usize) -> Option<u32> {
        self.spans.get(place).and_then(Option::as_ref).and_then(SpanFolder::first_mode)
    }

    fn builders(&self) -> impl Iterator<Item = &PromptBuilder> {
        std::iter::once(&self.prompts).chain(&self.others)
    }

    /// How items are spelled in the first identifier of codes that was opened.
    pub fn coded(&self) -> Option<&ItemTokens> {
        let all = self.builders().zip(&self.spans);
        all.filter(|(_, spans)| spans.is_none()).map(|(one, _)| one.items()).next()
    }

    /// Items that are spelled so.
    pub fn n_coded(&self) -> usize {
        self.coded().map_or(0, ItemTokens::n_items)
    }

    /// The first item that is spelled as each is; none where no two are.
    pub fn leaves(&self) -> Option<Vec<u32>> {
        self.coded().and_then(ItemTokens::leaves)
    }

    /// A search with this model over the index in `identifier_folder`, that of the identifier at a place of those opened.
    ///
    /// # Errors
    /// [`Error::Data`] when index or weights are missing or damaged.
    pub fn retriever(
        &self,
        place: usize,
        identifier_folder: &Path,
        decode: &DecodeSettings,
    ) -> Result<Retriever> {
        let items = self.builders().nth(place).map(|one| one.items().clone());
        let items = items.unwrap_or_else(ItemTokens::none);
        Ok(Retriever::new(self.frozen()?, open_index(identifier_folder)?, items, decode))
    }

    /// The decoder, all of whose parameters train.
    ///
    /// # Errors
    /// [`Error::Data`] when weights are missing or damaged.
    pub fn decoder(&self) -> Result<Decoder> {
        self.folder.decoder()
    }

    /// The decoder with frozen weights and a fresh adapter.
    ///
    /// # Errors
    /// [`Error::Data`] when weights are missing or damaged.
    pub fn adapted(&self, lora: &LoraSettings, seed: Seed) -> Result<Decoder> {
        let first_new_token = self.binding.first_token as usize;
        let mut settings = lora.clone();
        settings.train_new_tokens &= !self.binding.all().is_empty();
        self.folder.adapted(AdapterSpec { settings, first_new_token }, seed)
    }

    /// What the model's probabilities are normalised over.
    pub fn normalizer(&self) -> Normalizer {
        self.binding.normalizer
    }

    /// Writes `decoder`, this model with other weights, to another folder; `normalizer` is what its probabilities are
    /// normalised over.
    ///
    /// # Errors
    /// [`Error::Environment`] when the disk refuses.
    pub fn save(&self, decoder: &Decoder, folder: &Path, normalizer: Normalizer) -> Result<()> {
        ModelFolder::save(folder, decoder, self.folder.tokenizer())?;
        Binding { normalizer, ..self.binding.clone() }.write(folder)
    }

    /// A search with this model over the index in `identifier_folder`, the first that was opened.
    ///
    /// # Errors
    /// [`Error::Data`] when index or weights are missing or damaged.
    pub fn into_retriever(
        self,
        identifier_folder: &Path,
        decode: &DecodeSettings,
    ) -> Result<(PromptBuilder, Retriever)> {
        let index = open_index(identifier_folder)?;
        let decoder = self.frozen()?;
        let retriever = Retriever::new(decoder, index, self.prompts.items().clone(), decode);
        Ok((self.prompts, retriever))
    }

    /// What renders requests in each identifier that was opened, in their order.
    pub fn into_prompts(self) -> Vec<PromptBuilder> {
        std::iter::once(self.prompts).chain(self.others).collect()
    }

    /// The decoder, frozen, for any number of searches.
    ///
    /// # Errors
    /// [`Error::Data`] when weights are missing or damaged.
    pub fn frozen(&self) -> Result<Arc<FrozenDecoder>> {
        Ok(Arc::new(self.folder.freeze(Threads::One)?))
    }
}

/// The constraint index in an identifier's folder.
///
/// # Errors
/// [`Error::Data`] when it is missing or damaged.
pub fn open_index(identifier_folder: &Path) -> Result<SidIndex> {
    let path = identifier_folder.join(INDEX_FILE);
    SidIndex::open(&path).map_err(|e| {
        // The fault names the file itself.
        let message = e.to_string();
        let named = format!("{}: ", path.display());
        Error::data(&path, message.strip_prefix(&named).unwrap_or(&message))
            .with_help("delete the identifier's step folder and run again")
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::decode::prompt::tests::scratch;
    use crate::identifier::Made;
    use crate::model::Tokenizer;
    use crate::model::config::tests::small;
    use crate::model::decoder::tests::lively;
    use crate::progress::Context;

    /// Four items under two levels of three codes, two of them exchanged.
    fn identifiers(exchanged: usize, catalogue: &str) -> Identifiers {
        let mut paths = [[0, 0], [0, 2], [1, 1], [2, 0]];
        paths.swap(0, exchanged);
        Identifiers::new(paths.concat(), vec![3, 3], Made::by("random"), catalogue).unwrap()
    }

    /// Identifiers in folders, and a model that was made for some of them.
    struct Fixture {
        root: tempfile::TempDir,
    }

    impl Fixture {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            for exchanged in 0..4 {
                let folder = root.path().join(exchanged.to_string());
                identifiers(exchanged, "cafe").save(&folder).unwrap();
            }
            identifiers(0, "beef").save(&root.path().join("other")).unwrap();
            Self { root }
        }

        fn model(&self, of: &[usize]) -> std::path::PathBuf {
            let folder = self.root.path().join("model");
            let all: Vec<Named> =
                of.iter().map(|one| Named::Codes(Box::new(identifiers(*one, "cafe")))).collect();
            let mut tokenizer =
                Tokenizer::train_bpe(["red"; 4].iter(), 270, &Context::silent()).unwrap();
            let first = vocabulary::add(&mut tokenizer, &all).unwrap();
            ModelFolder::save(&folder, &lively(small(tokenizer.len())), &tokenizer).unwrap();
            bind(&folder, &all, "cafe", first).unwrap();
            folder
        }

        fn load(&self, model: &Path, places: &[(usize, &str)]) -> Result<Bundle> {
            let folders: Vec<_> =
                places.iter().map(|(place, name)| (*place, self.root.path().join(name))).collect();
            let folders: Vec<(usize, &Path)> =
                folders.iter().map(|(place, folder)| (*place, folder.as_path())).collect();
            Bundle::load(model, &folders, &scratch())
        }

        fn refusal(&self, model: &Path, places: &[(usize, &str)]) -> String {
            let error = self.load(model, places).err().expect("a refusal");
            assert_eq!(error.exit_code(), 2);
            error.to_string()
        }
    }

    #[test]
    fn each_identifier_is_opened_at_its_place_alone_or_with_others() {
        let fixture = Fixture::new();
        let model = fixture.model(&[0, 2]);
        let both = fixture.load(&model, &[(0, "0"), (1, "2")]).unwrap();
        let second = fixture.load(&model, &[(1, "2")]).unwrap();
        assert_eq!((both.others.len(), second.others.len()), (1, 0));
        assert_eq!(both.others[0].items(), second.prompts.items());
        let prompt = |prompts: &PromptBuilder| prompts.build(Some("red"), &[3]).unwrap().tokens;
        assert_eq!(prompt(&both.others[0]), prompt(&second.prompts));
        let (one, other) = (prompt(&both.prompts), prompt(&second.prompts));
        let id = |token: &str| both.folder.tokenizer().token_id(token);
        assert_eq!(one.last().copied(), id("<|as:1|>"));
        assert_eq!(other.last().copied(), id("<|as:2|>"));
        let all = |prompts: &PromptBuilder| -> Vec<u32> {
            (0..4).flat_map(|item| prompts.items().tokens(item).to_vec()).collect()
        };
        let (one, other) = (all(&both.prompts), all(&second.prompts));
        assert!(one.iter().all(|token| !other.contains(token)), "{one:?} {other:?}");

        // The weights of a training are bound to all identifiers, whichever were opened for it.
        let trained = fixture.root.path().join("trained");
        let decoder = second.decoder().unwrap();
        second.save(&decoder, &trained, Normalizer::Exact).unwrap();
        fixture.load(&trained, &[(0, "0"), (1, "2")]).unwrap();
        let binding = |folder: &Path| std::fs::read(folder.join(BINDING_FILE)).unwrap();
        assert!(binding(&model) == binding(&trained));

        // What it was taught is said beside it.
        second.save(&decoder, &trained, Normalizer::Slice).unwrap();
        let taught = fixture.load(&trained, &[(0, "0")]).unwrap();
        assert_eq!(taught.normalizer(), Normalizer::Slice);
        assert_eq!(both.normalizer(), Normalizer::Exact);
    }

    #[test]
    fn a_fault_of_an_index_names_its_file_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(INDEX_FILE);
        for _ in 0..2 {
            let told = open_index(folder.path()).err().unwrap().to_string();
            assert_eq!(told.matches(INDEX_FILE).count(), 1, "{told}");
            std::fs::write(&path, "no index").unwrap();
        }
    }

    #[test]
    fn a_model_of_other_identifiers_is_refused() {
        let fixture = Fixture::new();
        let model = fixture.model(&[0, 2]);
        for places in [&[(0, "2"), (1, "0")][..], &[(0, "1")], &[(1, "3")], &[(2, "0")]] {
            let told = fixture.refusal(&model, places);
            assert!(told.contains("made for another identifier"), "{places:?}: {told}");
        }
        let told = fixture.refusal(&model, &[(0, "other")]);
        assert!(told.contains("made for another catalogue"), "{told}");
        let alone = fixture.model(&[0]);
        assert!(fixture.refusal(&alone, &[(1, "0")]).contains("made for another identifier"));
        let bundle = fixture.load(&alone, &[(0, "0")]).unwrap();
        let prompt = bundle.prompts.build(Some("red"), &[]).unwrap().tokens;
        let answer = bundle.folder.tokenizer().token_id("<|answer|>");
        assert_eq!(prompt.last().copied(), answer, "a single identifier needs no mode token");
        let text = std::fs::read_to_string(alone.join(BINDING_FILE)).unwrap();
        assert!(!text.contains("others") && !text.contains("codes"), "{text}");
    }
}
