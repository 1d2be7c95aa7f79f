//! What can go wrong with signing in by an outside issuer, in the user's words.
//!
//! Kept apart: an issuer that *says* no or something wrong (403: begin again), one that *cannot be asked* (502, 503, 504: come back
//! later), and this daemon's own decision. Who is refused learns nothing about other people's accounts.

use std::sync::Arc;
use std::time::Duration;

use ground::DbError;
use supervisor::{AskError, CallError, CallFault, Fault, FaultKind, Finding};

use super::decide::Refusal;
use super::id_token::ClaimError;
use crate::error::AccountsError;
use crate::jose::jws::JwsError;

/// Why a call to an issuer gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssuerError {
    /// It was not there, broke off, or said that it cannot at the moment.
    #[error("the issuer cannot be reached: {detail}")]
    Unreachable {
        /// What happened, for the log.
        detail: String,
        /// For how long it asks to be left alone.
        wait: Option<Duration>,
    },
    /// Its answer is not what it should be.
    #[error("the issuer's answer makes no sense: {0}")]
    Garbage(String),
    /// It does not take what this daemon shows it.
    #[error("the issuer does not take this daemon's credentials: {0}")]
    ClientRefused(String),
    /// It does not take the code.
    #[error("the issuer does not take the code: {0}")]
    CodeRefused(String),
}

impl Fault for IssuerError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Unreachable { .. } => FaultKind::Unavailable,
            Self::Garbage(_) | Self::ClientRefused(_) => FaultKind::Upstream,
            Self::CodeRefused(_) => FaultKind::Forbidden,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "accounts.issuer_unreachable",
            Self::Garbage(_) => "accounts.issuer_garbage",
            Self::ClientRefused(_) => "accounts.issuer_refuses_us",
            Self::CodeRefused(_) => "accounts.code_refused",
        }
    }

    fn outside(&self) -> String {
        match self {
            Self::Unreachable { .. } => {
                "the issuer cannot be reached at the moment; try again later, or sign in another way"
            }
            Self::Garbage(_) => {
                "the issuer gave an answer that makes no sense; sign in another way, and tell who runs this server"
            }
            Self::ClientRefused(_) => {
                "the issuer does not know this server any more; sign in another way, and tell who runs this server"
            }
            Self::CodeRefused(_) => "the issuer does not take the code; begin again",
        }
        .to_owned()
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unreachable { wait, .. } => *wait,
            _ => None,
        }
    }
}

impl CallFault for IssuerError {
    fn unreachable(detail: &str) -> Self {
        Self::Unreachable {
            detail: detail.to_owned(),
            wait: None,
        }
    }

    fn garbage(detail: &str) -> Self {
        Self::Garbage(detail.to_owned())
    }

    fn is_retryable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

/// Why an ID token is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    /// Its signature or its form.
    #[error(transparent)]
    Signature(#[from] JwsError),
    /// It is a token of another sort.
    #[error("it is a token of another sort")]
    Sort,
    /// What it says.
    #[error(transparent)]
    Claims(#[from] ClaimError),
}

impl TokenError {
    /// The word for it, in audit entries.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Signature(JwsError::Form) => "form",
            Self::Signature(JwsError::Header) => "header",
            Self::Signature(JwsError::Algorithm) => "algorithm",
            Self::Signature(JwsError::Key) => "key",
            Self::Signature(JwsError::Signature) => "signature",
            Self::Sort => "type",
            Self::Claims(error) => error.word(),
        }
    }
}

/// Why somebody was not vouched for, or an identity not changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FederationError {
    /// The request breaks rules; all of them are told.
    #[error("{} finding(s) in the request", .0.len())]
    Invalid(Vec<Finding>),
    /// No issuer of this name is configured.
    #[error("no issuer of this name is configured")]
    NoIssuer,
    /// The attempt is not one of ours, or is over, or was begun by somebody else.
    #[error("no such attempt is under way")]
    NoFlow,
    /// The answer comes from another issuer than the attempt went to.
    #[error("the answer names another issuer")]
    MixedUp,
    /// The issuer said no, most often because the person did.
    #[error("the issuer said no: {0}")]
    Denied(String),
    /// The issuer could not be asked, or gave nothing of use.
    #[error(transparent)]
    Issuer(CallError<IssuerError>),
    /// The ID token is not believed: for which reason.
    #[error("the ID token is not believed: {0}")]
    Untrusted(&'static str),
    /// Who it is does not come in, or is not linked: for which reason.
    #[error("refused: {0}")]
    Refused(Refused),
    /// The identity is the only way in that the user has.
    #[error("it is the last way in")]
    LastWayIn,
    /// The user has no identity of this issuer.
    #[error("no identity of this issuer")]
    NotLinked,
    /// A neighbour refused: the second factor, or the session.
    #[error(transparent)]
    Neighbour(Arc<dyn Fault>),
    /// What can go wrong with every request about accounts.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
}

/// Why somebody does not come in, or is not linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Nobody here has this identity.
    Unknown,
    /// The address is a user's, who has to link the identity first.
    LinkFirst,
    /// The identity is another user's.
    Taken,
    /// The user has another identity of this issuer.
    HasOther,
    /// Who asks did not sign in in person, or not lately.
    NotFresh,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unknown => "identity_unknown",
            Self::LinkFirst => "link_first",
            Self::Taken => "identity_taken",
            Self::HasOther => "has_other_identity",
            Self::NotFresh => "not_fresh",
        })
    }
}

