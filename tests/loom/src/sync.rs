//! What the slot is made of here: the primitives of the model checker.

pub(crate) use loom::sync::{Mutex, MutexGuard};
