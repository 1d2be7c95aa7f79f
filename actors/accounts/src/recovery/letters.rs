//! What is mailed: plain words, what to do, and what to do if it was not you.
//!
//! A token is in the fragment of a link, which no browser sends anywhere and no server logs; and beside it, for whoever has no page to
//! open or reads mail on another device.

use ground::mail::{Mail, MailError};
use ground::{Micros, Secret};

use super::types::Kind;

/// Whose mails, and where their links lead.
#[derive(Debug, Clone, Default)]
pub(crate) struct Letters {
    public_url: Option<String>,
}

impl Letters {
    /// With links to this place, without them when there is none.
    pub(crate) fn new(public_url: Option<&str>) -> Self {
        let public_url = public_url.map(|url| url.trim_end_matches('/').to_owned());
        Self { public_url }
    }

    /// The mail with a token. It is not sent any more once the token does not work.
    pub(crate) fn token(
        &self,
        kind: Kind,
        to: &str,
        token: &Secret,
        expires_at: Micros,
    ) -> Result<Mail, MailError> {
        let (name, subject, why, page, route) = match kind {
            Kind::Reset => (
                "password.reset",
                "Set a new password",
                "Somebody, we think you, asked for a new password for your account with this address.",
                "reset-password",
                "POST /api/v1/auth/password/reset",
            ),
            Kind::Verify => (
                "email.verify",
                "Confirm your address",
                "Please confirm that this address is yours.",
                "verify-email",
                "POST /api/v1/auth/email/verify",
            ),
            Kind::Change => (
                "email.change",
                "Confirm your new address",
                "Somebody, we think you, wants to use this address for their account.",
                "verify-email",
                "POST /api/v1/auth/email/verify",
            ),
        };
        let token = token.expose();
        let how = match &self.public_url {
            Some(url) => format!(
                "Open this link:\n\n{url}/{page}#token={token}\n\nor enter this token:\n\n{token}\n"
            ),
            None => format!(
                "Enter this token where you are asked for it (or send it to {route}):\n\n{token}\n"
            ),
        };
        let for_how_long = match kind {
            Kind::Reset | Kind::Change => "half an hour",
            Kind::Verify => "a day",
        };
        let text = format!(
            "Hello,\n\n{why}\n\n{how}\nIt works once, for {for_how_long}.\n\n\
             If that was not you, do nothing: without the token nothing changes.\n"
        );
        Mail::new(to, subject, text, name, expires_at)
    }

    /// The mail with an invitation for somebody who has an account and no password yet.
    pub(crate) fn invitation(
        &self,
        to: &str,
        invite: &Secret,
        expires_at: Micros,
    ) -> Result<Mail, MailError> {
        let invite = invite.expose();
        let how = match &self.public_url {
            Some(url) => format!(
                "Open this link to set your password:\n\n{url}/register#invite={invite}\n\nor enter this invitation, with this address:\n\n{invite}\n"
            ),
            None => format!(
                "Enter this invitation where you are asked for it, with this address and a password of yours (or send them to \
                 POST /api/v1/auth/register):\n\n{invite}\n"
            ),
        };
        let text = format!(
            "Hello,\n\nan account was made for you with this address.\n\n{how}\nIt works once, for seven days.\n\n\
             If you know nothing of it, do nothing: without a password nobody can use the account.\n"
        );
        Mail::new(to, "Your account", text, "user.invite", expires_at)
    }

    /// The notice that the password was changed.
    pub(crate) fn password_changed(to: &str, not_after: Micros) -> Result<Mail, MailError> {
        let text = "Hello,\n\nthe password of your account was changed just now, with a token that was mailed to this address.\n\n\
                    If that was not you, somebody reads your mail: secure the mailbox first, then ask for a new password, and tell an administrator.\n";
        Mail::new(
            to,
            "Your password was changed",
            text,
            "password.changed",
            not_after,
        )
    }

    /// The notice that somebody wants to change the address.
    pub(crate) fn change_asked(to: &str, not_after: Micros) -> Result<Mail, MailError> {
        let text = "Hello,\n\nsomebody who knows your password wants to use another address for your account. As long as the new one is not confirmed, nothing changes.\n\n\
                    If that was not you, change your password now, and tell an administrator.\n";
        Mail::new(
            to,
            "A new address for your account",
            text,
            "email.change_asked",
            not_after,
        )
    }

    /// The notice to the old address that it is no longer the account's.
    pub(crate) fn email_changed(to: &str, not_after: Micros) -> Result<Mail, MailError> {
        let text = "Hello,\n\nyour account has another address now. No more mails come to this one.\n\n\
                    If that was not you, tell an administrator at once.\n";
        Mail::new(
            to,
            "Your address was changed",
            text,
            "email.changed",
            not_after,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(url: Option<&str>, kind: Kind) -> String {
        let token = Secret::from("msr_token");
        let mail = Letters::new(url).token(kind, "ann@example.org", &token, Micros(1));
        mail.expect("sound").text().expose().to_owned()
    }

    #[test]
    fn a_link_holds_its_token_where_no_server_sees_it() {
        for kind in [Kind::Reset, Kind::Verify, Kind::Change] {
            let told = text(Some("https://example.org/"), kind);
            assert!(told.contains("#token=msr_token\n"), "{told}");
            assert!(!told.contains("org//"), "{told}");
        }
    }

    #[test]
    fn without_a_place_for_links_the_mail_says_what_to_do() {
        let told = text(None, Kind::Reset);
        assert!(
            told.contains("POST /api/v1/auth/password/reset") && told.contains("\nmsr_token\n"),
            "{told}"
        );
        assert!(!told.contains("http"), "{told}");
    }
}
