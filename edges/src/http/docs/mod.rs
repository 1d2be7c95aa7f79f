//! The API described: the OpenAPI document, the page for people, and the landing page. All without a script and without
//! any other host, so they read the same on a machine that is cut off.
//!
//! Layout: `document` completes what utoipa collected from the handlers, `page` and `schema` write it as HTML, `html`
//! escapes.

mod document;
mod html;
mod page;
mod schema;

use std::sync::OnceLock;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use serde_json::Value;

use super::routes::RouteId;
use super::state::AppState;

/// The OpenAPI document and what is made of it.
#[derive(Debug)]
pub struct Documents {
    /// The document, as it is sent.
    json: Bytes,
    page: OnceLock<Bytes>,
    media_types: Vec<Vec<String>>,
}

impl Documents {
    /// Completes what was collected from the handlers.
    pub fn new(collected: utoipa::openapi::OpenApi) -> Self {
        // A document made of strings, numbers and lists always serialises.
        let collected = serde_json::to_value(collected).unwrap_or_default();
        let (complete, media_types) = document::complete(collected);
        let mut json = serde_json::to_string_pretty(&complete).unwrap_or_default();
        json.push('\n');
        Self {
            json: json.into(),
            page: OnceLock::new(),
            media_types,
        }
    }

    /// The OpenAPI document as text.
    pub fn json(&self) -> Bytes {
        self.json.clone()
    }

    /// The docs page, written when it is first asked for.
    pub fn page(&self) -> Bytes {
        let write =
            || page::write(&serde_json::from_slice::<Value>(&self.json).unwrap_or_default()).into();
        self.page.get_or_init(write).clone()
    }

    /// The media types that a route answers with when it succeeds; empty when it answers without a body.
    pub fn media_types(&self, route: RouteId) -> &[String] {
        self.media_types.get(route.0).map_or(&[], Vec::as_slice)
    }
}

/// The OpenAPI document
///
/// Made from the handlers of the running version.
#[utoipa::path(get, path = "/api/openapi.json", tag = "about",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json", body = serde_json::Value)))]
pub(crate) async fn openapi(State(edge): State<AppState>) -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        edge.documents.json(),
    )
        .into_response()
}

/// The docs page
///
/// Every route, every field, every error code; works without a network.
#[utoipa::path(get, path = "/api/docs", tag = "about",
    responses((status = 200, description = "The page", content_type = "text/html", body = String)))]
pub(crate) async fn docs(State(edge): State<AppState>) -> Response {
    html::page(edge.documents.page())
}

/// The landing page
#[utoipa::path(get, path = "/", tag = "about",
    responses((status = 200, description = "What this is, with links", content_type = "text/html", body = String)))]
pub(crate) async fn landing(State(edge): State<AppState>) -> Response {
    html::page(page::landing(&edge.about).into())
}

/// What a page of ours may load: the one style that stands in it, nothing else.
pub(crate) const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'sha256-wX2/hNofjY4/PFEYXWIe5rQCSvmhRGviklY0c+f6zZc='; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
