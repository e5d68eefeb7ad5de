//! What a cascade says of itself.

use std::path::PathBuf;

use super::settings::{ActSettings, CascadeSettings, RerankSettings};
use super::{Cascade, Mmr, Scoring};
use crate::error::{Error, Result};
use crate::inputs::Inputs;
use crate::kind::keys;
use crate::kind::{Abilities, Draws, Family, Faults, Key, Kind, Refusal, Role, Use};
use crate::ranker::Retrieve;
use crate::ranker::harness::Stage;
use crate::ranker::kinds::{Predicts, System, SystemKind};
use crate::vectors::{VECTORS_FILE, read_of};

/// Place of the system that finds candidates, and of the one that scores them.
const RETRIEVE: usize = 0;
const RANK: usize = 1;

impl Kind for CascadeSettings {
    fn format(&self) -> u32 {
        4
    }

    fn draws(&self) -> Draws {
        self.act.map_or(Draws::Nothing, |_| Draws::Seeded(self.seed))
    }

    fn uses(&self) -> Vec<Use<'_>> {
        let system = |name, place, key| Use::new(Family::System, name, Role::System(place), key);
        let mut uses = vec![system(self.retrieve.as_str(), RETRIEVE, "retrieve")];
        uses.extend(self.rank.as_deref().map(|rank| system(rank, RANK, "rank")));
        if let Some(RerankSettings::Mmr { vectors, .. }) = &self.rerank {
            let vectors = Use::new(Family::Vectors, vectors, Role::Rerank, "rerank");
            uses.push(vectors.at(keys!["rerank", "vectors"]));
        }
        uses
    }

    fn abilities(&self) -> Abilities {
        Abilities { is_composed: true, is_cascade: true, ..Abilities::default() }
    }

    fn accepts(&self, used: &Use<'_>, kind: &str, other: &Abilities) -> Result<(), Refusal> {
        let name = used.name;
        let label = format!("is of kind = \"{kind}\"");
        match used.role {
            Role::System(RANK) if !other.ranks => Err(Refusal {
                message: format!("system {name} cannot score given items"),
                label,
                help: "name a system that scores given items, such as two-tower, bm25 or sasrec"
                    .into(),
            }),
            Role::System(_) if other.is_cascade => Err(Refusal {
                message: format!("system {name} cannot find the candidates of another cascade"),
                label,
                help: "name a system that is not a cascade".into(),
            }),
            _ => Ok(()),
        }
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        let has_one_stage = self.rank.is_none() && self.rerank.is_none() && self.act.is_none();
        if has_one_stage && faults.is_intact() {
            let message = format!("cascade `{}` only repeats {}", self.name, self.retrieve);
            let help = "give it a second stage: `rank`, `rerank` or `act`";
            faults.value(Vec::new(), message, "has one stage", help);
        }
        if self.seed.is_some() && self.act.is_none() {
            let message = format!("cascade `{}` draws nothing", self.name);
            let help = "remove `seed`, or let the cascade `act`";
            faults.key(keys!["seed"], message, "no use of a seed", help);
        }
    }
}

impl SystemKind for CascadeSettings {
    fn name(&self) -> &str {
        &self.name
    }

    fn open(&self, system: &System, inputs: &Inputs) -> Result<Box<dyn Retrieve>> {
        let rerank = match &self.rerank {
            None => None,
            Some(RerankSettings::Mmr { relevance, .. }) => {
                let vectors = read_of(inputs.folder(Role::Rerank)?, inputs.catalogue()?)?;
                Some(Box::new(Mmr::new(vectors, *relevance)) as Box<dyn Stage>)
            }
        };
        let scoring =
            |name: &String| Ok::<_, Error>(Scoring::new(name, system.open_part(inputs, RANK)?));
        let rank = self.rank.as_ref().map(scoring).transpose()?;
        Ok(Box::new(Cascade {
            retrieve: system.open_part(inputs, RETRIEVE)?,
            retrieve_name: self.retrieve.clone(),
            candidates: self.candidates as usize,
            rank,
            rerank,
        }))
    }

    fn files(&self, inputs: &Inputs) -> Result<Vec<PathBuf>> {
        Ok(inputs.find(Role::Rerank).map(|folder| folder.join(VECTORS_FILE)).into_iter().collect())
    }

    fn at_most(&self) -> Option<(u32, Vec<Key>)> {
        Some((self.candidates, keys!["candidates"]))
    }

    fn predicts(&self) -> Predicts<'_> {
        Predicts::As(self.rank.as_deref().unwrap_or(&self.retrieve))
    }

    fn acts(&self) -> Option<ActSettings> {
        self.act
    }
}
