//! The master key that stored secrets are sealed with: from the configuration, else from a file in the data directory that the
//! first start makes.
//!
//! The key is never in the database it protects, so a stolen backup of the database alone opens nothing. A key that cannot be had
//! stops nothing that needs none: the daemon starts without it and tells why, in the log and in the status.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ground::sealed::{KeyError, MasterKey, SealError};
use ground::{Sealer, Secret};

use crate::config::SecretsConfig;

/// The file's name in the data directory.
pub(crate) const FILE: &str = "master.key";
/// A file that is longer than this is no key.
const LONGEST: u64 = 1024;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MasterKeyError {
    /// The system refused.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Others may read the file.
    #[error("{} can be read by others; close it with chmod 600, and think of changing the key", path.display())]
    Open { path: PathBuf },
    /// What is in the file is no key.
    #[error("{} holds no key: {KeyError}; bring the right file back, from a copy", path.display())]
    Malformed { path: PathBuf },
    /// No key could be made.
    #[error(transparent)]
    NoRandomness(#[from] SealError),
}

/// What seals and opens secrets. Where there is no key it says so when it is used.
pub(crate) fn sealer(config: &SecretsConfig, data_dir: &Path) -> Sealer {
    // What cannot be a key was refused with the configuration.
    let read = |secret: &Secret| MasterKey::parse(secret.expose()).ok();
    let older = config.older_keys.iter().filter_map(read).collect();
    let present = match read(&config.master_key) {
        Some(key) => Ok(key),
        None => from_file(&data_dir.join(FILE)),
    };
    match present {
        Ok(key) => {
            tracing::debug!(id = %key.id(), "master key");
            Sealer::new(key, older)
        }
        Err(error) => {
            tracing::error!(%error, "there is no master key: what needs it is refused");
            Sealer::without_key(error.to_string(), older)
        }
    }
}

/// The key in the file, which is made when it is not there. The caller holds the data directory.
fn from_file(path: &Path) -> Result<MasterKey, MasterKeyError> {
    match read(path) {
        Err(MasterKeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            make(path)
        }
        other => other,
    }
}

fn read(path: &Path) -> Result<MasterKey, MasterKeyError> {
    let failed = |source| io_error("read", path, source);
    // Looked at before opening, since opening a pipe would wait for its writer.
    let is_file = fs::metadata(path).map_err(failed)?.is_file();
    let malformed = || MasterKeyError::Malformed {
        path: path.to_path_buf(),
    };
    if !is_file {
        return Err(malformed());
    }
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.mode() & 0o077 != 0 {
        let path = path.to_path_buf();
        return Err(MasterKeyError::Open { path });
    }
    let mut text = String::new();
    match file.take(LONGEST).read_to_string(&mut text) {
        Ok(_) => {}
        Err(source) if source.kind() == io::ErrorKind::InvalidData => return Err(malformed()),
        Err(source) => return Err(failed(source)),
    }
    let text = Secret::from(text);
    MasterKey::parse(text.expose()).map_err(|KeyError| malformed())
}

/// Makes the file: whole and on disk under another name first, then under its own, which it never takes from another file. A start
/// that is cut short leaves no half key behind.
fn make(path: &Path) -> Result<MasterKey, MasterKeyError> {
    let key = MasterKey::generate()?;
    let fresh = path.with_extension("key.new");
    if let Err(source) = fs::remove_file(&fresh)
        && source.kind() != io::ErrorKind::NotFound
    {
        return Err(io_error("remove", &fresh, source));
    }
    let written = write(&fresh, &key)
        .and_then(|()| fs::hard_link(&fresh, path))
        .and_then(|()| match path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        });
    // Whether or not it succeeded, no second copy stays.
    drop(fs::remove_file(&fresh));
    written.map_err(|source| io_error("write", path, source))?;
    tracing::info!(path = %path.display(), id = %key.id(), "made a master key; keep a copy of it apart from the database's backups");
    Ok(key)
}

fn write(fresh: &Path, key: &MasterKey) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(fresh)?;
    file.write_all(key.to_text().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

fn io_error(what: &'static str, path: &Path, source: io::Error) -> MasterKeyError {
    let path = path.to_path_buf();
    MasterKeyError::Io { what, path, source }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn id(sealer: &Sealer) -> String {
        match sealer.key_id() {
            Ok(id) => id.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_first_start_makes_it_and_the_next_finds_it() {
        let place = tempfile::tempdir().unwrap();
        // Left by a start that was cut short.
        fs::write(place.path().join("master.key.new"), "half").unwrap();
        let config = SecretsConfig::default();
        let first = id(&sealer(&config, place.path()));
        let file = place.path().join(FILE);
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(id(&sealer(&config, place.path())), first);
        let names: Vec<_> = fs::read_dir(place.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "{names:?}");
        let other = tempfile::tempdir().unwrap();
        assert_ne!(id(&sealer(&config, other.path())), first);
    }

    #[test]
    fn the_configuration_comes_first_and_older_keys_still_open() {
        let place = tempfile::tempdir().unwrap();
        let keys = [1_u8, 2].map(|number| format!("{number:02x}").repeat(32));
        let config = SecretsConfig {
            master_key: keys[0].as_str().into(),
            older_keys: vec![keys[1].as_str().into()],
        };
        let sealer = sealer(&config, place.path());
        let ids = keys.map(|key| MasterKey::parse(&key).unwrap().id());
        assert_eq!(id(&sealer), ids[0].to_string());
        assert!(ids.iter().all(|id| sealer.knows(*id)));
        assert!(!place.path().join(FILE).try_exists().unwrap());
    }

    #[test]
    fn what_is_wrong_with_the_file_is_told_and_the_file_stays() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join(FILE);
        let config = SecretsConfig::default();
        for (bytes, mode, word) in [
            (&b"not a key"[..], 0o600, "holds no key"),
            (b"", 0o600, "holds no key"),
            (&[0xFF; 2000], 0o600, "holds no key"),
            (b"not a key", 0o640, "chmod 600"),
        ] {
            fs::write(&file, bytes).unwrap();
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            let told = id(&sealer(&config, place.path()));
            assert!(told.contains(word), "{told}");
            assert_eq!(
                fs::read(&file).unwrap(),
                bytes,
                "nothing is put in its place"
            );
        }
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert!(id(&sealer(&config, place.path())).contains("holds no key"));
        let nowhere = id(&sealer(&config, &place.path().join("missing")));
        assert!(nowhere.contains("cannot write"), "{nowhere}");
    }
}
