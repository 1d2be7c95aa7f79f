//! The floor of the edge: axum and one handler that answers the same document, and nothing else. No id, no token, no limit.

use anyhow::{Context, Result};
use axum::Router;
use axum::routing::get;
use axum::serve::ListenerExt;
use http::header::CONTENT_TYPE;
use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::net::TcpListener;

/// About as long as what the daemon answers.
const DOCUMENT: &str = r#"{"id":"0198c1b2-7d1e-7c3a-9f00-5b8e6a1d2c3f","email":"owner@bench.example","email_verified_at":null,"name":"Owner","role":"owner","tier":"standard","created_at":"2026-01-01T00:00:00.000Z"}"#;

/// Serves until the bench that started it ends; tells its address on stdout.
///
/// # Errors
///
/// When it cannot listen.
pub(crate) fn serve() -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let answer = async || ([(CONTENT_TYPE, "application/json")], DOCUMENT);
        let router = Router::new().route("/api/v1/me", get(answer));
        axum::serve(listener, router)
            .await
            .context("the peer ended")
    })
}
