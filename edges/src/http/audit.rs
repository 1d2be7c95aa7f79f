//! The record of what people did: read, proven, taken elsewhere.

use std::fmt::Write as _;

use audit::{AuditError, Export, Kept, Mark, Span, Verification};
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures::{Stream, stream};
use ground::audit::Outcome;
use ground::{Id, Micros, Page};
use http::{Method, header};
use serde::{Deserialize, Serialize};
use supervisor::Finding;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::caller::Caller;
use super::concern::Concern;
use super::input::Query;
use super::problem::Problem;
use super::routes::{Needs, route};
use super::state::AppState;
use super::streams::StreamPlace;

/// The media type of one JSON document a line.
const NDJSON: &str = "application/x-ndjson";

/// This concern: routes, what a caller needs for each, and what the errors mean.
pub(super) const CONCERN: Concern = Concern {
    routes,
    table: &[
        route(Method::GET, "/api/v1/audit", Needs::Everything),
        route(Method::GET, "/api/v1/audit/export", Needs::Everything),
        route(Method::GET, "/api/v1/audit/verify", Needs::Everything),
    ],
    codes: &[
        (
            "audit.busy",
            503,
            "Too many look at the audit at once; try again after `Retry-After` seconds.",
        ),
        (
            "audit.deadline",
            504,
            "The database did not answer in time; ask for less, a shorter time for example.",
        ),
        (
            "audit.internal",
            500,
            "A fault of the server; the log has it under the request id.",
        ),
        (
            "audit.store_lost",
            503,
            "The database is away, so the audit cannot be read; try again after `Retry-After` seconds.",
        ),
    ],
};

fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(export))
        .routes(routes!(verify))
}

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct Entries {
    /// Only what this user did.
    #[param(value_type = Option<String>, format = "uuid")]
    user: Option<Id>,
    /// Only actions that begin like this: `token.`, or `user.role`.
    #[param(max_length = 100)]
    action: Option<String>,
    /// Only what had this result.
    #[param(inline)]
    outcome: Option<OutcomeWord>,
    /// Only what was done to this: a token's id, a node's path.
    #[param(max_length = 500)]
    object: Option<String>,
    /// Only from this time on (RFC 3339).
    #[param(max_length = 64)]
    since: Option<String>,
    /// Only up to this time (RFC 3339), included.
    #[param(max_length = 64)]
    until: Option<String>,
    /// How many at most; 50 when left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// Where to go on: `next_cursor` of the page before, with the same parameters otherwise.
    #[param(max_length = 20)]
    cursor: Option<String>,
}

/// A result as the query spells it.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OutcomeWord {
    /// It happened.
    Done,
    /// It was refused.
    Refused,
    /// It failed by a fault.
    Failed,
}

impl Entries {
    /// What the audit is asked.
    ///
    /// # Errors
    /// 422 with all that is wrong at once.
    fn query(self) -> Result<audit::Query, Problem> {
        let mut findings = Vec::new();
        let since = moment("/since", self.since.as_deref(), &mut findings);
        let until = moment("/until", self.until.as_deref(), &mut findings);
        let cursor = self.cursor.as_deref().map(str::parse::<i64>);
        let cursor = cursor.transpose().unwrap_or_else(|_| {
            findings.push(bad_cursor());
            None
        });
        if !findings.is_empty() {
            return Err(Problem::invalid(findings));
        }
        Ok(audit::Query {
            user: self.user,
            action: self.action,
            outcome: self.outcome.map(|word| match word {
                OutcomeWord::Done => Outcome::Done,
                OutcomeWord::Refused => Outcome::Refused,
                OutcomeWord::Failed => Outcome::Failed,
            }),
            object: self.object,
            since,
            // Times are told to the millisecond, so the whole of it counts.
            until: until
                .map(|at| Micros(at.get() / 1000 * 1000) + std::time::Duration::from_micros(999)),
            cursor,
            limit: self.limit.unwrap_or(ground::paging::DEFAULT_LIMIT),
        })
    }
}

fn moment(pointer: &str, text: Option<&str>, findings: &mut Vec<Finding>) -> Option<Micros> {
    let moment = text?.parse();
    moment
        .map_err(|error: ground::clock::MicrosError| {
            findings.push(Finding::new(pointer, "bad_format", error.to_string()));
        })
        .ok()
}

fn bad_cursor() -> Finding {
    let told =
        "cursor is not one that this route has returned; leave it out to start at the beginning";
    Finding::new("/cursor", "bad_format", told)
}

/// Which stretch of the chain.
#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct Stretch {
    /// Only the newest so many; the entry before them is believed.
    #[param(minimum = 1, maximum = 10_000)]
    newest: Option<u32>,
    /// Where to go on: `next_cursor` of the answer before.
    #[param(max_length = 100)]
    cursor: Option<String>,
}

impl Stretch {
    /// The stretch asked for.
    ///
    /// # Errors
    /// 422 for a cursor that no verification returned.
    fn span(&self) -> Result<Span, Problem> {
        match (self.cursor.as_deref(), self.newest) {
            (Some(cursor), _) => cursor
                .parse::<Mark>()
                .map(Span::After)
                .map_err(|_| Problem::invalid(vec![bad_cursor()])),
            (None, Some(newest)) => Ok(Span::Newest(newest)),
            (None, None) => Ok(Span::All),
        }
    }
}

/// Who did it.
#[derive(Debug, ToSchema)]
#[schema(as = AuditActor)]
#[expect(dead_code, reason = "describes what `audit::KeptActor` serialises")]
pub(crate) struct ActorSchema {
    /// `anonymous`, `system`, `local` (a process on the machine), `token` (the local operator's) or `user`.
    kind: String,
    /// The user.
    #[schema(format = "uuid", required)]
    user: Option<String>,
    /// The session or token that was used.
    #[schema(format = "uuid", required)]
    credential: Option<String>,
    /// The user id of a process on the machine.
    #[schema(required)]
    uid: Option<i64>,
}

