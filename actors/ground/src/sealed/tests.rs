//! Sealing against published vectors and against whoever alters a database.

use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

const PLACE: Place<'static> = Place {
    table: "totp_factors",
    row: &[1; 16],
    column: "secret",
};

fn key(number: u8) -> MasterKey {
    MasterKey::new(Zeroizing::new([number; KEY_BYTES]))
}

fn sealer(number: u8) -> Sealer {
    Sealer::new(key(number), Vec::new())
}

fn bytes(test: &Value, member: &str) -> Vec<u8> {
    let digits = test[member].as_str().expect("hexadecimal text");
    HEXLOWER_PERMISSIVE
        .decode(digits.as_bytes())
        .expect("hexadecimal text")
}

/// The right verdict on every one, nonces of a wrong length among them: those can be no nonce of ours.
#[test]
fn the_published_vectors_hold() {
    let vectors = "../../../shared/data/vectors/xchacha20_poly1305_test.json";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(vectors);
    let Ok(text) = std::fs::read_to_string(&path) else {
        return eprintln!("skipped: no {}", path.display());
    };
    let file: Value = serde_json::from_str(&text).expect("JSON");
    let mut verdicts = [0_u32; 2];
    for group in file["testGroups"].as_array().expect("groups") {
        for test in group["tests"].as_array().expect("tests") {
            let key: [u8; KEY_BYTES] = bytes(test, "key").try_into().expect("a key");
            let key = MasterKey::new(Zeroizing::new(key));
            let (aad, msg) = (bytes(test, "aad"), bytes(test, "msg"));
            let ciphertext = [bytes(test, "ct"), bytes(test, "tag")].concat();
            let opened = <[u8; NONCE_BYTES]>::try_from(bytes(test, "iv"))
                .ok()
                .and_then(|nonce| {
                    let kept = encrypt(&key, &nonce, &aad, &msg).expect("short");
                    let opened = decrypt(&key, &nonce, &aad, &ciphertext).ok()?;
                    assert_eq!((&*opened, &kept), (&msg, &ciphertext), "{test}");
                    Some(opened)
                });
            let is_valid = test["result"] == "valid";
            assert_eq!(opened.is_some(), is_valid, "{test}");
            verdicts[usize::from(is_valid)] += 1;
        }
    }
    assert_eq!(
        u64::from(verdicts[0] + verdicts[1]),
        file["numberOfTests"].as_u64().expect("a number")
    );
    assert!(verdicts[0] > 0 && verdicts[1] > 0);
}

#[test]
fn a_key_is_read_in_every_usual_form() {
    let key = MasterKey::generate().expect("randomness");
    let forms = [
        HEXLOWER_PERMISSIVE.encode(&key.bytes[..]),
        data_encoding::HEXUPPER.encode(&key.bytes[..]),
        BASE64.encode(&key.bytes[..]),
        BASE64URL_NOPAD.encode(&key.bytes[..]),
        format!(" {}\n", key.to_text().as_str()),
    ];
    for form in forms {
        assert_eq!(MasterKey::parse(&form).map(|key| key.id()), Ok(key.id()));
    }
    for wrong in [
        "",
        "secret",
        &"a".repeat(63),
        &"a".repeat(66),
        &BASE64.encode(&[0; 31]),
        &"ä".repeat(22),
    ] {
        assert_eq!(MasterKey::parse(wrong).map(|key| key.id()), Err(KeyError));
    }
}

#[test]
fn a_value_opens_only_where_it_belongs() {
    let sealer = sealer(1);
    let kept = sealer.seal(&PLACE, b"secret").expect("sealed");
    assert_eq!(
        *sealer.open(&PLACE, &kept).expect("opened").plain,
        b"secret"
    );
    // Shifting a byte from one part to the next makes another place, too.
    let row = [1; 17];
    let elsewhere = [
        Place {
            table: "totp_factor",
            ..PLACE
        },
        Place {
            row: &[2; 16],
            ..PLACE
        },
        Place { row: &row, ..PLACE },
        Place {
            column: "",
            ..PLACE
        },
        Place {
            table: "totp_factors\u{1}",
            row: &row[..15],
            ..PLACE
        },
    ];
    for place in elsewhere {
        let opened = sealer.open(&place, &kept);
        assert!(matches!(opened, Err(SealError::Broken)), "{place:?}");
    }
}

#[test]
fn a_key_is_changed_without_a_stop() {
    let kept = sealer(1).seal(&PLACE, b"secret").expect("sealed");
    assert_eq!(KeyId::of(&kept), Some(key(1).id()));
    let both = Sealer::new(key(2), vec![key(1)]);
    let opened = both.open(&PLACE, &kept).expect("the older key");
    assert!(!opened.is_current);
    let anew = both.seal(&PLACE, &opened.plain).expect("sealed");
    assert!(both.open(&PLACE, &anew).expect("opened").is_current);
    let new_alone = sealer(2);
    assert!(new_alone.open(&PLACE, &anew).is_ok());
    let unknown = new_alone.open(&PLACE, &kept).expect_err("the older key");
    assert!(matches!(unknown, SealError::UnknownKey(id) if id == key(1).id()));
    assert!(both.knows(key(1).id()) && !new_alone.knows(key(1).id()));
}

#[test]
fn without_a_key_the_reason_is_told() {
    let kept = sealer(1).seal(&PLACE, b"secret").expect("sealed");
    let none = Sealer::without_key("no file", Vec::new());
    for error in [
        none.seal(&PLACE, b"x").expect_err("no key"),
        none.open(&PLACE, &kept).expect_err("no key"),
        none.key_id().expect_err("no key"),
    ] {
        assert_eq!(error.to_string(), "there is no master key: no file");
    }
    let older = Sealer::without_key("no file", vec![key(1)]);
    assert_eq!(*older.open(&PLACE, &kept).expect("opened").plain, b"secret");
}

#[test]
fn debug_shows_no_key_and_no_secret() {
    let sealer = Sealer::new(key(0xAB), vec![key(0xCD)]);
    let kept = sealer.seal(&PLACE, b"secret").expect("sealed");
    let opened = sealer.open(&PLACE, &kept).expect("opened");
    let shown = format!("{sealer:?}{opened:?}{:?}", key(0xAB)).to_lowercase();
    for leak in ["171, 171", "205, 205", "abab", "cdcd", "115, 101", "secret"] {
        assert!(!shown.contains(leak), "{shown}");
    }
}

proptest! {
    #[test]
    fn what_was_sealed_is_opened(plain: Vec<u8>, row: Vec<u8>) {
        let (sealer, place) = (sealer(3), Place { row: &row, ..PLACE });
        let kept = sealer.seal(&place, &plain).expect("sealed");
        prop_assert_eq!(&*sealer.open(&place, &kept).expect("opened").plain, &plain);
        prop_assert_ne!(sealer.seal(&place, &plain).expect("sealed"), kept);
    }

    #[test]
    fn nothing_altered_is_opened(plain: [u8; 20], at: proptest::sample::Index, flip in 1_u8..) {
        let sealer = sealer(3);
        let mut kept = sealer.seal(&PLACE, &plain).expect("sealed");
        let at = at.index(kept.len());
        kept[at] ^= flip;
        prop_assert!(sealer.open(&PLACE, &kept).is_err());
    }

    #[test]
    fn no_bytes_panic(kept: Vec<u8>, text in ".{0,100}") {
        prop_assert!(sealer(3).open(&PLACE, &kept).is_err());
        prop_assert!(MasterKey::parse(&text).is_err());
    }
}
