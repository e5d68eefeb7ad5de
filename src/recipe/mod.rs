//! Text to checked recipe: parsing with spans, overrides, and every fault at once.
//!
//! Knows the settings of all components and nothing of their code: it executes nothing, opens no
//! data and touches no weights. The life of a recipe is parse (`document`) → overrides (`overrides`)
//! → tables of trainings in parts that name one (`trainings`) → walk against the schema (`shape`, `walk`) → cross checks (`check`) → [`Recipe`].

mod check;
mod docs;
mod document;
mod explain;
mod fault;
mod load;
mod overrides;
mod place;
mod settings;
mod shape;
mod shipped;
#[cfg(test)]
mod tests;
mod trainings;
mod walk;
mod written;

pub use docs::{json_schema, recipe_reference};
pub use explain::explain;
pub use load::{LoadedRecipe, Origin};
pub use settings::Recipe;
pub use shipped::{ShippedRecipe, copy, find, list, list_text};