/// An entry.
#[derive(Debug, ToSchema)]
#[schema(as = AuditEntry)]
#[expect(dead_code, reason = "describes what `audit::Kept` serialises")]
pub(crate) struct EntrySchema {
    /// Its number, from 1, without holes.
    seq: i64,
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// Who.
    actor: ActorSchema,
    /// What, as `<noun>.<verb>`.
    action: String,
    /// What it was done to.
    #[schema(required)]
    object: Option<String>,
    /// `done`, `refused` or `failed`.
    outcome: String,
    /// The client's address.
    #[schema(required)]
    address: Option<String>,
    /// What the client said it was.
    #[schema(required)]
    user_agent: Option<String>,
    /// The request.
    #[schema(required)]
    request_id: Option<String>,
    /// What else is known.
    detail: std::collections::BTreeMap<String, serde_json::Value>,
    /// SHA-256 of the chain up to it, in hexadecimal.
    hash: String,
}

/// A page of entries.
#[derive(Debug, ToSchema)]
#[schema(as = AuditPage)]
#[expect(dead_code, reason = "describes what `ground::Page` serialises")]
pub(crate) struct EntryPage {
    /// The newest first.
    items: Vec<EntrySchema>,
    /// What to send as `cursor` for the next page; null when this was the last.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// A place where the chain does not hold.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditBreak)]
pub(crate) struct BrokenAt {
    /// The number of the entry.
    seq: i64,
    /// `missing`, `altered`, `surplus`, `head` (the end of the chain) or `anchor` (where removed entries were cut off).
    #[schema(value_type = String)]
    what: audit::What,
    /// The same in words.
    message: String,
}

/// What a verification came to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditVerification)]
pub(crate) struct Verified {
    /// Whether all that was looked at holds.
    ok: bool,
    /// How many entries were looked at.
    checked: u64,
    /// The number of the last entry that holds.
    last_seq: i64,
    /// The first place that does not hold.
    #[schema(required)]
    broken: Option<BrokenAt>,
    /// What to send as `cursor` to go on; null when nothing is left to look at.
    #[schema(required)]
    next_cursor: Option<String>,
}

impl From<Verification> for Verified {
    fn from(verification: Verification) -> Self {
        let broken = verification.broken.map(|broken| BrokenAt {
            seq: broken.seq,
            what: broken.what,
            message: broken.to_string(),
        });
        Self {
            ok: verification.ok,
            checked: verification.checked,
            last_seq: verification.last_seq,
            broken,
            next_cursor: verification.next_cursor,
        }
    }
}

/// What people did
///
/// Newest first. For owners and admins.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(Entries),
    responses((status = 200, body = EntryPage),
        (status = 503, description = "`audit.store_lost`, `audit.busy`"),
        (status = 504, description = "`audit.deadline`")))]
pub(crate) async fn list(
    State(edge): State<AppState>,
    Query(asked): Query<Entries>,
) -> Result<Json<Page<Kept>>, Problem> {
    Ok(Json(edge.handles.audit.list(&asked.query()?).await?))
}

/// Take the record elsewhere
///
/// All entries that there are when it begins, oldest first, one JSON document a line. An answer that breaks off is not complete.
#[utoipa::path(get, path = "/api/v1/audit/export", tag = "audit",
    responses((status = 200, body = String, content_type = "application/x-ndjson", description = "An `AuditEntry` a line"),
        (status = 503, description = "`audit.store_lost`, `audit.busy`"),
        (status = 504, description = "`audit.deadline`")))]
pub(crate) async fn export(
    State(edge): State<AppState>,
    caller: Caller,
) -> Result<Response, Problem> {
    let place = StreamPlace::take(&edge, &caller)?;
    let export = edge.handles.audit.export().await?;
    let body = Body::from_stream(lines(export, place));
    Ok(([(header::CONTENT_TYPE, NDJSON)], body).into_response())
}

/// The reader's pace is the export's: nothing is read before what was read is taken.
fn lines(export: Export, place: StreamPlace) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
    stream::try_unfold((export, place), async |(mut export, mut place)| {
        let entries = tokio::select! {
            biased;
            end = place.end() => {
                return Err(std::io::Error::other(format!("export ended: {end:?}")));
            }
            entries = export.next() => entries.map_err(broken_off)?,
        };
        Ok(entries.map(|entries| (text(&entries), (export, place))))
    })
}

fn broken_off(error: AuditError) -> std::io::Error {
    tracing::warn!(%error, "an export of the audit broke off");
    std::io::Error::other(error)
}

fn text(entries: &[Kept]) -> Bytes {
    let mut text = String::new();
    for entry in entries {
        // Texts and numbers always serialise, and a string takes all of them.
        let line = serde_json::to_string(entry).unwrap_or_default();
        _ = writeln!(text, "{line}");
    }
    text.into()
}

/// Prove the record
///
/// Walks the chain of hashes and tells the first place that does not hold. Takes a few seconds at most: of a long chain it
/// verifies a stretch and tells where to go on. `ok` is about the stretch alone.
#[utoipa::path(get, path = "/api/v1/audit/verify", tag = "audit", params(Stretch),
    responses((status = 200, body = Verified),
        (status = 503, description = "`audit.store_lost`, `audit.busy`"),
        (status = 504, description = "`audit.deadline`")))]
pub(crate) async fn verify(
    State(edge): State<AppState>,
    Query(asked): Query<Stretch>,
) -> Result<Json<Verified>, Problem> {
    let verification = edge.handles.audit.verify(asked.span()?).await?;
    Ok(Json(verification.into()))
}
