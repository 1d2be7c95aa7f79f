//! What the queue keeps of one person: told to them, and gone with them.
//!
//! Past the actor, since both belong to what somebody else does: the rows go in the transaction in which the person goes, and files of
//! the outbox when nobody can have new ones written. A mail is a person's when it was noted so, or, where nothing was noted, by the
//! address that the person has at present.

use std::path::Path;

use ground::db::Conn;
use ground::{Db, DbError, Id};

use crate::outbox::Outbox;
use crate::store;
use crate::types::QueuedMail;

/// The mails of a person as far as they are kept, the newest 10,000, without their text.
///
/// # Errors
/// Whatever keeps them from being read.
pub async fn mails_of(db: &Db, user: Id, address: &str) -> Result<Vec<QueuedMail>, DbError> {
    store::mails_of_user(db, user, address).await
}

/// Removes a person's mails from the outbox in this data directory. Those that somebody took out already are no error.
///
/// # Errors
/// Whatever keeps their names from being read; a file that cannot be removed.
pub async fn empty_outbox(
    db: &Db,
    data_dir: &Path,
    user: Id,
    address: &str,
) -> Result<(), DbError> {
    let mails = store::mails_of_user(db, user, address).await?;
    let outbox = Outbox::new(data_dir, 0);
    let removed = outbox.remove(mails.into_iter().map(|mail| mail.id).collect());
    removed.await.map_err(DbError::failed)
}

/// Removes a person's mails from the queue; one that is being sent at this moment leaves all the same.
///
/// # Errors
/// Whatever keeps them from being removed; then the whole transaction must fail.
pub async fn remove_of(tx: &mut Conn, user: Id, address: &str) -> Result<(), DbError> {
    store::remove_of_user(tx, user, address).await
}
