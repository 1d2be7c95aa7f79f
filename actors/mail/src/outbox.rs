//! The folder for mails where no server is configured: one file a mail, for an operator to hand over.
//!
//! A file is complete or not there (written aside, then renamed), and only this user may read it: it may hold a secret link. How
//! many there are is bounded; the oldest go, which their names, made of ids, tell.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ground::Id;

use crate::fault::SendError;

/// The folder.
#[derive(Debug, Clone)]
pub(crate) struct Outbox {
    folder: PathBuf,
    keep: usize,
}

impl Outbox {
    /// The outbox in a data directory, for `keep` mails.
    pub(crate) fn new(data_dir: &Path, keep: u32) -> Self {
        Self {
            folder: data_dir.join("outbox"),
            keep: usize::try_from(keep).unwrap_or(usize::MAX),
        }
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Puts a mail in; one that is there already is the same one. Works on a thread for waiting.
    ///
    /// # Errors
    /// [`SendError::Outbox`].
    pub(crate) async fn put(&self, id: Id, bytes: Vec<u8>) -> Result<(), SendError> {
        let outbox = self.clone();
        let put = tokio::task::spawn_blocking(move || outbox.write(id, &bytes)).await;
        let failed = |detail: String| SendError::Outbox { detail };
        match put {
            Ok(written) => written.map_err(|error| failed(error.to_string())),
            Err(_) => Err(failed("the thread that wrote it has ended".to_owned())),
        }
    }

    /// How many of these mails are still there: whoever hands one over takes it out.
    pub(crate) async fn count(&self, ids: Vec<Id>) -> usize {
        let outbox = self.clone();
        let there = move |id: &Id| outbox.file(*id).try_exists().unwrap_or(true);
        let counted =
            tokio::task::spawn_blocking(move || ids.iter().filter(|id| there(id)).count());
        counted.await.unwrap_or(0)
    }

    /// Takes these mails out, as far as they are there. Works on a thread for waiting.
    ///
    /// # Errors
    /// The first file that cannot be removed; the others are all the same.
    pub(crate) async fn remove(&self, ids: Vec<Id>) -> io::Result<()> {
        let outbox = self.clone();
        let removed = tokio::task::spawn_blocking(move || {
            let removed = ids.iter().map(|id| outbox.take_out(*id));
            removed.fold(Ok(()), Result::and)
        });
        removed.await.map_err(io::Error::other)?
    }

    fn take_out(&self, id: Id) -> io::Result<()> {
        let files = [self.file(id), self.aside(id)];
        let removed = files.iter().map(|file| match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        });
        removed.fold(Ok(()), Result::and)
    }

    fn aside(&self, id: Id) -> PathBuf {
        self.folder.join(format!(".{id}.part"))
    }

    fn file(&self, id: Id) -> PathBuf {
        self.folder.join(format!("{id}.eml"))
    }

    fn write(&self, id: Id, bytes: &[u8]) -> io::Result<()> {
        DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(&self.folder)?;
        // It may have been made by somebody else, or with another mode.
        fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o700))?;
        let aside = self.aside(id);
        match fs::remove_file(&aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&aside, self.file(id))?;
        File::open(&self.folder)?.sync_all()?;
        self.make_room()
    }

    /// Removes the oldest mails beyond those that may be kept.
    fn make_room(&self) -> io::Result<()> {
        let mut names: Vec<_> = fs::read_dir(&self.folder)?
            .filter_map(Result::ok)
            .map(|entry| entry.file_name())
            .filter(|name| {
                Path::new(name)
                    .extension()
                    .is_some_and(|extension| extension == "eml")
            })
            .collect();
        let surplus = names.len().saturating_sub(self.keep);
        if surplus == 0 {
            return Ok(());
        }
        names.sort();
        for name in names.iter().take(surplus) {
            fs::remove_file(self.folder.join(name))?;
        }
        tracing::warn!(
            removed = surplus,
            kept = self.keep,
            "the outbox was full; its oldest mails are gone"
        );
        Ok(())
    }
}
