//! A row of the queue as a message of the internet: headers, encoding, line ends.
//!
//! The same row gives the same bytes each time, `Message-ID` and `Date` included, so that a mail that is sent twice is known for
//! the same one.

use std::time::{Duration, UNIX_EPOCH};

use ground::{Id, Micros};
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::{Address, address::Envelope};

use crate::fault::SendError;
use crate::store::Claimed;

/// A message and where it goes.
pub(crate) struct Letter {
    pub(crate) envelope: Envelope,
    pub(crate) bytes: Vec<u8>,
}

/// The `Message-ID` of a mail: its id, at the sender's domain.
pub(crate) fn message_id(id: Id, from: &Mailbox) -> String {
    format!("<{id}@{}>", from.email.domain())
}

/// Writes a mail out.
///
/// # Errors
/// [`SendError::Unsendable`] when the address is none by the rules of mail.
pub(crate) fn write(mail: &Claimed, from: &Mailbox) -> Result<Letter, SendError> {
    let unsendable = |detail: String| SendError::Unsendable { detail };
    let to: Address = mail
        .to
        .parse()
        .map_err(|error| unsendable(format!("the address cannot be written to: {error}")))?;
    let auto_submitted = HeaderName::new_from_ascii_str("Auto-Submitted");
    let message = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(mail.subject.clone())
        .date(UNIX_EPOCH + since_1970(mail.created_at))
        .message_id(Some(message_id(mail.id, from)))
        // No answering machine answers that.
        .raw_header(HeaderValue::new(
            auto_submitted,
            "auto-generated".to_owned(),
        ))
        .header(ContentType::TEXT_PLAIN)
        .body(mail.text.expose().to_owned())
        .map_err(|error| unsendable(format!("no message can be made of it: {error}")))?;
    Ok(Letter {
        envelope: message.envelope().clone(),
        bytes: message.formatted(),
    })
}

fn since_1970(moment: Micros) -> Duration {
    moment.since(Micros(0))
}

#[cfg(test)]
mod tests {
    use ground::Secret;
    use proptest::prelude::*;

    use super::*;

    fn claimed(to: &str, subject: &str, text: &str) -> Claimed {
        Claimed {
            id: Id::generate(),
            to: to.to_owned(),
            subject: subject.to_owned(),
            text: Secret::new(text),
            kind: "test.mail".to_owned(),
            attempts: 1,
            not_after: Micros(2_000_000_000_000_000),
            created_at: Micros(1_700_000_000_000_000),
        }
    }

    fn from() -> Mailbox {
        "Mainstay <m@example.org>".parse().expect("an address")
    }

    fn written(mail: &Claimed) -> String {
        let Ok(letter) = write(mail, &from()) else {
            panic!("no letter of it");
        };
        String::from_utf8(letter.bytes).expect("ASCII")
    }

    #[test]
    fn a_mail_has_its_headers_and_is_the_same_each_time() {
        let mail = claimed("ann@example.org", "Your new password", "Hello\n\nA link\n");
        let text = written(&mail);
        assert_eq!(text, written(&mail));
        let (head, body) = text.split_once("\r\n\r\n").expect("head and body");
        for wanted in [
            "From: Mainstay <m@example.org>".to_owned(),
            "To: ann@example.org".to_owned(),
            "Subject: Your new password".to_owned(),
            "Date: Tue, 14 Nov 2023 22:13:20 +0000".to_owned(),
            format!("Message-ID: <{}@example.org>", mail.id),
            "Auto-Submitted: auto-generated".to_owned(),
        ] {
            assert!(head.lines().any(|line| line == wanted), "{wanted}\n{head}");
        }
        assert_eq!(body, "Hello\r\n\r\nA link\r\n");
    }

    #[test]
    fn an_address_that_is_none_is_told_and_not_sent() {
        let refused = write(&claimed("ann@exa mple", "x", "x"), &from());
        assert!(matches!(refused, Err(SendError::Unsendable { .. })));
    }

    proptest! {
        /// Whatever a mail may hold: ASCII lines of bounded length, ended as mail wants it, and no header but ours.
        #[test]
        fn nothing_in_a_mail_adds_a_header(subject in "\\PC{1,200}", text in "[\\PC\n\t]{1,400}") {
            let text = written(&claimed("ann@example.org", &subject, &text));
            prop_assert!(text.is_ascii());
            let (head, _) = text.split_once("\r\n\r\n").expect("head and body");
            let names: Vec<&str> = head
                .split("\r\n")
                .filter(|line| !line.starts_with([' ', '\t']))
                .filter_map(|line| line.split_once(':'))
                .map(|(name, _)| name)
                .collect();
            let ours = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Content-Type", "MIME-Version", "Content-Transfer-Encoding"];
            prop_assert!(names.iter().all(|name| ours.contains(name)), "{names:?}");
            prop_assert!(text.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n'])));
        }
    }
}
