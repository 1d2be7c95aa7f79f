//! The one way to take a lock: a poisoned one is taken all the same.
//!
//! What such a lock guards must be whole between any two statements, so that a panic elsewhere while one was held says nothing against
//! it; refusing everybody after it would turn one fault into an outage. None may be held across an await.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes the lock.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
