//! The check that stands before every request.
//!
//! A token that was checked lately is answered from memory. Near the end of that time the manager is told to check it
//! again, ahead of need, so that a client that is at work never waits for the database. One that was idle waits, but not
//! for long: when it cannot be checked, what is remembered counts.

use std::time::Duration;

use ground::clock;
use supervisor::Address;

use crate::error::AccountsError;
use crate::known::{Known, Look};
use crate::messages::ManagerMsg;
use crate::token::{self, TokenHash};
use crate::types::Identity;

/// How long the check of a remembered token may take before what is remembered counts.
const PATIENCE: Duration = Duration::from_millis(500);

/// Who bears the token `text`.
pub(crate) async fn verify(
    address: &Address<ManagerMsg>,
    known: &Known,
    text: &str,
) -> Result<Identity, AccountsError> {
    let hash = token::read(text)?;
    let identity = match known.look(&hash, clock::now()) {
        Look::Fresh {
            identity,
            refresh_due,
        } => {
            if refresh_due && address.tell(ManagerMsg::Refresh { hash }).is_err() {
                tracing::debug!("a token could not be checked ahead of need");
            }
            identity
        }
        Look::Stale(remembered) => recheck(address, known, hash, remembered).await?,
        Look::Expired => return Err(AccountsError::Expired),
        Look::Missing => {
            address
                .ask(|reply| ManagerMsg::Verify { hash, reply })
                .await??
        }
    };
    note_use(address, known, &hash, &identity);
    Ok(identity)
}

async fn recheck(
    address: &Address<ManagerMsg>,
    known: &Known,
    hash: TokenHash,
    remembered: Identity,
) -> Result<Identity, AccountsError> {
    let asked = address
        .ask_within(PATIENCE, |reply| ManagerMsg::Verify { hash, reply })
        .await;
    match asked.map_err(AccountsError::from).flatten() {
        Err(error) if error.is_unchecked() => {
            tracing::debug!(token = %remembered.token_id, %error, "a token could not be checked: what is remembered counts");
            known.postpone(&hash);
            Ok(remembered)
        }
        checked => checked,
    }
}

/// Has the use noted, at most once a minute, without waiting for it.
fn note_use(address: &Address<ManagerMsg>, known: &Known, hash: &TokenHash, identity: &Identity) {
    let at = clock::now();
    if !known.is_note_due(hash, at) {
        return;
    }
    let id = identity.token_id;
    if address.tell(ManagerMsg::Used { id, at }).is_err() {
        known.was_not_noted(hash);
    }
}
