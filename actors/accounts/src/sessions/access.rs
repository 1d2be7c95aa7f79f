//! Access tokens: signed claims (RFC 9068), made and read. No I/O; the present is an argument.
//!
//! A claim is not enough to be let in: it names a session, and the session is what counts. So a token of a session that has ended is
//! worth nothing, however long it says that it is valid. `role` is for others who read the token; here the user's present role counts.

use std::time::Duration;

use ground::{Id, Micros, Secret};
use serde_json::{Map, Value, json};

use super::keys::OwnKey;
use crate::jose::jwk::{Algorithm, KeySet};
use crate::jose::jws::{self, JwsError};
use crate::jose::strict;
use crate::types::Role;

/// Who issues the tokens.
pub(crate) const ISSUER: &str = "mainstay";
/// Whom they are for.
pub(crate) const AUDIENCE: &str = "mainstay";
/// The type in the header, which an ID token never has.
const TYPE: &str = "at+jwt";
/// How far ahead the clock of the process that issued a token may be.
const LEEWAY_S: i64 = 60;
/// Bytes of an access token at most; ours have about 600.
pub(crate) const MAX_BYTES: usize = 2 * 1024;
/// The last second of the year 9999.
const MAX_TIME: i64 = 253_402_300_799;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) user: Id,
    pub(crate) session: Id,
    /// The token's own name.
    pub(crate) token: Id,
    pub(crate) role: Role,
    pub(crate) issued_at: Micros,
    pub(crate) auth_time: Micros,
}

/// The parts of the claims that count when a token is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bearer {
    pub(crate) user: Id,
    pub(crate) session: Id,
}

/// Why a token is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AccessError {
    /// It is none of ours.
    #[error(transparent)]
    Signature(#[from] JwsError),
    /// It is signed by us, and is something else.
    #[error("not an access token")]
    Claims,
    /// It is not valid yet.
    #[error("the token is not valid yet")]
    Early,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
}

/// Whole seconds since 1970.
fn seconds(at: Micros) -> i64 {
    at.get().div_euclid(1_000_000)
}

/// When a token that was issued then ends.
pub(crate) fn end_of(issued_at: Micros, lifetime: Duration) -> Micros {
    let whole = Micros(seconds(issued_at).saturating_mul(1_000_000));
    whole + Duration::from_secs(lifetime.as_secs())
}

/// Makes the token of these claims. The same claims and key give the same token.
pub(crate) fn mint(key: &OwnKey, claims: &Claims, lifetime: Duration) -> Secret {
    let header = json!({ "alg": "EdDSA", "typ": TYPE, "kid": key.kid() });
    let issued_at = seconds(claims.issued_at);
    let payload = json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": claims.user,
        "sid": claims.session,
        "jti": claims.token,
        "iat": issued_at,
        "nbf": issued_at,
        "exp": seconds(end_of(claims.issued_at, lifetime)),
        "auth_time": seconds(claims.auth_time),
        "role": claims.role,
    });
    let message = format!(
        "{}.{}",
        strict::encode(header.to_string()),
        strict::encode(payload.to_string())
    );
    let signature = strict::encode(key.sign(message.as_bytes()));
    Secret::from(format!("{message}.{signature}"))
}

/// What a token says whose signature and form are right; true at some times and not at others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Checked {
    user: [u8; 16],
    session: [u8; 16],
    /// The later of its two beginnings, in seconds since 1970.
    begins: i64,
    ends: i64,
}

impl Checked {
    /// Whose it is, if it is valid at the moment.
    ///
    /// # Errors
    /// `Expired` and `Early`.
    pub(crate) fn at(&self, now: Micros) -> Result<Bearer, AccessError> {
        let now = seconds(now);
        if self.ends <= now {
            return Err(AccessError::Expired);
        }
        if self.begins > now.saturating_add(LEEWAY_S) {
            return Err(AccessError::Early);
        }
        Ok(self.bearer())
    }

