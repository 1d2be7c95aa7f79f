//! Codes of an authenticator app (RFC 6238 over RFC 4226). No I/O; the present is an argument.
//!
//! What apps expect is fixed here: SHA-1, six digits, steps of 30 seconds. That SHA-1 is broken for collisions does not matter to an HMAC.

use data_encoding::{BASE32_NOPAD, HEXUPPER};
use ground::{Micros, Secret};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};
use zeroize::Zeroizing;

/// Bytes of a new secret, as RFC 4226 recommends.
pub(crate) const SECRET_BYTES: usize = 20;
/// Digits of a code.
pub(crate) const DIGITS: usize = 6;
/// How long a step takes, in microseconds.
const STEP_US: i64 = 30_000_000;
/// How many steps a device's clock may be off, in either direction.
const DRIFT: i64 = 1;
/// Who the app says that the code is for.
const ISSUER: &str = "Mainstay";

/// The time step of a moment.
pub(crate) const fn step_of(at: Micros) -> i64 {
    at.get().div_euclid(STEP_US)
}

/// The step whose code this is, if it is near the present and later than `last_step`. Takes the same time whichever it is.
pub(crate) fn accepted_step(
    secret: &[u8],
    code: [u8; DIGITS],
    now: Micros,
    last_step: i64,
) -> Option<i64> {
    let present = step_of(now);
    let (mut found, mut step) = (Choice::from(0), 0);
    // From the latest down, so that of two steps with one code the earlier counts: it leaves the owner more of them.
    for candidate in (present - DRIFT..=present + DRIFT).rev() {
        let right = u64::try_from(candidate)
            .ok()
            .and_then(|counter| hotp::<Hmac<Sha1>>(secret, counter, DIGITS))
            .map_or(Choice::from(0), |right| right.as_bytes().ct_eq(&code[..]));
        let right = right & Choice::from(u8::from(candidate > last_step));
        step.conditional_assign(&candidate, right);
        found |= right;
    }
    bool::from(found).then_some(step)
}

/// The code of a counter, with leading zeros; `None` for an impossible number of digits.
fn hotp<M: Mac + KeyInit>(secret: &[u8], counter: u64, digits: usize) -> Option<Zeroizing<String>> {
    let mut mac = <M as KeyInit>::new_from_slice(secret).ok()?;
    mac.update(&counter.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let offset = usize::from(digest.last()? & 0x0F);
    let number = digest.get(offset..)?.first_chunk()?;
    let number = u32::from_be_bytes(*number) & 0x7FFF_FFFF;
    let modulus = 10_u32.checked_pow(u32::try_from(digits).ok()?)?;
    Some(Zeroizing::new(format!("{:0digits$}", number % modulus)))
}

/// The secret as it is typed into an app.
pub(crate) fn to_base32(secret: &[u8]) -> Secret {
    Secret::from(BASE32_NOPAD.encode(secret))
}

/// What an app reads from a QR code.
pub(crate) fn otpauth_uri(base32: &Secret, account: &str) -> Secret {
    let account = percent(account);
    let secret = base32.expose();
    Secret::from(format!(
        "otpauth://totp/{ISSUER}:{account}?secret={secret}&issuer={ISSUER}&algorithm=SHA1&digits={DIGITS}&period={}",
        STEP_US / 1_000_000
    ))
}

/// Everything but the unreserved characters of RFC 3986 as `%XX`.
fn percent(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            safe.push(char::from(byte));
        } else {
            safe.push('%');
            safe.push_str(&HEXUPPER.encode(&[byte]));
        }
    }
    safe
}

