//! What the simulated shop says of itself.

use std::path::Path;

use super::write::style_column;
use super::{estimate, write};
use crate::corpus::kinds::{CorpusKind, lacks_column, lacks_level, lacks_signal};
use crate::corpus::levels::level_fault;
use crate::corpus::settings::SimulatorSettings;
use crate::corpus::summary::{CorpusSummary, SizeEstimate};
use crate::error::Result;
use crate::kind::{Draws, Fact, Faults, Key, Kind, Lack, keys};
use crate::progress::Context;
use crate::seed::Seed;

/// Signals that are simulated.
const RECORDED: [&str; 3] = ["click", "cart", "order"];

impl Kind for SimulatorSettings {
    fn format(&self) -> u32 {
        // 3: users have a style.
        3
    }

    fn draws(&self) -> Draws {
        Draws::Seeded(self.seed)
    }

    fn faults(&self, faults: &mut Faults<'_>) {
        if let Some((place, message, help)) = level_fault(&self.levels, &RECORDED) {
            let key = match self.levels.is_empty() {
                true => keys!["levels"],
                false => keys!["levels", place],
            };
            faults.value(key, message, "not a level", help);
        }
        if let Some(requested) = self.requested_items.filter(|&one| one > self.items) {
            let message = format!("requests cannot be about {requested} of {} items", self.items);
            let help = "lower `requested_items`, or raise `items`";
            faults.value(keys!["requested_items"], message, "more than there are", help);
        }
        let held_out = u64::from(self.validation_days) + u64::from(self.test_days);
        if u64::from(self.days) > held_out {
            return;
        }
        let message = format!("no day is left for training: {} days in all", self.days);
        let label =
            format!("{} for validation and {} for testing", self.validation_days, self.test_days);
        let keys = ["test_days", "validation_days", "days"].map(|key| vec![Key::from(key)]);
        let given = keys.iter().find(|key| faults.is_given(key)).cloned();
        let key = given.unwrap_or_else(|| vec!["days".into()]);
        faults.value(key, message, label, "raise `corpus.days`, or hold out fewer days");
    }
}

impl CorpusKind for SimulatorSettings {
    fn lack(&self, fact: &Fact) -> Option<Lack> {
        match fact {
            Fact::Histories if self.history == 0 => Some(Lack {
                why: "requests without histories",
                help: "let requests carry their user's clicks: raise `corpus.history` above 0",
            }),
            Fact::Column(name) => lacks_column(name, &[style_column()]),
            Fact::Level(name) => lacks_level(name, &self.levels),
            Fact::Signal(name) => {
                lacks_signal(name, &RECORDED, "the simulated shop records click, cart and order")
            }
            _ => None,
        }
    }

    fn sizes(&self) -> SizeEstimate {
        estimate(self)
    }

    fn grades(&self) -> Option<(&'static [f64], &'static str)> {
        Some((&[1.0, 2.0, 3.0], "the simulator's grades run from 0 to 3"))
    }

    fn test_split(&self) -> String {
        format!("the last {} of {} days", self.test_days, self.days)
    }

    fn write(&self, seed: Seed, out: &Path, ctx: &Context) -> Result<CorpusSummary> {
        write(self, seed, out, ctx)
    }
}
