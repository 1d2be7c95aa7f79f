//! What is kept of one caller's requests: told to them, and gone with them.
//!
//! Past the actor, since the rows go in the transaction in which the person goes. A request that is still being done then finds no row to
//! settle, which does no harm.

use ground::db::Conn;
use ground::{Db, DbError};

use crate::store;
use crate::types::KeptRequest;

/// The requests with a key that a caller sent lately, the latest 10,000, without what was answered: that is the caller's own data, which is
/// told where it lives.
///
/// # Errors
/// Whatever keeps them from being read.
pub async fn requests_of(db: &Db, caller: &str) -> Result<Vec<KeptRequest>, DbError> {
    store::requests_of(db, caller).await
}

/// Forgets them.
///
/// # Errors
/// Whatever keeps them from being removed; then the whole transaction must fail.
pub async fn remove_of(tx: &mut Conn, caller: &str) -> Result<(), DbError> {
    store::remove_of(tx, caller).await
}
