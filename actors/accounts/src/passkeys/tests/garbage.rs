//! Answers that are almost right, or nothing at all: none of them may cost more than a refusal. No database.

use data_encoding::BASE64URL_NOPAD;
use ground::Id;
use kit::Authenticator;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::room::ORIGIN;
use crate::passkeys::ceremony::{
    PANICKED, Person, Proof, Stored, ask_for_new, ask_for_proof, check_new,
};
use crate::passkeys::config::PasskeysConfig;
use crate::passkeys::relying::{RelyingParty, relying_party};

fn relying() -> RelyingParty {
    relying_party(&PasskeysConfig::default(), Some(ORIGIN), None).expect("a place")
}

fn person() -> Person {
    Person {
        id: Id::from_bytes([7; 16]),
        email: "ada@example.org".to_owned(),
        name: Some("Ada".to_owned()),
    }
}

/// One change of an answer.
#[derive(Debug, Clone)]
enum Change {
    /// Other bytes at a place of one of the encoded parts.
    Bytes(usize, usize, Vec<u8>),
    /// So many bytes are left of it.
    Cut(usize, usize),
    /// Something else altogether at a place of the document.
    Value(usize, Value),
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        Just(json!([])),
        Just(json!({})),
        any::<i64>().prop_map(|number| json!(number)),
        "[A-Za-z0-9_-]{0,40}".prop_map(|text| json!(text)),
        ".{0,10}".prop_map(|text| json!(text)),
    ]
}

fn any_change() -> impl Strategy<Value = Change> {
    let bytes = proptest::collection::vec(any::<u8>(), 1..4);
    prop_oneof![
        (0_usize..4, 0_usize..300, bytes)
            .prop_map(|(part, at, bytes)| Change::Bytes(part, at, bytes)),
        (0_usize..4, 0_usize..300).prop_map(|(part, left)| Change::Cut(part, left)),
        (0_usize..9, any_value()).prop_map(|(place, value)| Change::Value(place, value)),
    ]
}

const PARTS: [&str; 5] = [
    "clientDataJSON",
    "authenticatorData",
    "attestationObject",
    "signature",
    "userHandle",
];
const PLACES: [&str; 4] = ["id", "rawId", "type", "response"];

fn changed(mut answer: Value, change: &Change) -> Value {
    let there: Vec<&str> = PARTS
        .into_iter()
        .filter(|part| answer["response"].get(part).is_some())
        .collect();
    match change {
        Change::Value(place, value) => match PLACES.get(*place) {
            Some(key) => answer[*key] = value.clone(),
            None => answer["response"][there[place % there.len()]] = value.clone(),
        },
        Change::Bytes(part, ..) | Change::Cut(part, _) => {
            let part = &mut answer["response"][there[part % there.len()]];
            let text = part.as_str().expect("encoded").as_bytes();
            let mut bytes = BASE64URL_NOPAD.decode(text).expect("base64url");
            match change {
                Change::Cut(_, left) => bytes.truncate(*left),
                Change::Bytes(_, at, new) if !bytes.is_empty() => {
                    let at = at % bytes.len();
                    let end = (at + new.len()).min(bytes.len());
                    bytes.splice(at..end, new.iter().copied());
                }
                _ => {}
            }
            *part = json!(BASE64URL_NOPAD.encode(&bytes));
        }
    }
    answer
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_answer_for_a_new_passkey_is_too_much(change in any_change()) {
        let relying = relying();
        let (asked, options) = ask_for_new(&relying, &person(), Vec::new()).expect("asked");
        let answer = Authenticator::new(ORIGIN).make(&options);
        let checked = check_new(asked, &relying, &changed(answer, &change));
        prop_assert_ne!(checked.err(), Some(PANICKED));
    }

    #[test]
    fn no_answer_of_who_signs_in_is_too_much(change in any_change()) {
        let relying = relying();
        let mut hers = Authenticator::new(ORIGIN);
        let (asked, options) = ask_for_new(&relying, &person(), Vec::new()).expect("asked");
        let made = check_new(asked, &relying, &hers.make(&options)).expect("made");
        let stored = Stored { user: person().id, passkey: made.passkey, state: made.state.to_vec() };
        let (asked, options) = ask_for_proof(&relying).expect("asked");
        let answer = hers.sign(&options);
        let after = changed(answer.clone(), &change);
        let checked = Proof::read(&after).and_then(|proof| proof.check(asked, &relying, &stored));
        prop_assert_ne!(checked.err(), Some(PANICKED));
        // What was signed is what counts: with any byte of it changed, nobody comes in.
        if ["clientDataJSON", "authenticatorData", "signature", "userHandle"].iter().any(|part| after["response"][part] != answer["response"][part]) {
            prop_assert!(checked.is_err());
        }
    }

    #[test]
    fn garbage_is_refused(garbage in any_value()) {
        prop_assert_eq!(Proof::read(&garbage).err(), Some("form"));
        let relying = relying();
        let (asked, _) = ask_for_new(&relying, &person(), Vec::new()).expect("asked");
        prop_assert_eq!(check_new(asked, &relying, &garbage).err(), Some("form"));
    }
}
