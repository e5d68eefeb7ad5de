//! A model folder tied to the identifiers it speaks: the one layout that is written, and the one
//! loader.

use std::path::Path;

use serde::{Deserialize, Serialize};
use trieval_kernels::index::SidIndex;
use trieval_kernels::ops::Threads;

use super::vocabulary::{self, Ids};
use crate::decode::prompt::PromptBuilder;
use crate::decode::retriever::Retriever;
use crate::decode::settings::{DecodeSettings, Normalizer};
use crate::error::{Error, Result};
use crate::identifier::Identifiers;
use crate::identifier::settings::Length;
use crate::model::item_tokens::{ItemTokens, Silence};
use crate::model::lora::AdapterSpec;
use crate::model::settings::{LoraSettings, ModelSettings};
use crate::model::tokenizer::TOKENIZER;
use crate::model::{Decoder, ModelFolder};
use crate::seed::Seed;
use crate::store::{digest, known_digest, write_json};

/// The constraint index inside the folder of identifiers.
pub const INDEX_FILE: &str = "index.bin";
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
}

impl Binding {
    /// All identifiers, in the order of their tokens.
    fn all(&self) -> Vec<&Spoken> {
        let all = std::iter::once(&self.spoken).chain(&self.others);
        all.filter(|spoken| !spoken.levels.is_empty()).collect()
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
    identifiers: &[Identifiers],
    catalogue: &str,
    first_token: u32,
) -> Result<()> {
    let spoken = |one: &Identifiers| Spoken {
        levels: one.levels.clone(),
        codes: (identifiers.len() > 1).then(|| one.hash()),
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

/// A model with everything that is needed to prompt it and to search with it.
pub struct Bundle {
    /// Renders requests, and spells items, in the first identifier that was opened.
    pub prompts: PromptBuilder,
    /// The same in the others.
    pub others: Vec<PromptBuilder>,
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
        let load = |(place, folder): &(usize, &Path)| {
            Identifiers::load(folder, None).map(|identifiers| (*place, identifiers))
        };
        let identifiers = identifiers.iter().map(load).collect::<Result<Vec<_>>>()?;
        let path = folder.join(BINDING_FILE);
        let text = std::fs::read(&path).map_err(|e| Error::unreadable(&path, &e))?;
        let binding: Binding = serde_json::from_slice(&text)
            .map_err(|e| Error::data(&path, format!("not an identifier binding: {e}")))?;
        let mismatch = |what: &str| {
            Err(Error::data(&path, format!("the model was made for another {what}"))
                .with_help("delete the model's step folder and run again"))
        };
        let all = binding.all();
        for (place, one) in &identifiers {
            if binding.catalogue != one.catalogue_of_run() {
                return mismatch("catalogue");
            }
            let is_same = all.get(*place).is_some_and(|spoken| {
                let same_codes = spoken.codes.as_ref().is_none_or(|codes| *codes == one.hash());
                spoken.levels == one.levels && same_codes
            });
            if !is_same {
                return mismatch("identifier");
            }
        }
        if binding.tokenizer != known_digest(&folder.join(TOKENIZER))?.blake3 {
            return mismatch("tokenizer");
        }
        let folder = ModelFolder::open(folder)?;
        let levels: Vec<&[u32]> = all.iter().map(|spoken| spoken.levels.as_slice()).collect();
        let ids = vocabulary::ids(&levels, binding.first_token);
        let prompts = identifiers.iter().map(|(place, one)| {
            let Ids { first, mode } = ids[*place];
            let items = ItemTokens::new(&one.codes, &one.levels, first);
            let items = match one.unspelled() {
                Some(code) => {
                    let is_mean = one.naming.length() == Length::Mean;
                    items.without(Silence { level: 1, code, is_mean })
                }
                None => items,
            };
            let prompts = PromptBuilder::new(folder.tokenizer().clone(), items, settings)?;
            Ok(prompts.in_mode(mode))
        });
        let mut prompts = prompts.collect::<Result<Vec<_>>>()?.into_iter();
        let first = match prompts.next() {
            Some(first) => first,
            None => PromptBuilder::new(folder.tokenizer().clone(), ItemTokens::none(), settings)?,
        };
        Ok(Self { prompts: first, others: prompts.collect(), folder, binding })
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
        let decoder = self.folder.freeze(Threads::One)?;
        let retriever = Retriever::new(decoder, index, self.prompts.items().clone(), decode);
        Ok((self.prompts, retriever))
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
            let all: Vec<Identifiers> = of.iter().map(|one| identifiers(*one, "cafe")).collect();
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
