//! Frequencies of the rotary embedding, stretched or not.

use std::f64::consts::TAU;

/// How frequencies are stretched for texts longer than those of pre-training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RopeScaling {
    /// All frequencies divided by one factor (arXiv:2306.15595).
    Linear {
        /// The factor.
        factor: f64,
    },
    /// Low frequencies divided, high ones kept, a ramp between (Llama 3.1, arXiv:2407.21783).
    Llama3 {
        /// The factor of the low frequencies.
        factor: f64,
        /// Wavelengths above `original_positions / low_freq_factor` are stretched.
        low_freq_factor: f64,
        /// Wavelengths below `original_positions / high_freq_factor` are kept.
        high_freq_factor: f64,
        /// Longest text of pre-training.
        original_positions: f64,
    },
}

/// Radians per position of each pair of coordinates: `[head_dim / 2]`, in `f32` as in `transformers`.
pub fn frequencies(head_dim: usize, theta: f64, scaling: Option<RopeScaling>) -> Vec<f32> {
    let plain =
        (0..head_dim / 2).map(|i| 1.0 / (theta as f32).powf((2 * i) as f32 / head_dim as f32));
    match scaling {
        None => plain.collect(),
        Some(RopeScaling::Linear { factor }) => plain.map(|f| f / factor as f32).collect(),
        Some(RopeScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_positions,
        }) => {
            let stretch = |f: f32| {
                let wavelength = TAU / f64::from(f);
                if wavelength < original_positions / high_freq_factor {
                    return f;
                }
                if wavelength > original_positions / low_freq_factor {
                    return (f64::from(f) / factor) as f32;
                }
                let smooth = (original_positions / wavelength - low_freq_factor)
                    / (high_freq_factor - low_freq_factor);
                let f = f64::from(f);
                ((1.0 - smooth) * f / factor + smooth * f) as f32
            };
            plain.map(stretch).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequencies_fall_from_one_and_stretch() {
        let plain = frequencies(8, 10_000.0, None);
        assert_eq!(plain[0], 1.0);
        assert!((plain[1] - 0.1).abs() < 1e-7 && (plain[3] - 1e-3).abs() < 1e-8);
        let linear = frequencies(8, 10_000.0, Some(RopeScaling::Linear { factor: 4.0 }));
        assert!(plain.iter().zip(&linear).all(|(a, b)| (a / 4.0 - b).abs() < 1e-9));
    }

    #[test]
    fn llama3_keeps_high_and_divides_low_frequencies() {
        let scaling = RopeScaling::Llama3 {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_positions: 8192.0,
        };
        let (plain, scaled) =
            (frequencies(128, 500_000.0, None), frequencies(128, 500_000.0, Some(scaling)));
        assert_eq!(plain[0], scaled[0], "wavelength 6 is below 2048");
        assert!((plain[63] / 8.0 - scaled[63]).abs() < 1e-12, "wavelength 2.5e6 is above 8192");
        // Between: wavelength of pair 31 is tau * 500000^(62/128) = 3619.8; smooth = (8192/3619.8 - 1) / 3.
        let smooth = (8192.0 / (TAU / f64::from(plain[31])) - 1.0) / 3.0;
        assert!((0.0..1.0).contains(&smooth));
        let expected = f64::from(plain[31]) * ((1.0 - smooth) / 8.0 + smooth);
        assert!((f64::from(scaled[31]) - expected).abs() < 1e-10);
    }
}
