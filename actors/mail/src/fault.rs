//! Why a mail was not taken, told apart by what follows from it: is it the server, our own account there, or this mail?

use lettre::transport::smtp::Error as SmtpError;
use supervisor::{Blame, CallFault, Fault, FaultKind};

/// Characters of an answer that are kept.
const MAX_ANSWER: usize = 200;

/// Why a mail was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SendError {
    /// There was no connection, or it broke.
    #[error("the server is not reached: {detail}")]
    Unreachable { detail: String },
    /// No protected connection could be made.
    #[error("no protected connection: {detail}")]
    Tls { detail: String },
    /// The server does not take our name and password.
    #[error("the server does not let us in: {answer}")]
    Unauthorized { answer: String },
    /// What answered made no sense.
    #[error("the server answers nonsense: {detail}")]
    Garbage { detail: String },
    /// The server says that it does not serve at the moment.
    #[error("the server does not serve: {answer}")]
    Away { answer: String },
    /// The server wants this mail later (4xx).
    #[error("the server wants the mail later: {answer}")]
    Deferred { answer: String },
    /// The server does not want this mail at all (5xx).
    #[error("the server refuses the mail: {answer}")]
    Refused { answer: String },
    /// It cannot be sent through this server, or not at all.
    #[error("the mail cannot be sent: {detail}")]
    Unsendable { detail: String },
    /// It could not be written into the outbox.
    #[error("the outbox takes no mail: {detail}")]
    Outbox { detail: String },
}

/// Who answered with a code, or nobody.
struct Told {
    code: Option<u16>,
    text: String,
}

impl SendError {
    /// What failed while the connection was made.
    pub(crate) fn connecting(error: &SmtpError) -> Self {
        let Told { code, text } = told(error);
        match code {
            Some(_) => Self::Away { answer: text },
            None => Self::broken(error, text),
        }
    }

    /// What failed while we signed in.
    pub(crate) fn signing_in(error: &SmtpError) -> Self {
        let Told { code, text } = told(error);
        match code {
            Some(400..500) => Self::Away { answer: text },
            Some(_) => Self::Unauthorized { answer: text },
            None if error.is_client() => Self::Unauthorized { answer: text },
            None => Self::broken(error, text),
        }
    }

    /// What failed while the mail was handed over.
    pub(crate) fn sending(error: &SmtpError) -> Self {
        let Told { code, text } = told(error);
        match code {
            Some(421) => Self::Away { answer: text },
            // "Sign in first", however the server puts it: that is about us, and no reason to give a mail up.
            Some(530 | 534 | 535 | 538) => Self::Unauthorized { answer: text },
            Some(500..600) => Self::Refused { answer: text },
            Some(_) => Self::Deferred { answer: text },
            None if error.is_client() => Self::Unsendable { detail: text },
            None => Self::broken(error, text),
        }
    }

    fn broken(error: &SmtpError, detail: String) -> Self {
        if error.is_response() {
            Self::Garbage { detail }
        } else {
            Self::Unreachable { detail }
        }
    }

    /// Whether trying again is of no use.
    pub(crate) const fn is_final(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Unsendable { .. })
    }
}

/// What the other side said, as one line without control characters: it comes from outside, and goes into lists and logs.
pub(crate) fn plain(text: &str) -> String {
    let odd = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let line = text.chars().map(|c| if odd(c) { ' ' } else { c });
    line.take(MAX_ANSWER).collect::<String>().trim().to_owned()
}

fn told(error: &SmtpError) -> Told {
    let code = error.status().map(u16::from);
    let source = std::error::Error::source(error).map(ToString::to_string);
    let text = match (code, source) {
        (Some(code), Some(source)) => format!("{code} {source}"),
        (Some(code), None) => code.to_string(),
        (None, Some(source)) => source,
        (None, None) => error.to_string(),
    };
    Told {
        code,
        text: plain(&text),
    }
}

impl Fault for SendError {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Unreachable { .. } | Self::Away { .. } => FaultKind::Unavailable,
            Self::Tls { .. } | Self::Unauthorized { .. } | Self::Garbage { .. } => {
                FaultKind::Upstream
            }
            Self::Deferred { .. } => FaultKind::Limited,
            Self::Refused { .. } | Self::Unsendable { .. } => FaultKind::Invalid,
            Self::Outbox { .. } => FaultKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "mail.unreachable",
            Self::Tls { .. } => "mail.tls",
            Self::Unauthorized { .. } => "mail.unauthorized",
            Self::Garbage { .. } => "mail.garbage",
            Self::Away { .. } => "mail.away",
            Self::Deferred { .. } => "mail.deferred",
            Self::Refused { .. } => "mail.refused",
            Self::Unsendable { .. } => "mail.unsendable",
            Self::Outbox { .. } => "mail.outbox_failed",
        }
    }

    /// For operators alone: nobody else hears how a mail fared.
    fn outside(&self) -> String {
        self.to_string()
    }
}

impl CallFault for SendError {
    fn unreachable(detail: &str) -> Self {
        Self::Unreachable {
            detail: plain(detail),
        }
    }

    fn garbage(detail: &str) -> Self {
        Self::Garbage {
            detail: plain(detail),
        }
    }

    fn blame(&self) -> Blame {
        match self {
            Self::Deferred { .. } | Self::Refused { .. } => Blame::Caller,
            Self::Unsendable { .. } | Self::Outbox { .. } => Blame::Nobody,
            _ => Blame::Dependency,
        }
    }
}
