//! The plan of several seeds: the plans of a recipe under each of them as one, in which equal steps
//! are one step, and a last step that judges all replicates together.

use std::collections::BTreeMap;

use super::builder::Builder;
use super::outside::Outside;
use super::plan::Plan;
use super::step::{CORPUS, REPLICATES, Replicate, Step, step_name};
use crate::error::{Error, Result};
use crate::kind::Family;
use crate::recipe::Recipe;

impl Plan {
    /// The plan under several seeds: what does not depend on the seed is one step. Systems are judged seed by
    /// seed, and once more together.
    fn of_seeds(recipe: &Recipe, seeds: &[u64], most: Option<u64>) -> Result<Self> {
        if recipe.evaluation.requests.is_some() && recipe.evaluation.seed.is_none() {
            return Err(Error::Usage(
                "--seeds: every seed would draw other requests to be evaluated \
                 (evaluation.requests), and figures over different requests have no common mean; \
                 keep the sample with --set evaluation.seed=17"
                    .into(),
            ));
        }
        let under = |&seed: &u64| Recipe { seed, ..recipe.clone() };
        let recipes: Vec<Recipe> = seeds.iter().map(under).collect();
        let mut builder = Builder::new(recipe, Outside::of(recipe, most)?);
        let mut replicates = Vec::new();
        for recipe in &recipes {
            builder.turn_to(recipe, BTreeMap::new());
            builder.all()?;
            replicates.push(Replicate { seed: recipe.seed, names: builder.names().clone() });
        }
        check(recipe, &replicates)?;
        if let (Some(recipe), Some(first)) = (recipes.first(), replicates.first()) {
            builder.turn_to(recipe, first.names.clone());
            builder.replicates(&replicates)?;
            builder.evidence(REPLICATES)?;
        }
        let (steps, names) = builder.finish();
        Ok(Self { steps, names, replicates, recipe: None })
    }

    /// The plan of a recipe under several seeds, or under its own where there are none.
    ///
    /// # Errors
    /// [`Error::Usage`] when the replicates would not be judged on the same requests, or no system
    /// depends on the seed; otherwise as [`Plan::new`].
    pub fn under(recipe: &Recipe, seeds: &[u64]) -> Result<Self> {
        Self::planned(recipe, seeds, None)
    }

    /// As [`Plan::under`], reading at most `most` bytes of outside files, where that is given.
    pub(super) fn planned(recipe: &Recipe, seeds: &[u64], most: Option<u64>) -> Result<Self> {
        if seeds.is_empty() {
            Self::build(recipe, most)
        } else {
            Self::of_seeds(recipe, seeds, most)
        }
    }

    /// The steps of a component under every seed, in their order; equal ones are one.
    pub fn all(&self, name: &str) -> Vec<&Step> {
        let others = self.replicates.iter().map(|one| &one.names);
        let mut steps: Vec<&Step> = Vec::new();
        for names in std::iter::once(&self.names).chain(others) {
            let step = names.get(name).and_then(|key| self.with_key(key));
            steps.extend(step.filter(|step| steps.iter().all(|one| one.key != step.key)));
        }
        steps
    }

    /// Makes the steps of another seed those that components are found by.
    ///
    /// # Errors
    /// The seeds that the plan has, where this is none of them.
    pub fn turn_to(&mut self, seed: u64) -> std::result::Result<(), Vec<u64>> {
        let found = self.replicates.iter().find(|one| one.seed == seed);
        self.names = found.ok_or_else(|| self.seeds())?.names.clone();
        Ok(())
    }

    /// What stands above the recipe of a run under several seeds; empty for one.
    pub fn remark(&self) -> String {
        let seeds: Vec<String> = self.seeds().iter().map(u64::to_string).collect();
        match seeds.first() {
            None => String::new(),
            Some(first) => format!(
                "# Run with --seeds {}; `seed = {first}` is the first of them.\n",
                seeds.join(",")
            ),
        }
    }

    /// The seeds that the plan was made for; none where it was made for the recipe's alone.
    pub fn seeds(&self) -> Vec<u64> {
        self.replicates.iter().map(|one| one.seed).collect()
    }

    /// What a step is called in messages: its name, and its seed where others have a step of their
    /// own, as in `train.aligned [seed 18]`.
    pub fn label(&self, step: &Step) -> String {
        self.labelled(&step.name, step)
    }

    /// `name` with the seed of a step, where others have a step of their own.
    pub fn labelled(&self, name: &str, step: &Step) -> String {
        let has = |one: &&Replicate| one.names.values().any(|key| *key == step.key);
        let seeds: Vec<String> =
            self.replicates.iter().filter(has).map(|one| one.seed.to_string()).collect();
        match seeds.as_slice() {
            [] => name.to_owned(),
            all if all.len() == self.replicates.len() => name.to_owned(),
            [seed] => format!("{name} [seed {seed}]"),
            several => format!("{name} [seeds {}]", several.join(", ")),
        }
    }
}

/// Refuses replicates that cannot be judged together.
fn check(recipe: &Recipe, replicates: &[Replicate]) -> Result<()> {
    let differ = |name: &str| {
        let mut keys = replicates.iter().map(|one| one.names.get(name));
        let first = keys.next();
        keys.any(|key| Some(key) != first)
    };
    if differ(CORPUS) {
        return Err(Error::Usage(format!(
            "--seeds: a corpus of kind {} is another one for every seed, and figures over other \
             requests have no common mean; keep it by a key `seed` of [corpus], or of the table in \
             it that draws, as with --set corpus.seed=17",
            recipe.corpus.kind(),
        )));
    }
    for name in recipe.evaluation.slicing_identifiers() {
        if differ(&step_name(Family::Identifier, &name)) {
            return Err(Error::Usage(format!(
                "--seeds: every seed would divide requests by other codes of identifier {name} \
                 (evaluation.slices); keep them by a key `seed` of [identifier.{name}] and of what it \
                 is made of"
            )));
        }
    }
    let mut systems = recipe.system.iter().map(|one| step_name(Family::System, one.name()));
    if !systems.any(|name| differ(&name)) {
        return Err(Error::Usage(
            "--seeds: no system depends on the seed, so that all replicates would be the same; run \
             the recipe once, without --seeds"
                .into(),
        ));
    }
    Ok(())
}
