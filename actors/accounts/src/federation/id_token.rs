//! What an ID token says, held against what was asked for (OpenID Connect Core 3.1.3.7). No I/O; the present is an argument.
//!
//! The signature is the business of `jose`. That it is right says only that the issuer wrote the token; it must also be meant for
//! this daemon, for this attempt, and for this moment.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ground::{Micros, Secret};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq as _;

use super::types::{Proof, tidy_name};

/// How far the issuer's clock may be ahead of ours.
const LEEWAY: Duration = Duration::from_mins(1);
/// How old a token may be that was fetched just now.
const MAX_AGE: Duration = Duration::from_mins(10);
/// Characters of a subject at most, by the standard.
const MAX_SUBJECT: usize = 255;
/// Bytes of an address at most, by the mail standards.
const MAX_EMAIL: usize = 254;
/// Listeners that a token may be meant for, besides us.
const MAX_AUDIENCE: usize = 16;
/// Seconds until the year 10000.
const LAST_SECOND: i64 = 253_402_300_799;

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Expected<'a> {
    /// The issuer's address.
    pub(crate) issuer: &'a str,
    /// What this daemon is called there.
    pub(crate) client_id: &'a str,
    /// The nonce of the attempt.
    pub(crate) nonce: &'a Secret,
    /// The access token that came with it, if one did.
    pub(crate) access_token: Option<&'a Secret>,
    /// The present.
    pub(crate) now: Micros,
}

/// Why a token is not believed, although the issuer signed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ClaimError {
    /// Another issuer is named.
    #[error("another issuer is named in it")]
    Issuer,
    /// It is meant for somebody else.
    #[error("it is meant for somebody else")]
    Audience,
    /// It was given out to somebody else.
    #[error("it was given out to somebody else")]
    Party,
    /// Its time is over, or it says none.
    #[error("its time is over")]
    Expired,
    /// It is from the future, or too old, or does not say.
    #[error("it was not issued just now")]
    IssuedAt,
    /// It belongs to another attempt.
    #[error("it belongs to another attempt")]
    Nonce,
    /// It belongs to another access token.
    #[error("it belongs to another access token")]
    AccessToken,
    /// It says nobody's name.
    #[error("it names nobody")]
    Subject,
}

impl ClaimError {
    /// The word for it, in audit entries.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Party => "authorized_party",
            Self::Expired => "expired",
            Self::IssuedAt => "issued_at",
            Self::Nonce => "nonce",
            Self::AccessToken => "access_token_hash",
            Self::Subject => "subject",
        }
    }
}

/// Checks the claims of a token whose signature is right, and tells who it is about.
///
/// # Errors
/// [`ClaimError`], the first that applies.
pub(crate) fn check(
    claims: &Map<String, Value>,
    expected: &Expected<'_>,
) -> Result<Proof, ClaimError> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(expected.issuer) {
        return Err(ClaimError::Issuer);
    }
    check_audience(claims, expected.client_id)?;
    check_times(claims, expected.now)?;
    let is_ours = |nonce: &str| nonce.as_bytes().ct_eq(expected.nonce.expose().as_bytes());
    if !text("nonce").is_some_and(|nonce| is_ours(nonce).into()) {
        return Err(ClaimError::Nonce);
    }
    check_access_token(claims, expected.access_token)?;
    let subject = text("sub").filter(|subject| is_subject(subject));
    let email = text("email").filter(|email| (3..=MAX_EMAIL).contains(&email.len()));
    Ok(Proof {
        subject: subject.ok_or(ClaimError::Subject)?.to_owned(),
        email: email.map(str::to_owned),
        is_email_verified: claims.get("email_verified").is_some_and(is_yes),
        name: text("name").and_then(tidy_name),
    })
}

/// We must be among those it is meant for, and where there are others, it must have been given out to us.
fn check_audience(claims: &Map<String, Value>, client_id: &str) -> Result<(), ClaimError> {
    let is_alone = match claims.get("aud") {
        Some(Value::String(one)) if one == client_id => true,
        Some(Value::Array(all)) if all.len() <= MAX_AUDIENCE => {
            if !all.iter().any(|one| one == client_id) || !all.iter().all(Value::is_string) {
                return Err(ClaimError::Audience);
            }
            all.len() == 1
        }
        _ => return Err(ClaimError::Audience),
    };
    match claims.get("azp") {
        None if is_alone => Ok(()),
        Some(party) if party == client_id => Ok(()),
        _ => Err(ClaimError::Party),
    }
}

