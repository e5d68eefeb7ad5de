//! The parts of a recipe by name, as steps and systems need them.

use crate::error::{Error, Result};
use crate::judging::runs::{Drawn, Evaluated};
use crate::kind::{Family, Role, Use};
use crate::model::settings::ModelSettings;
use crate::ranker::kinds::{System, SystemSettings};
use crate::recipe::Recipe;
use crate::trained::kinds::TrainingSettings;

/// The requests that the systems of a recipe are evaluated on.
pub(super) fn evaluated(recipe: &Recipe) -> Evaluated {
    let evaluation = &recipe.evaluation;
    let seed = evaluation.seed.unwrap_or(recipe.seed);
    let sample = evaluation.requests.map(|requests| Drawn { requests, seed });
    Evaluated { split: evaluation.split, sample }
}

/// A system of a recipe with those that it asks, its vectors and its model.
///
/// # Errors
/// [`Error::Failed`] where the recipe lacks one of them: it was not checked.
pub(super) fn system_of(recipe: &Recipe, settings: &SystemSettings) -> Result<System> {
    let mut system = System {
        settings: settings.clone(),
        asks: Vec::new(),
        vectors: None,
        model: None,
        identifiers: Vec::new(),
    };
    let uses = settings.it().uses();
    for one in &uses {
        match one.family {
            Family::System if one.answers.is_none() => {
                let part =
                    recipe.named(one.name).ok_or_else(|| missing(Family::System, one.name))?;
                system.asks.push(system_of(recipe, part)?);
            }
            Family::Vectors if one.role == Role::Vectors => {
                system.vectors = recipe.vectors.get(one.name).cloned();
            }
            Family::Train if one.role == Role::Train && !one.is_table => {
                let decoder = training(recipe, one.name)?.decoder();
                let decoder = decoder.ok_or_else(|| missing(Family::Train, one.name))?;
                system.model = Some(model(recipe, recipe.model_of(decoder))?.clone());
            }
            Family::Vectors
            | Family::Identifier
            | Family::Model
            | Family::Train
            | Family::System => {}
        }
    }
    if let Some(model) = &system.model {
        let chosen = uses.iter().filter(|one| one.family == Family::Identifier);
        let place = |chosen: &Use<'_>| {
            let place = model.identifiers().iter().position(|name| *name == chosen.name);
            place.ok_or_else(|| missing(Family::Identifier, chosen.name))
        };
        system.identifiers = chosen.map(place).collect::<Result<_>>()?;
        if system.identifiers.is_empty() {
            system.identifiers.push(0);
        }
    }
    Ok(system)
}

/// The name of the model whose decoder a system searches with, where it does.
pub(super) fn model_of<'r>(recipe: &'r Recipe, settings: &SystemSettings) -> Option<&'r str> {
    let uses = settings.it().uses();
    let trained = uses.iter().find(|one| one.role == Role::Train && !one.is_table)?;
    Some(recipe.model_of(recipe.training(trained.name)?.decoder()?))
}

pub(super) fn model<'r>(recipe: &'r Recipe, name: &str) -> Result<&'r ModelSettings> {
    recipe.model.get(name).ok_or_else(|| missing(Family::Model, name))
}

/// The identifier at a place of those of a model, which `user` answers in.
pub(super) fn spoken<'m>(model: &'m ModelSettings, user: &str, place: usize) -> Result<&'m str> {
    let name = model.identifiers().get(place).copied();
    name.ok_or_else(|| Error::Failed(format!("{user} has no identifier at place {place}")))
}

pub(super) fn training<'r>(recipe: &'r Recipe, name: &str) -> Result<&'r TrainingSettings> {
    recipe.training(name).ok_or_else(|| missing(Family::Train, name))
}

pub(super) fn missing(family: Family, name: &str) -> Error {
    Error::Failed(format!("the recipe has no {} {name}", family.word()))
}
