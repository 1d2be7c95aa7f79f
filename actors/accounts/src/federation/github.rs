//! What GitHub answers, which is no OpenID Connect: a token that says nothing, and an API to ask with it. No I/O.
//!
//! The number of the account is the key: names are given out anew. The address is the primary one if GitHub verified it.

use serde_json::{Map, Value};

use super::types::{Proof, tidy_name};

/// Addresses of an account that are looked at, at most.
const MAX_EMAILS: usize = 200;
/// Bytes of an address at most.
const MAX_EMAIL: usize = 254;

/// Who the account is, from `GET /user` and `GET /user/emails`; nothing when the first is no account.
pub(crate) fn read(user: &Map<String, Value>, emails: &[Value]) -> Option<Proof> {
    let number = user.get("id")?.as_u64().filter(|number| *number > 0)?;
    let email = primary(emails);
    let name = |key: &str| user.get(key).and_then(Value::as_str).and_then(tidy_name);
    Some(Proof {
        subject: number.to_string(),
        is_email_verified: email.is_some(),
        email,
        name: name("name").or_else(|| name("login")),
    })
}

fn primary(emails: &[Value]) -> Option<String> {
    let is_yes = |email: &Value, key: &str| email.get(key) == Some(&Value::Bool(true));
    let mut all = emails.iter().take(MAX_EMAILS);
    let found = all.find(|email| is_yes(email, "primary") && is_yes(email, "verified"))?;
    let text = found.get("email")?.as_str()?;
    (3..=MAX_EMAIL)
        .contains(&text.len())
        .then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_of(user: &Value, emails: &Value) -> Option<Proof> {
        read(user.as_object()?, emails.as_array()?)
    }

    #[test]
    fn the_number_is_the_key_and_the_primary_address_counts_when_verified() {
        let user = json!({ "id": 583_231, "login": "octocat", "name": null, "email": "shown@example.org" });
        let emails = json!([
            { "email": "old@example.org", "primary": false, "verified": true },
            { "email": "octo@example.org", "primary": true, "verified": true },
        ]);
        let proof = read_of(&user, &emails).expect("an account");
        assert_eq!(proof.subject, "583231");
        assert_eq!(proof.email.as_deref(), Some("octo@example.org"));
        assert!(proof.is_email_verified);
        assert_eq!(proof.name.as_deref(), Some("octocat"));
        let unverified =
            json!([{ "email": "octo@example.org", "primary": true, "verified": false }]);
        let proof = read_of(&user, &unverified).expect("an account");
        assert_eq!((proof.email, proof.is_email_verified), (None, false));
    }

    #[test]
    fn what_is_no_account_is_nobody() {
        for wrong in [
            json!({}),
            json!({ "id": "583231" }),
            json!({ "id": 0 }),
            json!({ "id": -1 }),
            json!({ "id": 1.5 }),
        ] {
            assert_eq!(read_of(&wrong, &json!([])), None, "{wrong}");
        }
        let odd = json!([7, "x", { "primary": true, "verified": true, "email": 3 }]);
        let proof = read_of(&json!({ "id": 1 }), &odd).expect("an account");
        assert_eq!(proof.email, None);
    }
}
