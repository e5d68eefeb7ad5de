//! What can be wrong with the keys of an optimizer.

use super::course::settings::{OptimizerSettings, Schedule};
use crate::kind::Faults;
use crate::kind::keys;

impl<D> OptimizerSettings<D> {
    /// Reports keys under `optimizer` that are out of range or that another key makes meaningless; `owner` is whose they
    /// are.
    pub fn faults(&self, owner: &str, faults: &mut Faults<'_>) {
        for beta in self.betas {
            if !(0.0..1.0).contains(&beta) {
                let key = keys!["optimizer", "betas"];
                let message = format!("`{}` is out of range: {beta}", faults.dotted(&key));
                faults.value(key, message, "expected numbers from 0 to below 1", "");
            }
        }
        if self.warmup_steps.is_some() && faults.is_given(&keys!["optimizer", "warmup"]) {
            let message = format!("{owner} says twice how long it warms up");
            let help = "keep `warmup` or `warmup_steps`";
            let key = keys!["optimizer", "warmup"];
            faults.value(key, message, "beside `warmup_steps`", help);
        }
        let final_share = keys!["optimizer", "final_share"];
        if self.schedule == Schedule::Constant && faults.is_given(&final_share) {
            let message = format!("{owner} has a constant rate and a final one");
            let help = "leave `final_share` out, or set schedule = \"linear\"";
            faults.value(final_share, message, "never reached", help);
        }
    }
}
