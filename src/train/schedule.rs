//! Learning-rate schedule: linear warm-up, then half a cosine or a line down to a share of the maximum,
//! or nothing.

use super::course::settings::{OptimizerSettings, Schedule};

/// Learning rate of `step` (0-based) out of `n_steps`.
pub fn learning_rate(settings: &OptimizerSettings, step: u64, n_steps: u64) -> f64 {
    let warmup = match settings.warmup_steps {
        Some(steps) => f64::from(steps),
        None => (settings.warmup * n_steps as f64).round(),
    };
    let step = step as f64;
    if step < warmup {
        return settings.learning_rate * (step + 1.0) / warmup;
    }
    let span = (n_steps as f64 - warmup).max(1.0);
    let progress = ((step - warmup) / span).clamp(0.0, 1.0);
    let height = match settings.schedule {
        Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
        Schedule::Linear => 1.0 - progress,
        Schedule::Constant => return settings.learning_rate,
    };
    settings.learning_rate * (settings.final_share + (1.0 - settings.final_share) * height)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(schedule: Schedule) -> OptimizerSettings {
        OptimizerSettings {
            learning_rate: 1.0,
            warmup: 0.1,
            final_share: 0.1,
            schedule,
            ..Default::default()
        }
    }

    #[test]
    fn warms_up_then_decays_to_the_final_share() {
        for (schedule, at_55, at_77) in
            [(Schedule::Cosine, 0.55, None), (Schedule::Linear, 0.55, Some(0.33))]
        {
            let settings = settings(schedule);
            let rate = |step| learning_rate(&settings, step, 100);
            assert!((rate(0) - 0.1).abs() < 1e-12);
            assert!((rate(9) - 1.0).abs() < 1e-12);
            assert!((rate(10) - 1.0).abs() < 1e-12);
            assert!((rate(55) - at_55).abs() < 1e-12, "half way down");
            // 67 of 90 steps down: 1 - 0.9 * 67 / 90.
            assert!(at_77.is_none_or(|expected: f64| (rate(77) - expected).abs() < 1e-12));
            assert!(rate(99) < 0.12 && rate(99) >= 0.1);
            for step in 11..100 {
                assert!(rate(step) < rate(step - 1));
            }
        }
    }

    #[test]
    fn a_constant_rate_stays_behind_a_warm_up_of_steps() {
        let settings = OptimizerSettings { warmup_steps: Some(4), ..settings(Schedule::Constant) };
        let rates: Vec<f64> = (0..6).map(|step| learning_rate(&settings, step, 100)).collect();
        assert_eq!(rates, [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]);
        assert_eq!(learning_rate(&settings, 99, 100), 1.0);
        // A warm-up longer than the training just does not end.
        assert_eq!(learning_rate(&settings, 1, 2), 0.5);
    }

    #[test]
    fn one_step_without_warmup_runs_at_full_rate() {
        let settings = OptimizerSettings { learning_rate: 0.5, warmup: 0.0, ..Default::default() };
        assert_eq!(learning_rate(&settings, 0, 1), 0.5);
    }
}
