//! What happened: the history of changes, from the ledger's table and from memory as one list.

use axum::Json;
use axum::extract::State;
use ground::Page;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use ledger::{Listed, Moment, Order, Record};
use serde::Deserialize;
use supervisor::Finding;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::caller::Caller;
use super::concern::Concern;
use super::input::Query;
use super::problem::Problem;
use super::routes::{STATUS, route};
use super::schema::EventSchema;
use super::sight::Sight;
use super::state::AppState;
use super::status::absolute;

/// Says that an answer came from a fallback, and why.
const DEGRADED: HeaderName = HeaderName::from_static("mainstay-degraded");

/// This concern. Reading what happened has no errors of its own: memory answers when the table cannot.
pub(super) const CONCERN: Concern = Concern {
    routes,
    table: &[route(Method::GET, "/api/v1/status/events", STATUS)],
    codes: &[],
};

fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(events))
}

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct Events {
    /// Only events after the one with this id, or from this time on (RFC 3339); from the oldest kept one when left out.
    #[param(max_length = 64)]
    since: Option<String>,
    /// Only events up to the one with this id, or up to this time (RFC 3339), included.
    #[param(max_length = 64)]
    until: Option<String>,
    /// Where to go on: `next_cursor` of the page before, with the same parameters otherwise.
    #[param(max_length = 64)]
    cursor: Option<String>,
    /// Only events of this node and those below it, like `/ptys`, and every gap.
    #[param(max_length = 1024)]
    path: Option<String>,
    /// `asc`: oldest first, as when left out. `desc`: newest first.
    #[param(inline)]
    order: Option<OrderWord>,
    /// How many at most; 50 when left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// An order as the query spells it.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OrderWord {
    /// Oldest first.
    Asc,
    /// Newest first.
    Desc,
}

impl Events {
    /// What the ledger is asked.
    ///
    /// # Errors
    /// 422 for what is neither an id nor a time, all of them at once.
    fn query(&self) -> Result<ledger::Query, Problem> {
        let mut findings = Vec::new();
        let mut moment = |pointer: &str, text: Option<&String>| {
            let moment = text?.parse::<Moment>();
            moment
                .map_err(|error| findings.push(bad_format(pointer, error.to_string())))
                .ok()
        };
        let (since, until) = (
            moment("/since", self.since.as_ref()),
            moment("/until", self.until.as_ref()),
        );
        let cursor = self.cursor.as_ref().and_then(|cursor| {
            let told = "cursor is not one that this list has returned; leave it out to start at the beginning";
            cursor
                .parse()
                .map_err(|_| findings.push(bad_format("/cursor", told.to_owned())))
                .ok()
        });
        if !findings.is_empty() {
            return Err(Problem::invalid(findings));
        }
        Ok(ledger::Query {
            since,
            until,
            cursor,
            path: self.path.as_deref().map(absolute),
            order: match self.order {
                Some(OrderWord::Desc) => Order::NewestFirst,
                Some(OrderWord::Asc) | None => Order::OldestFirst,
            },
            limit: self.limit.unwrap_or(ground::paging::DEFAULT_LIMIT),
        })
    }
}

fn bad_format(pointer: &str, message: String) -> Finding {
    Finding::new(pointer, "bad_format", message)
}

/// A page of events.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes what `ground::Page` serialises")]
pub(crate) struct EventPage {
    /// In the order asked for.
    items: Vec<EventSchema>,
    /// What to send as `cursor` for the next page; null when this was the last.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// What happened
///
/// The history of changes, also from before the daemon was last started, as far as `[ledger]` keeps it. Each has in `run` which
/// run of the daemon it is of. Events that were lost are told as an entry whose `change` is `gap`, whatever the path. While the database
/// cannot be read, the answer is what memory holds (the newest 4,096 of this run), with the header `Mainstay-Degraded`.
#[utoipa::path(get, path = "/api/v1/status/events", tag = "status", params(Events),
    responses((status = 200, body = EventPage,
        headers(("Mainstay-Degraded" = String, description = "Only when the database could not be read: `ledger; reason=…`")))))]
pub(crate) async fn events(
    State(edge): State<AppState>,
    caller: Caller,
    Query(asked): Query<Events>,
) -> Result<(HeaderMap, Json<Page<Record>>), Problem> {
    let listed = edge.handles.ledger.list(asked.query()?).await;
    Ok(answer(listed, Sight::of(&caller)))
}

fn answer(mut listed: Listed, sight: Sight) -> (HeaderMap, Json<Page<Record>>) {
    let events = &mut listed.page.items;
    events.retain_mut(|record| sight.kept(&mut record.event));
    let mut headers = HeaderMap::new();
    if let Some(missing) = listed.missing {
        let told = format!("ledger; reason={}", missing.reason());
        headers.extend(
            HeaderValue::try_from(told)
                .ok()
                .map(|told| (DEGRADED, told)),
        );
    }
    (headers, Json(listed.page))
}
