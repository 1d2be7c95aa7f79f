//! What the sessions' actor can be asked. Private to the domain: others use the handle.

use ground::audit::{Actor, Source};
use ground::{Id, Micros, Page, PageRequest, Secret};
use supervisor::Reply;

use super::error::SessionError;
use super::types::{EndSession, SessionIdentity, SessionInfo, SignIn, TokenPair};

/// An answer that can be an error.
pub(crate) type Answer<T> = Reply<Result<T, SessionError>>;

/// Requests of the actor.
#[derive(Debug)]
pub(crate) enum SessionsMsg {
    /// Whose is this session, and is it alive?
    Verify {
        session: Id,
        reply: Answer<SessionIdentity>,
    },
    /// Check a remembered session again.
    Recheck { session: Id },
    /// A session was used.
    Used { session: Id, at: Micros },
    /// Look for keys of other daemons.
    FindKeys { reply: Answer<()> },
    /// Begin a session.
    Begin {
        sign_in: SignIn,
        reply: Answer<TokenPair>,
    },
    /// Give the next pair for a refresh token.
    Refresh {
        token: Secret,
        source: Source,
        reply: Answer<TokenPair>,
    },
    /// End a session.
    End { end: EndSession, reply: Answer<()> },
    /// End all sessions of a user, but one.
    EndAll {
        user: Id,
        except: Option<Id>,
        actor: Actor,
        source: Source,
        reply: Answer<u32>,
    },
    /// Tell of the live sessions of a user, a page at a time.
    List {
        user: Id,
        page: PageRequest,
        reply: Answer<Page<SessionInfo>>,
    },
    /// Look after the database, the keys, the ends and the uses to note.
    Tick,
}
