//! Secrets at rest: what the daemon must be able to read again, sealed so that a stolen database tells nothing.
//!
//! Whatever can be kept as a hash is kept as one. What cannot (the secret of an authenticator app, the key of a provider) is
//! sealed with XChaCha20-Poly1305 under a master key that is never in the database it protects. A random nonce of 24 bytes needs no
//! counter, so two processes on one database cannot repeat one. Bound to each sealed value is the [`Place`] it belongs to: table,
//! row and column, each with its length, so that nothing can be moved to another row and still be opened.
//!
//! In front of a sealed value stands the id of its key, a hash of the key. So the key can be changed without a stop: the new one
//! seals, the older ones still open, and whoever opens something learns whether it should be sealed anew.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{Key, KeyInit as _, XChaCha20Poly1305, XNonce};
use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use rand::TryRng as _;
use rand::rngs::SysRng;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// Bytes of a master key.
pub const KEY_BYTES: usize = 32;
/// Bytes of the id of a key.
pub const KEY_ID_BYTES: usize = 8;
/// The form of a sealed value: this byte, the key's id, the nonce, the ciphertext with its tag.
const FORM: u8 = 1;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// Where the nonce begins.
const HEAD: usize = 1 + KEY_ID_BYTES;

/// Why something was not sealed or opened.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SealError {
    /// There is no master key; the text says why, for an operator.
    #[error("there is no master key: {0}")]
    NoKey(Arc<str>),
    /// It was sealed with a key that is not here.
    #[error("it was sealed with the master key {0}, which is not here")]
    UnknownKey(KeyId),
    /// It was altered, cut, or moved from where it belongs.
    #[error("a sealed value is damaged or not where it belongs")]
    Broken,
    /// The system gave no randomness.
    #[error("the system gave no randomness")]
    NoRandomness(#[source] Arc<dyn StdError + Send + Sync>),
}

/// The text is no master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected 32 random bytes as 64 hexadecimal digits or as base64, such as `openssl rand -base64 32` prints"
)]
pub struct KeyError;

/// Names a master key without telling anything about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; KEY_ID_BYTES]);

impl KeyId {
    /// An id that was stored.
    pub const fn from_bytes(bytes: [u8; KEY_ID_BYTES]) -> Self {
        Self(bytes)
    }

    /// The key under which `sealed` was sealed; `None` when it cannot be a sealed value.
    pub fn of(sealed: &[u8]) -> Option<Self> {
        let (form, rest) = sealed.split_first()?;
        let (id, _) = rest.split_first_chunk()?;
        (*form == FORM).then_some(Self(*id))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A master key. Wiped when it is dropped; never shown.
pub struct MasterKey {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    id: KeyId,
}

impl MasterKey {
    /// Takes the bytes over.
    pub fn new(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        // The key is random, so that a part of its hash tells nothing of use.
        let digest: [u8; 32] = Sha256::new()
            .chain_update(b"mainstay master key id")
            .chain_update(&bytes[..])
            .finalize()
            .into();
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&digest[..KEY_ID_BYTES]);
        Self {
            bytes,
            id: KeyId(id),
        }
    }

    /// A new key from the system's randomness.
    ///
    /// # Errors
    /// [`SealError::NoRandomness`].
    pub fn generate() -> Result<Self, SealError> {
        random().map(Self::new)
    }

    /// Reads 64 hexadecimal digits, or base64 of 32 bytes in any of its usual alphabets; space around it is ignored.
    ///
    /// # Errors
    /// [`KeyError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim().as_bytes();
        let ways = [
            HEXLOWER_PERMISSIVE,
            BASE64,
            BASE64_NOPAD,
            BASE64URL,
            BASE64URL_NOPAD,
        ];
        for way in ways {
            let Ok(decoded) = way.decode(text).map(Zeroizing::new) else {
                continue;
            };
            if decoded.len() == KEY_BYTES {
                let mut bytes = Zeroizing::new([0; KEY_BYTES]);
                bytes.copy_from_slice(&decoded);
                return Ok(Self::new(bytes));
            }
        }
        Err(KeyError)
    }

    /// The key as [`MasterKey::parse`] reads it, in base64: for the file that keeps it.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64.encode(&self.bytes[..]))
    }

    /// Its name.
    pub fn id(&self) -> KeyId {
        self.id
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(*self.bytes))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MasterKey").field(&self.id).finish()
    }
}

/// Where a sealed value belongs.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The table.
    pub table: &'a str,
    /// The row, by its primary key.
    pub row: &'a [u8],
    /// The column.
    pub column: &'a str,
}

impl Place<'_> {
    /// Each part with its length, so that no two places give the same bytes.
    fn bound(&self) -> Vec<u8> {
        let parts = [self.table.as_bytes(), self.row, self.column.as_bytes()];
        let mut bound = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
        for part in parts {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            bound.extend(length.to_be_bytes());
            bound.extend(part);
        }
        bound
    }
}

