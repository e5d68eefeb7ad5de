//! Two objectives of one model, learned together: an epoch has every example of both, so that what one teaches is not
//! forgotten over the other.

use super::{Loss, Objective};
use crate::error::{Error, Result};
use crate::model::Parameters;
use crate::train::log::StepRecord;
use crate::train::rows::Gradient;
use crate::train::sampler::Draw;

/// One objective, and another.
pub struct Mixed<A, B> {
    first: A,
    second: B,
}

/// What was drawn for each of two objectives; none where nothing was.
pub struct Both<A, B> {
    first: Option<A>,
    second: Option<B>,
}

impl<A: Objective, B: Objective> Mixed<A, B> {
    /// The examples of `second` are counted behind those of `first`.
    pub fn new(first: A, second: B) -> Self {
        Self { first, second }
    }

    /// A draw as the second objective counts it; none of one that is the first's.
    fn of_second(&self, draw: &Draw) -> Option<Draw> {
        let example = draw.example.checked_sub(self.first.n_examples())?;
        Some(Draw { example, ..*draw })
    }
}

impl<A: Objective, B: Objective> Objective for Mixed<A, B> {
    type Batch = Both<A::Batch, B::Batch>;

    fn n_examples(&self) -> u64 {
        self.first.n_examples() + self.second.n_examples()
    }

    fn length(&self, example: u64) -> u32 {
        match example.checked_sub(self.first.n_examples()) {
            Some(example) => self.second.length(example),
            None => self.first.length(example),
        }
    }

    fn draw(&self, draws: &[Draw]) -> Result<Self::Batch> {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for draw in draws {
            match self.of_second(draw) {
                Some(draw) => second.push(draw),
                None => first.push(*draw),
            }
        }
        let first = (!first.is_empty()).then(|| self.first.draw(&first)).transpose()?;
        let second = (!second.is_empty()).then(|| self.second.draw(&second)).transpose()?;
        Ok(Both { first, second })
    }

    fn weight(&self, batch: &Self::Batch) -> f64 {
        let first = batch.first.as_ref().map_or(0.0, |batch| self.first.weight(batch));
        first + batch.second.as_ref().map_or(0.0, |batch| self.second.weight(batch))
    }

    fn tokens(&self, batch: &Self::Batch) -> u64 {
        let first = batch.first.as_ref().map_or(0, |batch| self.first.tokens(batch));
        first + batch.second.as_ref().map_or(0, |batch| self.second.tokens(batch))
    }

    fn begins_trained(&self) -> bool {
        self.first.begins_trained() || self.second.begins_trained()
    }

    fn couple(&self, parameters: &Parameters, gradients: &mut [Gradient]) -> Result<()> {
        self.first.couple(parameters, gradients)?;
        self.second.couple(parameters, gradients)
    }

    fn settle(&self, step: u64, n_steps: u64) -> Result<()> {
        self.first.settle(step, n_steps)?;
        self.second.settle(step, n_steps)
    }

    fn measure(&self, step: u64, n_steps: u64) -> Result<Vec<(&'static str, f64)>> {
        let mut figures = self.first.measure(step, n_steps)?;
        figures.extend(self.second.measure(step, n_steps)?);
        Ok(figures)
    }

    fn remark(&mut self, record: &StepRecord) -> Option<String> {
        // Both see every step: what one says must not hide it from the other.
        let remarks = [self.first.remark(record), self.second.remark(record)];
        let told: Vec<String> = remarks.into_iter().flatten().collect();
        (!told.is_empty()).then(|| told.join("; "))
    }

    fn describe(&self, draw: &Draw) -> String {
        match self.of_second(draw) {
            Some(draw) => self.second.describe(&draw),
            None => self.first.describe(draw),
        }
    }

    fn loss(&self, batch: &Self::Batch) -> Result<Loss> {
        let first = batch.first.as_ref().map(|batch| self.first.loss(batch)).transpose()?;
        let second = batch.second.as_ref().map(|batch| self.second.loss(batch)).transpose()?;
        match (first, second) {
            (Some(mut first), Some(second)) => {
                first.metrics.extend(second.metrics);
                Ok(Loss { sum: (first.sum + second.sum)?, metrics: first.metrics })
            }
            (Some(one), None) | (None, Some(one)) => Ok(one),
            (None, None) => Err(Error::Failed("a batch of no draw: please report it".into())),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;

    /// Says which examples it was given, and loses `scale` times their sum.
    struct Counting {
        n: u64,
        scale: f64,
    }

    impl Objective for Counting {
        type Batch = Vec<u64>;

        fn measure(&self, step: u64, _n_steps: u64) -> Result<Vec<(&'static str, f64)>> {
            Ok(vec![("scale", self.scale * step as f64)])
        }

        fn n_examples(&self) -> u64 {
            self.n
        }

        fn length(&self, example: u64) -> u32 {
            example as u32 + 1
        }

        fn draw(&self, draws: &[Draw]) -> Result<Vec<u64>> {
            assert!(draws.iter().all(|draw| draw.example < self.n));
            Ok(draws.iter().map(|draw| draw.example).collect())
        }

        fn weight(&self, batch: &Vec<u64>) -> f64 {
            batch.len() as f64
        }

        fn tokens(&self, batch: &Vec<u64>) -> u64 {
            batch.iter().sum()
        }

        fn loss(&self, batch: &Vec<u64>) -> Result<Loss> {
            let sum = self.scale * batch.iter().sum::<u64>() as f64;
            Ok(Loss { sum: Tensor::new(sum, &Device::Cpu)?, metrics: Vec::new() })
        }
    }

    #[test]
    fn each_objective_gets_its_own_examples_and_losses_add_up() {
        let mixed = Mixed::new(Counting { n: 3, scale: 1.0 }, Counting { n: 2, scale: 10.0 });
        assert_eq!(mixed.n_examples(), 5);
        assert_eq!(
            (0..5).map(|example| mixed.length(example)).collect::<Vec<_>>(),
            [1, 2, 3, 1, 2]
        );
        let draws = |all: &[u64]| -> Vec<Draw> {
            all.iter().map(|&example| Draw { example, global: 7 }).collect()
        };
        let of = |all: &[u64]| {
            let batch = mixed.draw(&draws(all)).unwrap();
            let loss = mixed.loss(&batch).unwrap().sum.to_scalar::<f64>().unwrap();
            (loss, mixed.weight(&batch), mixed.tokens(&batch))
        };
        assert_eq!(of(&[2, 4, 1]), (13.0, 3.0, 4));
        assert_eq!(of(&[1]), (1.0, 1.0, 1));
        assert_eq!(of(&[4, 3]), (10.0, 2.0, 1));
        assert_eq!(mixed.describe(&draws(&[4])[0]), "example 1");
        assert_eq!(mixed.measure(2, 9).unwrap(), [("scale", 2.0), ("scale", 20.0)]);
    }
}
