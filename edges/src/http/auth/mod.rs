//! Signing in and what belongs to it: one file a concern.

pub(super) mod factors;
pub(super) mod recovery;
