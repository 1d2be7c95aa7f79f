//! The groups `[accounts.issuers.NAME]`: by whom people may be vouched for.

use std::collections::BTreeMap;

use ground::Secret;
use ground::config::Conflict;
use url::Url;

use super::urls;
use crate::types::Role;

/// Issuers at most.
const MAX_ISSUERS: usize = 16;
/// Characters of an issuer's name at most.
const MAX_NAME: usize = 32;
const GOOGLE: &str = "https://accounts.google.com";
const GITHUB: &str = "https://github.com";
const GITHUB_API: &str = "https://api.github.com";

ground::choices! {
    /// What an issuer speaks.
    pub enum IssuerKind {
        /// OpenID Connect with discovery.
        Oidc = "oidc",
        /// Google, by OpenID Connect.
        Google = "google",
        /// GitHub, or a GitHub Enterprise Server: OAuth with an API of its own.
        Github = "github",
    }
}

ground::choices! {
    /// Whether an issuer brings in people who are not users yet.
    pub enum Newcomers {
        /// It does not: who is there already links the identity.
        Closed = "closed",
        /// Whoever it vouches for with a verified address becomes a user.
        Open = "open",
    }
}

ground::choices! {
    /// What a newcomer may do at most.
    pub enum NewcomerRole {
        /// Everything of one's own.
        Member = "member",
        /// To look.
        Viewer = "viewer",
    }
}

impl From<NewcomerRole> for Role {
    fn from(role: NewcomerRole) -> Self {
        match role {
            NewcomerRole::Member => Self::Member,
            NewcomerRole::Viewer => Self::Viewer,
        }
    }
}

ground::section! {
    /// An outside issuer by which people may sign in.
    pub struct IssuerConfig {
        /// What it speaks: OpenID Connect, or what Google or GitHub make of it.
        kind: IssuerKind = IssuerKind::Oidc, reload daemon;
        /// What people read on the button; the name of the group when it is not given.
        title: Option<String> = None, range 1..=60, example r#""Example""#, reload daemon;
        /// Its address, exactly as it calls itself. Google and GitHub need none; for a GitHub Enterprise Server it is that server's.
        issuer: Option<String> = None, check check_base, example r#""https://id.example.org""#, reload daemon;
        /// Where GitHub's API is; only for a GitHub Enterprise Server, as in "https://github.example.org/api/v3".
        api_url: Option<String> = None, check check_base, example r#""https://api.github.com""#, reload daemon;
        /// What this daemon is called there.
        client_id: String = String::new(), range ..=500, example r#""mainstay""#, reload daemon;
        /// What this daemon shows there.
        client_secret: Option<Secret> = None, example r#"{ file = "/etc/mainstay/issuer-secret" }"#, reload daemon;
        /// Where it sends people back to, exactly as it is registered there: https://HOST/api/v1/auth/issuers/NAME/callback.
        redirect_uri: Option<String> = None, check check_base,
            example r#""https://mainstay.example.org/api/v1/auth/issuers/NAME/callback""#, reload daemon;
        /// What is asked for; what its kind needs when nothing is given.
        scopes: Vec<String> = Vec::new(), range ..=20, each |scope: &String| check_scope(scope),
            example r#"["openid", "email", "profile"]"#, reload daemon;
        /// Whether it brings in people who are not users yet. They need an address that it says it verified.
        registration: Newcomers = Newcomers::Closed, reload daemon;
        /// What such people may do at most.
        role: NewcomerRole = NewcomerRole::Member, reload daemon;
        /// Whether its word stands for the second factor of an account, too. Otherwise that is asked for as always.
        trusts_second_factor: bool = false, reload daemon;
    }
    conflicts contradictions;
}

impl IssuerConfig {
    /// Its address: what identities are kept under.
    pub fn address(&self) -> &str {
        let own = match self.kind {
            IssuerKind::Oidc => "",
            IssuerKind::Google => GOOGLE,
            IssuerKind::Github => GITHUB,
        };
        self.issuer.as_deref().unwrap_or(own)
    }

    /// Where GitHub's API is.
    pub(crate) fn api(&self) -> &str {
        self.api_url.as_deref().unwrap_or(GITHUB_API)
    }

    /// What is asked for, as one text.
    pub(crate) fn scope(&self) -> String {
        if !self.scopes.is_empty() {
            return self.scopes.join(" ");
        }
        let usual = match self.kind {
            IssuerKind::Oidc | IssuerKind::Google => "openid email profile",
            IssuerKind::Github => "read:user user:email",
        };
        usual.to_owned()
    }
}

/// What is wrong with all issuers together; `issuers` are the groups by name.
pub(crate) fn conflicts(issuers: &BTreeMap<String, IssuerConfig>) -> Vec<Conflict> {
    let mut found = Vec::new();
    let mut refuse = |message: String| {
        let key = "issuers";
        found.push(Conflict { key, message });
    };
    if issuers.len() > MAX_ISSUERS {
        let count = issuers.len();
        refuse(format!(
            "expected at most {MAX_ISSUERS} issuers, found {count}"
        ));
    }
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, issuer) in issuers {
        if !is_name(name) {
            refuse(format!(
                "expected a name of 1 to {MAX_NAME} lowercase letters, digits and _ that begins with a letter, found {name:?}"
            ));
        }
        // Identities are kept by address: two groups of one would be one issuer with two faces.
        if let Some(other) = seen.insert(issuer.address(), name) {
            refuse(format!("{other} and {name} are the same issuer"));
        }
    }
    found
}

