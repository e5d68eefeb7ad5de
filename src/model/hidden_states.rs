//! A decoder as a text encoder: the final hidden states of a text's tokens, pooled and scaled to unit length.
//!
//! `v = p / |p|`, `p` the mean of the hidden states behind the final norm, or the last of them. Nothing is learnt. Every
//! text is computed for itself: neither other texts nor threads change a bit of its vector.

use rayon::prelude::*;
use trieval_kernels::ops::Threads;

use crate::error::{Error, Result};
use crate::model::folder::ModelFolder;
use crate::model::inference::FrozenDecoder;
use crate::model::settings::HiddenPooling;
use crate::model::text_reader::TextReader;

/// Texts between two reports of progress.
const CHUNK: usize = 64;
/// Longest text in tokens, where nothing else is asked for: decoders have positions for whole books, and the scores of
/// attention grow with the square.
const DEFAULT_TOKENS: usize = 512;

/// A frozen decoder that turns texts into vectors.
pub struct HiddenStateEncoder {
    decoder: FrozenDecoder,
    pooling: HiddenPooling,
    text: TextReader,
}

impl HiddenStateEncoder {
    /// The decoder of a folder, which reads at most `max_tokens` of a text: 512 where it is left out, or all positions
    /// of a decoder that has fewer.
    ///
    /// # Errors
    /// As [`HiddenStateEncoder::check`], or [`Error::Data`] when weights are damaged.
    pub fn open(
        folder: &ModelFolder,
        pooling: HiddenPooling,
        max_tokens: Option<usize>,
    ) -> Result<Self> {
        let text = reader(folder, max_tokens)?;
        // One thread per text: they are many, and those of requests come from many threads.
        Ok(Self { decoder: folder.freeze(Threads::One)?, pooling, text })
    }

    /// Whether a folder can be used so, without reading its weights.
    ///
    /// # Errors
    /// [`Error::Data`] when texts would have more tokens than the decoder has positions, or none beside the frame.
    pub fn check(folder: &ModelFolder, max_tokens: Option<usize>) -> Result<()> {
        reader(folder, max_tokens).map(drop)
    }

    /// Numbers per vector.
    pub fn dim(&self) -> usize {
        self.decoder.config().hidden_size
    }

    /// Longest text in tokens.
    pub fn max_tokens(&self) -> usize {
        self.text.max_tokens
    }

    /// Tokens of a text, between those that the tokenizer puts around every text, and cut.
    ///
    /// # Errors
    /// [`Error::Failed`] when the tokenizer refuses the text.
    pub fn tokens(&self, text: &str) -> Result<Vec<u32>> {
        self.text.tokens(text)
    }

    /// The vectors of texts, `[texts, dim]`; `done` hears of every chunk. A text without tokens has a vector of zeros.
    ///
    /// # Errors
    /// As [`Self::tokens`], the decoder's and those of `done`.
    pub fn vectors<S: AsRef<str> + Sync>(
        &self,
        texts: &[S],
        mut done: impl FnMut(usize) -> Result<()>,
    ) -> Result<Vec<f32>> {
        let mut data = Vec::with_capacity(texts.len() * self.dim());
        for chunk in texts.chunks(CHUNK) {
            let rows: Vec<Vec<f32>> = chunk
                .par_iter()
                .map(|text| self.vector(&self.tokens(text.as_ref())?))
                .collect::<Result<_>>()?;
            rows.iter().for_each(|row| data.extend_from_slice(row));
            done(chunk.len())?;
        }
        Ok(data)
    }

    /// The vector of a text's tokens, `[dim]`.
    fn vector(&self, tokens: &[u32]) -> Result<Vec<f32>> {
        if tokens.is_empty() {
            return Ok(vec![0.0; self.dim()]);
        }
        let mut pooled = match self.pooling {
            HiddenPooling::Last => self.decoder.prefill(tokens)?.last_hidden().to_vec(),
            HiddenPooling::Mean => {
                let mut sums = vec![0f64; self.dim()];
                for row in self.decoder.hidden(tokens)?.chunks_exact(self.dim()) {
                    sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
                }
                sums.iter().map(|sum| (sum / tokens.len() as f64) as f32).collect()
            }
        };
        let length = pooled.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        if length > 0.0 {
            pooled.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
        }
        Ok(pooled)
    }
}