impl From<Refusal> for FederationError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(match refusal {
            Refusal::Unknown => Refused::Unknown,
            Refusal::LinkFirst => Refused::LinkFirst,
            Refusal::Taken => Refused::Taken,
            Refusal::HasOther => Refused::HasOther,
        })
    }
}

impl From<TokenError> for FederationError {
    fn from(error: TokenError) -> Self {
        Self::Untrusted(error.word())
    }
}

impl From<CallError<IssuerError>> for FederationError {
    fn from(error: CallError<IssuerError>) -> Self {
        Self::Issuer(error)
    }
}

impl From<DbError> for FederationError {
    fn from(error: DbError) -> Self {
        Self::Accounts(error.into())
    }
}

impl From<AskError> for FederationError {
    fn from(error: AskError) -> Self {
        Self::Accounts(error.into())
    }
}

impl FederationError {
    /// The word for an attempt that failed, in audit entries; nothing for what is no failed attempt.
    pub(crate) fn word(&self) -> Option<String> {
        Some(match self {
            Self::Invalid(_) | Self::NoIssuer | Self::LastWayIn | Self::NotLinked => return None,
            Self::NoFlow => "no_flow".to_owned(),
            Self::MixedUp => "mixed_up".to_owned(),
            Self::Denied(_) => "denied".to_owned(),
            Self::Untrusted(word) => (*word).to_owned(),
            Self::Refused(refused) => refused.to_string(),
            Self::Issuer(error) => error.code().to_owned(),
            Self::Neighbour(fault) => fault.code().to_owned(),
            Self::Accounts(error) => error.code().to_owned(),
        })
    }

    /// Whether it is a fault of something, rather than a no.
    pub(crate) fn is_fault(&self) -> bool {
        matches!(
            self.kind(),
            FaultKind::Upstream
                | FaultKind::Unavailable
                | FaultKind::Deadline
                | FaultKind::Internal
        )
    }
}

impl Fault for FederationError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Invalid(_) => FaultKind::Invalid,
            Self::NoIssuer | Self::NotLinked => FaultKind::NotFound,
            Self::NoFlow
            | Self::MixedUp
            | Self::Denied(_)
            | Self::Untrusted(_)
            | Self::Refused(Refused::Unknown | Refused::LinkFirst | Refused::NotFresh) => {
                FaultKind::Forbidden
            }
            Self::Refused(Refused::Taken | Refused::HasOther) | Self::LastWayIn => {
                FaultKind::Conflict
            }
            Self::Issuer(error) => error.kind(),
            Self::Neighbour(fault) => fault.kind(),
            Self::Accounts(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "accounts.invalid",
            Self::NoIssuer => "accounts.issuer_not_found",
            Self::NoFlow => "accounts.flow_not_found",
            Self::MixedUp => "accounts.issuer_mixed_up",
            Self::Denied(_) => "accounts.issuer_denied",
            Self::Untrusted(_) => "accounts.id_token_refused",
            Self::Refused(Refused::Unknown) => "accounts.identity_unknown",
            Self::Refused(Refused::LinkFirst) => "accounts.link_first",
            Self::Refused(Refused::Taken) => "accounts.identity_taken",
            Self::Refused(Refused::HasOther) => "accounts.has_other_identity",
            Self::Refused(Refused::NotFresh) => "accounts.identity_not_fresh",
            Self::LastWayIn => "accounts.last_way_in",
            Self::NotLinked => "accounts.identity_not_found",
            Self::Issuer(error) => error.code(),
            Self::Neighbour(fault) => fault.code(),
            Self::Accounts(error) => error.code(),
        }
    }

    fn outside(&self) -> String {
        match self {
            Self::Invalid(_) => "the request has errors; see each of them",
            Self::NoIssuer => "no issuer of this name is known here; list the issuers to see which there are",
            Self::NoFlow => "no such attempt to sign in is under way here, or it took too long; begin again",
            Self::MixedUp => "the answer is not from the issuer that was asked; begin again",
            Self::Denied(_) => "the issuer said no; begin again, and agree there",
            Self::Untrusted(_) => "what the issuer said cannot be believed; begin again",
            Self::Refused(Refused::Unknown) => {
                "nobody here has this identity; sign in another way and link it, or ask an administrator"
            }
            Self::Refused(Refused::LinkFirst) => {
                "the address belongs to an account here; sign in to that another way and link this identity there"
            }
            Self::Refused(Refused::Taken) => "the identity is linked to another account",
            Self::Refused(Refused::HasOther) => {
                "another identity of this issuer is linked to the account; unlink that first"
            }
            Self::Refused(Refused::NotFresh) => {
                "this needs a sign-in in person within the last ten minutes; sign in again and repeat it"
            }
            Self::LastWayIn => {
                "this is the only way into the account; set a password, add a passkey or link another identity first"
            }
            Self::NotLinked => "the account has no identity of this issuer",
            Self::Issuer(error) => return error.outside(),
            Self::Neighbour(fault) => return fault.outside(),
            Self::Accounts(error) => return error.outside(),
        }
        .to_owned()
    }

    fn findings(&self) -> Vec<Finding> {
        match self {
            Self::Invalid(findings) => findings.clone(),
            Self::Neighbour(fault) => fault.findings(),
            _ => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Issuer(error) => error.retry_after(),
            Self::Neighbour(fault) => fault.retry_after(),
            Self::Accounts(error) => error.retry_after(),
            _ => None,
        }
    }
}
