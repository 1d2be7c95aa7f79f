//! A mutex that cannot be held across an await.
//!
//! The pump, the viewers and the actors of a terminal share a few fields. A guard that lives across an await would let one of
//! them stall the others, so there is no guard: the value is reached through a closure, which cannot await. A panic inside
//! one does not lock the others out (a terminal outlives the panic of an actor), so every closure leaves the value whole.

use std::sync::{Mutex, PoisonError};

/// A value that tasks share for short, synchronous steps.
#[derive(Debug, Default)]
pub(crate) struct Locked<T>(Mutex<T>);

impl<T> Locked<T> {
    /// Wraps `value`.
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Runs one short step on the value.
    pub(crate) fn with<R>(&self, step: impl FnOnce(&mut T) -> R) -> R {
        step(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
