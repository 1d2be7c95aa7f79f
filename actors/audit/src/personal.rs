//! What the audit keeps of one person: told to them. It does not go with them: entries stay, and name nobody but by an id that then
//! belongs to no one.

use ground::{Db, DbError, Id};

use crate::store;
use crate::types::Kept;

/// What a person did, and what others did to them, the newest 10,000 entries first. Of what others did it is not told from where: that is
/// theirs.
///
/// # Errors
/// Whatever keeps them from being read.
pub async fn entries_of(db: &Db, user: Id) -> Result<Vec<Kept>, DbError> {
    let links = store::links_about(db, user).await?;
    let kept = links.into_iter().map(Kept::from).map(|mut entry| {
        if entry.actor.user != Some(user) {
            entry.address = None;
            entry.user_agent = None;
            entry.request_id = None;
            entry.actor.credential = None;
        }
        entry
    });
    Ok(kept.collect())
}
