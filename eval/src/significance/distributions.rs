//! Tails of the normal and of Student's distribution, to ten digits. Knows no test.

use std::f64::consts::{PI, SQRT_2};

/// Two-sided tail of the standard normal distribution: P(|Z| ≥ |z|). Relative error below 1e-10.
pub fn normal_two_sided(z: f64) -> f64 {
    erfc(z.abs() / SQRT_2)
}

/// Two-sided tail of Student's distribution: P(|T| ≥ |t|) with that many degrees of freedom,
/// `I_x(df/2, 1/2)` at `x = df / (df + t²)` (Abramowitz and Stegun 26.7.1). Relative error below 1e-10 where it exceeds
/// 1e-300. Not a number where `t` is not a number or `degrees` is not positive.
pub fn student_two_sided(t: f64, degrees: f64) -> f64 {
    if t.is_nan() || degrees.is_nan() || degrees <= 0.0 {
        return f64::NAN;
    }
    if t.is_infinite() {
        return 0.0;
    }
    let a = degrees / 2.0;
    let squared = t * t;
    // 1 − x on its own keeps its digits where x is near 1.
    let (x, rest) = (degrees / (degrees + squared), squared / (degrees + squared));
    if squared == 0.0 {
        return 1.0;
    }
    // x^a (1 − x)^(1/2) / B(a, 1/2); ln x through the small part of the two.
    let ln_x = if rest < 0.5 { (-rest).ln_1p() } else { x.ln() };
    let front = (a * ln_x + 0.5 * rest.ln() - ln_beta_half(a)).exp();
    if x < (a + 1.0) / (a + 2.5) {
        front / a * continued_beta(a, 0.5, x)
    } else {
        1.0 - front / 0.5 * continued_beta(0.5, a, rest)
    }
}

/// Complementary error function of a number ≥ 0: a series near 0, a continued fraction in the tail.
fn erfc(x: f64) -> f64 {
    if x.is_nan() {
        return f64::NAN;
    }
    let gauss = (-x * x).exp();
    if x < 2.0 {
        // erf x = 2/√π e^(−x²) Σ 2^n x^(2n+1) / (2n+1)!! (A&S 7.1.6), all terms positive.
        let (mut term, mut sum, mut odd) = (x, x, 1.0);
        while term > sum * 1e-17 {
            odd += 2.0;
            term *= 2.0 * x * x / odd;
            sum += term;
        }
        return 1.0 - 2.0 / PI.sqrt() * gauss * sum;
    }
    // √π e^(x²) erfc x = 1 / (x + (1/2) / (x + 1 / (x + (3/2) / (x + …)))) (A&S 7.1.14), from the far end; 120 terms hold
    // 15 digits from x = 2 on.
    let tail = (1..=120).rev().fold(x, |below, n| x + f64::from(n) / 2.0 / below);
    gauss / PI.sqrt() / tail
}

/// `ln B(a, 1/2) = ½ ln π + ln Γ(a) − ln Γ(a + ½)`, without the cancellation of large logarithms of Γ.
fn ln_beta_half(a: f64) -> f64 {
    // Γ(a + ½) / Γ(a) = Γ(b + ½) / Γ(b) × Π (a + i) / (a + i + ½) for b = a + n; then the series of A&S 6.1.47 at b ≥ 20:
    // √b (1 − 1/8b + 1/128b² + 5/1024b³ − 21/32768b⁴ − 399/262144b⁵ …).
    let mut b = a;
    let mut ln_product = 0.0;
    while b < 20.0 {
        ln_product += (b / (b + 0.5)).ln();
        b += 1.0;
    }
    let inverse = 1.0 / b;
    let series = [399.0 / 262_144.0, 21.0 / 32_768.0, -5.0 / 1_024.0, -1.0 / 128.0, 1.0 / 8.0]
        .iter()
        .fold(-869.0 / 4_194_304.0 * inverse, |sum, coefficient| (sum + coefficient) * inverse);
    0.5 * PI.ln() - (0.5 * b.ln() + (-series).ln_1p() + ln_product)
}

/// Continued fraction of the incomplete beta function by the modified Lentz method (A&S 26.5.8); converges fast for
/// `x < (a + 1) / (a + b + 2)`.
fn continued_beta(a: f64, b: f64, x: f64) -> f64 {
    const LEAST: f64 = 1e-300;
    const MOST_TERMS: u32 = 10_000;
    let away = |value: f64| if value.abs() < LEAST { LEAST } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / away(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for term in 1..=MOST_TERMS {
        let m = f64::from(term);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away(1.0 + even * d);
        c = away(1.0 + even / c);
        fraction *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away(1.0 + odd * d);
        c = away(1.0 + odd / c);
        let change = d * c;
        fraction *= change;
        if (change - 1.0).abs() < 1e-15 {
            break;
        }
    }
    fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(got: f64, expected: f64) {
        assert!((got / expected - 1.0).abs() < 1e-10, "{got:e} instead of {expected:e}");
    }

    #[test]
    fn normal_tails_equal_tables() {
        assert_eq!(normal_two_sided(0.0), 1.0);
        assert_close(normal_two_sided(1.0), 0.317_310_507_862_914_1);
        assert_close(normal_two_sided(-1.959_963_984_540_054), 0.05);
        assert_close(normal_two_sided(2.9), 0.003_731_626_600_768_075);
        assert_close(normal_two_sided(6.0), 1.973_175_290_075_389e-9);
        assert_eq!(normal_two_sided(f64::INFINITY), 0.0);
    }

    #[test]
    fn student_tails_equal_closed_forms() {
        for t in [1e-6_f64, 0.3, 1.0, 2.5, 40.0, 1e6] {
            // One degree: Cauchy. Two degrees: 1 − t / √(2 + t²), rewritten against cancellation.
            assert_close(student_two_sided(t, 1.0), 2.0 / PI * (1.0 / t).atan());
            let root = (2.0 + t * t).sqrt();
            assert_close(student_two_sided(-t, 2.0), 2.0 / (root * (root + t)));
        }
        // Many degrees: the normal distribution.
        assert!((student_two_sided(1.7, 1e9) - normal_two_sided(1.7)).abs() < 1e-9);
        assert_eq!(student_two_sided(0.0, 5.0), 1.0);
        assert_eq!(student_two_sided(f64::INFINITY, 5.0), 0.0);
        assert!(student_two_sided(1.0, 0.0).is_nan());
    }
}
