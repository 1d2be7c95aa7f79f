//! The primitives that `slot.rs` is made of, named in one place so that a model checker can put its own in their stead.

pub(crate) use std::sync::{Mutex, MutexGuard};
