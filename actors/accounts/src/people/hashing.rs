//! Passwords hashed and verified: argon2id, at most one at a time for each core.
//!
//! A hash takes 46 MiB and a good part of a tenth of a second by design, so many sign-ins at once would be an attack on memory. So each
//! takes a permit, of which there are as many as cores; those who wait form a short line, and who stands in it for too long, or finds
//! it full, is told to come back. Nothing is hashed on the threads that serve requests.
//!
//! Whoever asks about somebody who does not exist gets the same work done on a hash that nothing fits ([`Kept::nobody`]), under the same
//! permit: else the time, or a refusal under load, would tell who has an account.
//!
//! Hashes carry their parameters. What an import brought (bcrypt, weaker argon2) is accepted and replaced at the next right password;
//! what would cost far more than ours is not computed, since whoever writes a hash could then stop the daemon.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use ground::Secret;
use rand::TryRng;
use rand::rngs::SysRng;
use tokio::sync::{Semaphore, TryAcquireError};
use tokio::time::timeout;

/// Memory of a hash, in KiB.
pub(crate) const MEMORY_KIB: u32 = 47_104;
/// Passes over the memory.
const PASSES: u32 = 1;
/// Lanes.
const LANES: u32 = 1;
/// Bytes of a salt.
const SALT_BYTES: usize = 16;
/// What a foreign hash may cost at most.
const MAX_MEMORY_KIB: u32 = 256 * 1024;
const MAX_PASSES: u32 = 10;
const MAX_LANES: u32 = 16;
const MAX_BCRYPT_COST: u32 = 14;
/// Who may wait for a permit at once.
const LINE: usize = 32;
/// For how long.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why nothing was hashed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HashingError {
    /// The line is full, or took too long.
    #[error("too many passwords are being checked")]
    Busy,
    /// A fault of the system: no randomness, no memory.
    #[error("a password could not be hashed")]
    Failed(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

/// What is kept of a password: a PHC string of argon2, or what bcrypt calls a hash.
#[derive(Debug, Clone)]
pub(crate) struct Kept(Secret);

impl Kept {
    /// What was stored.
    pub(crate) fn stored(text: String) -> Self {
        Self(Secret::from(text))
    }

    /// A hash with the present parameters that no password fits: its result was drawn, not computed.
    fn nobody() -> Result<Self, HashingError> {
        let (salt, result) = (random::<SALT_BYTES>()?, random::<32>()?);
        let (salt, result) = (base64(&salt), base64(&result));
        let text = format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${result}");
        Ok(Self::stored(text))
    }

    /// The text, to store.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// What a check found.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The password does not fit.
    Wrong,
    /// It fits; what is kept of it is to be replaced, when there is something.
    Right { replacement: Option<Kept> },
}

/// The one place where passwords are hashed. Clones share the permits.
#[derive(Debug, Clone)]
pub(crate) struct Hasher {
    permits: Arc<Semaphore>,
    line: Arc<Semaphore>,
    counts: Arc<Counts>,
}

/// What was done, for tests and the status.
#[derive(Debug, Default)]
struct Counts {
    done: AtomicU64,
    running: AtomicU64,
    most: AtomicU64,
}

impl Hasher {
    /// With a permit for each core.
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self::with_permits(cores)
    }

    fn with_permits(permits: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(permits)),
            line: Arc::new(Semaphore::new(permits + LINE)),
            counts: Arc::default(),
        }
    }

    /// How many passwords were hashed or checked so far.
    pub(crate) fn done(&self) -> u64 {
        self.counts.done.load(Ordering::Relaxed)
    }

    /// What is to be kept of a new password.
    pub(crate) async fn hash(&self, password: Secret) -> Result<Kept, HashingError> {
        self.run(move || hash(&password)).await
    }

    /// Whether a password fits what is kept; with nothing kept the same work is done for nothing.
    pub(crate) async fn verify(
        &self,
        password: Secret,
        kept: Option<Kept>,
    ) -> Result<Verdict, HashingError> {
        let kept = match kept {
            Some(kept) => kept,
            None => Kept::nobody()?,
        };
        self.run(move || verify(&password, &kept)).await
    }

    /// Runs `work` on a thread of its own, once there is a permit. The permit is given back when the work is done, also when whoever
    /// asked has left.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, HashingError> + Send + 'static,
    ) -> Result<T, HashingError> {
        let place = match Arc::clone(&self.line).try_acquire_owned() {
            Ok(place) => place,
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => {
                return Err(HashingError::Busy);
            }
        };
        let permit = timeout(PATIENCE, Arc::clone(&self.permits).acquire_owned()).await;
        let permit = permit.map_err(|_| HashingError::Busy)?;
        let permit = permit.map_err(|_| HashingError::Busy)?;
        let counts = Arc::clone(&self.counts);
        let done = tokio::task::spawn_blocking(move || {
            let running = counts.running.fetch_add(1, Ordering::Relaxed) + 1;
            counts.most.fetch_max(running, Ordering::Relaxed);
            let result = work();
            counts.running.fetch_sub(1, Ordering::Relaxed);
            counts.done.fetch_add(1, Ordering::Relaxed);
            drop((permit, place));
            result
        });
        done.await
            .unwrap_or_else(|error| Err(HashingError::Failed(Arc::new(error))))
    }
}

