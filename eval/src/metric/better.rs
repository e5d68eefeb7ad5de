//! Which way a figure is better. Knows no value; the table of metrics says it for each metric, the
//! caller for figures that were measured elsewhere.

/// Which of two figures is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Better {
    /// The higher one, as of recall.
    Higher,
    /// The lower one, as of an error.
    Lower,
}

impl Better {
    /// Whether `value` is better than `other`; never where they are equal or one is not a number.
    pub fn is_better(self, value: f64, other: f64) -> bool {
        match self {
            Self::Higher => value > other,
            Self::Lower => value < other,
        }
    }

    /// 1 where the higher figure is better, −1 where the lower one is: figures times this are
    /// better when higher.
    pub fn sign(self) -> f64 {
        match self {
            Self::Higher => 1.0,
            Self::Lower => -1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_figures_and_those_that_are_no_numbers_are_not_better() {
        for better in [Better::Higher, Better::Lower] {
            assert!(better.is_better(better.sign(), 0.0) && !better.is_better(0.0, better.sign()));
            assert!(!better.is_better(0.5, 0.5) && !better.is_better(f64::NAN, 0.5));
            assert!(!better.is_better(0.5, f64::NAN));
        }
    }
}
