//! What can be set about a metric: the options in its brackets and the number behind its `@`. Knows
//! no metric; the table says which options each has.

use crate::labelled::LabelledMetric;

/// `p` of rank-biased precision where none is given: Moffat & Zobel's patient reader.
const DEFAULT_PERSISTENCE: f64 = 0.8;
/// `head` of the tail share where none is given: the Pareto rule.
const DEFAULT_HEAD: f64 = 0.8;

/// An option of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionKey {
    /// `rel`: the grade from which on an item is relevant, in place of the evaluation's.
    Relevant,
    /// `gain`: what a grade gains.
    Gain,
    /// `p`: the probability of going on to the next place.
    Persistence,
    /// `max`: the highest grade there is.
    Highest,
    /// `head`: the share of what training showed that makes the head.
    Head,
    /// `weight`: what users are weighted by.
    Weight,
    /// `bins`: number of bins.
    Bins,
    /// `mass`: how bins are cut.
    Mass,
    /// `pair`: two grades.
    Pair,
    /// `levels`: grades that levels begin at.
    Levels,
}

/// What a grade gains in ndcg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Gain {
    /// The grade itself.
    #[default]
    Linear,
    /// `2^grade − 1`.
    Exponential,
}

/// Values of all options; those that a metric does not have keep their defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Parameters {
    /// Threshold of relevance of this metric alone.
    pub(crate) relevant_grade: Option<f64>,
    /// What a grade gains.
    pub(crate) gain: Gain,
    /// Probability of going on to the next place, in (0, 1).
    pub(crate) persistence: f64,
    /// The highest grade there is; by default the highest in the judgments.
    pub(crate) highest: Option<f64>,
    /// The share of what training showed that makes the head, in (0, 1].
    pub(crate) head: f64,
    /// Behind the `@`: share of the relevant items that must have been found, in [0, 1].
    pub(crate) recall: f64,
    /// A figure of labelled predictions, with options of its own.
    pub(crate) labelled: Option<LabelledMetric>,
}

/// What a metric of grades is computed under: its parameters, with the evaluation's values where it
/// has none of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    /// An item is relevant from this grade on.
    pub(crate) relevant_grade: f64,
    /// The highest grade there is.
    pub(crate) highest: f64,
    /// Number of first places looked at; none for the whole list.
    pub(crate) cutoff: Option<u32>,
    /// What else can be set.
    pub(crate) parameters: Parameters,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            relevant_grade: None,
            gain: Gain::default(),
            persistence: DEFAULT_PERSISTENCE,
            highest: None,
            head: DEFAULT_HEAD,
            recall: 0.0,
            labelled: None,
        }
    }
}

impl OptionKey {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relevant => "rel",
            Self::Gain => "gain",
            Self::Persistence => "p",
            Self::Highest => "max",
            Self::Head => "head",
            Self::Weight => "weight",
            Self::Bins => "bins",
            Self::Mass => "mass",
            Self::Pair => "pair",
            Self::Levels => "levels",
        }
    }

    /// What may be given.
    pub fn legal(self) -> &'static str {
        match self {
            Self::Relevant => "a number, such as `rel=2`",
            Self::Gain => "`gain=linear` or `gain=exp`",
            Self::Persistence => "a number between 0 and 1, such as `p=0.8`",
            Self::Highest => "a number above 0, such as `max=4`",
            Self::Head => "a number above 0 and at most 1, such as `head=0.8`",
            Self::Weight => "`weight=impressions` or `weight=users`",
            Self::Bins => "a whole number from 1, such as `bins=15`",
            Self::Mass => "`mass=width` or `mass=equal`",
            Self::Pair => "two grades, the higher first, such as `pair=2:1`",
            Self::Levels => "rising grades that levels begin at, such as `levels=1:2.5`",
        }
    }

    /// Takes the value written behind the `=`; none where it is not legal.
    pub(super) fn set(self, parameters: &mut Parameters, value: &str) -> Option<()> {
        // `+ 0.0` makes −0 one with 0.
        let number =
            || value.parse::<f64>().ok().filter(|number| number.is_finite()).map(|x| x + 0.0);
        match self {
            Self::Relevant => parameters.relevant_grade = Some(number()?),
            Self::Gain => {
                parameters.gain = match value {
                    "exp" => Gain::Exponential,
                    "linear" => Gain::Linear,
                    _ => return None,
                };
            }
            Self::Persistence => {
                parameters.persistence = number().filter(|&p| p > 0.0 && p < 1.0)?;
            }
            Self::Highest => parameters.highest = Some(number().filter(|&max| max > 0.0)?),
            Self::Head => {
                parameters.head = number().filter(|&share| share > 0.0 && share <= 1.0)?;
            }
            // Figures of labelled predictions read their options themselves.
            Self::Weight | Self::Bins | Self::Mass | Self::Pair | Self::Levels => return None,
        }
        Some(())
    }

    /// The value as it is written; none where it need not be said.
    pub(super) fn written(self, parameters: &Parameters) -> Option<String> {
        match self {
            Self::Relevant => parameters.relevant_grade.map(|grade| grade.to_string()),
            Self::Gain => match parameters.gain {
                Gain::Linear => None,
                Gain::Exponential => Some("exp".to_owned()),
            },
            // Always said: rank-biased precision means little without it.
            Self::Persistence => Some(parameters.persistence.to_string()),
            Self::Highest => parameters.highest.map(|highest| highest.to_string()),
            Self::Head => (parameters.head != DEFAULT_HEAD).then(|| parameters.head.to_string()),
            // Figures of labelled predictions print themselves.
            Self::Weight | Self::Bins | Self::Mass | Self::Pair | Self::Levels => None,
        }
    }
}
