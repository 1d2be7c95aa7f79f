//! Whether the file that is open is still the file that has the database's name.
//!
//! SQLite goes on in a file that was moved or deleted, and every commit succeeds, into a file that nobody will find again.
//! The writer therefore compares the two before it answers: a look at the file's number, some microseconds a batch.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::error::StoreError;
use crate::location::Location;

/// The file of an opened database; nothing for a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place(Option<(PathBuf, (u64, u64))>);

impl Place {
    /// The file as it is now, just after it was opened.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`] when it is gone already.
    pub(crate) fn of(location: &Location) -> Result<Self, StoreError> {
        let Some(file) = location.file() else {
            return Ok(Self(None));
        };
        match identity(file) {
            Ok(identity) => Ok(Self(Some((file.to_owned(), identity)))),
            Err(error) => {
                let (place, hint) = (location.to_string(), format!("the file is gone ({error})"));
                Err(StoreError::Unreachable {
                    place,
                    hint,
                    source: Some(error.into()),
                })
            }
        }
    }

    /// Whether the name still leads to that file.
    pub(crate) fn is_in_place(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|(file, then)| identity(file).is_ok_and(|now| now == *then))
    }
}

/// Device and number of the file.
fn identity(file: &Path) -> std::io::Result<(u64, u64)> {
    std::fs::metadata(file).map(|found| (found.dev(), found.ino()))
}
