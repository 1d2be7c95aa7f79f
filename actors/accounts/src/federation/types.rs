//! The words of signing in by an outside issuer.

use std::time::Duration;

use ground::audit::Source;
use ground::{Micros, Secret};
use serde::Serialize;

use crate::factors::By;
use crate::sessions::TokenPair;

/// Characters of a person's name at most.
pub(crate) const MAX_NAME: usize = 100;

/// An issuer that people may choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IssuerInfo {
    /// What it is called in paths.
    pub name: String,
    /// What people read.
    pub title: String,
    /// `oidc`, `google` or `github`.
    pub kind: &'static str,
}

/// A wish to be vouched for.
#[derive(Debug, Clone)]
pub struct Begin {
    /// The configured name of the issuer.
    pub issuer: String,
    /// Where to go afterwards: a path of this server.
    pub return_to: Option<String>,
    /// Who wants their account linked, signed in lately; nobody to sign in or up.
    pub link_to: Option<By>,
    /// From where the request came.
    pub source: Source,
}

/// An attempt that has begun.
#[derive(Debug)]
pub struct Begun {
    /// Where to send the person.
    pub authorization_url: String,
    /// What must be shown again at the end; whoever began keeps it and shows it to nobody else.
    pub flow: Secret,
    /// For how long it may be ended.
    pub expires_in: Duration,
}

/// What came back from the issuer, and from who began.
#[derive(Debug, Clone)]
pub struct Finish {
    /// The configured name of the issuer.
    pub issuer: String,
    /// The secret of [`Begun`].
    pub flow: Secret,
    /// The state that came back.
    pub state: Secret,
    /// The code that came back, if there is one.
    pub code: Option<Secret>,
    /// The error that came back instead.
    pub error: Option<String>,
    /// Who the answer says that it is from (RFC 9207).
    pub iss: Option<String>,
    /// The second factor, where the account has one.
    pub totp_code: Option<Secret>,
    /// From where the request came.
    pub source: Source,
}

/// How an attempt ended well.
#[derive(Debug)]
pub enum Finished {
    /// Somebody signed in.
    SignedIn {
        /// What to work with from then on.
        tokens: TokenPair,
        /// Whether the account was made just now.
        is_new: bool,
        /// Where the person wanted to go.
        return_to: Option<String>,
    },
    /// An identity was linked to an account.
    Linked {
        /// Where the person wanted to go.
        return_to: Option<String>,
    },
}

/// Who somebody is, as an issuer said and this daemon checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proof {
    /// The issuer's word for the person; means nothing at any other issuer.
    pub(crate) subject: String,
    /// An address, if it gave one.
    pub(crate) email: Option<String>,
    /// Whether it says that it verified the address.
    pub(crate) is_email_verified: bool,
    /// What the person is called.
    pub(crate) name: Option<String>,
}

/// An identity of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IdentityInfo {
    /// The name of the issuer when it was last used.
    pub issuer: String,
    /// The issuer's address.
    pub issuer_url: String,
    /// The address that the issuer gave when it was linked.
    pub email: Option<String>,
    /// When it was linked.
    pub created_at: Micros,
    /// When somebody last signed in with it.
    pub last_used_at: Option<Micros>,
}

/// A name for a person: short, on one line; nothing when nothing is left.
pub(crate) fn tidy_name(text: &str) -> Option<String> {
    let plain = text.chars().filter(|c| !c.is_control());
    let short: String = plain.take(MAX_NAME).collect();
    Some(short.trim().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_on_one_line() {
        assert_eq!(
            tidy_name(" Ada\r\n Lovelace ").as_deref(),
            Some("Ada Lovelace")
        );
        assert_eq!(tidy_name("\u{1b}\u{0}  "), None);
        let long = tidy_name(&"é".repeat(1_000));
        assert_eq!(long.map(|name| name.chars().count()), Some(MAX_NAME));
    }
}
