//! Whether the master key fits what is stored: looked at when the actor starts and each minute, and told in the status.
//!
//! A key that was lost or mixed up shows nothing until somebody cannot sign in; here it shows at the start.

use std::time::Duration;

use ground::DbError;
use ground::sealed::{KEY_ID_BYTES, KeyId};
use supervisor::{Condition, Context, Level};

use crate::factors::desk::Desk;
use crate::factors::messages::FactorsMsg;
use crate::factors::store;

/// The code of the report that there is no key.
pub(crate) const NO_MASTER_KEY: &str = "factors.no_master_key";
/// The code of the report that a key is missing for what is stored.
pub(crate) const UNKNOWN_MASTER_KEY: &str = "factors.unknown_master_key";
/// Bytes that tell the key of a sealed value.
const HEAD_BYTES: u32 = 9;
const _: () = assert!(HEAD_BYTES as usize == 1 + KEY_ID_BYTES);
/// How often it is looked at.
const PERIOD: Duration = Duration::from_mins(1);
/// How soon again, when the database did not answer.
const SOON: Duration = Duration::from_secs(1);

/// What cannot be opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// How many apps.
    pub(crate) apps: i64,
    /// The keys that they need; a value that names none counts without one.
    pub(crate) keys: Vec<KeyId>,
}

/// Looks, reports, and tells when to look again.
pub(crate) async fn look(desk: &Desk, cx: &Context<FactorsMsg>) -> Duration {
    match unreadable(desk).await {
        Ok(unreadable) => {
            match condition(desk, &unreadable) {
                Some(condition) => cx.report(condition),
                None => cx.clear(),
            }
            PERIOD
        }
        Err(error) => {
            tracing::debug!(%error, "the keys of sealed secrets were not read");
            // That there is no key at all needs no database to be told.
            if let Some(condition) = condition(desk, &Unreadable::default()) {
                cx.report(condition);
            }
            SOON
        }
    }
}

pub(crate) async fn unreadable(desk: &Desk) -> Result<Unreadable, DbError> {
    let mut unreadable = Unreadable::default();
    for (head, apps) in store::heads(&desk.db, HEAD_BYTES).await? {
        let key = KeyId::of(&head);
        if key.is_none_or(|key| !desk.sealer.knows(key)) {
            unreadable.apps += apps;
            unreadable.keys.extend(key);
        }
    }
    Ok(unreadable)
}

fn condition(desk: &Desk, unreadable: &Unreadable) -> Option<Condition> {
    let Unreadable { apps, keys } = unreadable;
    let stuck = format!("users of {apps} authenticator apps can sign in with a recovery code only");
    let condition = match desk.sealer.key_id() {
        Err(error) => {
            let impact = if *apps == 0 {
                "no authenticator app can be set up".to_owned()
            } else {
                format!("no authenticator app can be set up, and {stuck}")
            };
            Condition::new(Level::Degraded, NO_MASTER_KEY, error.to_string()).with_impact(impact)
        }
        Ok(present) if *apps > 0 => {
            let keys: Vec<String> = keys.iter().map(KeyId::to_string).collect();
            let message = format!(
                "secrets are sealed with master keys that are not here ({}; here is {present}): bring them back as secrets.master_key or \
                 secrets.older_keys, or as the file master.key in the data directory",
                keys.join(", ")
            );
            Condition::new(Level::Degraded, UNKNOWN_MASTER_KEY, message).with_impact(stuck)
        }
        Ok(_) => return None,
    };
    Some(condition.with_fallback("recovery codes are accepted"))
}
