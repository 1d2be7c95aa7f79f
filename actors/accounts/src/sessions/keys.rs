//! The keys that sign access tokens.
//!
//! Every daemon makes its own key, keeps the private half in its memory alone and publishes the public half in the database, where the
//! others that share it find it. So no private key is ever at rest: there is none to seal, to leak with a backup or to hand over, and a
//! restart is a rotation. A published key is a lease: its daemon prolongs it as long as it signs with it, and a key whose daemon is gone
//! retires by itself once no token that it signed can be valid any more.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ground::Micros;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde::Serialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use super::access::{self, AccessError, Bearer, MAX_BYTES};
use super::believed::{Believed, TokenHash};
use crate::jose::jwk::{KeySet, VerifyingKey};
use crate::jose::jws::JwsError;
use crate::jose::strict;

/// For how long a key is published at a time; longer than any access token is valid.
pub(crate) const LEASE: Duration = Duration::from_hours(3);
/// When less than this is left of it, it is published anew.
pub(crate) const RENEW_BELOW: Duration = Duration::from_hours(2);
/// Keys of other daemons that are believed at most; the latest to retire are.
pub(crate) const MAX_PUBLISHED: u32 = 250;

/// The random bytes make no key.
#[derive(Debug, thiserror::Error)]
#[error("a key could not be made")]
pub(crate) struct KeyError;

/// A key that signs.
#[derive(Debug)]
pub(crate) struct OwnKey {
    pair: Ed25519KeyPair,
    kid: String,
    public: [u8; 32],
    pub(crate) created_at: Micros,
}

impl OwnKey {
    /// The key of these random bytes, which are wiped.
    ///
    /// # Errors
    /// [`KeyError`] when the library does not take them.
    pub(crate) fn of_seed(seed: &mut [u8; 32], created_at: Micros) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed[..]);
        seed.zeroize();
        let pair = pair.map_err(|_| KeyError)?;
        let public: [u8; 32] = pair
            .public_key()
            .as_ref()
            .try_into()
            .map_err(|_| KeyError)?;
        Ok(Self {
            pair,
            kid: kid_of(&public),
            public,
            created_at,
        })
    }

    /// What the key is called.
    pub(crate) fn kid(&self) -> &str {
        &self.kid
    }

    /// Its public half.
    pub(crate) fn public(&self) -> &[u8; 32] {
        &self.public
    }

    pub(crate) fn sign(&self, message: &[u8]) -> impl AsRef<[u8]> + use<> {
        self.pair.sign(message)
    }
}

/// The thumbprint of a public key (RFC 7638), which is its name: nobody can publish another key under it.
fn kid_of(public: &[u8; 32]) -> String {
    let x = strict::encode(public);
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    strict::encode(Sha256::digest(canonical.as_bytes()))
}

/// A public key as it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublishedKey {
    pub(crate) kid: String,
    pub(crate) public: [u8; 32],
    pub(crate) retires_at: Micros,
}

/// A public key for others who check our tokens, as a JSON web key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublicKey {
    /// Always `OKP`.
    pub kty: &'static str,
    /// Always `Ed25519`.
    pub crv: &'static str,
    /// Always `EdDSA`.
    pub alg: &'static str,
    /// Always `sig`.
    #[serde(rename = "use")]
    pub purpose: &'static str,
    /// The key's name, which tokens give as `kid`.
    pub kid: String,
    /// The key, as base64url.
    pub x: String,
}

/// What is known of keys at a moment.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    own: Option<(Arc<OwnKey>, Micros)>,
    published: Vec<PublishedKey>,
    set: KeySet,
    /// Tokens that `set` was found to have signed.
    believed: Arc<Believed>,
}

impl Ring {
    /// The ring that follows `before`.
    fn new(
        before: &Self,
        own: Option<(Arc<OwnKey>, Micros)>,
        published: Vec<PublishedKey>,
    ) -> Self {
        let mut ring = Self {
            own,
            published,
            ..Self::default()
        };
        // What other keys have signed is not to be believed of these.
        if ring.all().eq(before.all()) {
            ring.believed = Arc::clone(&before.believed);
        }
        ring.set = KeySet::new(
            ring.all()
                .map(|(kid, public)| VerifyingKey::ed25519(kid.to_owned(), *public))
                .collect(),
        );
        ring
    }

