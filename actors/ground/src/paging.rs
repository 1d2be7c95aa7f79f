//! Lists in pages: `?limit=&cursor=` in, `{items, next_cursor}` out, the same in every domain.
//!
//! Pages continue *after an id* rather than at an offset: an offset skips or repeats rows when somebody inserts or
//! deletes between two pages, and costs the database the whole way there. The cursor is opaque and carries a check, so
//! that a client that makes one up is told so instead of getting a strange page.

use serde::{Deserialize, Serialize};

use crate::ids::Id;

/// Items on a page when the client does not say.
pub const DEFAULT_LIMIT: u32 = 50;
/// The most items on a page.
pub const MAX_LIMIT: u32 = 200;

/// Which page is wanted: at most `limit` items, those after `after` in ascending order of id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    limit: u32,
    after: Option<Id>,
}

/// What is wrong with a wanted page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// The limit is outside 1..=200.
    #[error("limit must be between 1 and {MAX_LIMIT}, not {found}")]
    Limit {
        /// What was asked for.
        found: u32,
    },
    /// The cursor was not made by this service.
    #[error("cursor is not one that a list has returned; leave it out to start at the beginning")]
    Cursor,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The items, in ascending order of id.
    pub items: Vec<T>,
    /// What to send as `cursor` for the next page; none when this was the last.
    pub next_cursor: Option<String>,
}

impl PageRequest {
    /// Checks what a client sent; what it left out takes its default.
    ///
    /// # Errors
    /// [`PageError::Limit`] outside 1..=200, [`PageError::Cursor`] for a cursor that no list returned.
    pub fn new(limit: Option<u32>, cursor: Option<&str>) -> Result<Self, PageError> {
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(PageError::Limit { found: limit });
        }
        let after = cursor.map(decode).transpose()?;
        Ok(Self { limit, after })
    }

    /// How many items the page may hold, 1..=200.
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// How many rows to ask the database for: one more than the page holds, which tells whether there is a next one.
    pub const fn rows(&self) -> i64 {
        self.limit as i64 + 1
    }

    /// The id after which the page begins; none for the first page.
    pub const fn after(&self) -> Option<Id> {
        self.after
    }

    /// Makes the page of the rows that [`PageRequest::rows`] asked for.
    pub fn page<T>(&self, mut rows: Vec<T>, id: impl Fn(&T) -> Id) -> Page<T> {
        let limit = self.limit as usize;
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows
            .last()
            .filter(|_| has_more)
            .map(|last| encode(id(last)));
        Page {
            items: rows,
            next_cursor,
        }
    }
}

impl Default for PageRequest {
    fn default() -> Self {
        Self {
            limit: DEFAULT_LIMIT,
            after: None,
        }
    }
}

impl<T> Page<T> {
    /// The same page of other items, for a layer that shows them differently.
    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(convert).collect(),
            next_cursor: self.next_cursor,
        }
    }
}

/// The id's bytes and a check of two bytes, in hexadecimal.
fn encode(id: Id) -> String {
    let sum = check(id.as_bytes());
    let digits = id
        .as_bytes()
        .iter()
        .chain(&sum)
        .flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}

fn decode(cursor: &str) -> Result<Id, PageError> {
    let bytes: Vec<u8> = cursor
        .as_bytes()
        .chunks(2)
        .map(|pair| {
            std::str::from_utf8(pair)
                .ok()
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
        })
        .collect::<Option<_>>()
        .ok_or(PageError::Cursor)?;
    let (id, sum) = bytes.split_first_chunk::<16>().ok_or(PageError::Cursor)?;
    if cursor.len() == 36 && *sum == check(id) {
        Ok(Id::from_bytes(*id))
    } else {
        Err(PageError::Cursor)
    }
}

/// Fletcher's checksum: enough against a cursor that was cut or typed, which is all it is for.
fn check(bytes: &[u8; 16]) -> [u8; 2] {
    let (mut a, mut b) = (7u16, 1u16);
    for byte in bytes {
        a = (a + u16::from(*byte)) % 255;
        b = (b + a) % 255;
    }
    // Both are below 255.
    [a.to_le_bytes()[0], b.to_le_bytes()[0]]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn limits_are_checked() {
        assert_eq!(PageRequest::new(None, None), Ok(PageRequest::default()));
        for found in [0, 201, u32::MAX] {
            assert_eq!(
                PageRequest::new(Some(found), None),
                Err(PageError::Limit { found })
            );
        }
        assert_eq!(
            PageRequest::new(Some(200), None).map(|page| page.rows()),
            Ok(201)
        );
    }

    /// A list as a database would answer it.
    fn rows_after(all: &[Id], request: &PageRequest) -> Vec<Id> {
        let rows = all
            .iter()
            .copied()
            .filter(|id| request.after().is_none_or(|after| *id > after));
        rows.take(usize::try_from(request.rows()).expect("small"))
            .collect()
    }

    proptest! {
        #[test]
        fn pages_give_every_row_once(count in 0usize..70, limit in 1u32..30) {
            let all: Vec<Id> = (0..count).map(|_| Id::generate()).collect();
            let (mut seen, mut cursor) = (Vec::new(), None::<String>);
            loop {
                let request = PageRequest::new(Some(limit), cursor.as_deref()).expect("own cursor");
                let page = request.page(rows_after(&all, &request), |id| *id);
                prop_assert!(page.items.len() <= limit as usize);
                seen.extend(page.items);
                match page.next_cursor {
                    Some(next) => cursor = Some(next),
                    None => break,
                }
            }
            prop_assert_eq!(seen, all);
        }

        #[test]
        fn made_up_cursors_are_refused(text in "[0-9a-f+ ]{0,40}|.{0,40}") {
            // A random text passes the check once in 65,000; then it must at least be one that could have been returned.
            if let Ok(request) = PageRequest::new(None, Some(&text)) {
                prop_assert_eq!(request.after().map(encode), Some(text.to_lowercase()));
            }
        }

        #[test]
        fn a_changed_cursor_is_refused(bytes: [u8; 16], at in 0usize..36) {
            let mut cursor = encode(Id::from_bytes(bytes)).into_bytes();
            cursor[at] = if cursor[at] == b'0' { b'1' } else { b'0' };
            let cursor = String::from_utf8(cursor).expect("hexadecimal");
            // 0x00 and 0xff are the same to the checksum: a change between them alone may pass.
            let changed = PageRequest::new(None, Some(&cursor));
            prop_assert!(changed == Err(PageError::Cursor) || cursor.contains("00") || cursor.contains("ff"));
        }
    }
}
