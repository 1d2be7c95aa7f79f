//! The status tree, and the stream that tells each change as it happens.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, stream};
use http::{HeaderMap, HeaderName};
use serde::Deserialize;
use supervisor::{Detail, NodeStatus, StatusEvent, Subscription};
use utoipa::IntoParams;

use super::caller::Caller;
use super::codes;
use super::input::Query;
use super::listen::Tls;
use super::problem::Problem;
use super::schema::{EventSchema, NodeSchema};
use super::sight::Sight;
use super::state::AppState;
use super::streams::StreamPlace;

/// How often a silent stream sends a comment, so that both ends notice when the other is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// How deep to look.
#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct Depth {
    /// Levels below the node; everything when left out.
    #[param(minimum = 0, maximum = 64)]
    depth: Option<usize>,
}

/// The whole tree
///
/// Who may not act on it does not see the nodes of single things of somebody's, such as terminals.
#[utoipa::path(get, path = "/api/v1/status", tag = "status", params(Depth), responses((status = 200, body = NodeSchema)))]
pub(crate) async fn tree(
    State(edge): State<AppState>,
    caller: Caller,
    Query(asked): Query<Depth>,
) -> Result<Json<NodeStatus>, Problem> {
    let root = edge.handles.system.status(None, asked.depth);
    let root = root.map(|root| with_certificate(root, &edge));
    found(root, Sight::of(&caller))
}

/// Tells at the root why a newer certificate is not in force: the listener is no part of the tree.
fn with_certificate(mut root: NodeStatus, edge: &AppState) -> NodeStatus {
    if let Some(refused) = edge.tls.as_ref().and_then(Tls::refused) {
        let text = format!("not renewed since {}: {}", refused.since, refused.reason);
        root.detail
            .insert("tls_certificate".to_owned(), Detail::Text(text));
    }
    root
}

/// One node and what is below it
#[utoipa::path(get, path = "/api/v1/status/{*path}", tag = "status",
    params(("path" = String, Path, description = "The node's path without the leading slash, like `ptys/manager`"), Depth),
    responses((status = 200, body = NodeSchema), (status = 404, description = "`status.unknown_node`")))]
pub(crate) async fn node(
    State(edge): State<AppState>,
    caller: Caller,
    Path(path): Path<String>,
    Query(asked): Query<Depth>,
) -> Result<Json<NodeStatus>, Problem> {
    let (system, path) = (&edge.handles.system, absolute(&path));
    found(system.status(Some(&path), asked.depth), Sight::of(&caller))
}

fn found(node: Option<NodeStatus>, sight: Sight) -> Result<Json<NodeStatus>, Problem> {
    let seen = node.and_then(|node| sight.node(node));
    seen.map(Json).ok_or_else(unknown_node)
}

/// The 404 for a path that the tree does not have.
pub(crate) fn unknown_node() -> Problem {
    Problem::new(
        &codes::UNKNOWN_NODE,
        "the tree has no node at this path; GET /api/v1/status shows the tree",
    )
}

/// A path as the tree writes it: `ptys/manager/` is `/ptys/manager`.
pub(crate) fn absolute(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    format!("/{}", parts.join("/"))
}

/// Every change as it happens
///
/// Server-sent events: `event: change`, `id:` the event's id, `data:` the event as JSON. With `Last-Event-ID` the stream
/// first tells what came after that event. A comment every ten seconds keeps it alive. It ends when the server stops or
/// the token is revoked. `event: missed` names ids that will not come, because the reader was too slow or the history does
/// not reach back that far: read the tree anew.
#[utoipa::path(get, path = "/api/v1/status/stream", tag = "status",
    params(("Last-Event-ID" = Option<u64>, Header, description = "Resume after this event")),
    responses((status = 200, description = "The stream", content_type = "text/event-stream", body = EventSchema)))]
pub(crate) async fn stream(
    State(edge): State<AppState>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let place = StreamPlace::take(&edge, &caller)?;
    let (after, sight) = (last_event_id(&headers), Sight::of(&caller));
    let telling = Telling::new(edge.handles.system.subscribe(after), place, after, sight);
    Ok(Sse::new(stream::unfold(telling, Telling::next))
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

fn last_event_id(headers: &HeaderMap) -> Option<u64> {
    const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
    headers
        .get(LAST_EVENT_ID)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// What a stream is made of. The reader's pace is the stream's: nothing is taken from the subscription before the last
/// event was sent.
struct Telling {
    subscription: Subscription,
    place: StreamPlace,
    /// What the reader sees.
    sight: Sight,
    /// The id of the last event told, or left out; none before the first.
    told: Option<u64>,
    /// An event that is held back behind the word of what was missed before it.
    held: Option<StatusEvent>,
}

impl Telling {
    fn new(
        subscription: Subscription,
        place: StreamPlace,
        told: Option<u64>,
        sight: Sight,
    ) -> Self {
        Self {
            subscription,
            place,
            sight,
            told,
            held: None,
        }
    }

    /// The next event; none once the subscription, the server or the token ends.
    async fn wait(&mut self) -> Option<StatusEvent> {
        tokio::select! {
            biased;
            _end = self.place.end() => None,
            event = self.subscription.next() => event,
        }
    }

    /// The next thing to tell; none once the subscription, the server or the token ends.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            let event = if let Some(held) = self.held.take() {
                held
            } else {
                self.wait().await?
            };
            let id = event.id;
            let told = self.told.replace(id);
            let seen = self.sight.event(event);
            // Ids rise by one: a gap is what the kept history no longer had.
            if let Some(told) = told.filter(|told| told + 1 < id) {
                self.held = seen;
                return Some((Ok(as_missed(told + 1, id - 1)), self));
            }
            if let Some(event) = seen {
                return Some((Ok(as_sse(&event)), self));
            }
        }
    }
}

/// Says which events will not come: the reader should read the tree anew.
fn as_missed(from: u64, to: u64) -> Event {
    Event::default()
        .event("missed")
        .data(format!("{{\"from\":{from},\"to\":{to}}}"))
}

fn as_sse(event: &StatusEvent) -> Event {
    let told = Event::default().event("change").id(event.id.to_string());
    told.json_data(event).unwrap_or_else(|error| {
        tracing::error!(%error, "a status event could not be written as JSON");
        Event::default().comment("an event could not be written")
    })
}