fn check_times(claims: &Map<String, Value>, now: Micros) -> Result<(), ClaimError> {
    let moment = |name: &str| {
        let seconds = claims.get(name)?.as_i64()?;
        let range = 0..=LAST_SECOND;
        range
            .contains(&seconds)
            .then(|| Micros(seconds.saturating_mul(1_000_000)))
    };
    if moment("exp").is_none_or(|end| end <= now) {
        return Err(ClaimError::Expired);
    }
    let is_recent = |at: Micros| at <= now + LEEWAY && now.since(at) <= MAX_AGE;
    if !moment("iat").is_some_and(is_recent) {
        return Err(ClaimError::IssuedAt);
    }
    let starts_later = |at: Option<Micros>| at.is_none_or(|at| at > now + LEEWAY);
    if claims.contains_key("nbf") && starts_later(moment("nbf")) {
        return Err(ClaimError::IssuedAt);
    }
    Ok(())
}

/// `at_hash` binds the two tokens of an answer to each other: the left half of a hash, whose size tells which.
fn check_access_token(
    claims: &Map<String, Value>,
    access_token: Option<&Secret>,
) -> Result<(), ClaimError> {
    let (Some(hash), Some(token)) = (claims.get("at_hash"), access_token) else {
        return Ok(());
    };
    let half = hash
        .as_str()
        .and_then(|hash| URL_SAFE_NO_PAD.decode(hash).ok());
    let half = half.unwrap_or_default();
    let token = token.expose().as_bytes();
    let whole: Vec<u8> = match half.len() {
        16 => Sha256::digest(token).to_vec(),
        24 => Sha384::digest(token).to_vec(),
        32 => Sha512::digest(token).to_vec(),
        _ => return Err(ClaimError::AccessToken),
    };
    let is_left_half = whole.iter().take(half.len()).eq(half.iter());
    is_left_half.then_some(()).ok_or(ClaimError::AccessToken)
}

/// Any text by which the issuer tells people apart, short and in one line.
fn is_subject(text: &str) -> bool {
    (1..=MAX_SUBJECT).contains(&text.chars().take(MAX_SUBJECT + 1).count())
        && !text.chars().any(char::is_control)
}