    /// Reads an access token, and believes it for the moment.
    ///
    /// # Errors
    /// [`AccessError`], the first that is met.
    pub(crate) fn read(&self, token: &str, now: Micros) -> Result<Bearer, AccessError> {
        if token.len() > MAX_BYTES {
            return Err(JwsError::Form.into());
        }
        let hash = TokenHash::of(token);
        if let Some(checked) = self.believed.get(hash) {
            let bearer = checked.at(now);
            if bearer == Err(AccessError::Expired) {
                self.believed.forget(hash);
            }
            return bearer;
        }
        let checked = access::check(&self.set, token)?;
        let bearer = checked.at(now)?;
        self.believed.remember(hash, checked);
        Ok(bearer)
    }

    /// Whom a token names, valid or not; nothing for one that these keys have not signed.
    pub(crate) fn named_by(&self, token: &str) -> Option<Bearer> {
        let checked = access::check(&self.set, token).ok()?;
        Some(checked.bearer())
    }

    /// Each key once, our own first.
    fn all(&self) -> impl Iterator<Item = (&str, &[u8; 32])> {
        let own = self.own.as_ref().map(|(own, _)| (own.kid(), own.public()));
        let own_kid = own.map(|(kid, _)| kid.to_owned());
        // A row whose name is not that of its key was not written by any of us.
        let others = self.published.iter().filter(move |key| {
            Some(&key.kid) != own_kid.as_ref() && kid_of(&key.public) == key.kid
        });
        own.into_iter()
            .chain(others.map(|key| (key.kid.as_str(), &key.public)))
    }

    /// All keys that are believed, for others who check our tokens.
    pub(crate) fn public_keys(&self) -> Vec<PublicKey> {
        let public = |(kid, public): (&str, &[u8; 32])| PublicKey {
            kty: "OKP",
            crv: "Ed25519",
            alg: "EdDSA",
            purpose: "sig",
            kid: kid.to_owned(),
            x: strict::encode(public),
        };
        self.all().map(public).collect()
    }

    /// The key to sign with, if it is published for at least `needed` from now and is not to be replaced.
    pub(crate) fn signer(
        &self,
        now: Micros,
        needed: Duration,
        rotate_every: Duration,
    ) -> Option<Arc<OwnKey>> {
        let (own, published_until) = self.own.as_ref()?;
        let is_young = now.since(own.created_at) < rotate_every;
        (is_young && *published_until >= now + needed).then(|| Arc::clone(own))
    }

    /// The key to publish anew, if there is one that is not to be replaced.
    pub(crate) fn own(&self, now: Micros, rotate_every: Duration) -> Option<Arc<OwnKey>> {
        let (own, _) = self.own.as_ref()?;
        (now.since(own.created_at) < rotate_every).then(|| Arc::clone(own))
    }
}

/// The keys, shared by the handle, which reads them on the hot path, and the desk, which changes them.
#[derive(Debug, Default)]
pub(crate) struct Keyring(ArcSwap<Ring>);

impl Keyring {
    pub(crate) fn now(&self) -> Arc<Ring> {
        self.0.load_full()
    }

    /// Our own key is published until then. One at a time changes the ring.
    pub(crate) fn set_own(&self, own: &Arc<OwnKey>, until: Micros) {
        self.0.rcu(|ring| {
            // The one before goes on checking: its row says for how long.
            let mut published = ring.published.clone();
            if let Some((before, until)) = &ring.own
                && before.kid() != own.kid()
            {
                published.push(PublishedKey {
                    kid: before.kid().to_owned(),
                    public: *before.public(),
                    retires_at: *until,
                });
            }
            Ring::new(ring, Some((Arc::clone(own), until)), published)
        });
    }

    /// What is published now, by all daemons.
    pub(crate) fn set_published(&self, published: &[PublishedKey]) {
        self.0
            .rcu(|ring| Ring::new(ring, ring.own.clone(), published.to_vec()));
    }
}

#[cfg(test)]
mod tests {
    use ground::Id;

    use super::*;
    use crate::types::Role;

    const NOW: Micros = Micros(1_700_000_000_000_000);
    const DAY: Duration = Duration::from_hours(24);

    fn key(number: u8) -> Arc<OwnKey> {
        Arc::new(OwnKey::of_seed(&mut [number; 32], NOW).expect("a key"))
    }

    fn published(key: &OwnKey) -> PublishedKey {
        PublishedKey {
            kid: key.kid().to_owned(),
            public: *key.public(),
            retires_at: NOW + LEASE,
        }
    }

