//! The recipes that come inside the binary: listed, shown, copied.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::fault::{listed, nearest};
use crate::error::{Error, Result};

/// A recipe embedded in the binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShippedRecipe {
    /// Its name, which is also the name of its file without `.toml`.
    pub name: &'static str,
    /// The whole file.
    pub text: &'static str,
}

const SHIPPED: [ShippedRecipe; 13] = [
    ShippedRecipe { name: "quickstart", text: include_str!("../../recipes/quickstart.toml") },
    ShippedRecipe { name: "mmse-shop", text: include_str!("../../recipes/mmse-shop.toml") },
    ShippedRecipe { name: "home-depot", text: include_str!("../../recipes/home-depot.toml") },
    ShippedRecipe {
        name: "home-depot-ceiling",
        text: include_str!("../../recipes/home-depot-ceiling.toml"),
    },
    ShippedRecipe {
        name: "home-depot-spans",
        text: include_str!("../../recipes/home-depot-spans.toml"),
    },
    ShippedRecipe {
        name: "home-depot-smollm2",
        text: include_str!("../../recipes/home-depot-smollm2.toml"),
    },
    ShippedRecipe {
        name: "home-depot-mmse",
        text: include_str!("../../recipes/home-depot-mmse.toml"),
    },
    ShippedRecipe {
        name: "mmse-ablations",
        text: include_str!("../../recipes/mmse-ablations.toml"),
    },
    ShippedRecipe { name: "hourglass", text: include_str!("../../recipes/hourglass.toml") },
    ShippedRecipe { name: "scientific", text: include_str!("../../recipes/scientific.toml") },
    ShippedRecipe { name: "beauty", text: include_str!("../../recipes/beauty.toml") },
    ShippedRecipe { name: "kuaisearch", text: include_str!("../../recipes/kuaisearch.toml") },
    ShippedRecipe { name: "jdsearch", text: include_str!("../../recipes/jdsearch.toml") },
];

/// All shipped recipes, the first one to try first.
pub fn list() -> &'static [ShippedRecipe] {
    &SHIPPED
}

/// The shipped recipe of a name.
///
/// # Errors
/// [`Error::Usage`] with the nearest name when there is none.
pub fn find(name: &str) -> Result<ShippedRecipe> {
    let wanted = name.strip_suffix(".toml").unwrap_or(name);
    if let Some(recipe) = SHIPPED.iter().find(|recipe| recipe.name == wanted) {
        return Ok(*recipe);
    }
    let names = || SHIPPED.iter().map(|recipe| recipe.name);
    let help = match nearest(wanted, names()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("shipped recipes: {}", listed(names(), "`")),
    };
    Err(Error::Usage(format!(
        "no recipe is called `{name}`, and no such file exists\n  help: {help}"
    )))
}

/// Names and descriptions as aligned lines, for `recipes list`.
pub fn list_text() -> String {
    let width = SHIPPED.iter().map(|recipe| recipe.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for recipe in &SHIPPED {
        text.push_str(&format!("{:width$}  {}\n", recipe.name, recipe.description()));
    }
    text
}

/// Writes a shipped recipe to a file, or into a folder under its own name; gives the file's path.
///
/// # Errors
/// [`Error::Usage`] when there is no such recipe or the file exists already, [`Error::Environment`]
/// when it cannot be written.
pub fn copy(name: &str, to: &Path) -> Result<PathBuf> {
    let recipe = find(name)?;
    let target = if to.is_dir() { to.join(format!("{}.toml", recipe.name)) } else { to.to_owned() };
    if target.symlink_metadata().is_ok() {
        let message = format!("{} exists already\n  help: name another file", target.display());
        return Err(Error::Usage(message));
    }
    crate::store::write_atomic(&target, |writer| {
        writer.write_all(recipe.text.as_bytes()).map_err(|cause| Error::unwritable(&target, &cause))
    })?;
    Ok(target)
}

impl ShippedRecipe {
    /// The recipe's own description.
    pub fn description(&self) -> String {
        let table: Option<toml::Table> = self.text.parse().ok();
        let text = table.as_ref().and_then(|table| table.get("description"));
        text.and_then(toml::Value::as_str).unwrap_or_default().to_owned()
    }
}
