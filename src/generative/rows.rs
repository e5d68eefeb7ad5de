//! Rows of the tokens of identifiers: added to a vocabulary, and begun at the centroids of their codes.
//!
//! A decoder whose hidden state `h` is a request's vector (objective contrastive) then says, before any further training, at
//! the first level what a search through the codes would: its logits are `⟨P h, c⟩ / (τ E|P h|)`, near `cos / τ`.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Tensor};

use super::named::Named;
use super::vocabulary;
use crate::error::{Error, Result};
use crate::identifier::Identifiers;
use crate::inputs::StepContext;
use crate::kind::Role;
use crate::model::config::{DecoderConfig, EMBEDDING, FINAL_NORM, HEAD};
use crate::model::settings::{ModelSettings, NewRows};
use crate::model::{ModelFolder, Tokenizer, added_rows};
use crate::vectors::contrastive::Dense;

/// Temperature where no contrastive training says one.
const TEMPERATURE: f64 = 0.07;

/// A model under construction: everything that its folder will hold.
pub(super) struct Parts {
    pub(super) config: DecoderConfig,
    pub(super) tensors: BTreeMap<String, Tensor>,
    pub(super) tokenizer: Tokenizer,
}

impl Parts {
    /// What a folder holds.
    pub(super) fn of(folder: &ModelFolder) -> Result<Self> {
        let (config, tokenizer) = (folder.config().clone(), folder.tokenizer().clone());
        Ok(Self { config, tensors: folder.tensors()?, tokenizer })
    }

    /// What a contrastive training left, where the step starts from one: of a model of the same kind, and path.
    pub(super) fn of_start(
        step: &StepContext<'_>,
        settings: &ModelSettings,
    ) -> Result<Option<Self>> {
        let Some(folder) = step.inputs.find(Role::Start) else { return Ok(None) };
        if !Dense::open(folder)?.is_of(settings) {
            return Err(Error::Recipe(format!(
                "{}: the training that it starts from is one of another model: give both the same `kind`, and the same `path` \
                 where they have one",
                step.name
            )));
        }
        Self::of(&Dense::decoder(folder)?).map(Some)
    }

    /// Adds the tokens of identifiers behind all others, with rows around the mean; the first of them.
    pub(super) fn extend(&mut self, identifiers: &[Named], step: &StepContext<'_>) -> Result<u32> {
        let first = vocabulary::add(&mut self.tokenizer, identifiers)?;
        // Some vocabularies are padded beyond their tokenizer: those rows are taken first, none is dropped.
        self.config.vocab_size = self.config.vocab_size.max(self.tokenizer.len());
        for name in [EMBEDDING, HEAD] {
            if let Some(table) = self.tensors.get_mut(name) {
                let seed = step.seed.purpose(name);
                *table = added_rows::extend(table, first as usize, self.config.vocab_size, seed)?;
            }
        }
        Ok(first)
    }

    /// Begins the rows of identifiers as the settings say; `first` is the first of their tokens.
    pub(super) fn begin_rows(
        &mut self,
        settings: &ModelSettings,
        identifiers: &[Named],
        first: u32,
        step: &StepContext<'_>,
    ) -> Result<()> {
        if settings.rows() == NewRows::Mean || identifiers.iter().all(|one| one.codes().is_none()) {
            return Ok(());
        }
        let hidden = self.config.hidden_size;
        let dense = step.inputs.find(Role::Start);
        let dense: Option<(Dense, &Path)> =
            dense.map(|folder| Dense::open(folder).map(|dense| (dense, folder))).transpose()?;
        let projection = match &dense {
            Some((dense, folder)) => dense.projection(folder, hidden)?,
            None => None,
        };
        let temperature = dense.map_or(TEMPERATURE, |(dense, _)| dense.temperature);
        self.begin_at(identifiers, first, projection.as_ref(), temperature)
    }