    #[test]
    fn the_seed_is_wiped_and_the_name_is_the_keys() {
        let mut seed = [1; 32];
        let key = OwnKey::of_seed(&mut seed, NOW).expect("a key");
        assert_eq!(seed, [0; 32]);
        assert_eq!(key.kid().len(), 43);
        assert!(!format!("{key:?}").contains("seed"));
    }

    #[test]
    fn a_key_signs_while_it_is_young_and_published() {
        let ring = Keyring::default();
        assert!(ring.now().signer(NOW, DAY, DAY).is_none());
        ring.set_own(&key(1), NOW + LEASE);
        let signs = |now, needed| ring.now().signer(now, needed, DAY).is_some();
        assert!(signs(NOW, LEASE));
        assert!(!signs(NOW, LEASE + Duration::from_secs(1)));
        assert!(!signs(NOW + LEASE, Duration::from_secs(1)));
        assert!(!signs(NOW + DAY, Duration::ZERO));
        assert!(ring.now().own(NOW + DAY, DAY).is_none());
    }

    #[test]
    fn a_key_that_was_replaced_still_checks() {
        let ring = Keyring::default();
        ring.set_own(&key(1), NOW + LEASE);
        ring.set_own(&key(2), NOW + LEASE);
        ring.set_own(&key(2), NOW + LEASE * 2);
        let kids = |ring: &Keyring| -> Vec<String> {
            let keys = ring.now().public_keys().into_iter();
            keys.map(|key| key.kid).collect()
        };
        assert_eq!(kids(&ring), [key(2).kid(), key(1).kid()]);
        ring.set_published(&[published(&key(2)), published(&key(3))]);
        assert_eq!(kids(&ring), [key(2).kid(), key(3).kid()]);
        assert!(ring.now().set.find(Some(key(3).kid())).is_some());
    }

    fn token(key: &OwnKey) -> String {
        let claims = access::Claims {
            user: Id::from_bytes([1; 16]),
            session: Id::from_bytes([2; 16]),
            token: Id::from_bytes([3; 16]),
            role: Role::Member,
            issued_at: NOW,
            auth_time: NOW,
        };
        let minted = access::mint(key, &claims, Duration::from_mins(15));
        minted.expose().to_owned()
    }

    #[test]
    fn a_token_that_was_believed_still_has_an_end() {
        let ring = Keyring::default();
        ring.set_own(&key(1), NOW + LEASE);
        let token = token(&key(1));
        let ring = ring.now();
        for _again in 0..2 {
            assert!(ring.read(&token, NOW).is_ok());
            assert!(ring.believed.get(TokenHash::of(&token)).is_some());
        }
        let early = NOW - Duration::from_hours(1);
        assert_eq!(ring.read(&token, early), Err(AccessError::Early));
        let late = NOW + Duration::from_mins(15);
        assert_eq!(ring.read(&token, late), Err(AccessError::Expired));
        assert!(ring.believed.get(TokenHash::of(&token)).is_none());
    }

    /// Every change of a believed token is another token.
    #[test]
    fn nothing_near_a_believed_token_is_believed() {
        let ring = Keyring::default();
        ring.set_own(&key(1), NOW + LEASE);
        let token = token(&key(1));
        let ring = ring.now();
        assert!(ring.read(&token, NOW).is_ok());
        for at in 0..token.len() {
            let mut other = token.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).expect("ASCII");
            assert!(ring.read(&other, NOW).is_err(), "{at}");
        }
        let (shorter, longer) = (token.trim_start_matches('e'), format!("{token}A"));
        assert!(ring.read(shorter, NOW).is_err() && ring.read(&longer, NOW).is_err());
    }

    #[test]
    fn what_a_withdrawn_key_signed_is_forgotten() {
        let keys = Keyring::default();
        keys.set_own(&key(1), NOW + LEASE);
        keys.set_published(&[published(&key(2))]);
        let token = token(&key(2));
        assert!(keys.now().read(&token, NOW).is_ok());
        let before = keys.now();
        keys.set_own(&key(1), NOW + LEASE * 2);
        let is_kept = Arc::ptr_eq(&keys.now().believed, &before.believed);
        assert!(is_kept, "the same keys: what they signed is still known");
        keys.set_published(&[]);
        let refused = Err(AccessError::Signature(JwsError::Key));
        assert_eq!(keys.now().read(&token, NOW), refused);
    }

    #[test]
    fn a_key_under_a_foreign_name_is_not_believed() {
        let ring = Keyring::default();
        let mut lie = published(&key(1));
        lie.public = *key(2).public();
        ring.set_published(&[lie]);
        assert_eq!(ring.now().public_keys(), []);
    }
}
