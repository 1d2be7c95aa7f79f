//! A software authenticator: makes passkeys and signs with them as a browser would hand it on, and lies on demand.
//!
//! Why not a library: what is tested here is whether a lie is noticed, and no library tells one. ES256 by `ring`; the CBOR is that of the
//! few maps that the standard wants, written out.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const HAS_CREDENTIAL: u8 = 0x40;

/// An authenticator in the browser of a page. Its passkeys stay in it.
#[derive(Debug)]
pub struct Authenticator {
    /// The origin that the browser says the page has.
    pub origin: String,
    /// By how much it counts up at each use; with 0 it does not count, as those do not that share their passkeys.
    pub step: u32,
    passkeys: Vec<Passkey>,
}

/// One way to lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lie {
    /// The page has another origin.
    Origin(&'static str),
    /// The page is in a frame of another page.
    CrossOrigin,
    /// The passkey is of another domain.
    RpId(&'static str),
    /// The answer is to another challenge.
    Challenge,
    /// The answer is to the other ceremony.
    Ceremony,
    /// Nobody was there.
    NotPresent,
    /// Somebody was there who did not show who they are.
    NotVerified,
    /// It was used that often before.
    Count(u32),
    /// It is signed with another key.
    Key,
    /// What was signed was changed afterwards.
    Signature,
    /// It is the passkey of another user.
    User([u8; 16]),
    /// The passkey is one that nobody knows.
    Unknown,
    /// The passkey is called so.
    Called(Vec<u8>),
}

struct Passkey {
    rp_id: String,
    id: Vec<u8>,
    user: Vec<u8>,
    key: EcdsaKeyPair,
    count: u32,
}

impl std::fmt::Debug for Passkey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passkey")
            .field("rp_id", &self.rp_id)
            .finish_non_exhaustive()
    }
}

impl Authenticator {
    /// One without passkeys, for pages of `origin`.
    pub fn new(origin: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            step: 1,
            passkeys: Vec::new(),
        }
    }

    /// Makes a passkey, as `navigator.credentials.create` does with these options; gives what `toJSON` does.
    pub fn make(&mut self, options: &Value) -> Value {
        self.make_lying(options, &[])
    }

    /// The same, with lies.
    pub fn make_lying(&mut self, options: &Value, lies: &[Lie]) -> Value {
        let mut id = random(32);
        if let Some(Lie::Called(name)) = lies.iter().find(|lie| matches!(lie, Lie::Called(_))) {
            id.clone_from(name);
        }
        let passkey = Passkey {
            rp_id: text(&options["rp"]["id"]).to_owned(),
            id,
            user: bytes(&options["user"]["id"]),
            key: new_key(),
            count: 0,
        };
        let mut data = passkey.data(lies, HAS_CREDENTIAL);
        data.extend([0; 16]);
        let length = u16::try_from(passkey.id.len()).expect("a short id");
        data.extend(length.to_be_bytes());
        data.extend(&passkey.id);
        data.extend(cose(&passkey.key));
        let client = client_data(&self.origin, "webauthn.create", options, lies);
        let answer = json!({
            "id": encoded(&passkey.id),
            "rawId": encoded(&passkey.id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": encoded(client.as_bytes()),
                "attestationObject": encoded(&attestation(&data)),
                "transports": ["internal"],
            },
        });
        self.passkeys.push(passkey);
        answer
    }

    /// Signs with the newest passkey of the domain, as `navigator.credentials.get` does with these options; gives what `toJSON` does.
    ///
    /// # Panics
    ///
    /// When it has none.
    pub fn sign(&mut self, options: &Value) -> Value {
        self.sign_lying(options, &[])
    }

    /// The same, with lies.
    ///
    /// # Panics
    ///
    /// When it has none.
    pub fn sign_lying(&mut self, options: &Value, lies: &[Lie]) -> Value {
        let rp_id = text(&options["rpId"]);
        let step = self.step;
        let mut fitting = self.passkeys.iter_mut().rev();
        let passkey = fitting
            .find(|passkey| passkey.rp_id == rp_id)
            .unwrap_or_else(|| panic!("a passkey of {rp_id}"));
        passkey.count += step;
        let data = passkey.data(lies, 0);
        let client = client_data(&self.origin, "webauthn.get", options, lies);
        let mut signed = data.clone();
        signed.extend(digest(&SHA256, client.as_bytes()).as_ref());
        let other = lies.contains(&Lie::Key).then(new_key);
        let key = other.as_ref().unwrap_or(&passkey.key);
        let signature = key.sign(&SystemRandom::new(), &signed);
        let mut signature = signature.expect("signs").as_ref().to_vec();
        if lies.contains(&Lie::Signature) {
            *signature.last_mut().expect("not empty") ^= 1;
        }
        let (mut user, mut id) = (passkey.user.clone(), passkey.id.clone());
        for lie in lies {
            match lie {
                Lie::User(other) => user = other.to_vec(),
                Lie::Unknown => id = random(32),
                Lie::Called(name) => id.clone_from(name),
                _ => {}
            }
        }
        json!({
            "id": encoded(&id),
            "rawId": encoded(&id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": encoded(client.as_bytes()),
                "authenticatorData": encoded(&data),
                "signature": encoded(&signature),
                "userHandle": encoded(&user),
            },
        })
    }

    /// What the newest passkey is called.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn newest(&self) -> Vec<u8> {
        self.passkeys.last().expect("a passkey").id.clone()
    }
}

