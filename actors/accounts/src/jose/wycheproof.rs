//! The verifier against the vectors of project Wycheproof, and against the attacks of RFC 8725.

use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::jwk::{Algorithm, Bits, KeySet};
use super::jws::{JwsError, verify};
use super::strict;

const ALL: [Algorithm; 13] = [
    Algorithm::Hs(Bits::B256),
    Algorithm::Hs(Bits::B384),
    Algorithm::Hs(Bits::B512),
    Algorithm::Rs(Bits::B256),
    Algorithm::Rs(Bits::B384),
    Algorithm::Rs(Bits::B512),
    Algorithm::Ps(Bits::B256),
    Algorithm::Ps(Bits::B384),
    Algorithm::Ps(Bits::B512),
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Es512,
    Algorithm::EdDsa,
];

/// Vectors that are called valid and are refused here, with the reason.
const REFUSED: [(u64, &str); 2] = [
    (
        372,
        "a `?` within base64url: RFC 7515 section 2 allows no other characters",
    ),
    (
        373,
        "a `?` within base64url: RFC 7515 section 2 allows no other characters",
    ),
];

/// Vectors that are called invalid and are letter by letter the same as another one that is called valid.
const SAME_AS_VALID: [(u64, u64); 2] = [(367, 357), (370, 357)];

/// The vectors of a file, when it is there: the set of keys, the token, its number and whether it is valid.
fn vectors(name: &str) -> Option<Vec<(Value, String, u64, bool)>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/vectors")
        .join(name);
    let Ok(text) = std::fs::read(&path) else {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    };
    let file: Value = serde_json::from_slice(&text).expect("JSON");
    let mut all = Vec::new();
    for group in file["testGroups"].as_array().expect("groups") {
        let key = group
            .get("public")
            .filter(|key| !key.is_null())
            .unwrap_or(&group["private"]);
        let set = if key.get("keys").is_some() {
            key.clone()
        } else {
            json!({ "keys": [key] })
        };
        for test in group["tests"].as_array().expect("tests") {
            let token = test["jws"].as_str().expect("a token").to_owned();
            let number = test["tcId"].as_u64().expect("a number");
            all.push((set.clone(), token, number, test["result"] == "valid"));
        }
    }
    Some(all)
}

fn is_taken(set: &Value, token: &str) -> bool {
    let keys = KeySet::read(set.to_string().as_bytes());
    keys.is_some_and(|keys| verify(&keys, &ALL, token).is_ok())
}

#[test]
fn every_signature_gets_the_right_verdict() {
    let Some(vectors) = vectors("json_web_signature_test.json") else {
        return;
    };
    assert_eq!(vectors.len(), 401);
    let (mut refused, mut taken) = (Vec::new(), Vec::new());
    for (set, token, number, is_valid) in &vectors {
        match (is_taken(set, token), is_valid) {
            (true, false) => taken.push(*number),
            (false, true) => refused.push(*number),
            _ => {}
        }
    }
    let vector = |number: u64| {
        let mut all = vectors.iter();
        all.find(|one| one.2 == number)
            .map(|(set, token, ..)| (set, token))
    };
    for (number, valid) in SAME_AS_VALID {
        eprintln!("{number}: taken, though called invalid: it is the same text as {valid}");
        assert_eq!(vector(number), vector(valid));
    }
    for (number, reason) in REFUSED {
        eprintln!("{number}: refused, though called valid: {reason}");
    }
    assert_eq!(taken, SAME_AS_VALID.map(|(number, _)| number));
    assert_eq!(refused, REFUSED.map(|(number, _)| number));
}

#[test]
fn every_key_gets_the_right_verdict() {
    let Some(vectors) = vectors("json_web_key_test.json") else {
        return;
    };
    assert_eq!(vectors.len(), 26);
    for (set, token, number, is_valid) in vectors {
        assert_eq!(is_taken(&set, &token), is_valid, "{number}");
    }
}

/// A key of HMAC, and a token of it with this header.
fn signed(header: &str, payload: &str) -> (KeySet, String) {
    let secret = [7; 32];
    let set = json!({ "keys": [{ "kty": "oct", "kid": "k", "k": strict::encode(secret) }] });
    let message = format!("{}.{}", strict::encode(header), strict::encode(payload));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret);
    let tag = ring::hmac::sign(&key, message.as_bytes());
    let keys = KeySet::read(set.to_string().as_bytes()).expect("a set");
    (keys, format!("{message}.{}", strict::encode(tag)))
}