/// Some issuers say it as a text.
fn is_yes(value: &Value) -> bool {
    value == &Value::Bool(true) || value == "true"
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const NOW: Micros = Micros(1_700_000_000_000_000);
    const SECOND: i64 = 1_700_000_000;

    fn claims(changes: &Value) -> Map<String, Value> {
        let mut claims = json!({
            "iss": "https://id.example.org",
            "aud": "mainstay",
            "sub": "248289761001",
            "exp": SECOND + 300,
            "iat": SECOND - 2,
            "nonce": "n-0S6_WzA2Mj",
            "email": "ada@example.org",
            "email_verified": true,
            "name": "Ada",
        });
        let all = claims.as_object_mut().expect("an object");
        for (name, value) in changes.as_object().expect("an object") {
            if value.is_null() {
                all.remove(name);
            } else {
                all.insert(name.clone(), value.clone());
            }
        }
        std::mem::take(all)
    }

    fn checked(changes: &Value) -> Result<Proof, ClaimError> {
        let (nonce, token) = (
            Secret::from("n-0S6_WzA2Mj"),
            Secret::from("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"),
        );
        let expected = Expected {
            issuer: "https://id.example.org",
            client_id: "mainstay",
            nonce: &nonce,
            access_token: Some(&token),
            now: NOW,
        };
        check(&claims(changes), &expected)
    }

    #[test]
    fn a_token_for_us_and_this_attempt_tells_who_it_is_about() {
        let expected = Proof {
            subject: "248289761001".to_owned(),
            email: Some("ada@example.org".to_owned()),
            is_email_verified: true,
            name: Some("Ada".to_owned()),
        };
        assert_eq!(checked(&json!({})), Ok(expected.clone()));
        assert_eq!(
            checked(&json!({ "aud": ["mainstay"] })),
            Ok(expected.clone())
        );
        let several = json!({ "aud": ["x", "mainstay"], "azp": "mainstay" });
        assert_eq!(checked(&several), Ok(expected.clone()));
        // The example of the standard, section A.3.
        let hash = json!({ "at_hash": "77QmUPtjPfzWtF2AnpK9RQ" });
        assert_eq!(checked(&hash), Ok(expected));
    }

    #[test]
    fn whatever_is_not_for_us_is_refused() {
        let all = [
            (
                json!({ "iss": "https://id.example.org/" }),
                ClaimError::Issuer,
            ),
            (json!({ "iss": null }), ClaimError::Issuer),
            (json!({ "aud": "other" }), ClaimError::Audience),
            (json!({ "aud": ["other"] }), ClaimError::Audience),
            (json!({ "aud": ["mainstay", 7] }), ClaimError::Audience),
            (json!({ "aud": [] }), ClaimError::Audience),
            (json!({ "aud": null }), ClaimError::Audience),
            (json!({ "aud": { "mainstay": 1 } }), ClaimError::Audience),
            (json!({ "aud": ["x", "mainstay"] }), ClaimError::Party),
            (json!({ "azp": "other" }), ClaimError::Party),
            (json!({ "exp": SECOND }), ClaimError::Expired),
            (json!({ "exp": null }), ClaimError::Expired),
            (json!({ "exp": "1900000000" }), ClaimError::Expired),
            (json!({ "exp": 1e300 }), ClaimError::Expired),
            (json!({ "exp": i64::MAX }), ClaimError::Expired),
            (json!({ "iat": SECOND + 61 }), ClaimError::IssuedAt),
            (json!({ "iat": SECOND - 601 }), ClaimError::IssuedAt),
            (json!({ "iat": null }), ClaimError::IssuedAt),
            (json!({ "nbf": SECOND + 61 }), ClaimError::IssuedAt),
            (json!({ "nbf": "now" }), ClaimError::IssuedAt),
            (json!({ "nonce": "other" }), ClaimError::Nonce),
            (json!({ "nonce": null }), ClaimError::Nonce),
            (
                json!({ "at_hash": "77QmUPtjPfzWtF2AnpK9RA" }),
                ClaimError::AccessToken,
            ),
            (json!({ "at_hash": "" }), ClaimError::AccessToken),
            (json!({ "at_hash": 7 }), ClaimError::AccessToken),
            (json!({ "sub": "" }), ClaimError::Subject),
            (json!({ "sub": 7 }), ClaimError::Subject),
            (json!({ "sub": "a\u{0}" }), ClaimError::Subject),
            (json!({ "sub": "x".repeat(256) }), ClaimError::Subject),
        ];
        for (changes, why) in all {
            assert_eq!(checked(&changes), Err(why), "{changes}");
        }
    }

    #[test]
    fn an_address_is_verified_only_when_the_issuer_says_so() {
        for (said, is_verified) in [
            (json!(true), true),
            (json!("true"), true),
            (json!("yes"), false),
            (json!(1), false),
            (json!(false), false),
            (Value::Null, false),
        ] {
            let proof = checked(&json!({ "email_verified": said })).expect("sound");
            assert_eq!(proof.is_email_verified, is_verified, "{said}");
        }
        let long = checked(&json!({ "email": "x".repeat(300) })).expect("sound");
        assert_eq!(long.email, None);
    }

    proptest! {
        #[test]
        fn only_a_token_of_this_time_passes(exp in any::<i64>(), iat in any::<i64>()) {
            if checked(&json!({ "exp": exp, "iat": iat })).is_ok() {
                prop_assert!(exp > SECOND && (SECOND - 600..=SECOND + 60).contains(&iat));
            }
        }

        #[test]
        fn no_value_of_a_claim_makes_it_panic(name in "(iss|aud|azp|sub|exp|iat|nonce|at_hash|email)", text in ".{0,300}") {
            let sound = checked(&json!({}));
            let changed = checked(&json!({ name: text }));
            prop_assert!(changed.is_err() || changed.map(|proof| proof.name) == sound.map(|proof| proof.name));
        }
    }
}