/// What was opened.
pub struct Opened {
    /// What had been sealed; wiped when dropped.
    pub plain: Zeroizing<Vec<u8>>,
    /// Whether the present key sealed it; if not, seal it anew when it is written next.
    pub is_current: bool,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Opened");
        shown
            .field("is_current", &self.is_current)
            .finish_non_exhaustive()
    }
}

/// Seals with the present master key, opens with it and those before it. Cheap to clone; clones share the keys.
#[derive(Debug, Clone)]
pub struct Sealer(Arc<Keys>);

#[derive(Debug)]
struct Keys {
    current: Result<MasterKey, Arc<str>>,
    older: Vec<MasterKey>,
}

impl Sealer {
    /// Seals with `current`; opens with `older`, too.
    pub fn new(current: MasterKey, older: Vec<MasterKey>) -> Self {
        let current = Ok(current);
        Self(Arc::new(Keys { current, older }))
    }

    /// Seals nothing, and tells why; opens what one of `older` sealed.
    pub fn without_key(why: impl Into<Arc<str>>, older: Vec<MasterKey>) -> Self {
        let current = Err(why.into());
        Self(Arc::new(Keys { current, older }))
    }

    /// The name of the present key.
    ///
    /// # Errors
    /// [`SealError::NoKey`].
    pub fn key_id(&self) -> Result<KeyId, SealError> {
        self.current().map(MasterKey::id)
    }

    /// Whether what this key sealed can be opened here.
    pub fn knows(&self, id: KeyId) -> bool {
        self.key(id).is_some()
    }

    /// Seals `plain` for its place.
    ///
    /// # Errors
    /// `NoKey`, `NoRandomness`.
    pub fn seal(&self, place: &Place<'_>, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let key = self.current()?;
        let nonce = random::<NONCE_BYTES>()?;
        let mut sealed = Vec::with_capacity(HEAD + NONCE_BYTES + plain.len() + TAG_BYTES);
        sealed.push(FORM);
        sealed.extend(key.id.0);
        sealed.extend(&nonce[..]);
        sealed.extend(encrypt(key, &nonce, &place.bound(), plain)?);
        Ok(sealed)
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// `UnknownKey`, or `NoKey` where there is no key at all; `Broken` when it was not sealed for this place or was altered since.
    pub fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Opened, SealError> {
        let id = KeyId::of(sealed).ok_or(SealError::Broken)?;
        let Some((key, is_current)) = self.key(id) else {
            self.current()?;
            return Err(SealError::UnknownKey(id));
        };
        let rest = sealed.get(HEAD..).ok_or(SealError::Broken)?;
        let (nonce, ciphertext) = rest.split_first_chunk().ok_or(SealError::Broken)?;
        let plain = decrypt(key, nonce, &place.bound(), ciphertext)?;
        Ok(Opened { plain, is_current })
    }

    fn current(&self) -> Result<&MasterKey, SealError> {
        let current = self.0.current.as_ref();
        current.map_err(|why| SealError::NoKey(Arc::clone(why)))
    }

    fn key(&self, id: KeyId) -> Option<(&MasterKey, bool)> {
        let current = self.0.current.iter().map(|key| (key, true));
        let older = self.0.older.iter().map(|key| (key, false));
        current.chain(older).find(|(key, _)| key.id == id)
    }
}

/// Seals nothing: nobody gave it a key.
impl Default for Sealer {
    fn default() -> Self {
        Self::without_key("none was given", Vec::new())
    }
}

/// `N` bytes of the system's randomness: no state of ours that could repeat.
///
/// # Errors
/// [`SealError::NoRandomness`].
pub fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, SealError> {
    let mut bytes = Zeroizing::new([0; N]);
    let filled = SysRng.try_fill_bytes(&mut bytes[..]);
    filled.map_err(|error| SealError::NoRandomness(Arc::new(error)))?;
    Ok(bytes)
}

fn encrypt(
    key: &MasterKey,
    nonce: &[u8; NONCE_BYTES],
    bound: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, SealError> {
    let payload = Payload {
        msg: plain,
        aad: bound,
    };
    // Fails only for texts of more than 256 GiB.
    let encrypted = key.cipher().encrypt(&XNonce::from(*nonce), payload);
    encrypted.map_err(|_| SealError::Broken)
}

fn decrypt(
    key: &MasterKey,
    nonce: &[u8; NONCE_BYTES],
    bound: &[u8],
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let payload = Payload {
        msg: ciphertext,
        aad: bound,
    };
    let decrypted = key.cipher().decrypt(&XNonce::from(*nonce), payload);
    decrypted.map(Zeroizing::new).map_err(|_| SealError::Broken)
}

#[cfg(test)]
mod tests;
