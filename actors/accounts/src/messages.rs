//! What the manager can be asked. Private to the domain: others use the handle.

use ground::audit::By;
use ground::{Id, Micros, Page, PageRequest, Secret};
use supervisor::Reply;

use crate::error::AccountsError;
use crate::lookups::VerifyReply;
use crate::token::TokenHash;
use crate::types::{NewToken, TokenInfo};

/// An answer that can be an error.
pub(crate) type Answer<T> = Reply<Result<T, AccountsError>>;

/// Requests of the manager.
#[derive(Debug)]
pub enum ManagerMsg {
    /// Who bears the token with this hash?
    Verify { hash: TokenHash, reply: VerifyReply },
    /// Check a remembered token again.
    Refresh { hash: TokenHash },
    /// A token was used.
    Used { id: Id, at: Micros },
    /// Create a token.
    Create {
        new: NewToken,
        by: By,
        reply: Answer<(TokenInfo, Secret)>,
    },
    /// Tell of the tokens of an owner, or of all, a page at a time.
    List {
        page: PageRequest,
        owner: Option<Id>,
        reply: Answer<Page<TokenInfo>>,
    },
    /// Revoke a token.
    Revoke {
        id: Id,
        owner: Option<Id>,
        by: By,
        reply: Answer<()>,
    },
    /// Is there a token that works?
    HasTokens { reply: Answer<bool> },
    /// Look after the database, the uses to note and the revocations of others.
    Tick,
}
