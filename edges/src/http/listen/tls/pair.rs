//! A certificate and its key: read, checked, and ready to be shown to clients.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

/// Bytes of either file at most; a chain of certificates is far shorter.
const LONGEST: u64 = 256 * 1024;

/// Why a certificate and a key cannot be used. Tells no content of either.
#[derive(Debug, thiserror::Error)]
pub enum PairFault {
    /// The system does not give it.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Whether it is the key's.
        is_key: bool,
        /// What the system says.
        source: io::Error,
    },
    /// Others could read the key.
    #[error("{} can be read by others (mode {mode:o}): `chmod 600` it, or let root own it and a group read it (640)", path.display())]
    LooseKey {
        /// The key's file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// There is no certificate in the file.
    #[error("{} holds no certificate in PEM", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// There is no key in the file.
    #[error("{} holds no private key in PEM without a password", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The certificate is for another key, or one of them is of no known sort.
    #[error("the certificate and the key cannot be used together: {source}")]
    Mismatch {
        /// What the TLS library says.
        source: rustls::Error,
    },
}

impl PairFault {
    /// Whether the key's file is the one to look at.
    pub fn is_about_the_key(&self) -> bool {
        match self {
            Self::Unreadable { is_key, .. } => *is_key,
            Self::LooseKey { .. } | Self::NoKey { .. } => true,
            Self::NoCertificate { .. } | Self::Mismatch { .. } => false,
        }
    }
}

/// A certificate with its chain, and the key that belongs to it.
#[derive(Debug, Clone)]
pub struct Pair(pub(super) Arc<CertifiedKey>);

impl Pair {
    /// Reads both files.
    ///
    /// # Errors
    /// When either cannot be read, is not what it should be, or they do not belong together.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, PairFault> {
        let chain = chain(certificate)?;
        let key = private_key(key)?;
        let provider = rustls::crypto::ring::default_provider();
        CertifiedKey::from_der(chain, key, &provider)
            .map(|pair| Self(Arc::new(pair)))
            .map_err(|source| PairFault::Mismatch { source })
    }
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, PairFault> {
    let bytes = read(path).map_err(|source| unreadable(path, false, source))?;
    let none = || PairFault::NoCertificate { path: path.into() };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    chain
        .ok()
        .filter(|chain| !chain.is_empty())
        .ok_or_else(none)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, PairFault> {
    let failed = |source| unreadable(path, true, source);
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if is_loose(metadata.mode(), metadata.uid()) {
        let mode = metadata.mode() & 0o777;
        return Err(PairFault::LooseKey {
            path: path.into(),
            mode,
        });
    }
    let bytes = Zeroizing::new(read(path).map_err(failed)?);
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| PairFault::NoKey { path: path.into() })
}

/// Whether somebody else could read or change a key. What root owns may be read by a group: that is how a machine hands one key
/// to several services.
fn is_loose(mode: u32, owner: u32) -> bool {
    let forbidden = if owner == 0 { 0o037 } else { 0o077 };
    mode & forbidden != 0
}

fn unreadable(path: &Path, is_key: bool, source: io::Error) -> PairFault {
    PairFault::Unreadable {
        path: path.into(),
        is_key,
        source,
    }
}

/// The content of a regular file of a sane length.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Asked before opening, since opening a pipe waits for somebody to write to it.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    let read = File::open(path)?
        .take(LONGEST + 1)
        .read_to_end(&mut bytes)?;
    if read as u64 > LONGEST {
        return Err(io::Error::other("it is too long"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_for_its_owner_alone() {
        for (mode, owner, loose) in [
            (0o100_600, 1000, false),
            (0o100_400, 1000, false),
            (0o100_640, 1000, true),
            (0o100_640, 0, false),
            (0o100_660, 0, true),
            (0o100_644, 0, true),
            (0o100_644, 1000, true),
        ] {
            assert_eq!(is_loose(mode, owner), loose, "{mode:o} of {owner}");
        }
    }
}