/// Whether this can be an issuer's name: it stands in paths, of the API and of the tree.
pub(crate) fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=MAX_NAME).contains(&name.len())
        && name.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && name.bytes().all(is_plain)
}

#[expect(
    clippy::ref_option,
    reason = "a check of a declared key takes a reference to its value"
)]
fn check_base(text: &Option<String>) -> Result<(), String> {
    let Some(text) = text else { return Ok(()) };
    let read = urls::read_base(text).map(drop);
    read.map_err(|error| error.to_string())
}

/// RFC 6749: printable, without spaces, quotes and backslashes.
fn check_scope(scope: &str) -> Result<(), String> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    if (1..=200).contains(&scope.len()) && scope.bytes().all(is_plain) {
        return Ok(());
    }
    Err("expected a word without spaces and quotes".to_owned())
}

/// What is missing, or does not fit together.
fn contradictions(group: &IssuerConfig) -> Vec<Conflict> {
    let is_oidc = group.kind != IssuerKind::Github;
    let asks_openid = group.scopes.is_empty() || group.scopes.iter().any(|scope| scope == "openid");
    let rules = [
        (
            "issuer",
            group.kind == IssuerKind::Oidc && group.issuer.is_none(),
            "expected the address of the issuer",
        ),
        (
            "issuer",
            group.kind == IssuerKind::Google && group.issuer.is_some(),
            "Google's address is known; leave it out",
        ),
        (
            "api_url",
            is_oidc && group.api_url.is_some(),
            "only GitHub has one; leave it out",
        ),
        (
            "api_url",
            !is_oidc && group.issuer.is_some() && group.api_url.is_none(),
            "expected the address of that server's API",
        ),
        (
            "client_id",
            group.client_id.is_empty(),
            "expected the name that the issuer gave to this daemon",
        ),
        (
            "client_secret",
            group.client_secret.is_none(),
            "expected the secret that the issuer gave to this daemon",
        ),
        (
            "redirect_uri",
            group.redirect_uri.is_none(),
            "expected the address that is registered at the issuer",
        ),
        (
            "scopes",
            is_oidc && !asks_openid,
            "expected \"openid\" among them",
        ),
    ];
    let broken = rules.into_iter().filter(|(_, is_broken, _)| *is_broken);
    broken
        .map(|(key, _, message)| Conflict {
            key,
            message: message.to_owned(),
        })
        .collect()
}

/// An address of the configuration that was checked there already.
pub(crate) fn checked(text: &str) -> Option<Url> {
    urls::read_base(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> IssuerConfig {
        IssuerConfig {
            issuer: Some("https://id.example.org".to_owned()),
            client_id: "mainstay".to_owned(),
            client_secret: Some(Secret::from("s")),
            redirect_uri: Some("https://m.example.org/callback".to_owned()),
            ..IssuerConfig::default()
        }
    }

    fn keys(group: &IssuerConfig) -> Vec<&'static str> {
        let found = contradictions(group).into_iter();
        found.map(|conflict| conflict.key).collect()
    }

    #[test]
    fn what_is_missing_is_told_at_once() {
        assert!(keys(&sound()).is_empty());
        let missing = keys(&IssuerConfig::default());
        assert_eq!(
            missing,
            ["issuer", "client_id", "client_secret", "redirect_uri"]
        );
        let google = IssuerConfig {
            kind: IssuerKind::Google,
            scopes: vec!["email".to_owned()],
            ..sound()
        };
        assert_eq!(keys(&google), ["issuer", "scopes"]);
        let enterprise = IssuerConfig {
            kind: IssuerKind::Github,
            ..sound()
        };
        assert_eq!(keys(&enterprise), ["api_url"]);
        let github = IssuerConfig {
            issuer: None,
            ..enterprise
        };
        assert!(keys(&github).is_empty());
        assert_eq!(github.address(), "https://github.com");
    }

    #[test]
    fn names_and_addresses_tell_issuers_apart() {
        let all = |names: &[&str]| {
            let named = names.iter().map(|name| ((*name).to_owned(), sound()));
            conflicts(&named.collect()).len()
        };
        assert_eq!(all(&["a"]), 0);
        assert_eq!(all(&["a", "b"]), 1, "the same issuer twice");
        for name in ["", "A", "1a", "a-b", "a/b", "ä", &"a".repeat(33)] {
            assert_eq!(all(&[name]), 1, "{name}");
        }
    }

    #[test]
    fn a_secret_is_never_shown() {
        let shown = format!("{:?}", sound());
        assert!(
            shown.contains("[secret]") && !shown.contains("\"s\""),
            "{shown}"
        );
    }
}
