//! Alignment with what users chose over what.
//!
//! An example is a [`Group`]: one prompt, the identifiers that were chosen for it, and those that were not. Notation:
//! `w` chosen, `l` rejected, `lp(y) = log pi(y|x)` the sum over the tokens of an identifier, `|y|` their number,
//! `rho(y) = lp(y) - log ref(y|x)` with the frozen reference, `omega` the weight of a rejected item (of a pair, where
//! likeness is looked at), `u` what a chosen one counts (1 by default), `s` the logistic function, `D = rho(w) - rho(l)`.
//!
//! | loss | one term | terms, and what their sum is divided by | source |
//! |---|---|---|---|
//! | dpo | `-log s(beta D)` | pairs, each `u omega` times, by their sum | arXiv 2305.18290, eq. 7 |
//! | cdpo | `-(1 - eps) log s(beta D) - eps log s(-beta D)` | pairs, likewise | E. Mitchell, "A note on DPO with noisy preferences", 2023 |
//! | robust | `[-(1 - eps) log s(beta D) + eps log s(-beta D)] / (1 - 2 eps)` | pairs, likewise | arXiv 2403.00409 |
//! | ipo | `(rho(w)/\|w\| - rho(l)/\|l\| - 1/(2 beta))²` | pairs, likewise | arXiv 2310.12036, eq. 17; per token as in TRL |
//! | simpo | cdpo's term of `beta lp(w)/\|w\| - beta lp(l)/\|l\| - gamma` | pairs, likewise | arXiv 2405.14734, eq. 6 |
//! | hinge | `max(0, 1 - beta D)` | pairs, likewise | arXiv 2305.10425, 2309.06657 |
//! | s-dpo | `-log s(-log sum_l omega_l exp(beta (rho(l) - rho(w))))` | chosen items, each `u` times, by their sum | arXiv 2406.09215 |
//! | dmpo | `-log s(beta rho(w) - beta sum_l omega_l rho(l) / sum_l omega_l)` | chosen items, each `u` times the mean of `omega` | arXiv 2405.16127 |
//! | rad-dpo | s-dpo's term with `lp` in the place of `rho` | chosen items, each `u` times, by their sum | after arXiv 2602.23964 |
//!
//! Beside the loss itself:
//!
//! - `anchor`: `+ anchor (-lp(w)/|w|)` to every term, a supervised term against forgetting;
//! - `dpo_positive` (arXiv 2402.13228): `rho(w) - lambda max(0, -rho(w))` in the place of `rho(w)`;
//! - `detach_prefix` (arXiv 2602.23964): `lp(l) = sg[sum over the prefix shared with w] + sum over the rest`. The prefix
//!   counts in the value but receives no gradient, so that a category that chosen and rejected items share is not
//!   pushed down with the rejected one.
//!
//! [`losses`] are functions of tensors; [`objective`] applies them to a decoder; [`mod@reference`] scores the answers with
//! the frozen start; [`probe`] measures what the loss cannot see; [`watch`] says in plain words what goes wrong.

pub mod group;
pub mod listwise;
pub mod losses;
pub mod objective;
pub mod pairwise;
pub mod probe;
pub mod reference;
pub mod watch;

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod loss_tests;
#[cfg(test)]
mod tests;

pub use group::{Answers, AskedPrompts, CodesAndSpans, Group, GroupData, Weighed};
pub use objective::Preference;
pub use probe::{Legal, Probe};
pub use reference::reference_scores;
