//! Hit rate: whether any relevant item is among the first k. trec_eval's `success`.

use super::JudgedList;

/// 1 where a relevant item is among the first k, else 0.
pub(super) fn value(list: &JudgedList<'_>, cutoff: u32) -> f64 {
    f64::from(u8::from(list.top(Some(cutoff)).iter().any(|one| one.relevant)))
}
