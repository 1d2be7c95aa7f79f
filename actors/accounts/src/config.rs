//! The `[accounts]` section: who may register, how many tokens there may be, and for how long one is believed without asking the
//! database.

use std::collections::BTreeMap;
use std::time::Duration;

use ground::config::Conflict;

use crate::draft::{MAX_LIFETIME, MIN_LIFETIME};
use crate::federation::{self, IssuerConfig};
use crate::passkeys::{self, PasskeysConfig};

const DAY: Duration = Duration::from_hours(24);

ground::choices! {
    /// Who may make an account for themselves.
    pub enum RegistrationPolicy {
        /// Nobody.
        Closed = "closed",
        /// Who was invited.
        Invite = "invite",
        /// Everybody who reaches the daemon.
        Open = "open",
    }
}

ground::section! {
    /// Who may come in: people and access tokens.
    pub struct Config in "accounts" {
        /// How many tokens are kept, ended ones included; the oldest ended ones make room for new ones.
        max_tokens: u32 = 10_000, range 1..=100_000, reload subtree;
        /// The longest that a new token may be valid, and how long it is valid when nothing else is asked for; 0s sets no limit.
        max_lifetime: Duration = Duration::ZERO, range Duration::ZERO..=MAX_LIFETIME, check check_lifetime, reload subtree;
        /// How many tokens are remembered, so that a request needs not wait for the database.
        remembered_tokens: u32 = 1024, range 1..=100_000, reload subtree;
        /// A remembered token is checked again after this long; a token that another daemon on the same database revoked works until then.
        recheck_after: Duration = Duration::from_secs(5), range Duration::from_millis(100)..=Duration::from_mins(1), reload subtree;
        /// While the database is away, a remembered token works for this long after its last check.
        offline_limit: Duration = DAY, range Duration::ZERO..=DAY * 30, reload subtree;
        /// Who may make an account for themselves: nobody ("closed"), who was invited ("invite"), everybody who reaches the daemon ("open").
        registration: RegistrationPolicy = RegistrationPolicy::Invite, reload subtree;
        /// Where people reach this daemon with a browser: where the links in mails lead. Without it mails hold a token to enter.
        public_url: Option<String> = None, range ..=300, check |url: &Option<String>| check_public_url(url.as_deref()),
            example "\"https://mainstay.example.org\"", reload subtree;
        /// Whether everybody needs a second factor: a session that began without one is then only for setting one up. A passkey, and an issuer
        /// with `trusts_second_factor`, count as two. Personal tokens go on working.
        require_second_factor: bool = false, reload daemon;
        /// How many users there may be.
        max_users: u32 = 10_000, range 1..=1_000_000, reload subtree;
        /// How long an access token of a session is valid; the refresh token gets the next one.
        access_token_lifetime: Duration = Duration::from_mins(15), range Duration::from_mins(1)..=Duration::from_hours(1), reload subtree;
        /// A session ends after this long without a refresh.
        session_idle_limit: Duration = DAY * 7, range Duration::from_mins(5)..=DAY * 365, reload subtree;
        /// A session ends after this long in any case.
        session_limit: Duration = DAY * 30, range Duration::from_mins(5)..=DAY * 365, reload subtree;
        /// How long one key signs access tokens, at most; each start of the daemon begins with a new one.
        signing_key_rotation: Duration = DAY * 30, range Duration::from_hours(1)..=DAY * 365, reload subtree;
        /// Outside issuers by which people may sign in: OpenID Connect, Google, GitHub.
        issuers: BTreeMap<String, IssuerConfig> = BTreeMap::new(), reload daemon;
        /// Passkeys: which domain they belong to, and which pages may ask for them.
        passkeys: PasskeysConfig = PasskeysConfig::default(), reload subtree;
    }
    conflicts contradictions;
}

fn contradictions(config: &Config) -> Vec<Conflict> {
    let mut found = federation::conflicts(&config.issuers);
    let public_url = config.public_url.as_deref();
    found.extend(passkeys::conflicts(&config.passkeys, public_url));
    found
}

fn check_lifetime(limit: &Duration) -> Result<(), String> {
    if limit.is_zero() || *limit >= MIN_LIFETIME {
        return Ok(());
    }
    Err("expected 0s or at least 1s".to_owned())
}

fn check_public_url(url: Option<&str>) -> Result<(), String> {
    let Some(url) = url else { return Ok(()) };
    let host = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || "?#@<>\"\\".contains(c);
    match host {
        Some(host) if !host.is_empty() && !host.starts_with('/') && !host.contains(is_odd) => {
            Ok(())
        }
        _ => Err(format!(
            "expected an address such as \"https://mainstay.example.org\", without user, query and fragment, found {url:?}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_a_place_and_nowhere_else() {
        for right in [
            "https://a.example",
            "http://127.0.0.1:4110",
            "https://a.example/mainstay/",
        ] {
            assert_eq!(check_public_url(Some(right)), Ok(()), "{right}");
        }
        for wrong in [
            "",
            "a.example",
            "https://",
            "https:///x",
            "javascript:x",
            "https://u@a",
            "https://a?x",
            "https://a#x",
            "https://a b",
            "https://a\n",
        ] {
            assert!(check_public_url(Some(wrong)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_lifetime_is_none_or_one_that_a_token_can_have() {
        assert_eq!(check_lifetime(&Config::default().max_lifetime), Ok(()));
        assert_eq!(check_lifetime(&MIN_LIFETIME), Ok(()));
        assert!(check_lifetime(&Duration::from_millis(999)).is_err());
    }
}
