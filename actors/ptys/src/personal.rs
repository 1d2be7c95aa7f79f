//! What is recorded of one person's terminals: told to them, and gone with them. The shells themselves are ended by
//! [`PtysHandle::end_all`](crate::PtysHandle::end_all); their output is in memory alone and goes with them.
//!
//! Past the actors, since the rows go in the transaction in which the person goes.

use ground::db::Conn;
use ground::{Db, DbError, Id};

use crate::store;
use crate::types::TerminalInfo;

/// The terminals of a person as they were last recorded, the newest 10,000.
///
/// # Errors
/// Whatever keeps them from being read.
pub async fn terminals_of(db: &Db, owner: Id) -> Result<Vec<TerminalInfo>, DbError> {
    let records = store::records_of(db, owner).await?;
    Ok(records.iter().map(store::Record::info).collect())
}

/// Removes the records of a person's terminals.
///
/// # Errors
/// Whatever keeps them from being removed; then the whole transaction must fail.
pub async fn remove_of(tx: &mut Conn, owner: Id) -> Result<(), DbError> {
    store::remove_of(tx, owner).await
}
