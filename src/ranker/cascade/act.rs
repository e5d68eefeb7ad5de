//! Choosing what is shown first, at random in a known way: what the choices earn can later be judged off-policy.

use rand::Rng;

use super::super::harness::{Act, Choice, Scored};
use super::settings::ActSettings;
use crate::corpus::Request;
use crate::error::{Error, Result};
use crate::seed::Seed;

/// The policy of some settings; what is drawn for a request depends on `seed` and the request's number only.
pub fn policy(settings: ActSettings, seed: Seed) -> Box<dyn Act> {
    Box::new(Policy { settings, seed })
}

struct Policy {
    settings: ActSettings,
    seed: Seed,
}

impl Policy {
    /// Probability of each of the first places: they sum to 1.
    fn probabilities(&self, list: &[Scored]) -> Vec<f64> {
        match self.settings {
            ActSettings::EpsilonGreedy { epsilon, places } => {
                let n_places = list.len().min(places as usize);
                let mut probabilities = vec![epsilon / n_places as f64; n_places];
                probabilities[0] += 1.0 - epsilon;
                probabilities
            }
            ActSettings::Softmax { temperature, places } => {
                let list = &list[..list.len().min(places as usize)];
                let largest = list.iter().map(|one| one.1).fold(f32::NEG_INFINITY, f32::max);
                let weight = |one: &Scored| (f64::from(one.1 - largest) / temperature).exp();
                let weights: Vec<f64> = list.iter().map(weight).collect();
                let sum: f64 = weights.iter().sum();
                weights.into_iter().map(|weight| weight / sum).collect()
            }
        }
    }
}

impl Act for Policy {
    fn act(&self, request: &Request, list: &[Scored]) -> Result<Choice> {
        if list.is_empty() {
            return Err(Error::Failed(format!("request {}: nothing to choose from", request.id)));
        }
        let probabilities = self.probabilities(list);
        let draw: f64 = self.seed.index(u64::from(request.idx)).rng().random();
        let mut sum = 0.0;
        let reached = probabilities.iter().position(|probability| {
            sum += probability;
            draw < sum
        });
        // Rounding may leave the sum below the draw: then the last that can be chosen is.
        let last = probabilities.iter().rposition(|&probability| probability > 0.0);
        let place = reached.or(last).unwrap_or(0);
        Ok(Choice { place, propensity: probabilities[place] })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shares(settings: ActSettings, list: &[Scored]) -> Vec<f64> {
        let policy = policy(settings, Seed::new(3));
        let n_requests = 20_000;
        let mut counts = vec![0.0; list.len()];
        for idx in 0..n_requests {
            let choice = policy.act(&Request::bare(idx), list).unwrap();
            assert_eq!(choice, policy.act(&Request::bare(idx), list).unwrap());
            counts[choice.place] += 1.0 / f64::from(n_requests);
            assert!(choice.propensity > 0.0 && choice.propensity <= 1.0);
        }
        counts
    }

    fn close(found: &[f64], expected: &[f64]) {
        // Five standard errors of a share of 20,000 draws.
        for (found, expected) in found.iter().zip(expected) {
            let error = (expected * (1.0 - expected) / 20_000.0).sqrt();
            assert!((found - expected).abs() <= 5.0 * error + 1e-9, "{found} {expected}");
        }
    }

    #[test]
    fn choices_come_as_often_as_their_propensities_say() {
        let list = [(4, 2.0), (7, 1.0), (9, 0.0), (2, -3.0)];
        let greedy = ActSettings::EpsilonGreedy { epsilon: 0.3, places: 3 };
        close(&shares(greedy, &list), &[0.8, 0.1, 0.1, 0.0]);
        let softmax = ActSettings::Softmax { temperature: 0.5, places: 2 };
        let odds = 2f64.exp();
        close(&shares(softmax, &list), &[odds / (odds + 1.0), 1.0 / (odds + 1.0), 0.0, 0.0]);
        close(&shares(ActSettings::Softmax { temperature: 1e-6, places: 9 }, &list), &[1.0]);
        close(&shares(ActSettings::EpsilonGreedy { epsilon: 1.0, places: 9 }, &list[..1]), &[1.0]);
        assert!(policy(greedy, Seed::new(1)).act(&Request::bare(0), &[]).is_err());
    }
}
