//! What is wrong with the keys of a contrastive training, and what it wants of a corpus, whatever is trained.

use super::settings::{Contrast, MmseLevels, RankingLoss};
use crate::kind::{Fact, Faults, Key, Need};

impl Contrast {
    /// What a training called `who` in messages wants of a corpus; its key `levels` lies at `at`.
    pub fn needs(&self, who: &str, at: Vec<Key>) -> Need {
        match self.levels {
            MmseLevels::Impressions {} => {
                let message =
                    format!("{who} takes levels from impressions, but the corpus has none");
                let grades = "take them from grades: levels = { by = \"grades\", ordered = 2.67, clicked = 2.33 }";
                Need::new(Fact::Impressions, message).at(at).instead(grades)
            }
            MmseLevels::Grades { .. } => {
                let message = format!("{who} takes levels from grades, but the corpus has none");
                let impressions = "take them from impressions: levels = { by = \"impressions\" }";
                Need::new(Fact::Grades, message).at(at).instead(impressions)
            }
        }
    }

    /// There is something to learn, and something to learn it from. `at` is where a key of this name lies.
    pub fn faults(
        &self,
        who: &str,
        at: impl Fn(&'static str) -> Vec<Key>,
        faults: &mut Faults<'_>,
    ) {
        if self.retrieval == 0.0 && self.ranking == 0.0 {
            let help = "set `retrieval` or `ranking` above 0";
            faults.value(at("kind"), format!("{who} has no loss"), "both weights are 0", help);
        }
        if self.ordered + self.clicked == 0 {
            let help = "raise `ordered` or `clicked` above 0";
            let message = format!("{who} draws no positives");
            faults.value(at("kind"), message, "nothing to find", help);
        }
        let merged = self.order_as_click;
        let drawn = [
            self.ordered > 0 && !merged,
            self.clicked > 0 || (merged && self.ordered > 0),
            self.shown > 0,
        ];
        let n_levels = drawn.into_iter().filter(|drawn| *drawn).count();
        let lists_random = self.ranking_loss == RankingLoss::Listwise && self.uniform > 0;
        if self.ranking > 0.0 && n_levels < 2 && !lists_random {
            let message = format!("the ranking loss of {who} has nothing to compare");
            let help = "draw items of two levels at least, or set ranking = 0";
            faults.value(at("kind"), message, "items of one level only", help);
        }
        if let MmseLevels::Grades { ordered, clicked } = &self.levels
            && ordered < clicked
        {
            let message = "an ordered item would have a lower grade than a clicked one";
            let help = "raise `ordered`, or lower `clicked`";
            faults.value(at("levels"), message, "thresholds out of order", help);
        }
    }
}
