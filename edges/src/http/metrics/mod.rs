//! `/metrics`: what is counted, in Prometheus' text form. Everything is read when somebody asks; nothing runs between.
//!
//! Layout: `meters` requests, `nodes` the tree, `process` what the kernel knows of this process, `text` one metric.

mod meters;
mod nodes;
mod process;
mod text;

use std::sync::atomic::Ordering::Relaxed;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;

pub(crate) use meters::Meters;

use super::problem::Problem;
use super::state::{AppState, Edge};
use text::{Kind, Metric};

/// Everything that is counted
///
/// Prometheus' text form. Names begin with `mainstay_`, or with `process_` for what every process has.
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses((status = 200, description = "Prometheus text", content_type = "text/plain", body = String)))]
pub(crate) async fn metrics(State(edge): State<AppState>) -> Result<Response, Problem> {
    let process = process::read(edge.started_at).await;
    let mut out = String::with_capacity(16 * 1024);
    write(&edge, &process, &mut out)
        .map_err(|_| Problem::internal("metrics could not be written"))?;
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], out).into_response())
}

/// Prometheus' text form, with its version.
const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

fn write(edge: &Edge, process: &process::Process, out: &mut String) -> std::fmt::Result {
    edge.meters.write(out)?;
    write_listening(edge, out)?;
    nodes::write(&edge.handles.system, out)?;
    process.write(out)?;
    let about = &edge.about;
    let labels = format!(
        "version=\"{}\",commit=\"{}\"",
        text::escaped(about.version),
        text::escaped(about.commit.unwrap_or("unknown"))
    );
    Metric::new("mainstay_build_info", Kind::Gauge, "What runs here.").labelled(&labels, 1, out)?;
    let uptime = edge.started.elapsed().as_secs_f64();
    Metric::new(
        "mainstay_uptime_seconds",
        Kind::Gauge,
        "Time since the daemon started.",
    )
    .value(uptime, out)
}

fn write_listening(edge: &Edge, out: &mut String) -> std::fmt::Result {
    let gauges = &edge.listening;
    let mut connections = Metric::new(
        "mainstay_http_connections",
        Kind::Gauge,
        "Open connections, WebSockets included.",
    );
    connections.labelled("transport=\"tcp\"", gauges.tcp.load(Relaxed), out)?;
    connections.labelled("transport=\"unix\"", gauges.local.load(Relaxed), out)?;
    let refused = gauges.refused.load(Relaxed);
    let help = "Connections refused because the limit was reached.";
    Metric::new(
        "mainstay_http_connections_refused_total",
        Kind::Counter,
        help,
    )
    .value(refused, out)?;
    let streams = edge
        .limits
        .max_streams
        .saturating_sub(edge.stream_places.available_permits());
    Metric::new(
        "mainstay_http_streams",
        Kind::Gauge,
        "Open WebSockets and event streams.",
    )
    .value(streams, out)
}
