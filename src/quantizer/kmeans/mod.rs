//! k-means over vectors: what every quantizer here is made of. Knows nothing of levels, items or identifiers.
//!
//! `cluster` iterates from `seeds` by `distance` and `update`, over all points (`bounds` say of which
//! there is nothing new to find) or over a `mini` batch at a time, of `points` of which not all need to lie in memory; `balance`
//! and `sinkhorn` give codes equally many points.

mod balance;
mod bounds;
mod cluster;
mod distance;
mod mini;
mod points;
mod seeds;
mod sinkhorn;
mod update;

pub(super) use cluster::{
    Clusters, TRAINING_POINTS_PER_CODE, cluster, codes_of, lloyd, one_iteration,
};
#[cfg(test)]
pub(super) use distance::squared_distance;
pub(super) use distance::{directions, nearest, squared_norm, unit};
pub(super) use points::{Points, Table};
pub(super) use seeds::{sample, seed_centroids};
pub(super) use sinkhorn::in_batch;
