//! How a client gets the tokens of its session.

use accounts::TokenPair;
use axum::Json as Answer;
use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::problem::Problem;
use crate::http::state::AppState;

/// How a client gets its tokens. An extractor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delivery;

/// The tokens of a session.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tokens)]
pub(crate) struct TokensBody {
    /// What requests are sent with, as `Authorization: Bearer …`.
    access_token: String,
    /// What the next pair is got with, once.
    refresh_token: String,
    /// `Bearer`.
    token_type: &'static str,
    /// How many seconds the access token is valid.
    #[schema(minimum = 0)]
    expires_in: u64,
}

impl FromRequestParts<AppState> for Delivery {
    type Rejection = Problem;

    async fn from_request_parts(_parts: &mut Parts, _edge: &AppState) -> Result<Self, Problem> {
        Ok(Self)
    }
}

impl Delivery {
    /// The answer that hands the tokens out. No cache keeps it.
    pub(crate) fn of(self, pair: &TokenPair) -> (HeaderMap, Answer<TokensBody>) {
        let mut headers = HeaderMap::new();
        let no_store = http::HeaderValue::from_static("no-store");
        headers.insert(header::CACHE_CONTROL, no_store);
        let body = TokensBody {
            access_token: pair.access_token.expose().to_owned(),
            refresh_token: pair.refresh_token.expose().to_owned(),
            token_type: "Bearer",
            expires_in: pair.expires_in.as_secs(),
        };
        (headers, Answer(body))
    }
}
