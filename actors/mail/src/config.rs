//! The section `[mail]`: through which server mails leave, and how often that is tried.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ground::Secret;
use ground::config::Conflict;
use lettre::message::Mailbox;
use supervisor::{DependencyPolicy, Level};

ground::choices! {
    /// How the connection to the server is protected.
    pub enum TlsMode {
        /// It begins in clear text and turns to TLS before anything is told; a server that cannot is not used.
        StartTls = "starttls",
        /// TLS from the first byte.
        Tls = "tls",
        /// Not at all: for a server on this machine alone.
        None = "none",
    }
}

ground::section! {
    /// Outgoing mail: links for a new password, confirmations, notices. Without `smtp_host` mails are put into the folder
    /// `outbox` of the data directory, for an operator to hand over.
    pub struct MailConfig in "mail" {
        /// The SMTP server, by name or address.
        smtp_host: Option<String> = None, check |host: &Option<String>| check_host(host.as_deref()), example "\"smtp.example.org\"", reload daemon;
        /// Its port. Unset: 587 with starttls, 465 with tls, 25 with none.
        smtp_port: Option<u16> = None, example "587", reload daemon;
        /// How the connection is protected; "none" only to this machine itself.
        tls: TlsMode = TlsMode::StartTls, reload daemon;
        /// A file with further certificates (PEM) that the server's may be signed by, or be.
        ca_file: Option<PathBuf> = None, example "\"/etc/mainstay/mail-ca.pem\"", reload daemon;
        /// Who signs in at the server; nobody when unset.
        username: Option<String> = None, range 1..=256, example "\"mainstay\"", reload daemon;
        /// The password for that. Best given as { file = "…" } or { credential = "…" }.
        password: Secret = Secret::default(), example "\"correct horse battery staple\"", reload daemon;
        /// From whom mails are: "Name <name@example.org>". Needed with `smtp_host`.
        from: Option<String> = None, check |from: &Option<String>| check_from(from.as_deref()), example "\"Mainstay <mainstay@example.org>\"", reload daemon;
        /// How many mails a second leave at most.
        max_per_second: u32 = 5, range 1..=1_000, reload daemon;
        /// How long a mail that could not be sent waits for its second attempt. Doubles with every further one.
        retry_first: Duration = Duration::from_secs(30), range Duration::from_millis(10)..=Duration::from_hours(1), reload daemon;
        /// How long it waits at most.
        retry_max: Duration = Duration::from_mins(30), range Duration::from_millis(10)..=Duration::from_hours(24), reload daemon;
        /// How many mails the outbox holds; the oldest make room.
        outbox_keep: u32 = 1_000, range 1..=100_000, reload daemon;
        /// For how many days it is kept to whom a mail was sent, and why one was given up. Never its text.
        keep_days: u32 = 30, range 1..=3_650, reload daemon;
    }
    conflicts contradictions;
}

/// The longest that one mail may take, from the first byte to the last: servers greet strangers slowly on purpose.
const SEND_LIMIT: Duration = Duration::from_secs(30);
/// How often a server that nobody calls is looked at.
const PROBE_EVERY: Duration = Duration::from_mins(5);

impl MailConfig {
    /// What the server is like as a dependency, where that differs from `base`.
    pub fn dependency(&self, base: DependencyPolicy) -> DependencyPolicy {
        DependencyPolicy {
            timeout: base.timeout.max(SEND_LIMIT),
            call_limit: base.call_limit.max(SEND_LIMIT * 2),
            slow_call: base.slow_call.max(SEND_LIMIT / 2),
            min_calls: base.min_calls.min(3),
            half_open_calls: 1,
            slow_opens: false,
            probe_every: Some(PROBE_EVERY),
            // Nothing is lost while it is away: mails wait.
            bears: Level::Degraded,
            ..base
        }
    }

    /// The port, as configured or as usual.
    pub(crate) fn port(&self) -> u16 {
        self.smtp_port.unwrap_or(match self.tls {
            TlsMode::StartTls => 587,
            TlsMode::Tls => 465,
            TlsMode::None => 25,
        })
    }

    /// From whom mails are; where nobody is named, from this program on this machine, as is right for an outbox.
    pub(crate) fn sender(&self) -> Mailbox {
        let named = self.from.as_deref().and_then(|from| from.parse().ok());
        named.unwrap_or_else(|| Mailbox::new(Some("Mainstay".to_owned()), local_sender()))
    }
}

