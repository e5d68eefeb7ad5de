//! What a span is worth: how much surer the request makes the decoder of it than the texts alone would.

use super::settings::SpanDecodeSettings;

/// Probabilities are kept this far from 0 and 1: of a span that is certain, no ratio of odds is known.
const CERTAIN: f64 = 1e-9;

/// The constants of a weight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Weigh {
    smoothing: f64,
    exponent: f64,
    /// Logarithm of what each token but the first leaves of a probability.
    per_token: f64,
    n_tokens: u64,
}

impl Weigh {
    /// For texts of `n_tokens` tokens in all.
    pub(super) fn new(settings: &SpanDecodeSettings, n_tokens: u64) -> Self {
        let per_token = (1.0 - settings.length_penalty).ln();
        let SpanDecodeSettings { smoothing, exponent, .. } = *settings;
        Self { smoothing, exponent, per_token, n_tokens }
    }

    /// Log odds ratio of a span of `length` tokens that the decoder gives `log_p` and that occurs `count` times; at least 0.
    ///
    /// With `a = ln p(g|q)` and `u = ln p(g)`: `a − ln(1 − eᵃ) − (u − ln(1 − eᵘ))`.
    pub(super) fn ratio(&self, log_p: f32, length: usize, count: u64) -> f64 {
        let a = f64::from(log_p) + self.per_token * length.saturating_sub(1) as f64;
        let p = (count as f64 + self.smoothing) / (self.n_tokens as f64 + self.smoothing);
        (log_odds(a.exp(), a) - log_odds(p, p.ln())).max(0.0)
    }

    /// Weight of a span: its ratio to the power of the exponent.
    pub(super) fn span(&self, log_p: f32, length: usize, count: u64) -> f64 {
        self.ratio(log_p, length, count).powf(self.exponent)
    }
}

/// `ln p − ln(1 − p)`, where `log_p` is `ln p`, which may be too small for `p`.
fn log_odds(p: f64, log_p: f64) -> f64 {
    if p < CERTAIN { log_p } else { log_p - (1.0 - p).max(CERTAIN).ln() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weigh(smoothing: f64, exponent: f64, length_penalty: f64) -> Weigh {
        let settings =
            SpanDecodeSettings { smoothing, exponent, length_penalty, ..Default::default() };
        Weigh::new(&settings, 995)
    }

    /// By hand: p(g|q) = .5, p(g) = (5 + 5) / (995 + 5) = .01, so that the odds are 1 and 1/99.
    #[test]
    fn a_span_is_worth_the_ratio_of_its_odds() {
        let ratio = weigh(5.0, 2.0, 0.0).ratio(0.5f32.ln(), 3, 5);
        assert!((ratio - 99f64.ln()).abs() < 1e-6);
        assert!((weigh(5.0, 2.0, 0.0).span(0.5f32.ln(), 3, 5) - 99f64.ln().powi(2)).abs() < 1e-4);
        // Two tokens behind the first take half each: .125, odds of 1/7.
        let shorter = weigh(5.0, 1.0, 0.5).span(0.5f32.ln(), 3, 5);
        assert!((shorter - (99f64 / 7.0).ln()).abs() < 1e-6);
    }

    #[test]
    fn what_the_request_makes_less_likely_is_worth_nothing_and_nothing_is_worth_infinity() {
        let weigh = weigh(5.0, 2.0, 0.0);
        assert_eq!(weigh.span(-20.0, 2, 400), 0.0);
        for (log_p, count) in [(0.0, 0), (0.0, 995), (-1e4, 0), (-1e-12, 995), (f32::MIN, 1)] {
            let weight = weigh.span(log_p, 1, count);
            assert!(weight.is_finite() && weight >= 0.0, "{log_p} {count}: {weight}");
        }
        assert!(weigh.span(-0.1, 1, 1) > weigh.span(-0.2, 1, 1));
        assert!(weigh.span(-0.1, 1, 1) > weigh.span(-0.1, 1, 2));
    }
}
