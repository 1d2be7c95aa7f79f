//! What looking after people needs of its neighbours inside this crate: sessions to begin and end, and second factors to ask for.
//!
//! As traits, so that what is decided here is tested without them.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use ground::audit::{Actor, Source};
use ground::db::Conn;
use ground::{DbError, Id, Secret, clock};
use supervisor::Fault;

use crate::factors::Factors;
use crate::sessions::{SessionError, SignIn, TokenPair, end_all_in};

/// What a neighbour refused, in its own words.
pub(crate) type Refused = Arc<dyn Fault>;

/// Begins and ends sessions.
pub(crate) trait Sessions: fmt::Debug + Send + Sync + 'static {
    /// Begins one; notes the time of the sign-in and writes the audit entry.
    fn begin(&self, sign_in: SignIn) -> BoxFuture<'_, Result<TokenPair, Refused>>;

    /// Ends all of a user but one, in the transaction of what ends them; gives those that ended.
    fn end_all<'a>(
        &'a self,
        tx: &'a mut Conn,
        user: Id,
        except: Option<Id>,
        by: (Actor, Source),
    ) -> BoxFuture<'a, Result<Vec<Id>, DbError>>;

    /// That transaction is committed: these are refused from now on, and their streams are told.
    fn have_ended(&self, sessions: &[Id]);

    /// Something about a user changed: what is remembered of them is looked up anew at its next use.
    fn user_changed(&self, user: Id);
}

impl Sessions for crate::sessions::Sessions {
    fn begin(&self, sign_in: SignIn) -> BoxFuture<'_, Result<TokenPair, Refused>> {
        Box::pin(async { self.begin(sign_in).await.map_err(refused) })
    }

    fn end_all<'a>(
        &'a self,
        tx: &'a mut Conn,
        user: Id,
        except: Option<Id>,
        by: (Actor, Source),
    ) -> BoxFuture<'a, Result<Vec<Id>, DbError>> {
        Box::pin(end_all_in(tx, user, except, clock::now(), by))
    }

    fn have_ended(&self, sessions: &[Id]) {
        self.have_ended(sessions);
    }

    fn user_changed(&self, user: Id) {
        self.user_changed(user);
    }
}

fn refused(error: SessionError) -> Refused {
    Arc::new(error)
}

/// Asks for second factors.
pub(crate) trait SecondFactor: fmt::Debug + Send + Sync + 'static {
    /// Whether one was shown and right; `Ok(false)`: the user has none.
    fn check<'a>(
        &'a self,
        user: Id,
        shown: Option<&'a Secret>,
        source: &'a Source,
    ) -> BoxFuture<'a, Result<bool, Refused>>;
}

impl SecondFactor for Factors {
    fn check<'a>(
        &'a self,
        user: Id,
        shown: Option<&'a Secret>,
        source: &'a Source,
    ) -> BoxFuture<'a, Result<bool, Refused>> {
        Box::pin(async move {
            let checked = self.check(user, shown, source).await;
            checked.map_err(|error| -> Refused { Arc::new(error) })
        })
    }
}
