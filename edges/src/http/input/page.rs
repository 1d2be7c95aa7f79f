//! The parameters that every list takes.

use ground::PageRequest;
use ground::paging::PageError;
use serde::Deserialize;
use supervisor::Finding;
use utoipa::IntoParams;

use crate::http::problem::Problem;

/// Which page of a list.
#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct PageQuery {
    /// Items on the page; 50 when left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// Where to go on: `next_cursor` of the page before.
    #[param(max_length = 100)]
    cursor: Option<String>,
}

impl PageQuery {
    /// The same parameters, read as a part of others.
    pub(crate) fn new(limit: Option<u32>, cursor: Option<String>) -> Self {
        Self { limit, cursor }
    }

    /// The page asked for.
    ///
    /// # Errors
    /// 422 for a cursor that no list returned.
    pub(crate) fn page(&self) -> Result<PageRequest, Problem> {
        PageRequest::new(self.limit, self.cursor.as_deref()).map_err(|error| {
            let (pointer, code) = match error {
                PageError::Limit { .. } => ("/limit", "too_large"),
                PageError::Cursor => ("/cursor", "bad_format"),
            };
            Problem::invalid(vec![Finding::new(pointer, code, error.to_string())])
        })
    }
}
