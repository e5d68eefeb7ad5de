//! Learning-rate schedule: linear warm-up, then cosine decay to a share of the maximum.

use super::settings::OptimizerSettings;

/// Learning rate of `step` (0-based) out of `n_steps`.
pub fn learning_rate(settings: &OptimizerSettings, step: u64, n_steps: u64) -> f64 {
    let warmup = (settings.warmup * n_steps as f64).round();
    let step = step as f64;
    if step < warmup {
        return settings.learning_rate * (step + 1.0) / warmup;
    }
    let span = (n_steps as f64 - warmup).max(1.0);
    let progress = ((step - warmup) / span).clamp(0.0, 1.0);
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
    settings.learning_rate * (settings.final_share + (1.0 - settings.final_share) * cosine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warms_up_then_decays_to_the_final_share() {
        let settings = OptimizerSettings {
            learning_rate: 1.0,
            warmup: 0.1,
            final_share: 0.1,
            ..Default::default()
        };
        let rate = |step| learning_rate(&settings, step, 100);
        assert!((rate(0) - 0.1).abs() < 1e-12);
        assert!((rate(9) - 1.0).abs() < 1e-12);
        assert!((rate(10) - 1.0).abs() < 1e-12);
        assert!((rate(55) - 0.55).abs() < 1e-12, "half way down the cosine");
        assert!(rate(99) < 0.11 && rate(99) >= 0.1);
        for step in 11..100 {
            assert!(rate(step) < rate(step - 1));
        }
    }

    #[test]
    fn one_step_without_warmup_runs_at_full_rate() {
        let settings = OptimizerSettings { learning_rate: 0.5, warmup: 0.0, ..Default::default() };
        assert_eq!(learning_rate(&settings, 0, 1), 0.5);
    }
}