    /// Begins them at the centroids, where `projection` says where hidden states are compared.
    fn begin_at(
        &mut self,
        identifiers: &[Named],
        first: u32,
        projection: Option<&Tensor>,
        temperature: f64,
    ) -> Result<()> {
        let hidden = self.config.hidden_size;
        for one in identifiers.iter().filter_map(Named::codes) {
            check_width(one, projection, hidden)?;
        }
        self.untie();
        let length = self.expected_length(projection)?;
        let wanted = self.text_length(first as usize)?;
        let mut next = first as usize;
        for one in identifiers.iter().filter_map(Named::codes) {
            let mut row = next;
            for level in &one.spelled_centroids().levels {
                let n = level.len() / one.centroids.dim;
                let codes =
                    Tensor::from_slice(level, (n, one.centroids.dim), &candle_core::Device::Cpu)?;
                let codes = match projection {
                    Some(projection) => codes.matmul(projection)?,
                    None => codes,
                };
                // A level of which nothing is known keeps rows around the mean.
                let own = mean_length(&codes)?;
                if own > 0.0 {
                    self.put(HEAD, row, &(&codes / (temperature * length))?)?;
                    self.put(EMBEDDING, row, &(&codes * (wanted / own))?)?;
                }
                row += n;
            }
            next += one.levels.iter().sum::<u32>() as usize;
        }
        Ok(())
    }

    /// Gives the head a table of its own, which begins as the embedding.
    fn untie(&mut self) {
        if self.config.tie_word_embeddings
            && let Some(embedding) = self.tensors.get(EMBEDDING).cloned()
        {
            self.config.tie_word_embeddings = false;
            self.tensors.insert(HEAD.to_owned(), embedding);
        }
    }

    /// Root of the mean squared length of a projected hidden state, which the final norm leaves at `√hidden` before its
    /// weights, in any direction: `‖P diag(w)‖`.
    fn expected_length(&self, projection: Option<&Tensor>) -> Result<f64> {
        let norm = self.tensors.get(FINAL_NORM);
        let norm =
            norm.ok_or_else(|| Error::Failed(format!("parameter {FINAL_NORM} is missing")))?;
        let norm = norm.to_dtype(DType::F32)?;
        let scaled = match projection {
            Some(projection) => projection.broadcast_mul(&norm)?,
            None => norm,
        };
        Ok(f64::from(scaled.sqr()?.sum_all()?.to_scalar::<f32>()?).sqrt())
    }

    /// Mean length of the embeddings of text.
    fn text_length(&self, first: usize) -> Result<f64> {
        let table = self.tensors.get(EMBEDDING);
        let table =
            table.ok_or_else(|| Error::Failed(format!("parameter {EMBEDDING} is missing")))?;
        mean_length(&table.narrow(0, 0, first)?)
    }

    /// Replaces rows of a table from `at` on.
    fn put(&mut self, name: &str, at: usize, rows: &Tensor) -> Result<()> {
        let Some(table) = self.tensors.get_mut(name) else {
            return Err(Error::Failed(format!("parameter {name} is missing")));
        };
        let (n, all) = (rows.dim(0)?, table.dim(0)?);
        let rows = rows.to_dtype(table.dtype())?;
        let (before, behind) = (table.narrow(0, 0, at)?, table.narrow(0, at + n, all - at - n)?);
        *table = Tensor::cat(&[&before, &rows, &behind], 0)?;
        Ok(())
    }
}

/// Centroids lie where hidden states are projected to.
fn check_width(one: &Identifiers, projection: Option<&Tensor>, hidden: usize) -> Result<()> {
    let width = match projection {
        Some(projection) => projection.dim(0)?,
        None => hidden,
    };
    let dim = one.centroids.dim;
    if dim == width && one.centroids.encoder.is_none() {
        return Ok(());
    }
    let message = match dim {
        0 => format!("the codes of kind {} are made from no vectors", one.kind),
        _ if one.centroids.encoder.is_some() => "the codes lie in a space of their own".into(),
        _ => {
            format!("the codes are made from vectors of {dim} numbers, and the decoder has {width}")
        }
    };
    Err(Error::Recipe(format!(
        "model: rows cannot begin at centroids: {message}; quantise the vectors of the training that it starts from, or set \
         rows = \"mean\""
    )))
}