fn local_sender() -> lettre::Address {
    // Checked by a test; an address of two such words is one.
    lettre::Address::new_dangerous("mainstay", "localhost")
}

fn check_host(host: Option<&str>) -> Result<(), String> {
    let Some(host) = host else { return Ok(()) };
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || host.len() > 253 || !host.chars().all(is_name) {
        return Err(format!(
            "expected the name or the address of a server, without port and scheme, found {host:?}"
        ));
    }
    if host.contains(':') && host.parse::<IpAddr>().is_err() {
        return Err(format!("the port goes into smtp_port, found {host:?}"));
    }
    Ok(())
}

fn check_from(from: Option<&str>) -> Result<(), String> {
    let Some(from) = from else { return Ok(()) };
    match from.parse::<Mailbox>() {
        Ok(_) if !from.contains(char::is_control) => Ok(()),
        _ => Err(format!(
            "expected an address such as \"Mainstay <mainstay@example.org>\", found {from:?}"
        )),
    }
}

/// What does not fit together.
fn contradictions(config: &MailConfig) -> Vec<Conflict> {
    let mut found = Vec::new();
    let mut conflict = |key, message: &str| {
        let message = message.to_owned();
        found.push(Conflict { key, message });
    };
    if let Some(host) = &config.smtp_host {
        if config.from.is_none() {
            conflict(
                "smtp_host",
                "expected from beside it: whose mails these are",
            );
        }
        if config.tls == TlsMode::None && !is_loopback(host) {
            conflict(
                "tls",
                "expected starttls or tls: without protection mails go to this machine itself alone (127.0.0.1, ::1, localhost)",
            );
        }
    }
    if config.username.is_some() == config.password.is_empty() {
        conflict(
            "username",
            "expected username and password, or none of them",
        );
    }
    if config.retry_first > config.retry_max {
        conflict("retry_max", "expected at least retry_first");
    }
    found
}

/// Whether a server is on this machine, whatever a resolver says.
fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(config: &MailConfig) -> Vec<&'static str> {
        contradictions(config)
            .iter()
            .map(|found| found.key)
            .collect()
    }

    #[test]
    fn clear_text_stays_on_this_machine() {
        let mut config = MailConfig {
            smtp_host: Some("127.0.0.1".to_owned()),
            from: Some("a@example.org".to_owned()),
            tls: TlsMode::None,
            ..MailConfig::default()
        };
        for local in ["127.0.0.1", "::1", "localhost", "LOCALHOST", "127.9.9.9"] {
            config.smtp_host = Some(local.to_owned());
            assert!(keys(&config).is_empty(), "{local}");
        }
        for foreign in [
            "mail.example.org",
            "10.0.0.1",
            "localhost.example.org",
            "0.0.0.0",
        ] {
            config.smtp_host = Some(foreign.to_owned());
            assert_eq!(keys(&config), ["tls"], "{foreign}");
        }
    }

    #[test]
    fn what_belongs_together_is_there_together() {
        let config = MailConfig {
            smtp_host: Some("mail.example.org".to_owned()),
            username: Some("me".to_owned()),
            retry_first: Duration::from_hours(1),
            ..MailConfig::default()
        };
        assert_eq!(keys(&config), ["smtp_host", "username", "retry_max"]);
        assert!(keys(&MailConfig::default()).is_empty());
    }

    #[test]
    fn addresses_and_hosts_are_told_apart_from_nonsense() {
        let host = |host: &str| check_host(Some(host));
        assert!(
            host("smtp.example.org").is_ok() && host("::1").is_ok() && host("10.0.0.1").is_ok()
        );
        for wrong in ["", "smtp://x", "x:587", "a b", "x/"] {
            assert!(host(wrong).is_err(), "{wrong:?}");
        }
        let from = |from: &str| check_from(Some(from));
        assert!(from("a@example.org").is_ok() && from("Me <a@example.org>").is_ok());
        for wrong in ["", "me", "a@b\r\nBcc: c@d", "a@example.org, b@example.org"] {
            assert!(from(wrong).is_err(), "{wrong:?}");
        }
        let local = MailConfig::default().sender();
        assert!("mainstay@localhost".parse::<lettre::Address>().is_ok());
        assert_eq!(local.email.to_string(), "mainstay@localhost");
    }
}