fn verdict(header: &str) -> Result<(), JwsError> {
    let (keys, token) = signed(header, "{}");
    verify(&keys, &ALL, &token).map(|_signed| ())
}

/// All of these are signed with the right key: it is the header alone that is refused.
#[test]
fn a_header_that_wants_something_is_refused() {
    assert_eq!(verdict(r#"{"alg":"HS256","kid":"k","typ":"JWT"}"#), Ok(()));
    for extra in [
        r#""jwk":{"kty":"oct","k":"AA"}"#,
        r#""jku":"https://evil.example/keys""#,
        r#""x5u":"https://evil.example/chain""#,
        r#""x5c":["MIIB"]"#,
        r#""crit":["exp"]"#,
        r#""crit":[]"#,
        r#""b64":false"#,
        r#""zip":"DEF""#,
        r#""kid":"k""#,
        r#""alg":"HS256""#,
        r#""typ":1"#,
    ] {
        let header = format!(r#"{{"alg":"HS256","kid":"k",{extra}}}"#);
        assert_eq!(verdict(&header), Err(JwsError::Header), "{extra}");
    }
    let long = format!(r#"{{"alg":"HS256","kid":"k","x":"{}"}}"#, "x".repeat(4096));
    assert_eq!(verdict(&long), Err(JwsError::Header));
}

#[test]
fn a_key_is_found_by_its_exact_name_alone() {
    for kid in [
        "K",
        "k ",
        "../../../../dev/null",
        "k' OR '1'='1",
        "k\\u0000",
        "",
    ] {
        let header = format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#);
        assert_eq!(verdict(&header), Err(JwsError::Key), "{kid}");
    }
    assert_eq!(verdict(r#"{"alg":"HS256"}"#), Ok(()), "there is one key");
    let header = format!(r#"{{"alg":"HS256","kid":"{}"}}"#, "k".repeat(1000));
    assert_eq!(verdict(&header), Err(JwsError::Header));
}

#[test]
fn only_what_the_caller_allows_is_looked_at() {
    for name in ["none", "None", "NONE", "", "hs256", "HS1", "ES256K", "dir"] {
        let header = format!(r#"{{"alg":"{name}","kid":"k"}}"#);
        assert_eq!(verdict(&header), Err(JwsError::Algorithm), "{name}");
    }
    assert_eq!(verdict(r#"{"kid":"k"}"#), Err(JwsError::Algorithm));
    assert_eq!(verdict(r#"{"alg":1,"kid":"k"}"#), Err(JwsError::Header));
    let (keys, token) = signed(r#"{"alg":"HS256","kid":"k"}"#, "{}");
    assert_eq!(
        verify(&keys, &[Algorithm::EdDsa], &token),
        Err(JwsError::Algorithm)
    );
}

/// RS256 turned into HS256: the public key as text, used as a secret.
#[test]
fn a_public_key_is_never_a_secret() {
    let public = strict::encode([9_u8; 32]);
    let set = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "k", "x": public }] });
    let keys = KeySet::read(set.to_string().as_bytes()).expect("a set");
    let message = format!(
        "{}.{}",
        strict::encode(r#"{"alg":"HS256","kid":"k"}"#),
        strict::encode("{}")
    );
    for secret in [&[9_u8; 32][..], public.as_bytes()] {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
        let tag = strict::encode(ring::hmac::sign(&key, message.as_bytes()));
        let verdict = verify(&keys, &ALL, &format!("{message}.{tag}"));
        assert_eq!(verdict, Err(JwsError::Key));
    }
}

proptest! {
    #[test]
    fn no_text_panics_and_none_is_taken(text in ".{0,200}") {
        let (keys, _) = signed(r#"{"alg":"HS256","kid":"k"}"#, "{}");
        prop_assert!(verify(&keys, &ALL, &text).is_err());
    }

    /// Any one character changed: nothing but the token itself is taken.
    #[test]
    fn one_changed_character_spoils_it(at in 0_usize..90, to in "[A-Za-z0-9_.-]") {
        let (keys, token) = signed(r#"{"alg":"HS256","kid":"k"}"#, r#"{"sub":"somebody"}"#);
        let mut changed: Vec<char> = token.chars().collect();
        let at = at % changed.len();
        changed[at] = to.chars().next().expect("one");
        let changed: String = changed.into_iter().collect();
        prop_assert_eq!(verify(&keys, &ALL, &changed).is_ok(), changed == token);
    }

    #[test]
    fn no_key_panics(json in ".{0,200}") {
        drop(KeySet::read(json.as_bytes()));
    }
}
