//! Outgoing mail: what waits and what became of it, for administrators. Never the text of a mail.

use axum::Json as Answer;
use axum::extract::State;
use ground::Page;
use http::{Method, StatusCode};
use mail::QueuedMail;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::concern::Concern;
use super::input::{PageQuery, PathId, Query};
use super::problem::Problem;
use super::routes::{Needs, route};
use super::source::Asker;
use super::state::AppState;

/// This concern: routes, what a caller needs for each, and what the errors mean. The list holds addresses of people, so that it
/// needs all of an administrator's rights.
pub(super) const CONCERN: Concern = Concern {
    routes,
    table: &[
        route(Method::GET, "/api/v1/mail", Needs::Everything),
        route(Method::POST, "/api/v1/mail/{id}/retry", Needs::Everything),
    ],
    codes: &[
        (
            "mail.busy",
            503,
            "Too many requests about mails are under way; try again after `Retry-After` seconds.",
        ),
        (
            "mail.deadline",
            504,
            "The database did not answer in time; look whether the change was made before repeating it.",
        ),
        (
            "mail.ended",
            409,
            "The mail was sent, put into the outbox or given up, and its text is deleted; whoever needs it asks for a new one.",
        ),
        (
            "mail.internal",
            500,
            "A fault of the server; the log has it under the request id.",
        ),
        (
            "mail.not_found",
            404,
            "There is no mail with this id; mails that ended are kept for `mail.keep_days`.",
        ),
        (
            "mail.store_lost",
            503,
            "The database is away, so mails can be neither listed nor changed; they are sent when it is back.",
        ),
    ],
};

fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(retry))
}

/// A mail of the queue, without its text.
#[derive(Debug, ToSchema)]
#[schema(as = QueuedMail)]
#[expect(dead_code, reason = "describes what `mail::QueuedMail` serialises")]
pub(crate) struct QueuedMailSchema {
    /// Its id, which is in its `Message-ID`, too.
    #[schema(format = "uuid")]
    id: String,
    /// To whom.
    to: String,
    /// Its subject.
    subject: String,
    /// What it is for, like `password.reset`.
    kind: String,
    /// What has become of it: `waiting`, `sent`, `outbox` (put into a folder, for want of a server) or `given_up`.
    state: String,
    /// How often it was tried.
    attempts: u32,
    /// When it is tried next; null when it waits no more.
    #[schema(format = DateTime, required)]
    next_attempt_at: Option<String>,
    /// From when on nobody wants it any more.
    #[schema(format = DateTime)]
    not_after: String,
    /// The code of the last error: `mail.unreachable`, `mail.tls`, `mail.unauthorized`, `mail.garbage` and `mail.away` are about the
    /// server; `mail.deferred`, `mail.refused`, `mail.unsendable` and `mail.expired` about the mail; `mail.outbox_failed` about the folder.
    #[schema(required)]
    last_code: Option<String>,
    /// What went wrong the last time.
    #[schema(required)]
    last_error: Option<String>,
    /// When it was written.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was sent, put into the outbox or given up.
    #[schema(format = DateTime, required)]
    ended_at: Option<String>,
}

/// A page of mails.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes what `ground::Page` serialises")]
pub(crate) struct MailPage {
    /// In the order in which they were written.
    items: Vec<QueuedMailSchema>,
    /// What to send as `cursor` for the next page; null when this was the last.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// List the mails
///
/// Those that wait, and for some days those that ended. Never their texts.
#[utoipa::path(get, path = "/api/v1/mail", tag = "mail", params(PageQuery), responses((status = 200, body = MailPage),
    (status = 503, description = "`mail.store_lost`, `mail.busy`"), (status = 504, description = "`mail.deadline`")))]
pub(crate) async fn list(
    State(edge): State<AppState>,
    Query(asked): Query<PageQuery>,
) -> Result<Answer<Page<QueuedMail>>, Problem> {
    Ok(Answer(edge.handles.mail.list(asked.page()?).await?))
}

/// Try a waiting mail now
///
/// However long it was to wait. While the server is away it is tried as soon as that is back.
#[utoipa::path(post, path = "/api/v1/mail/{id}/retry", tag = "mail",
    params(("id" = String, Path, format = "uuid")),
    responses((status = 202, description = "It is due"), (status = 404, description = "`mail.not_found`"),
        (status = 409, description = "`mail.ended`"), (status = 503, description = "`mail.store_lost`, `mail.busy`"),
        (status = 504, description = "`mail.deadline`")))]
pub(crate) async fn retry(
    State(edge): State<AppState>,
    Asker(by): Asker,
    PathId(id): PathId,
) -> Result<StatusCode, Problem> {
    edge.handles.mail.retry(id, by).await?;
    Ok(StatusCode::ACCEPTED)
}
