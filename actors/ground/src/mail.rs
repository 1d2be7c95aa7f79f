//! A mail to be sent. It is written in the transaction of what it belongs to and sent later by the domain that owns the queue.
//!
//! Why a queue and no call: a reset whose mail is sent before its token is stored tells of something that may never happen, and
//! one that is stored before the mail is sent loses the mail with the process. As a row of the same transaction it is there
//! exactly when the rest is.
//!
//! What goes into a header is checked when a [`Mail`] is made, so that no address and no subject can bring a header of its own.
//! The text may hold a secret link: it is a [`Secret`] here, and is wiped from the database as soon as the mail has gone.

mod store;

use std::fmt;

use crate::clock::Micros;
use crate::ids::Id;
use crate::secret::Secret;

pub use store::enqueue;

/// Bytes of an address at most, as SMTP limits it.
pub const MAX_ADDRESS: usize = 254;
/// Characters of a subject at most.
pub const MAX_SUBJECT: usize = 200;
/// Bytes of a text at most.
pub const MAX_TEXT: usize = 32 * 1024;
/// Mails that may wait at the same time.
pub const MAX_WAITING: i64 = 10_000;

/// Bytes of an address before its `@` at most.
const MAX_LOCAL_PART: usize = 64;
/// Bytes of a kind at most.
const MAX_KIND: usize = 40;

/// A mail to one address, checked.
#[derive(Clone)]
pub struct Mail {
    to: String,
    subject: String,
    text: Secret,
    kind: &'static str,
    not_after: Micros,
    user: Option<Id>,
}

/// What is wrong with one part of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailFault {
    /// Which part: `to`, `subject`, `text` or `kind`.
    pub field: &'static str,
    /// What is wrong, as findings about input call it.
    pub code: &'static str,
    /// What was expected.
    pub message: &'static str,
}

/// A mail cannot be made of these parts; all that is wrong is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} fault(s) in a mail", .0.len())]
pub struct MailError(pub Vec<MailFault>);

impl Mail {
    /// A plain-text mail. `kind` names what it is for (`password.reset`) in the list of the queue; `not_after` is the moment from
    /// which nobody wants it any more.
    ///
    /// # Errors
    /// [`MailError`] with all faults: an address that is none or could end its header, a subject with control characters, a
    /// text with control characters other than line feeds and tabs, or anything that is empty or too long.
    pub fn new(
        to: impl Into<String>,
        subject: impl Into<String>,
        text: impl Into<String>,
        kind: &'static str,
        not_after: Micros,
    ) -> Result<Self, MailError> {
        let mail = Self {
            to: to.into(),
            subject: subject.into(),
            text: Secret::new(text),
            kind,
            not_after,
            user: None,
        };
        let faults: Vec<MailFault> = [
            address_fault(&mail.to).map(|(code, message)| ("to", code, message)),
            subject_fault(&mail.subject).map(|(code, message)| ("subject", code, message)),
            text_fault(mail.text.expose()).map(|(code, message)| ("text", code, message)),
            kind_fault(kind).map(|(code, message)| ("kind", code, message)),
        ]
        .into_iter()
        .flatten()
        .map(|(field, code, message)| MailFault {
            field,
            code,
            message,
        })
        .collect();
        if faults.is_empty() {
            Ok(mail)
        } else {
            Err(MailError(faults))
        }
    }

    /// Notes whose mail it is: what is kept of it is told to them, and goes with them.
    #[must_use]
    pub const fn about(mut self, user: Id) -> Self {
        self.user = Some(user);
        self
    }

    /// Whose it is, as far as that was noted.
    pub const fn user(&self) -> Option<Id> {
        self.user
    }

    /// To whom.
    pub fn to(&self) -> &str {
        &self.to
    }

    /// The subject.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The text, with line feeds between its lines.
    pub const fn text(&self) -> &Secret {
        &self.text
    }

    /// What it is for.
    pub const fn kind(&self) -> &'static str {
        self.kind
    }

    /// From when on nobody wants it any more.
    pub const fn not_after(&self) -> Micros {
        self.not_after
    }
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail")
            .field("kind", &self.kind)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

type Found = Option<(&'static str, &'static str)>;

