//! The face of the sessions: one method a request.

use std::sync::Arc;
use std::time::Duration;

use ground::audit::{Actor, Source};
use ground::{Id, Page, PageRequest, Secret, clock};
use supervisor::Address;

use super::Memory;
use super::access::{AccessError, Bearer};
use super::error::SessionError;
use super::keys::PublicKey;
use super::messages::SessionsMsg;
use super::types::{EndSession, SessionIdentity, SessionInfo, SignIn, TokenPair};
use crate::jose::jws::JwsError;
use crate::known::Look;
use crate::profiles::Profiles;
use crate::revocations::{Revocations, TokenWatch};

/// Where the actor is in the tree.
const PATH: &str = "/accounts/sessions";
/// Requests that it admits at most.
const MAILBOX: u32 = 1024;
/// How long a check may take before what is remembered counts.
const PATIENCE: Duration = Duration::from_millis(500);

/// Server-side sessions. Cheap to clone; works across restarts of the domain.
#[derive(Debug, Clone)]
pub struct Sessions {
    pub(crate) address: Address<SessionsMsg>,
    pub(crate) memory: Memory,
}

impl Sessions {
    /// Nobody is behind it until the domain starts.
    pub(crate) fn new(revocations: Arc<Revocations>, profiles: Arc<Profiles>) -> Self {
        Self {
            address: Address::vacant(PATH, MAILBOX),
            memory: Memory::new(revocations, profiles),
        }
    }

    /// Begins a session for somebody whose credentials were all checked.
    ///
    /// # Errors
    /// `UserGone`, and whatever keeps it from being stored. After `Deadline` or `Ask` there may be a session of which nobody has
    /// the tokens: it is in the list, and ends by itself.
    pub async fn begin(&self, sign_in: SignIn) -> Result<TokenPair, SessionError> {
        let begin = |reply| SessionsMsg::Begin { sign_in, reply };
        self.address.ask(begin).await?
    }

    /// Gives the next pair for a refresh token, and the same one again within five seconds.
    ///
    /// # Errors
    /// `BadRefreshToken`, `Ended`, `Reused`, and whatever keeps it from being stored. After any other error the same token may be
    /// shown again.
    pub async fn refresh(&self, token: Secret, source: Source) -> Result<TokenPair, SessionError> {
        #[rustfmt::skip]
        let refresh = |reply| SessionsMsg::Refresh { token, source, reply };
        self.address.ask(refresh).await?
    }

    /// Who bears this access token. Needs neither a message nor a statement for a session that was used lately.
    ///
    /// # Errors
    /// `BadAccessToken`, `ExpiredAccessToken`, `Ended`: it is worth nothing. Others: it cannot be checked at the moment.
    pub async fn verify(&self, token: &str) -> Result<SessionIdentity, SessionError> {
        let bearer = self.read(token).await?;
        let identity = self.identity(bearer.session).await?;
        (identity.user == bearer.user)
            .then_some(identity)
            .ok_or(SessionError::Ended)
    }

    /// The session that an access token of ours names, and its user, whether or not it is valid any more; nothing for a token of a key that
    /// is not known. Enough to end it, and not to let anybody in.
    pub fn named_by(&self, token: &str) -> Option<(Id, Id)> {
        let named = self.memory.keys.now().named_by(token)?;
        Some((named.session, named.user))
    }

    /// Ends a session: when this returns it is stored, the session's tokens are refused and its streams are told. Ending it again is no
    /// error.
    ///
    /// # Errors
    /// `NotFound`, and whatever keeps it from being stored. After `Deadline` or `Ask` it may have ended all the same.
    pub async fn end(&self, end: EndSession) -> Result<(), SessionError> {
        let end = |reply| SessionsMsg::End { end, reply };
        self.address.ask(end).await?
    }

