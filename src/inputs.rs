//! What a step may look at: the folders of its inputs by what they are to it, and the corpus, opened once per process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::corpus::{Catalogue, Corpus, ItemIdx, ItemName, ItemTextRow, Names};
use crate::error::{Error, Result};
use crate::kind::Role;
use crate::progress::Context;
use crate::seed::Seed;

/// The corpus of a run and its items in memory, opened when they are first asked for.
#[derive(Default)]
pub struct Tables {
    corpus: OnceLock<Corpus>,
    catalogue: OnceLock<Catalogue>,
    names: OnceLock<Names>,
    /// Items that came after the run, behind all others.
    more: Vec<ItemTextRow>,
}

impl Tables {
    /// The tables of a run, and items that came after it.
    pub fn with(more: Vec<ItemTextRow>) -> Self {
        Self { more, ..Self::default() }
    }

    /// The tables in a folder.
    ///
    /// # Errors
    /// [`Error::Data`] when they cannot be read.
    pub fn corpus(&self, folder: &Path) -> Result<&Corpus> {
        if let Some(corpus) = self.corpus.get() {
            return Ok(corpus);
        }
        let corpus = Corpus::open(folder)?;
        Ok(self.corpus.get_or_init(|| corpus))
    }

    /// The items of these tables.
    ///
    /// # Errors
    /// [`Error::Data`] when they cannot be read.
    pub fn catalogue(&self, folder: &Path) -> Result<&Catalogue> {
        if let Some(catalogue) = self.catalogue.get() {
            return Ok(catalogue);
        }
        let mut catalogue = self.corpus(folder)?.catalogue()?;
        if !self.more.is_empty() {
            catalogue = catalogue.with(&self.more)?;
        }
        Ok(self.catalogue.get_or_init(|| catalogue))
    }

    /// Ids and titles of the items of these tables.
    ///
    /// # Errors
    /// [`Error::Data`] when they cannot be read.
    pub fn names(&self, folder: &Path) -> Result<&Names> {
        if let Some(names) = self.names.get() {
            return Ok(names);
        }
        let mut names = self.corpus(folder)?.names()?;
        if !self.more.is_empty() {
            names = names.with(&self.more)?;
        }
        Ok(self.names.get_or_init(|| names))
    }

    /// Ids and titles of some items of these tables, in the order of `items`; where those of all are
    /// in memory, nothing is read.
    ///
    /// # Errors
    /// [`Error::Data`] when they cannot be read.
    pub fn some_names(&self, folder: &Path, items: &[ItemIdx]) -> Result<Vec<ItemName>> {
        if let Some(names) = self.names.get() {
            return Ok(items.iter().map(|item| names.name(*item)).collect());
        }
        let corpus = self.corpus(folder)?;
        let n_items = corpus.summary().items;
        let is_known = |item: &ItemIdx| u64::from(*item) < n_items;
        let known: Vec<ItemIdx> = items.iter().copied().filter(is_known).collect();
        let mut known = corpus.some_names(&known)?.into_iter();
        let name = |item: &ItemIdx| match is_known(item) {
            true => known.next(),
            false => {
                let later = self.more.get((u64::from(*item) - n_items) as usize)?;
                Some(ItemName { id: later.id.clone(), title: later.title.clone() })
            }
        };
        Ok(items.iter().filter_map(name).collect())
    }
}

/// What a step may look at while it runs: no recipe, no plan.
pub struct StepContext<'a> {
    /// Name in messages, as in `train.aligned`.
    pub name: &'a str,
    /// Content key.
    pub key: &'a str,
    /// Name of the recipe, under which trackers file a training.
    pub recipe: &'a str,
    /// Folder of the step's event files, where they are asked for: views, no results.
    pub boards: &'a Path,
    /// Resolved settings, as trackers show them.
    pub settings: &'a serde_json::Value,
    /// What it reads.
    pub inputs: &'a Inputs,
    /// The seed of all that it draws.
    pub seed: Seed,
    /// Where it writes its result.
    pub out: &'a Path,
    /// Where it keeps the state that only an unfinished step needs.
    pub work: &'a Path,
    /// Reporting and interruption.
    pub ctx: &'a Context,
}

/// Folders of finished steps by their role, and below them those of the systems that a system asks.
#[derive(Clone, Default)]
pub struct Inputs {
    folders: BTreeMap<Role, PathBuf>,
    systems: Vec<Inputs>,
    tables: Arc<Tables>,
}

impl Inputs {
    /// Inputs by paths of roles, as in `systems.0.vectors` for the vectors of the first system that is asked.
    ///
    /// # Errors
    /// [`Error::Failed`] for a path that names no role: a fault of this program, or a damaged plan.
    pub fn new(
        folders: impl IntoIterator<Item = (String, PathBuf)>,
        tables: Arc<Tables>,
    ) -> Result<Self> {
        let mut inputs = Self { tables, ..Self::default() };
        for (path, folder) in folders {
            inputs.add(&path, folder)?;
        }
        Ok(inputs)
    }

    fn add(&mut self, path: &str, folder: PathBuf) -> Result<()> {
        let unknown = || Error::Failed(format!("`{path}` is no role of an input"));
        // `systems.0` is a folder, `systems.0.vectors` one of that system's.
        let below = path.strip_prefix("systems.").and_then(|rest| rest.split_once('.'));
        let Some((place, rest)) = below else {
            self.folders.insert(Role::parse(path).ok_or_else(unknown)?, folder);
            return Ok(());
        };
        let place: usize = place.parse().map_err(|_| unknown())?;
        while self.systems.len() <= place {
            self.systems.push(Self { tables: self.tables.clone(), ..Self::default() });
        }
        self.systems[place].add(rest, folder)
    }

