//! What the frozen start of an alignment thinks of the answers: computed once, before training.

use super::group::{Group, GroupData};
use crate::error::Result;
use crate::model::decoder::Decoder;

/// Log-probability of every answer under `decoder`, in nats, in the order of the groups and of their answers; in chunks
/// of `chunk` groups.
///
/// `done` is called with the number of groups scored since its last call and may refuse to go on.
///
/// # Errors
/// When a tensor operation fails, or whatever `done` returns.
pub fn reference_scores(
    data: &GroupData<'_>,
    decoder: &Decoder,
    chunk: usize,
    mut done: impl FnMut(u64) -> Result<()>,
) -> Result<Vec<f32>> {
    let mut scores = Vec::with_capacity(data.n_answers());
    for groups in data.groups.chunks(chunk.max(1)) {
        let batch = data.batch(&groups.iter().collect::<Vec<&Group>>())?;
        let log_probs = data.token_log_probs(&batch, decoder)?;
        scores.extend(log_probs.sum(1)?.to_vec1::<f32>()?);
        done(groups.len() as u64)?;
    }
    Ok(scores)
}
