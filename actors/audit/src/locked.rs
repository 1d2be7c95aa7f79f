//! The one way this crate takes a lock: a poisoned one is taken all the same.
//!
//! What these locks guard is whole between any two statements, so a panic elsewhere while one was held says nothing against it. None is
//! held across an await.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes the lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
