//! Tokens on their way, each with its mail: kept and queued in one transaction, a bounded number for each account.

use std::time::Duration;

use ground::db::Conn;
use ground::mail::{Mail, MailError, enqueue};
use ground::{DbError, Id, Secret, clock};

use super::letters::Letters;
use super::store::{self, NewToken};
use super::types::Kind;
use crate::people::{self, PeopleError, User};
use crate::token::TokenHash;

/// Mails of one kind for one account, within this span.
const MAX_MAILS: i64 = 3;
const MAILS_SPAN: Duration = Duration::from_hours(1);

/// A token with its mail.
#[derive(Debug)]
pub(crate) struct Posted {
    token: NewToken,
    mail: Mail,
}

impl Posted {
    /// The token of this hash, to be mailed to this address.
    ///
    /// # Errors
    /// When no mail can be sent to it.
    pub(crate) fn new(
        letters: &Letters,
        (user, to): (Id, &str),
        kind: Kind,
        (token, hash): (&Secret, TokenHash),
    ) -> Result<Self, MailError> {
        let now = clock::now();
        let mail = letters.token(kind, to, token, now + kind.lifetime())?;
        let mail = mail.about(user);
        let new_email = (kind != Kind::Reset).then(|| to.to_owned());
        let token = NewToken {
            hash,
            user,
            kind,
            new_email,
            now,
        };
        Ok(Self { token, mail })
    }

    /// What proves the address of a new account; nothing where no mail can be sent to it.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(crate) fn proof(letters: &Letters, user: &User) -> Result<Option<Self>, PeopleError> {
        let (token, hash) = people::draw(Kind::Verify.prefix())?;
        let to = (user.id, user.email.as_str());
        Ok(Self::new(letters, to, Kind::Verify, (&token, hash)).ok())
    }

    /// Keeps the token and queues its mail, unless that would be one too many; then tells why not. One that `mails` not counts all the
    /// same, and nobody can use it: nobody was told.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn post(
        &self,
        tx: &mut Conn,
        mails: bool,
    ) -> Result<Option<&'static str>, DbError> {
        let token = &self.token;
        // Of two who ask at the same moment, the second sees what the first did.
        people::user_to_change(tx, token.user).await?;
        let since = token.now - MAILS_SPAN;
        if store::made_since(tx, token.user, token.kind, since).await? >= MAX_MAILS {
            return Ok(Some("too_many_mails"));
        }
        if mails && !queued(tx, &self.mail).await? {
            return Ok(Some("mail_queue_full"));
        }
        store::add(tx, token).await?;
        Ok(None)
    }
}

/// Queues a mail; false when there is no room, which is said before any statement of it failed and is no business of a stranger.
///
/// # Errors
/// Those of the database.
pub(crate) async fn queued(tx: &mut Conn, mail: &Mail) -> Result<bool, DbError> {
    match enqueue(tx, mail).await {
        Ok(()) => Ok(true),
        Err(DbError::Busy { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