fn reader(folder: &ModelFolder, max_tokens: Option<usize>) -> Result<TextReader> {
    let positions = folder.config().positions();
    let max_tokens = match max_tokens {
        Some(asked) if asked > positions => {
            let message = format!("the model has {positions} positions, `max_tokens` is {asked}");
            return Err(Error::data(folder.path(), message).with_help("lower `max_tokens`"));
        }
        Some(asked) => asked,
        None => DEFAULT_TOKENS.min(positions),
    };
    let tokenizer = folder.tokenizer().clone();
    let frame = (tokenizer.text_prefix()?, tokenizer.text_suffix()?);
    let framed = frame.0.len() + frame.1.len();
    if framed >= max_tokens {
        let message =
            format!("texts of {max_tokens} tokens have no room beside {framed} special ones");
        return Err(Error::data(folder.path(), message).with_help("raise `max_tokens`"));
    }
    Ok(TextReader { tokenizer, frame, max_tokens, lowercases: false })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use serde::Deserialize;
    use tempfile::TempDir;

    use super::*;

    #[derive(Deserialize)]
    struct Golden {
        texts: Vec<String>,
        ids: Vec<Vec<u32>>,
        mean: Vec<Vec<f32>>,
        last: Vec<Vec<f32>>,
    }

    const FAMILIES: [&str; 3] = ["qwen3", "qwen2", "llama"];

    fn golden(family: &str) -> Golden {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/hidden_states");
        let text = std::fs::read(root.join(family).join("vectors.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// The golden decoder of a family with the tokenizer that its vectors were made with.
    fn model(family: &str) -> (TempDir, ModelFolder) {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let folder = TempDir::new().unwrap();
        for source in ["decoders", "hidden_states"] {
            for entry in std::fs::read_dir(golden.join(source).join(family)).unwrap() {
                let path = entry.unwrap().path();
                std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
            }
        }
        let opened = ModelFolder::open(folder.path()).unwrap();
        (folder, opened)
    }

    fn encoder(family: &str, pooling: HiddenPooling) -> HiddenStateEncoder {
        let (_folder, model) = model(family);
        HiddenStateEncoder::open(&model, pooling, None).unwrap()
    }

    #[test]
    fn vectors_equal_those_of_transformers() {
        for family in FAMILIES {
            let golden = golden(family);
            for (pooling, expected) in
                [(HiddenPooling::Mean, &golden.mean), (HiddenPooling::Last, &golden.last)]
            {
                let encoder = encoder(family, pooling);
                let tokens: Vec<Vec<u32>> =
                    golden.texts.iter().map(|text| encoder.tokens(text).unwrap()).collect();
                assert_eq!(tokens, golden.ids, "{family}");
                let data = encoder.vectors(&golden.texts, |_| Ok(())).unwrap();
                for (i, (got, expected)) in data.chunks(encoder.dim()).zip(expected).enumerate() {
                    for (a, b) in got.iter().zip(expected) {
                        assert!((a - b).abs() < 1e-4, "{family}, text {i}: {a} against {b}");
                    }
                }
                assert_eq!(data.len(), expected.len() * encoder.dim());
            }
        }
    }

    #[test]
    fn neither_other_texts_nor_threads_change_a_bit() {
        for pooling in [HiddenPooling::Mean, HiddenPooling::Last] {
            let (encoder, golden) = (encoder("llama", pooling), golden("llama"));
            let many: Vec<&String> = golden.texts.iter().cycle().take(CHUNK + 7).collect();
            let together = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let mut heard = 0;
                let data = pool.install(|| {
                    encoder.vectors(&many, |n| {
                        heard += n;
                        Ok(())
                    })
                });
                assert_eq!(heard, many.len());
                data.unwrap()
            };
            let alone: Vec<f32> = many
                .iter()
                .flat_map(|text| encoder.vectors(&[text], |_| Ok(())).unwrap())
                .collect();
            assert_eq!(together(1), alone);
            assert_eq!(together(3), alone);
            for row in alone.chunks(encoder.dim()) {
                let length: f32 = row.iter().map(|x| x * x).sum();
                assert!((length - 1.0).abs() < 1e-5, "{length}");
            }
        }
    }

    #[test]
    fn texts_are_cut_and_empty_ones_are_zeros() {
        let (root, folder) = model("qwen3");
        let open = |tokens| HiddenStateEncoder::open(&folder, HiddenPooling::Mean, Some(tokens));
        let long = "red chair ".repeat(9);
        let cut = open(5).unwrap();
        assert_eq!(cut.tokens(&long).unwrap().len(), 5);
        assert_eq!(
            cut.tokens(&long).unwrap(),
            encoder("qwen3", HiddenPooling::Mean).tokens(&long).unwrap()[..5]
        );
        // Qwen puts nothing around a text.
        assert_eq!(cut.vectors(&[""], |_| Ok(())).unwrap(), vec![0.0; cut.dim()]);
        let positions = folder.config().positions();
        assert_eq!(encoder("qwen3", HiddenPooling::Mean).max_tokens(), positions.min(512));
        let text = open(positions + 1).err().unwrap().to_string();
        assert!(text.contains(&format!("has {positions} positions, `max_tokens` is")), "{text}");
        assert!(HiddenStateEncoder::check(&folder, Some(positions + 1)).is_err());
        let (_llama, llama) = model("llama");
        let text = HiddenStateEncoder::check(&llama, Some(1)).unwrap_err().to_string();
        assert!(text.contains("have no room beside 1 special ones"), "{text}");
        assert!(cut.vectors(&[long], |_| Err(Error::Interrupted)).is_err());
        // A copy is the same model.
        let copy = root.path().join("copy");
        folder.copy_to(&copy).unwrap();
        let copy = ModelFolder::open(&copy).unwrap();
        let copy = HiddenStateEncoder::open(&copy, HiddenPooling::Mean, Some(5)).unwrap();
        let text = ["oak table"];
        let of = |encoder: &HiddenStateEncoder| encoder.vectors(&text, |_| Ok(())).unwrap();
        assert_eq!(of(&copy), of(&cut));
    }
}
