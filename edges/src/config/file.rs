//! Reads a configuration file within bounds and knows the line and column of each of its bytes.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use ground::config::Origin;

/// The longest file that is read. A configuration of ten thousand keys is shorter.
pub(super) const LONGEST: u64 = 1024 * 1024;

/// Why a file gives no text.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileFault {
    /// It is a directory, a pipe or a device.
    #[error("not a regular file")]
    Irregular,
    /// It is longer than [`LONGEST`].
    #[error("longer than 1 MiB: this is not a configuration file")]
    TooLarge,
    /// The system refuses.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Reads at most [`LONGEST`] bytes of a regular file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, FileFault> {
    // Asked before opening, since opening a pipe waits for somebody to write to it.
    if !std::fs::metadata(path)?.is_file() {
        return Err(FileFault::Irregular);
    }
    let mut bytes = Vec::new();
    File::open(path)?
        .take(LONGEST + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Err(FileFault::TooLarge);
    }
    Ok(bytes)
}

/// The text of a file with its places.
pub(super) struct Source {
    /// The text; a byte sequence that is not UTF-8 stands as one U+FFFD.
    pub(super) text: String,
    /// Where such sequences were.
    pub(super) broken_bytes: Vec<usize>,
    name: Arc<str>,
    line_starts: Vec<usize>,
    /// Characters before each block of [`BLOCK`] bytes, so that a column in a line of a megabyte is found at once.
    characters_before: Vec<usize>,
}

const BLOCK: usize = 512;

impl Source {
    /// Indexes the content of the file called `name`.
    pub(super) fn new(name: &str, bytes: &[u8]) -> Self {
        let mut text = String::with_capacity(bytes.len());
        let mut broken_bytes = Vec::new();
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            if !chunk.invalid().is_empty() {
                broken_bytes.push(text.len());
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        let mut characters_before = Vec::with_capacity(text.len() / BLOCK + 1);
        let mut characters = 0;
        for block in text.as_bytes().chunks(BLOCK) {
            characters_before.push(characters);
            characters += count_characters(block);
        }
        Self {
            text,
            broken_bytes,
            name: name.into(),
            line_starts,
            characters_before,
        }
    }

    /// Line and column of a byte offset, both from 1; the column counts characters.
    pub(super) fn place(&self, offset: usize) -> (usize, usize) {
        let offset = offset.min(self.text.len());
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self
            .line_starts
            .get(line.saturating_sub(1))
            .copied()
            .unwrap_or(0);
        let has_mark = line == 1 && self.text.starts_with('\u{feff}');
        let column = self.characters(offset) - self.characters(start) + 1
            - usize::from(has_mark && offset > 0);
        (line, column)
    }

    /// The place of a byte offset as the origin of a value.
    pub(super) fn origin(&self, offset: usize) -> Origin {
        let (line, column) = self.place(offset);
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Origin::File {
            file: Arc::clone(&self.name),
            line: narrow(line),
            column: narrow(column),
        }
    }

    /// How many characters begin before a byte offset.
    fn characters(&self, offset: usize) -> usize {
        let block = (offset / BLOCK).min(self.characters_before.len().saturating_sub(1));
        let before = self.characters_before.get(block).copied().unwrap_or(0);
        before
            + self
                .text
                .as_bytes()
                .get(block * BLOCK..offset)
                .map_or(0, count_characters)
    }
}

/// Counts the bytes that begin a character.
fn count_characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
}
