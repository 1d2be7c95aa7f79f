//! Ids in paths.

use axum::extract::{FromRequestParts, Path};
use ground::Id;
use http::request::Parts;

use crate::http::codes;
use crate::http::problem::Problem;

/// The one id of a path. A text that is no UUID names nothing: 404, like an id that nothing has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PathId(pub Id);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let refused = || Problem::new(&codes::BAD_ID, "the id in the path is not a UUID");
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| refused())?;
        text.parse().map(Self).map_err(|_| refused())
    }
}