impl Passkey {
    /// What the authenticator says of itself: domain, flags, count.
    fn data(&self, lies: &[Lie], more: u8) -> Vec<u8> {
        let (mut rp_id, mut count) = (self.rp_id.as_str(), self.count);
        let mut flags = PRESENT | VERIFIED | more;
        for lie in lies {
            match lie {
                Lie::RpId(other) => rp_id = other,
                Lie::Count(other) => count = *other,
                Lie::NotPresent => flags &= !PRESENT,
                Lie::NotVerified => flags &= !VERIFIED,
                _ => {}
            }
        }
        let mut data = digest(&SHA256, rp_id.as_bytes()).as_ref().to_vec();
        data.push(flags);
        data.extend(count.to_be_bytes());
        data
    }
}

/// What the browser says of the page.
fn client_data(origin: &str, ceremony: &str, options: &Value, lies: &[Lie]) -> String {
    let (mut origin, mut ceremony) = (origin, ceremony);
    let mut challenge = text(&options["challenge"]).to_owned();
    for lie in lies {
        match lie {
            Lie::Origin(other) => origin = other,
            Lie::Challenge => challenge = encoded(&random(16)),
            Lie::Ceremony if ceremony == "webauthn.get" => ceremony = "webauthn.create",
            Lie::Ceremony => ceremony = "webauthn.get",
            _ => {}
        }
    }
    json!({
        "type": ceremony,
        "challenge": challenge,
        "origin": origin,
        "crossOrigin": lies.contains(&Lie::CrossOrigin),
    })
    .to_string()
}

/// An attestation that attests nothing: `{"fmt": "none", "attStmt": {}, "authData": data}`.
fn attestation(data: &[u8]) -> Vec<u8> {
    let mut cbor = vec![0xa3];
    cbor.extend(b"\x63fmt\x64none\x67attStmt\xa0\x68authData");
    let length = u8::try_from(data.len()).expect("short");
    cbor.extend([0x58, length]);
    cbor.extend(data);
    cbor
}

/// The public key: `{1: 2, 3: -7, -1: 1, -2: x, -3: y}`, EC2, ES256, P-256.
fn cose(key: &EcdsaKeyPair) -> Vec<u8> {
    let point = key.public_key().as_ref();
    let (x, y) = point[1..].split_at(32);
    let mut cbor = vec![0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
    cbor.extend(x);
    cbor.extend([0x22, 0x58, 0x20]);
    cbor.extend(y);
    cbor
}

fn new_key() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
    EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).expect("a key")
}

fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.expect("randomness");
    bytes
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn bytes(encoded: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text(encoded)).expect("base64url")
}

fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("a text, not {value}"))
}