fn present() -> Result<Argon2<'static>, HashingError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None);
    let params = params.map_err(|error| HashingError::Failed(Arc::new(error)))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &Secret) -> Result<Kept, HashingError> {
    let salt = random::<SALT_BYTES>()?;
    let hash: PasswordHash = present()?
        .hash_password_with_salt(password.expose().as_bytes(), &salt)
        .map_err(|error| HashingError::Failed(Arc::new(error)))?;
    Ok(Kept::stored(hash.to_string()))
}

fn verify(password: &Secret, kept: &Kept) -> Result<Verdict, HashingError> {
    let (fits, is_present) = if is_bcrypt(kept.expose()) {
        (fits_bcrypt(password, kept), false)
    } else {
        fits_argon2(password, kept)
    };
    if !fits {
        return Ok(Verdict::Wrong);
    }
    let replacement = if is_present {
        None
    } else {
        Some(hash(password)?)
    };
    Ok(Verdict::Right { replacement })
}

/// Whether the password fits, and whether the hash is as strong as a new one.
fn fits_argon2(password: &Secret, kept: &Kept) -> (bool, bool) {
    let Ok(hash) = PasswordHash::new(kept.expose()) else {
        tracing::error!("the hash of a password is in no known form");
        return (false, false);
    };
    let Ok(params) = Params::try_from(&hash) else {
        tracing::error!("the hash of a password has parameters that cannot be");
        return (false, false);
    };
    let (memory, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
    if memory > MAX_MEMORY_KIB || passes > MAX_PASSES || lanes > MAX_LANES {
        tracing::error!(
            memory,
            passes,
            lanes,
            "the hash of a password costs too much to be checked"
        );
        return (false, false);
    }
    let fits = Argon2::default().verify_password(password.expose().as_bytes(), &hash);
    let is_present =
        hash.algorithm.as_str() == "argon2id" && memory >= MEMORY_KIB && passes >= PASSES;
    (fits.is_ok(), is_present)
}

fn is_bcrypt(text: &str) -> bool {
    ["$2a$", "$2b$", "$2y$"]
        .iter()
        .any(|start| text.starts_with(start))
}

/// As where it comes from: bcrypt looks at 72 bytes, and at none after a NUL.
fn fits_bcrypt(password: &Secret, kept: &Kept) -> bool {
    let cost = kept
        .expose()
        .get(4..6)
        .and_then(|cost| cost.parse::<u32>().ok());
    if cost.is_none_or(|cost| cost > MAX_BCRYPT_COST) || password.expose().contains('\0') {
        return false;
    }
    bcrypt::verify(password.expose(), kept.expose()).unwrap_or(false)
}

fn random<const N: usize>() -> Result<[u8; N], HashingError> {
    let mut bytes = [0; N];
    let filled = SysRng.try_fill_bytes(&mut bytes);
    filled.map_err(|error| HashingError::Failed(Arc::new(error)))?;
    Ok(bytes)
}

/// Base64 without padding, as PHC strings use it.
fn base64(bytes: &[u8]) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let number = group
            .iter()
            .fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
        let number = number << (8 * (3 - group.len()));
        for index in 0..=group.len() {
            let sign = (number >> (18 - 6 * index)) & 63;
            text.push(char::from(SIGNS[sign as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;
    use tokio::time::Instant;

    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::from(text)
    }

    fn is_right(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::Right { .. })
    }

    #[tokio::test]
    async fn every_byte_of_a_password_counts() {
        let hasher = Hasher::new();
        let long = "x".repeat(1024);
        for password in ["pass word ", "P\u{e4}ss", "", long.as_str()] {
            let kept = hasher.hash(secret(password)).await.expect("hashed");
            let wanted = format!("$argon2id$v=19$m={MEMORY_KIB},t=1,p=1$");
            assert!(kept.expose().starts_with(&wanted), "{}", kept.expose());
            let right = hasher
                .verify(secret(password), Some(kept.clone()))
                .await
                .expect("checked");
            assert!(matches!(right, Verdict::Right { replacement: None }));
            for wrong in [
                format!("{password} "),
                password.to_uppercase() + "!",
                format!("{password}\0"),
            ] {
                let verdict = hasher
                    .verify(secret(&wrong), Some(kept.clone()))
                    .await
                    .expect("checked");
                assert!(!is_right(&verdict), "{wrong:?}");
            }
        }
        let (one, two) = (
            hasher.hash(secret("same")).await,
            hasher.hash(secret("same")).await,
        );
        assert_ne!(one.expect("hashed").expose(), two.expect("hashed").expose());
    }

    #[tokio::test]
    async fn nobody_costs_as_much_as_somebody_and_never_fits() {
        let hasher = Hasher::new();
        let nobody = Kept::nobody().expect("drawn");
        let parsed = PasswordHash::new(nobody.expose()).expect("a PHC string");
        let params = Params::try_from(&parsed).expect("sound");
        assert_eq!(
            (params.m_cost(), params.t_cost(), params.p_cost()),
            (MEMORY_KIB, PASSES, LANES)
        );
        let verdict = hasher
            .verify(secret("anything"), None)
            .await
            .expect("checked");
        assert!(!is_right(&verdict));
        assert_eq!(hasher.done(), 1);
    }

    #[tokio::test]
    async fn what_an_import_brought_is_accepted_and_replaced() {
        let hasher = Hasher::new();
        let bcrypt = bcrypt::hash_with_salt("open sesame", 5, [7; 16]).expect("hashed");
        let mut olds: Vec<String> = [
            bcrypt::Version::TwoA,
            bcrypt::Version::TwoB,
            bcrypt::Version::TwoY,
        ]
        .map(|version| bcrypt.format_for_version(version))
        .into();
        let weak = Argon2::new(
            Algorithm::Argon2id,
            Version::V0x13,
            Params::new(8192, 1, 1, None).expect("sound"),
        );
        let weak: PasswordHash = weak
            .hash_password_with_salt(b"open sesame", &[9; 16])
            .expect("hashed");
        olds.push(weak.to_string());
        for old in olds {
            let kept = Kept::stored(old.clone());
            let verdict = hasher
                .verify(secret("open sesame"), Some(kept.clone()))
                .await
                .expect("checked");
            let Verdict::Right {
                replacement: Some(new),
            } = verdict
            else {
                panic!("{old} is replaced");
            };
            let verdict = hasher
                .verify(secret("open sesame"), Some(new))
                .await
                .expect("checked");
            assert!(matches!(verdict, Verdict::Right { replacement: None }));
            for wrong in ["open sesam", "open sesame\0", ""] {
                let verdict = hasher
                    .verify(secret(wrong), Some(kept.clone()))
                    .await
                    .expect("checked");
                assert!(!is_right(&verdict), "{old} {wrong:?}");
            }
        }
    }

    #[tokio::test]
    async fn what_cannot_be_a_hash_fits_nothing_and_costs_nothing() {
        let hasher = Hasher::new();
        let salt = base64(&[1; 16]);
        let result = base64(&[2; 32]);
        for text in [
            String::new(),
            "plain".to_owned(),
            "$2b$31$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234".to_owned(),
            "$2b$".to_owned(),
            format!("$argon2id$v=19$m=4194304,t=1,p=1${salt}${result}"),
            format!("$argon2id$v=19$m=47104,t=4000000,p=1${salt}${result}"),
            format!("$argon2id$v=19$m=1,t=1,p=1${salt}${result}"),
        ] {
            let verdict = hasher
                .verify(secret("plain"), Some(Kept::stored(text.clone())))
                .await
                .expect("checked");
            assert!(!is_right(&verdict), "{text}");
        }
    }

    /// A hundred at once: never more than permits at work, and each answered or turned away in time.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_crowd_is_served_or_turned_away_in_time() {
        let hasher = Hasher::with_permits(2);
        let mut crowd = JoinSet::new();
        for _ in 0..100 {
            let hasher = hasher.clone();
            crowd.spawn(async move {
                let begun = Instant::now();
                let outcome = hasher.verify(secret("guess"), None).await;
                (begun.elapsed(), outcome)
            });
        }
        let (mut served, mut refused) = (0_u64, 0_u64);
        while let Some(one) = crowd.join_next().await {
            let (took, outcome) = one.expect("no panic");
            match outcome {
                Ok(_) => served += 1,
                Err(HashingError::Busy) => {
                    refused += 1;
                    // Turned away at once, or when its patience was over; a slow machine may wake it late.
                    assert!(took < PATIENCE + Duration::from_secs(1), "{took:?}");
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(served + refused, 100);
        assert!(served >= 2, "{served} served, {refused} refused");
        assert!(hasher.counts.most.load(Ordering::Relaxed) <= 2);
        assert_eq!(hasher.done(), served);
        assert_eq!(hasher.permits.available_permits(), 2);
        assert_eq!(hasher.line.available_permits(), 2 + LINE);
    }
}