    /// The path of a role below the system at a place of another's.
    pub fn below(place: usize, path: &str) -> String {
        format!("systems.{place}.{path}")
    }

    /// Puts a folder into a role.
    pub fn put(&mut self, role: Role, folder: &Path) {
        self.folders.insert(role, folder.to_owned());
    }

    /// The folder in a role.
    ///
    /// # Errors
    /// [`Error::Failed`] where a step has none: a fault of this program.
    pub fn folder(&self, role: Role) -> Result<&Path> {
        let folder = self.folders.get(&role).map(PathBuf::as_path);
        folder.ok_or_else(|| {
            Error::Failed(format!("the plan names no {}: please report it", role.text()))
        })
    }

    /// The folder in a role, where there is one.
    pub fn find(&self, role: Role) -> Option<&Path> {
        self.folders.get(&role).map(PathBuf::as_path)
    }

    /// The folders of the roles of a list, in order.
    pub fn parts(&self) -> Vec<&Path> {
        let parts = (0..).map_while(|place| self.folders.get(&Role::Part(place)));
        parts.map(PathBuf::as_path).collect()
    }

    /// The folders of identifiers, each with its place among those of the model, in their order.
    pub fn identifiers(&self) -> Vec<(usize, &Path)> {
        let folders = self.folders.iter().filter_map(|(role, folder)| match role {
            Role::Identifier(place) => Some((*place, folder.as_path())),
            _ => None,
        });
        folders.collect()
    }

    /// The inputs of the system at a place of those that are asked.
    ///
    /// # Errors
    /// [`Error::Failed`] where there is none: a fault of this program.
    pub fn system(&self, place: usize) -> Result<&Self> {
        let system = self.systems.get(place);
        system.ok_or_else(|| {
            Error::Failed(format!("the plan names no system {place}: please report it"))
        })
    }

    /// All folders but that of the corpus, those of systems that are asked included.
    pub fn folders(&self) -> Vec<&Path> {
        let own = self.folders.iter().filter(|(role, _)| **role != Role::Corpus);
        let own = own.map(|(_, folder)| folder.as_path());
        own.chain(self.systems.iter().flat_map(Self::folders)).collect()
    }

    /// The tables.
    ///
    /// # Errors
    /// [`Error::Data`] when they cannot be read.
    pub fn corpus(&self) -> Result<&Corpus> {
        self.tables.corpus(self.folder(Role::Corpus)?)
    }

    /// The items in memory.
    ///
    /// # Errors
    /// [`Error::Data`] when they cannot be read.
    pub fn catalogue(&self) -> Result<&Catalogue> {
        self.tables.catalogue(self.folder(Role::Corpus)?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn roles_lead_to_folders_at_any_depth() {
        let paths =
            ["corpus", "parts.1", "parts.0", "systems.1.vectors", "systems.0.systems.0.opened"];
        let folders = paths.map(|path| (path.to_owned(), PathBuf::from(format!("/{path}"))));
        let inputs = Inputs::new(folders, Arc::default()).unwrap();
        assert_eq!(inputs.parts(), [Path::new("/parts.0"), Path::new("/parts.1")]);
        let second = inputs.system(1).unwrap();
        assert_eq!(second.folder(Role::Vectors).unwrap(), Path::new("/systems.1.vectors"));
        let inner = inputs.system(0).unwrap().system(0).unwrap();
        assert_eq!(inner.folder(Role::Opened).unwrap(), Path::new("/systems.0.systems.0.opened"));
        assert_eq!(inputs.folders().len(), 4);
        assert!(second.identifiers().is_empty());
        let folders = ["identifiers.1", "identifiers.10", "identifier", "prompts.1"];
        let folders = folders.map(|path| (path.to_owned(), PathBuf::from(format!("/{path}"))));
        let spoken = Inputs::new(folders, Arc::default()).unwrap();
        let places: Vec<usize> = spoken.identifiers().iter().map(|(place, _)| *place).collect();
        assert_eq!(places, [0, 1, 10]);
        assert!(second.folder(Role::Train).unwrap_err().to_string().contains("names no train"));
        assert!(inputs.system(2).is_err());
        let odd = [("nowhere".to_owned(), PathBuf::new())];
        assert!(Inputs::new(odd, Arc::default()).is_err());
    }
}

/// Steps of tests: folders of their own, and a corpus where there is one.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Where a step of a test reads and writes.
    pub(crate) struct Place {
        pub(crate) inputs: Inputs,
        pub(crate) out: PathBuf,
        pub(crate) work: PathBuf,
    }

    impl Place {
        /// Writes to `out` and keeps its state in `work`; reads the corpus in a folder.
        #[allow(clippy::unwrap_used)]
        pub(crate) fn new(corpus: Option<&Path>, out: &Path, work: &Path) -> Self {
            let mut inputs = Inputs::default();
            if let Some(corpus) = corpus {
                inputs.put(Role::Corpus, corpus);
            }
            std::fs::create_dir_all(out).unwrap();
            std::fs::create_dir_all(work).unwrap();
            Self { inputs, out: out.to_owned(), work: work.to_owned() }
        }

        /// What the step may look at.
        pub(crate) fn step<'a>(&'a self, seed: Seed, ctx: &'a Context) -> StepContext<'a> {
            StepContext {
                name: "step",
                key: "key",
                recipe: "recipe",
                boards: &self.work,
                settings: &serde_json::Value::Null,
                inputs: &self.inputs,
                seed,
                out: &self.out,
                work: &self.work,
                ctx,
            }
        }
    }
}