/// Mean length of the rows that are not zero, as those of codes of no item are; 0 where all are.
fn mean_length(rows: &Tensor) -> Result<f64> {
    let lengths = rows.to_dtype(DType::F32)?.sqr()?.sum(1)?.sqrt()?.to_vec1::<f32>()?;
    let lengths: Vec<f64> = lengths.into_iter().filter(|&one| one > 0.0).map(f64::from).collect();
    Ok(lengths.iter().sum::<f64>() / lengths.len().max(1) as f64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::identifier::{Centroids, Made};
    use crate::model::config::tests::small;
    use crate::model::decoder::tests::lively;
    use crate::progress::Context;

    fn identifiers(dim: usize) -> Identifiers {
        let level = |seed: u32| -> Vec<f32> {
            (0..3 * dim as u32).map(|i| ((i * 7 + seed) % 11) as f32 / 11.0 - 0.4).collect()
        };
        let levels = vec![level(1), level(5)];
        let centroids = Centroids { dim, levels, ..Centroids::default() };
        let made = Made { kind: "residual-k-means".into(), centroids, residuals: vec![0.5, 0.1] };
        Identifiers::new(vec![0, 1, 1, 2, 2, 0, 2, 0], vec![3, 3], made, "cafe").unwrap()
    }

    fn parts() -> Parts {
        let tokenizer = Tokenizer::train_bpe(["red"; 4].iter(), 270, &Context::silent()).unwrap();
        let config = small(tokenizer.len());
        let tensors = lively(config.clone()).weights().unwrap();
        Parts { config, tensors, tokenizer }
    }

    fn rows(tensor: &Tensor) -> Vec<Vec<f32>> {
        tensor.to_dtype(DType::F32).unwrap().to_vec2().unwrap()
    }

    /// The head orders the codes of each level as inner products with their centroids do, and text keeps its rows.
    #[test]
    fn rows_begin_at_centroids() {
        let mut parts = parts();
        let (hidden, old) = (parts.config.hidden_size, parts.config.vocab_size);
        let before = rows(&parts.tensors[EMBEDDING]);
        let ids = identifiers(hidden);
        let first =
            vocabulary::add(&mut parts.tokenizer, &[Named::Codes(Box::new(ids.clone()))]).unwrap();
        parts.config.vocab_size = parts.tokenizer.len();
        let table = &parts.tensors[EMBEDDING];
        let table = added_rows::extend(
            table,
            first as usize,
            parts.config.vocab_size,
            crate::seed::Seed::new(1),
        );
        parts.tensors.insert(EMBEDDING.into(), table.unwrap());
        parts.begin_at(&[Named::Codes(Box::new(ids.clone()))], first, None, 0.1).unwrap();
        assert!(!parts.config.tie_word_embeddings);
        let (embedding, head) = (rows(&parts.tensors[EMBEDDING]), rows(&parts.tensors[HEAD]));
        assert_eq!((&embedding[..old], &head[..old]), (&before[..], &before[..]));
        let norm = parts.tensors[FINAL_NORM].to_vec1::<f32>().unwrap();
        let length = norm.iter().map(|x| x * x).sum::<f32>().sqrt();
        for (level, centroids) in ids.centroids.levels.iter().enumerate() {
            for (code, centroid) in centroids.chunks(hidden).enumerate() {
                let row = first as usize + level * 3 + code;
                for (got, x) in head[row].iter().zip(centroid) {
                    assert!((got - x / (0.1 * length)).abs() < 1e-5);
                }
                // Inputs have the directions of the centroids, and the length of text.
                let ratio = embedding[row][0] / centroid[0];
                assert!(
                    embedding[row].iter().zip(centroid).all(|(a, b)| (a - ratio * b).abs() < 1e-5)
                );
            }
        }
        // The dedup level has none.
        assert_eq!(ids.levels.len(), 3);
        let model =
            crate::model::Decoder::from_tensors(parts.config.clone(), parts.tensors.clone());
        assert!(model.is_ok());
    }

    #[test]
    fn codes_of_no_item_change_nothing_of_the_others() {
        let mut parts = parts();
        let hidden = parts.config.hidden_size;
        let mut ids = identifiers(hidden);
        ids.centroids.levels[0][..hidden].fill(0.0);
        ids.centroids.levels[1].fill(0.0);
        let first =
            vocabulary::add(&mut parts.tokenizer, &[Named::Codes(Box::new(ids.clone()))]).unwrap();
        let rows_wanted = parts.tokenizer.len();
        let seed = crate::seed::Seed::new(1);
        let table =
            added_rows::extend(&parts.tensors[EMBEDDING], first as usize, rows_wanted, seed);
        let table = table.unwrap();
        parts.tensors.insert(EMBEDDING.into(), table.clone());
        parts.begin_at(&[Named::Codes(Box::new(ids.clone()))], first, None, 0.1).unwrap();
        let (before, after) = (rows(&table), rows(&parts.tensors[EMBEDDING]));
        let first = first as usize;
        assert!(after.concat().iter().all(|x| x.is_finite()));
        assert_eq!(before[first + 3..], after[first + 3..], "a level of zeros keeps its rows");
        let length = |row: &[f32]| row.iter().map(|x| x * x).sum::<f32>().sqrt();
        let text: f32 = before[..first].iter().map(|row| length(row)).sum::<f32>() / first as f32;
        let codes = (length(&after[first + 1]) + length(&after[first + 2])) / 2.0;
        assert!((codes - text).abs() < 1e-3 * text, "{codes} {text}");
    }

    #[test]
    fn a_projection_is_undone_by_its_transpose() {
        let mut parts = parts();
        let hidden = parts.config.hidden_size;
        let ids = identifiers(2);
        let first =
            vocabulary::add(&mut parts.tokenizer, &[Named::Codes(Box::new(ids.clone()))]).unwrap();
        let table = &parts.tensors[EMBEDDING];
        let table = added_rows::extend(
            table,
            first as usize,
            parts.tokenizer.len(),
            crate::seed::Seed::new(1),
        );
        parts.tensors.insert(EMBEDDING.into(), table.unwrap());
        let values: Vec<f32> = (0..2 * hidden).map(|i| (i % 5) as f32 - 1.5).collect();
        let projection = Tensor::from_vec(values, (2, hidden), &Device::Cpu).unwrap();
        let told = parts.begin_at(&[Named::Codes(Box::new(ids.clone()))], first, None, 0.1);
        let told = told.unwrap_err().to_string();
        assert!(told.contains("made from vectors of 2 numbers, and the decoder has"), "{told}");
        parts
            .begin_at(&[Named::Codes(Box::new(ids.clone()))], first, Some(&projection), 0.1)
            .unwrap();
        // Whatever the hidden state, the first level's logits are those of the projected one.
        let h = Tensor::from_vec(
            (0..hidden).map(|i| i as f32 / 3.0).collect(),
            (hidden, 1),
            &Device::Cpu,
        );
        let h = h.unwrap();
        let head = parts.tensors[HEAD].narrow(0, first as usize, 3).unwrap();
        let logits = rows(&head.matmul(&h).unwrap()).concat();
        let projected = rows(&projection.matmul(&h).unwrap()).concat();
        let product = |c: &[f32]| c.iter().zip(&projected).map(|(a, b)| a * b).sum::<f32>();
        let products: Vec<f32> = ids.centroids.levels[0].chunks(2).map(product).collect();
        let ratio = logits[0] / products[0];
        assert!(ratio > 0.0);
        for (logit, product) in logits.iter().zip(&products) {
            assert!((logit - ratio * product).abs() < 1e-4 * logit.abs().max(1.0));
        }
    }
}
