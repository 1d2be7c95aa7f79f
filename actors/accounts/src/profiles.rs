//! Users that were looked up lately, so that who asks about themself with every page costs neither a message nor a statement.
//!
//! The rules are those of remembered tokens ([`Known`]): what was changed here is looked up anew at once, what another process changed
//! within `accounts.recheck_after`. While the database is away nobody is told what may be old.

use std::sync::Arc;
use std::time::Duration;

use ground::{Db, DbError, Id, Micros, clock};

use crate::config::Config;
use crate::known::{Known, Limits, Look, Remembered};
use crate::people::{self, User};

impl Remembered for Arc<User> {
    fn id(&self) -> Id {
        self.id
    }

    fn is_expired(&self, _now: Micros) -> bool {
        false
    }
}

/// The memory. It outlives every actor.
#[derive(Debug)]
pub(crate) struct Profiles(Known<Id, Arc<User>>);

impl Default for Profiles {
    /// Remembers nothing until it has its limits.
    fn default() -> Self {
        Self(Known::new(Limits {
            capacity: 1,
            recheck_after: Duration::ZERO,
            offline_limit: Duration::ZERO,
        }))
    }
}

impl Profiles {
    /// Takes over the limits of the configuration.
    pub(crate) fn configure(&self, config: &Config) {
        let capacity = usize::try_from(config.remembered_tokens).unwrap_or(usize::MAX);
        self.0.set_limits(Limits {
            capacity: capacity.max(1),
            recheck_after: config.recheck_after,
            offline_limit: Duration::ZERO,
        });
    }

    /// The user, if it was looked up lately. Now and then one reader hears nothing and has to look it up ahead of need.
    pub(crate) fn fresh(&self, id: Id) -> Option<Arc<User>> {
        match self.0.look(&id, clock::now()) {
            Look::Fresh {
                identity,
                refresh_due: false,
            } => Some(identity),
            _ => None,
        }
    }

    /// Looks the user up, and remembers.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn read(&self, db: &Db, id: Id) -> Result<Option<User>, DbError> {
        let epoch = self.0.epoch();
        let found = people::user(db, id).await?;
        match &found {
            Some(user) => {
                let remembered = self.0.remember(epoch, id, Arc::new(user.clone()), None);
                if remembered.is_err() {
                    tracing::trace!(user = %id, "changed while it was read: not remembered");
                }
            }
            None => drop(self.0.forget(&id)),
        }
        Ok(found)
    }

    /// Something about the user changed, or may have: it is looked up anew.
    pub(crate) fn changed(&self, id: Id) {
        self.0.revoke(&id);
    }
}