    /// Whose it is, whenever.
    pub(crate) fn bearer(&self) -> Bearer {
        Bearer {
            user: Id::from_bytes(self.user),
            session: Id::from_bytes(self.session),
        }
    }
}

/// Checks everything about a token but the time.
///
/// # Errors
/// [`AccessError`], the first that is met.
pub(crate) fn check(keys: &KeySet, token: &str) -> Result<Checked, AccessError> {
    if token.len() > MAX_BYTES {
        return Err(JwsError::Form.into());
    }
    let signed = jws::verify(keys, &[Algorithm::EdDsa], token)?;
    if signed.typ.as_deref() != Some(TYPE) {
        return Err(AccessError::Claims);
    }
    let claims = strict::object(&signed.payload).ok_or(AccessError::Claims)?;
    if claims.get("iss") != Some(&ISSUER.into()) || claims.get("aud") != Some(&AUDIENCE.into()) {
        return Err(AccessError::Claims);
    }
    let (user, session) = (id(&claims, "sub")?, id(&claims, "sid")?);
    id(&claims, "jti")?;
    time(&claims, "auth_time")?;
    let (issued, begins) = (time(&claims, "iat")?, time(&claims, "nbf")?);
    Ok(Checked {
        user: *user.as_bytes(),
        session: *session.as_bytes(),
        begins: issued.max(begins),
        ends: time(&claims, "exp")?,
    })
}

fn id(claims: &Map<String, Value>, name: &str) -> Result<Id, AccessError> {
    let text = claims.get(name).and_then(Value::as_str);
    text.and_then(|text| text.parse().ok())
        .ok_or(AccessError::Claims)
}

