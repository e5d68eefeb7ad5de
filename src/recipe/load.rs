//! From a file or a text to a checked recipe.

use std::path::Path;

use super::check::check;
use super::document::{Document, Step};
use super::fault::{Style, render, sort};
use super::place::Place;
use super::settings::Recipe;
use super::{overrides, trainings};
use crate::error::{Error, Result};

/// Largest recipe file that is read, in bytes; anything larger is surely another kind of file.
const LARGEST_FILE: u64 = 4 << 20;

/// A checked recipe with its text and the origin of each value.
#[derive(Debug, Clone)]
pub struct LoadedRecipe {
    /// The recipe, checked.
    pub recipe: Recipe,
    /// Remarks that do not stop a run, rendered for the terminal; `None` when there are none.
    pub warnings: Option<String>,
    pub(super) document: Document,
}

/// Where the value of a key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Written in the recipe file, at a 1-based line.
    File {
        /// Name of the file.
        name: String,
        /// 1-based line.
        line: usize,
    },
    /// Given as `--set`.
    Override(String),
    /// Not given: the default.
    Default,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File { name, line } => write!(formatter, "{name}:{line}"),
            Self::Override(text) => write!(formatter, "--set {text}"),
            Self::Default => formatter.write_str("default"),
        }
    }
}

impl Recipe {
    /// Reads, overrides and checks a recipe file. Its paths begin at its folder, and at the working folder where
    /// nothing is there.
    ///
    /// # Errors
    /// [`Error::Data`] when the file cannot be read or is not UTF-8, and [`Error::Faults`] with all
    /// faults rendered.
    pub fn load(path: &Path, overrides: &[String]) -> Result<LoadedRecipe> {
        let metadata = std::fs::metadata(path).map_err(|cause| {
            let help = "trieval recipes list shows the shipped recipes";
            Error::unreadable(path, &cause).with_help(help)
        })?;
        if metadata.is_dir() {
            return Err(Error::data(path, "is a folder, expected a recipe file")
                .with_help("give the .toml file itself"));
        }
        if metadata.len() > LARGEST_FILE {
            let message = format!("has {} bytes, too many for a recipe", metadata.len());
            return Err(Error::data(path, message).with_help("give a .toml recipe file"));
        }
        let bytes = std::fs::read(path).map_err(|cause| Error::unreadable(path, &cause))?;
        let text = String::from_utf8(bytes).map_err(|cause| {
            let valid = cause.utf8_error().valid_up_to();
            let line = 1 + cause.as_bytes()[..valid].iter().filter(|&&byte| byte == b'\n').count();
            Error::data_at(path, line as u64, format!("not UTF-8 text, at byte {valid}"))
                .with_help("save the recipe as UTF-8")
        })?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let name = path.display().to_string();
        parse_in(&text, &name, folder, overrides, Style::detect()).map_err(Error::Faults)
    }

    /// Overrides and checks the text of a recipe; `source_name` stands in messages.
    ///
    /// # Errors
    /// [`Error::Faults`] with all faults rendered, sorted by position and counted.
    pub fn parse(text: &str, source_name: &str, overrides: &[String]) -> Result<LoadedRecipe> {
        parse_styled(text, source_name, overrides, Style::detect()).map_err(Error::Faults)
    }

    /// Loads the recipe file `name_or_path`, or the shipped recipe of that name where no such file exists.
    ///
    /// # Errors
    /// Those of [`Recipe::load`]; [`Error::Usage`] when there is neither a file nor a shipped recipe.
    pub fn open(name_or_path: &str, overrides: &[String]) -> Result<LoadedRecipe> {
        let path = Path::new(name_or_path);
        let plain = !name_or_path.contains(['/', '\\', '.']);
        let is_folder = path.is_dir();
        let folder = || {
            let refused = Error::data(path, "is a folder, expected a recipe file");
            refused.with_help("name a file in it, or a shipped recipe: `trieval recipes list`")
        };
        if plain && (is_folder || !path.exists()) {
            let found = super::shipped::find(name_or_path);
            let shipped = found.map_err(|error| if is_folder { folder() } else { error })?;
            return Self::parse(shipped.text, &format!("recipes/{}.toml", shipped.name), overrides);
        }
        if is_folder {
            return Err(folder());
        }
        Self::load(path, overrides)
    }
}

/// As [`Recipe::parse`], with the faults drawn in a given style.
pub(super) fn parse_styled(
    text: &str,
    source_name: &str,
    overrides: &[String],
    style: Style,
) -> Result<LoadedRecipe, String> {
    parse_in(text, source_name, None, overrides, style)
}

/// As [`parse_styled`], of a file in a folder at which its paths begin.
fn parse_in(
    text: &str,
    source_name: &str,
    folder: Option<&Path>,
    overrides: &[String],
    style: Style,
) -> Result<LoadedRecipe, String> {
    let mut document = Document::parse(source_name, text).map_err(|(sources, mut faults)| {
        sort(&mut faults);
        render(&sources, &faults, style)
    })?;
    document.folder = folder.map(Path::to_owned);
    let mut faults = overrides::apply(&mut document, overrides);
    faults.extend(trainings::apply(&mut document));
    match check(&document, faults) {
        Ok((recipe, remarks)) => {
            let warnings =
                (!remarks.is_empty()).then(|| render(&document.sources, &remarks, style));
            Ok(LoadedRecipe { recipe, warnings, document })
        }
        Err(faults) => Err(render(&document.sources, &faults, style)),
    }
}

impl LoadedRecipe {
    /// Name of the file, as given.
    pub fn source_name(&self) -> &str {
        self.document.sources.first().map_or("", |source| source.name.as_str())
    }

    /// Text of the recipe file, before overrides.
    pub fn source_text(&self) -> &str {
        self.document.sources.first().map_or("", |source| source.text.as_str())
    }

    /// The overrides that were applied, in order.
    pub fn overrides(&self) -> impl Iterator<Item = &str> {
        self.document.sources.iter().skip(1).map(|source| source.text.as_str())
    }

    /// Whether an override gives the recipe's seed.
    pub fn overrides_seed(&self) -> bool {
        matches!(self.origin(&[Step::Key("seed".into())]), Origin::Override(_))
    }

    /// The recipe as TOML with overrides applied and every default filled in; see [`Recipe::to_toml`].
    ///
    /// # Errors
    /// Those of [`Recipe::to_toml`], which a loaded recipe does not meet.
    pub fn resolved_toml(&self) -> Result<String> {
        self.recipe.to_toml()
    }

    /// Where the value at a path comes from.
    pub(super) fn origin(&self, path: &[Step]) -> Origin {
        if self.document.node(path).is_none() {
            return Origin::Default;
        }
        self.origin_of(&self.document.key_place(path))
    }

    fn origin_of(&self, place: &Place) -> Origin {
        match self.document.sources.get(place.source) {
            Some(source) if place.source > 0 => Origin::Override(source.text.to_string()),
            Some(source) => {
                Origin::File { name: source.name.clone(), line: source.line(place.start) }
            }
            None => Origin::Default,
        }
    }
}