/// The code that an app shows at a moment.
#[cfg(test)]
pub(crate) fn code_at(secret: &[u8], at: Micros) -> String {
    let counter = u64::try_from(step_of(at)).expect("after 1970");
    hotp::<Hmac<Sha1>>(secret, counter, DIGITS)
        .expect("six digits")
        .to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use proptest::prelude::*;
    use sha2_of_hmac::{Sha256, Sha512};

    use super::*;

    fn code(secret: &[u8], step: i64) -> [u8; DIGITS] {
        let text = code_at(secret, Micros(step * STEP_US));
        text.as_bytes().try_into().expect("six digits")
    }

    /// RFC 4226, appendix D.
    #[test]
    fn counters_give_the_published_codes() {
        let published = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583",
            "399871", "520489",
        ];
        for (counter, code) in (0..).zip(published) {
            let made = hotp::<Hmac<Sha1>>(b"12345678901234567890", counter, 6);
            assert_eq!(made.expect("six digits").as_str(), code);
        }
    }

    /// RFC 6238, appendix B. Its text lists one seed; the codes need one as long as the digest of each hash.
    #[test]
    fn moments_give_the_published_codes() {
        let path = "../../../shared/data/vectors/rfc6238_totp.csv";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let Ok(table) = std::fs::read_to_string(&path) else {
            return eprintln!("skipped: no {}", path.display());
        };
        let seed = |length: usize| b"1234567890".iter().copied().cycle().take(length);
        let seeds = [20, 32, 64].map(|length| seed(length).collect::<Vec<u8>>());
        let mut checked = 0;
        for line in table.lines().skip(1) {
            let fields: Vec<&str> = line.split(',').collect();
            let seconds: i64 = fields[0].parse().expect("seconds");
            let step = step_of(Micros(seconds * 1_000_000));
            assert_eq!(format!("{step:016X}"), fields[2]);
            let counter = u64::try_from(step).expect("after 1970");
            let made = [
                hotp::<Hmac<Sha1>>(&seeds[0], counter, 8),
                hotp::<Hmac<Sha256>>(&seeds[1], counter, 8),
                hotp::<Hmac<Sha512>>(&seeds[2], counter, 8),
            ];
            for (made, published) in made.into_iter().zip(&fields[3..6]) {
                assert_eq!(made.expect("eight digits").as_str(), *published, "{line}");
                checked += 1;
            }
        }
        assert_eq!(checked, 18);
    }

    #[test]
    fn an_app_can_read_the_secret() {
        let secret = to_base32(b"12345678901234567890");
        assert_eq!(secret.expose(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let uri = otpauth_uri(&secret, "a b@e:x/ä?");
        assert_eq!(
            uri.expose(),
            "otpauth://totp/Mainstay:a%20b%40e%3Ax%2F%C3%A4%3F?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=Mainstay&algorithm=SHA1&digits=6&period=30"
        );
    }

    #[test]
    fn impossible_digits_and_moments_give_no_code() {
        assert!(hotp::<Hmac<Sha1>>(b"secret", 0, 10).is_none());
        for moment in [i64::MIN, -1, 0, i64::MAX] {
            let accepted = accepted_step(b"secret", *b"000000", Micros(moment), i64::MAX);
            assert_eq!(accepted, None);
        }
    }

    proptest! {
        /// Codes of the present and its neighbours, and of nothing else.
        #[test]
        fn a_clock_may_be_one_step_off(secret: [u8; 20], step in 10_i64..100_000_000, off in -4_i64..=4) {
            let accepted = accepted_step(&secret, code(&secret, step + off), Micros(step * STEP_US), 0);
            // Another step near may have the same code by chance: then that one is right to be accepted.
            let nearby = (step - 1..=step + 1).find(|near| code(&secret, *near) == code(&secret, step + off));
            prop_assert_eq!(accepted, nearby);
            prop_assert!(off.abs() > 1 || accepted.is_some());
        }

        /// Whatever is shown and however the clock jumps: each accepted step is later than all before it.
        #[test]
        fn no_step_is_accepted_twice(
            secret: [u8; 20],
            start in 10_i64..100_000_000,
            shows in proptest::collection::vec((-3_i64..4, -2_i64..3), 1..60),
        ) {
            let (mut now, mut last, mut accepted) = (start, 0, Vec::new());
            for (jump, off) in shows {
                now = (now + jump).max(3);
                if let Some(step) = accepted_step(&secret, code(&secret, now + off), Micros(now * STEP_US), last) {
                    prop_assert!(step > last && (step - now).abs() <= DRIFT);
                    accepted.push(step);
                    last = step;
                }
            }
            prop_assert!(accepted.is_sorted_by(|a, b| a < b));
        }

        #[test]
        fn a_step_lasts_thirty_seconds(at in 0_i64..4_000_000_000_000_000) {
            let (now, later) = (Micros(at), Micros(at) + Duration::from_secs(30));
            prop_assert_eq!(step_of(later), step_of(now) + 1);
        }
    }
}