/// A whole number of seconds: no text, no fraction, no year 10000.
fn time(claims: &Map<String, Value>, name: &str) -> Result<i64, AccessError> {
    let number = claims.get(name).and_then(Value::as_i64);
    number
        .filter(|number| (0..=MAX_TIME).contains(number))
        .ok_or(AccessError::Claims)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::jose::jwk::VerifyingKey;

    const NOW: Micros = Micros(1_700_000_000_500_000);
    const LIFETIME: Duration = Duration::from_mins(15);

    fn read(keys: &KeySet, token: &str, now: Micros) -> Result<Bearer, AccessError> {
        check(keys, token)?.at(now)
    }

    fn key() -> OwnKey {
        OwnKey::of_seed(&mut [5; 32], NOW).expect("a key")
    }

    fn keys(key: &OwnKey) -> KeySet {
        KeySet::new(vec![VerifyingKey::ed25519(
            key.kid().to_owned(),
            *key.public(),
        )])
    }

    fn claims() -> Claims {
        Claims {
            user: Id::from_bytes([1; 16]),
            session: Id::from_bytes([2; 16]),
            token: Id::from_bytes([3; 16]),
            role: Role::Member,
            issued_at: NOW,
            auth_time: NOW,
        }
    }

    /// A token with one claim set to something else, signed all the same.
    fn with(header: &Value, name: &str, value: &str) -> String {
        let key = key();
        let token = mint(&key, &claims(), LIFETIME);
        let payload = token.expose().split('.').nth(1).expect("three parts");
        let mut payload = strict::object(&strict::decode(payload).expect("text")).expect("JSON");
        payload.remove(name);
        let payload = Value::Object(payload).to_string();
        let payload = payload.trim_end_matches('}');
        let payload = match value {
            "" => format!("{payload}}}"),
            value => format!("{payload},\"{name}\":{value}}}"),
        };
        let message = format!(
            "{}.{}",
            strict::encode(header.to_string()),
            strict::encode(payload)
        );
        let signature = strict::encode(key.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    fn header() -> Value {
        json!({ "alg": "EdDSA", "typ": TYPE, "kid": key().kid() })
    }

    #[test]
    fn what_is_minted_is_read_and_the_same_twice() {
        let key = key();
        let token = mint(&key, &claims(), LIFETIME);
        assert_eq!(token, mint(&key, &claims(), LIFETIME));
        let bearer = Bearer {
            user: claims().user,
            session: claims().session,
        };
        assert_eq!(read(&keys(&key), token.expose(), NOW), Ok(bearer));
        assert!(token.expose().len() < 700, "{}", token.expose().len());
    }

    #[test]
    fn its_time_is_exact_at_the_end_and_lenient_at_the_beginning() {
        let key = key();
        let token = mint(&key, &claims(), LIFETIME);
        let at = |now| read(&keys(&key), token.expose(), now).map(|_bearer| ());
        let end = end_of(NOW, LIFETIME);
        assert_eq!(at(Micros(end.get() - 1)), Ok(()));
        assert_eq!(at(end), Err(AccessError::Expired));
        assert_eq!(at(NOW - Duration::from_mins(1)), Ok(()));
        assert_eq!(at(NOW - Duration::from_secs(62)), Err(AccessError::Early));
    }

    #[test]
    fn claims_that_are_not_exactly_right_are_refused() {
        let keys = keys(&key());
        let mut taken = Vec::new();
        for (name, value) in [
            ("exp", "\"1700000900\""),
            ("exp", "1700000900.0"),
            ("exp", "1e300"),
            ("exp", "-1"),
            ("exp", "99999999999999"),
            ("exp", "18446744073709551615"),
            ("exp", "null"),
            ("exp", ""),
            ("nbf", ""),
            ("iat", "true"),
            ("auth_time", "[]"),
            ("iss", "\"https://accounts.example\""),
            ("iss", ""),
            ("aud", "[\"mainstay\"]"),
            ("aud", "\"other\""),
            ("sub", "\"../../etc\""),
            ("sid", "1"),
            ("sid", ""),
            ("jti", ""),
            ("x", "1,\"iss\":\"mainstay\""),
        ] {
            if read(&keys, &with(&header(), name, value), NOW) != Err(AccessError::Claims) {
                taken.push((name, value));
            }
        }
        assert_eq!(taken, []);
        assert!(read(&keys, &with(&header(), "more", "1"), NOW).is_ok());
    }

    /// An ID token, or anything else that our key may ever sign, is no access token.
    #[test]
    fn another_type_of_token_is_refused() {
        let keys = keys(&key());
        for typ in [
            json!("JWT"),
            json!("AT+JWT"),
            json!("application/at+jwt"),
            json!(""),
        ] {
            let mut header = header();
            header["typ"] = typ;
            let token = with(&header, "more", "1");
            assert_eq!(read(&keys, &token, NOW), Err(AccessError::Claims));
        }
        let header = json!({ "alg": "EdDSA", "kid": key().kid() });
        let token = with(&header, "more", "1");
        assert_eq!(read(&keys, &token, NOW), Err(AccessError::Claims));
    }

    #[test]
    fn another_key_is_not_believed() {
        let other = OwnKey::of_seed(&mut [6; 32], NOW).expect("a key");
        let token = mint(&other, &claims(), LIFETIME);
        let verdict = read(&keys(&key()), token.expose(), NOW);
        assert_eq!(verdict, Err(JwsError::Key.into()));
        let pretended = VerifyingKey::ed25519(other.kid().to_owned(), *key().public());
        let verdict = read(&KeySet::new(vec![pretended]), token.expose(), NOW);
        assert_eq!(verdict, Err(JwsError::Signature.into()));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,300}", now: i64) {
            prop_assert!(read(&keys(&key()), &text, Micros(now)).is_err());
        }

        #[test]
        fn no_moment_panics(issued: i64, now: i64) {
            let key = key();
            let claims = Claims { issued_at: Micros(issued), auth_time: Micros(issued), ..claims() };
            let token = mint(&key, &claims, LIFETIME);
            let taken = read(&keys(&key), token.expose(), Micros(now)).is_ok();
            prop_assert!(!taken || seconds(Micros(issued)) <= seconds(Micros(now)) + 60);
        }
    }
}