    /// Ends all sessions of a user, but one, and tells how many ended.
    ///
    /// # Errors
    /// Whatever keeps it from being stored. After `Deadline` or `Ask` they may have ended all the same.
    pub async fn end_all(
        &self,
        user: Id,
        except: Option<Id>,
        actor: Actor,
        source: Source,
    ) -> Result<u32, SessionError> {
        #[rustfmt::skip]
        let end = |reply| SessionsMsg::EndAll { user, except, actor, source, reply };
        self.address.ask(end).await?
    }

    /// The live sessions of a user, in order of their beginning.
    ///
    /// # Errors
    /// Whatever keeps them from being read.
    pub async fn list(
        &self,
        user: Id,
        page: PageRequest,
    ) -> Result<Page<SessionInfo>, SessionError> {
        let list = |reply| SessionsMsg::List { user, page, reply };
        self.address.ask(list).await?
    }

    /// Something about a user changed: what is remembered of them, and of their sessions, is looked up anew at its next use.
    pub fn user_changed(&self, user: Id) {
        self.memory.profiles.changed(user);
        let known = &self.memory.known;
        known.doubt_all(|identity| identity.user == user);
    }

    /// These sessions were ended in a transaction of somebody else's, which is committed: their tokens are refused from now on, and
    /// their streams are told.
    pub(crate) fn have_ended(&self, sessions: &[Id]) {
        for session in sessions {
            self.memory.known.revoke(session);
            self.memory.revocations.announce(*session);
        }
    }

    /// The public keys that access tokens are signed with.
    pub fn public_keys(&self) -> Vec<PublicKey> {
        self.memory.keys.now().public_keys()
    }

    /// Watches a session, to end what was opened with it when it ends. Sees an end that came after the check, too.
    pub fn watch(&self, identity: &SessionIdentity) -> TokenWatch {
        let revocations = &self.memory.revocations;
        revocations.watch(identity.session, Some(identity.expires_at))
    }

    /// Whose token it is, as far as the token itself tells. A key that is not known may be a new one of another daemon.
    async fn read(&self, token: &str) -> Result<Bearer, SessionError> {
        let read = || self.memory.keys.now().read(token, clock::now());
        match read() {
            Err(AccessError::Signature(JwsError::Key)) => {
                let find = |reply| SessionsMsg::FindKeys { reply };
                self.address.ask_within(PATIENCE, find).await??;
                Ok(read()?)
            }
            verdict => Ok(verdict?),
        }
    }

    /// Whose a session is, if it is alive.
    async fn identity(&self, session: Id) -> Result<SessionIdentity, SessionError> {
        let ask = |reply| SessionsMsg::Verify { session, reply };
        let identity = match self.memory.known.look(&session, clock::now()) {
            Look::Fresh {
                identity,
                refresh_due,
            } => {
                let recheck = SessionsMsg::Recheck { session };
                if refresh_due && self.address.tell(recheck).is_err() {
                    tracing::debug!("a session could not be checked ahead of need");
                }
                identity
            }
            Look::Stale(remembered) => self.recheck(remembered).await?,
            Look::Expired => return Err(SessionError::Ended),
            Look::Missing => self.address.ask(ask).await??,
        };
        self.note_use(session);
        Ok(identity)
    }

    async fn recheck(&self, remembered: SessionIdentity) -> Result<SessionIdentity, SessionError> {
        let session = remembered.session;
        let ask = |reply| SessionsMsg::Verify { session, reply };
        let asked = self.address.ask_within(PATIENCE, ask).await;
        match asked.map_err(SessionError::from).flatten() {
            Err(error) if error.is_unchecked() => {
                tracing::debug!(%session, %error, "a session could not be checked: what is remembered counts");
                self.memory.known.postpone(&session);
                Ok(remembered)
            }
            checked => checked,
        }
    }

    /// Has the use noted, at most once a minute, without waiting for it.
    fn note_use(&self, session: Id) {
        let at = clock::now();
        let known = &self.memory.known;
        if known.is_note_due(&session, at)
            && self
                .address
                .tell(SessionsMsg::Used { session, at })
                .is_err()
        {
            known.was_not_noted(&session);
        }
    }
}