/// Whether a mail can be sent there: what else an address must be, its owner decides.
fn address_fault(address: &str) -> Found {
    const SHAPE: &str = "expected one address such as name@example.org";
    if address.len() > MAX_ADDRESS {
        return Some(("too_long", "expected an address of at most 254 bytes"));
    }
    let Some((local, domain)) = address.split_once('@') else {
        return Some(("bad_format", SHAPE));
    };
    let is_odd = |c: char| {
        c.is_whitespace() || c.is_control() || "<>()[]{},;:\\\"@\u{2028}\u{2029}".contains(c)
    };
    let dots = |part: &str| part.starts_with('.') || part.ends_with('.') || part.contains("..");
    let is_wrong = |part: &str| part.is_empty() || part.contains(is_odd) || dots(part);
    if is_wrong(local) || is_wrong(domain) || local.len() > MAX_LOCAL_PART {
        return Some(("bad_format", SHAPE));
    }
    None
}

fn subject_fault(subject: &str) -> Found {
    if subject.trim().is_empty() {
        return Some(("too_short", "expected a subject"));
    }
    if subject.chars().count() > MAX_SUBJECT {
        return Some(("too_long", "expected a subject of at most 200 characters"));
    }
    let is_odd = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    subject.contains(is_odd).then_some((
        "bad_format",
        "expected a subject without control characters",
    ))
}

fn text_fault(text: &str) -> Found {
    if text.trim().is_empty() {
        return Some(("too_short", "expected a text"));
    }
    if text.len() > MAX_TEXT {
        return Some(("too_long", "expected a text of at most 32 KiB"));
    }
    let is_odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    text.contains(is_odd).then_some((
        "bad_format",
        "expected a text without control characters but line feeds and tabs",
    ))
}

fn kind_fault(kind: &str) -> Found {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'_');
    let is_right = !kind.is_empty() && kind.len() <= MAX_KIND && kind.bytes().all(is_plain);
    (!is_right).then_some(("bad_format", "expected a kind such as password.reset"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn faults(to: &str, subject: &str, text: &str) -> Vec<&'static str> {
        match Mail::new(to, subject, text, "test.mail", Micros(1)) {
            Ok(_) => Vec::new(),
            Err(MailError(faults)) => faults.iter().map(|fault| fault.field).collect(),
        }
    }

    #[test]
    fn a_plain_mail_is_taken_and_all_faults_are_told_at_once() {
        assert!(faults("ann@example.org", "Grüße \u{1f680}", "one\n\ttwo\n").is_empty());
        assert!(faults("änn+tag@exämple.org", "x", "x").is_empty());
        assert_eq!(faults("ann", "", ""), ["to", "subject", "text"]);
        let kind = Mail::new("a@b", "x", "x", "Bad Kind", Micros(1));
        assert!(kind.is_err());
    }

    #[test]
    fn an_address_is_one_address() {
        for wrong in [
            "",
            "@",
            "a@",
            "@b",
            "a@b@c",
            "a b@c",
            "a@b\r\nBcc: x@y",
            "a@b\nc",
            "<a@b>",
            "a@b,c@d",
            "a@b;c",
            "\"a\"@b",
            "a@[127.0.0.1]",
            ".a@b",
            "a.@b",
            "a@b..c",
            "a\0@b",
            "a@b\u{2028}c",
        ] {
            assert_eq!(faults(wrong, "x", "x"), ["to"], "{wrong:?}");
        }
        assert_eq!(faults(&format!("{}@b", "a".repeat(65)), "x", "x"), ["to"]);
        assert_eq!(faults(&format!("a@{}", "b".repeat(254)), "x", "x"), ["to"]);
    }

    #[test]
    fn the_text_is_in_no_debug() {
        let mail =
            Mail::new("a@b", "the subject", "the secret", "test.mail", Micros(1)).expect("sound");
        let shown = format!("{mail:?}");
        assert!(
            !shown.contains("secret") && !shown.contains("a@b"),
            "{shown}"
        );
    }

    proptest! {
        /// Whatever is taken holds nothing that ends a header line.
        #[test]
        fn no_header_is_ever_ended(to in any::<String>(), subject in any::<String>(), text in any::<String>()) {
            if let Ok(mail) = Mail::new(to, subject, text, "test.mail", Micros(1)) {
                let ends = |text: &str| text.contains(['\r', '\n', '\0']);
                prop_assert!(!ends(mail.to()) && !ends(mail.subject()));
                prop_assert!(!mail.text().expose().contains(['\r', '\0']));
            }
        }

        #[test]
        fn a_line_end_anywhere_in_a_header_is_refused(before in "[a-z]{1,9}", end in "[\r\n]{1,2}", after in "[a-z]{0,9}") {
            let odd = format!("{before}{end}{after}");
            prop_assert_eq!(faults("a@b", &odd, "x"), ["subject"]);
            let odd_address = format!("{odd}@b");
            prop_assert_eq!(faults(&odd_address, "x", "x"), ["to"]);
        }
    }
}
