//! People, as administrators look after them and as they see themselves.

#![expect(
    clippy::option_option,
    reason = "a null that was sent takes the name away, nothing leaves it"
)]

use std::sync::Arc;

use accounts::{Change, Invite, NewInvite, NewUser, Role, Tier, User};
use axum::Json as Answer;
use axum::extract::State;
use ground::{Id, Micros, Page, PageRequest, Secret};
use http::header::{ETAG, LOCATION};
use http::{HeaderName, Method, StatusCode};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Asking;
use super::concern::Concern;
use super::exports;
use super::input::{IfMatch, Json, PageQuery, PathId, Query};
use super::problem::Problem;
use super::routes::{Needs, creating_secret, route};
use super::state::AppState;

/// This concern: routes, what a caller needs for each, and what the errors mean.
pub(super) const CONCERN: Concern = Concern {
    routes,
    table: &[
        route(Method::GET, "/api/v1/me", Needs::SignedIn),
        route(Method::PATCH, "/api/v1/me", Needs::Unlimited),
        route(Method::GET, "/api/v1/me/export", Needs::Unlimited),
        route(Method::GET, "/api/v1/users", Needs::Everything),
        creating_secret("/api/v1/users", Needs::Everything),
        creating_secret("/api/v1/users/invites", Needs::Everything),
        route(Method::GET, "/api/v1/users/{id}", Needs::Unlimited),
        route(Method::PATCH, "/api/v1/users/{id}", Needs::Everything),
        route(Method::DELETE, "/api/v1/users/{id}", Needs::Everything),
        route(Method::GET, "/api/v1/users/{id}/export", Needs::Unlimited),
        creating_secret("/api/v1/users/{id}/invites", Needs::Everything),
        route(
            Method::DELETE,
            "/api/v1/users/{id}/factors",
            Needs::Everything,
        ),
        route(
            Method::POST,
            "/api/v1/users/{id}/password",
            Needs::Everything,
        ),
    ],
    codes: &[
        (
            "accounts.above_oneself",
            403,
            "Nobody gives a role above their own; ask somebody who has it.",
        ),
        (
            "accounts.email_taken",
            409,
            "Somebody has this address already; `GET /api/v1/users?email=` tells who.",
        ),
        (
            "accounts.last_owner",
            409,
            "This is the last owner who can sign in; make somebody else an owner first.",
        ),
        (
            "accounts.no_admin",
            403,
            "Only administrators and owners look after other people.",
        ),
        (
            "accounts.not_a_user",
            409,
            "The local operator and tokens of theirs are no user; sign in as one, or name the user.",
        ),
        (
            "accounts.only_owners",
            403,
            "Only an owner may change an owner.",
        ),
        (
            "accounts.own_password",
            409,
            "One's own password is changed by showing it (`POST /api/v1/auth/password/change`), one's own second factor taken away by a code of it.",
        ),
        (
            "accounts.stale_user",
            412,
            "Somebody changed this user in between; look again, then decide.",
        ),
        (
            "accounts.too_many_users",
            429,
            "As many users or open invitations are kept as may be; erase some, or raise `accounts.max_users`.",
        ),
        (
            "accounts.user_not_found",
            404,
            "There is no user with this id, or you may not know; `GET /api/v1/users` shows who there is.",
        ),
    ],
};

fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(me, change_me))
        .routes(routes!(exports::export_me))
        .routes(routes!(list, create))
        .routes(routes!(invite))
        .routes(routes!(show, change, erase))
        .routes(routes!(exports::export))
        .routes(routes!(invite_user))
        .routes(routes!(set_password))
        .routes(routes!(remove_factors))
}

/// What somebody may do at most, from most to least.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Role)]
pub(crate) enum RoleWord {
    /// Everything.
    Owner,
    /// Everything but what concerns owners.
    Admin,
    /// Everything of one's own.
    Member,
    /// To look.
    Viewer,
}

impl From<RoleWord> for Role {
    fn from(word: RoleWord) -> Self {
        match word {
            RoleWord::Owner => Self::Owner,
            RoleWord::Admin => Self::Admin,
            RoleWord::Member => Self::Member,
            RoleWord::Viewer => Self::Viewer,
        }
    }
}

/// How much somebody may ask of the daemon.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Tier)]
pub(crate) enum TierWord {
    /// As everybody.
    Standard,
    /// More.
    Premium,
}

impl From<TierWord> for Tier {
    fn from(word: TierWord) -> Self {
        match word {
            TierWord::Standard => Self::Standard,
            TierWord::Premium => Self::Premium,
        }
    }
}

/// Somebody.
#[derive(Debug, ToSchema)]
#[schema(as = User)]
#[expect(dead_code, reason = "describes what `accounts::User` serialises")]
pub(crate) struct UserSchema {
    /// The id.
    #[schema(format = "uuid")]
    id: String,
    /// The address, as it was given.
    email: String,
    /// When the address was proven.
    #[schema(format = DateTime, required)]
    email_verified_at: Option<String>,
    /// What to call them.
    #[schema(required)]
    name: Option<String>,
    /// What they may do at most.
    #[schema(inline)]
    role: RoleWord,
    /// How much they may ask of the daemon.
    #[schema(inline)]
    tier: TierWord,
    /// Whether they can sign in with a password.
    has_password: bool,
    /// Since when they may not come in.
    #[schema(format = DateTime, required)]
    disabled_at: Option<String>,
    /// When they were made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When something of this last changed.
    #[schema(format = DateTime)]
    updated_at: String,
    /// When they last signed in.
    #[schema(format = DateTime, required)]
    last_sign_in_at: Option<String>,
    /// Counts the changes, from 1; the `ETag` is this number in quotes.
    #[schema(minimum = 1)]
    version: i64,
}

/// A page of users.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes what `ground::Page` serialises")]
pub(crate) struct UserPage {
    /// In order of their making.
    items: Vec<UserSchema>,
    /// What to send as `cursor` for the next page; null when this was the last.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// Which users.
#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct UsersQuery {
    /// Items on the page; 50 when left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// Where to go on: `next_cursor` of the page before.
    #[param(max_length = 100)]
    cursor: Option<String>,
    /// Only the one with this address, in whatever form it is written.
    #[param(max_length = 1000)]
    email: Option<String>,
}

impl UsersQuery {
    fn page(&self) -> Result<PageRequest, Problem> {
        PageQuery::new(self.limit, self.cursor.clone()).page()
    }
}

/// Somebody to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewUser)]
pub(crate) struct NewUserBody {
    /// The address to sign in with.
    #[schema(max_length = 1000)]
    email: String,
    /// The password; without one the answer holds an invitation to set it.
    #[schema(value_type = Option<String>, max_length = 10_000)]
    password: Option<Secret>,
    /// What to call them.
    #[schema(max_length = 1000)]
    name: Option<String>,
    /// What they may do at most; `member` when left out, never above one's own.
    #[schema(inline)]
    role: Option<RoleWord>,
    /// How much they may ask of the daemon; `standard` when left out.
    #[schema(inline)]
    tier: Option<TierWord>,
}

impl From<NewUserBody> for NewUser {
    fn from(body: NewUserBody) -> Self {
        Self {
            email: body.email,
            password: body.password,
            name: body.name,
            role: body.role.map_or(Role::Member, Role::from),
            tier: body.tier.map_or(Tier::Standard, Tier::from),
        }
    }
}

/// Somebody who was just made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CreatedUser {
    /// Who.
    #[schema(value_type = UserSchema)]
    user: User,
    /// How they set a password; null when they have one.
    #[schema(required)]
    invite: Option<CreatedInvite>,
}

/// An invitation that was just given out.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Invite)]
pub(crate) struct CreatedInvite {
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    id: Id,
    /// What to register with, shown this once: `msi_…`.
    token: String,
    /// The role that it gives.
    role: &'static str,
    /// Whose password it sets; null: it registers somebody new.
    #[schema(value_type = Option<String>, format = "uuid", required)]
    user: Option<Id>,
    /// When it stops working.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Micros,
}

impl From<Invite> for CreatedInvite {
    fn from(invite: Invite) -> Self {
        Self {
            id: invite.id,
            token: invite.token.expose().to_owned(),
            role: invite.role.word(),
            user: invite.user,
            expires_at: invite.expires_at,
        }
    }
}

/// What is to change of somebody; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UserChange)]
pub(crate) struct ChangeBody {
    /// What they may do at most.
    #[schema(inline)]
    role: Option<RoleWord>,
    /// How much they may ask of the daemon.
    #[schema(inline)]
    tier: Option<TierWord>,
    /// Whether they are kept out; their sessions and tokens end with it.
    disabled: Option<bool>,
    /// What to call them; null takes the name away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 1000)]
    name: Option<Option<String>>,
}

impl From<ChangeBody> for Change {
    fn from(body: ChangeBody) -> Self {
        Self {
            name: body.name,
            role: body.role.map(Role::from),
            tier: body.tier.map(Tier::from),
            is_disabled: body.disabled,
        }
    }
}

/// What one can change of oneself; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OwnChange)]
pub(crate) struct OwnChangeBody {
    /// What to be called; null takes the name away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 1000)]
    name: Option<Option<String>>,
}

impl From<OwnChangeBody> for Change {
    fn from(body: OwnChangeBody) -> Self {
        Self {
            name: body.name,
            ..Self::default()
        }
    }
}

/// A null that was sent is not the same as nothing.
fn given<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(value).map(Some)
}

/// For whom an invitation is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewInvite)]
pub(crate) struct InviteBody {
    /// The role that it gives; `member` when left out, never above one's own.
    #[schema(inline)]
    role: Option<RoleWord>,
}

/// A password for somebody else.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPassword)]
pub(crate) struct NewPasswordBody {
    /// At least 8 characters, at most 1,024 bytes, none that is tried out first.
    #[schema(value_type = String, max_length = 10_000)]
    password: Secret,
}

/// A user with the tag that `If-Match` names.
type Tagged = ([(HeaderName, String); 1], Answer<User>);

fn tagged(user: User) -> Tagged {
    ([(ETAG, format!("\"{}\"", user.version))], Answer(user))
}

/// What was made, and where it is.
type Made<T> = (StatusCode, [(HeaderName, String); 1], Answer<T>);

fn made<T>(place: String, what: T) -> Made<T> {
    (StatusCode::CREATED, [(LOCATION, place)], Answer(what))
}

/// Show oneself
#[utoipa::path(get, path = "/api/v1/me", tag = "people",
    responses((status = 200, body = UserSchema, headers(("ETag" = String, description = "The version"))),
        (status = 409, description = "`accounts.not_a_user`")))]
pub(crate) async fn me(
    State(edge): State<AppState>,
    Asking(by): Asking,
) -> Result<Tagged, Problem> {
    let me = edge.handles.accounts.people().me(&by).await?;
    Ok(tagged(Arc::unwrap_or_clone(me)))
}

/// Change oneself
#[utoipa::path(patch, path = "/api/v1/me", tag = "people", request_body = OwnChangeBody,
    responses((status = 200, body = UserSchema, headers(("ETag" = String, description = "The version"))),
        (status = 409, description = "`accounts.not_a_user`"), (status = 422, description = "`accounts.invalid`")))]
pub(crate) async fn change_me(
    State(edge): State<AppState>,
    Asking(by): Asking,
    Json(body): Json<OwnChangeBody>,
) -> Result<Tagged, Problem> {
    let people = edge.handles.accounts.people();
    Ok(tagged(people.change_me(by, body.into()).await?))
}

/// List the users
#[utoipa::path(get, path = "/api/v1/users", tag = "people", params(UsersQuery), responses((status = 200, body = UserPage)))]
pub(crate) async fn list(
    State(edge): State<AppState>,
    Query(asked): Query<UsersQuery>,
) -> Result<Answer<Page<User>>, Problem> {
    let people = edge.handles.accounts.people();
    Ok(Answer(people.list(asked.page()?, asked.email).await?))
}

/// Make a user
///
/// Without a password the answer holds an invitation, the only place where it is shown: whoever registers with it and the same address
/// sets the password.
#[utoipa::path(post, path = "/api/v1/users", tag = "people", request_body = NewUserBody,
    responses((status = 201, body = CreatedUser, headers(("Location" = String, description = "The user"))),
        (status = 403, description = "`accounts.above_oneself`"), (status = 409, description = "`accounts.email_taken`"),
        (status = 422, description = "`accounts.invalid`"), (status = 429, description = "`accounts.too_many_users`")))]
pub(crate) async fn create(
    State(edge): State<AppState>,
    Asking(by): Asking,
    Json(body): Json<NewUserBody>,
) -> Result<Made<CreatedUser>, Problem> {
    let people = edge.handles.accounts.people();
    let (user, invite) = people.create(by, body.into()).await?;
    let place = format!("/api/v1/users/{}", user.id);
    let invite = invite.map(CreatedInvite::from);
    Ok(made(place, CreatedUser { user, invite }))
}

/// Give out an invitation
///
/// Good for one registration within seven days. The answer is the only place where it is shown.
#[utoipa::path(post, path = "/api/v1/users/invites", tag = "people", request_body = InviteBody,
    responses((status = 201, body = CreatedInvite), (status = 403, description = "`accounts.above_oneself`"),
        (status = 429, description = "`accounts.too_many_users`")))]
pub(crate) async fn invite(
    State(edge): State<AppState>,
    Asking(by): Asking,
    Json(body): Json<InviteBody>,
) -> Result<(StatusCode, Answer<CreatedInvite>), Problem> {
    let new = NewInvite::Role(body.role.map_or(Role::Member, Role::from));
    let invite = edge.handles.accounts.people().invite(by, new).await?;
    Ok((StatusCode::CREATED, Answer(invite.into())))
}

/// Show a user
///
/// Administrators see everybody, others themselves.
#[utoipa::path(get, path = "/api/v1/users/{id}", tag = "people", params(("id" = String, Path, format = "uuid")),
    responses((status = 200, body = UserSchema, headers(("ETag" = String, description = "The version"))),
        (status = 404, description = "`accounts.user_not_found`")))]
pub(crate) async fn show(
    State(edge): State<AppState>,
    Asking(by): Asking,
    PathId(id): PathId,
) -> Result<Tagged, Problem> {
    Ok(tagged(edge.handles.accounts.people().show(&by, id).await?))
}

/// Change a user
///
/// Only the version that `If-Match` names (`*` for whichever it is). Nobody gives a role above their own, only owners change owners, and
/// the last owner who can sign in stays one. Whoever is disabled loses sessions and tokens at once.
#[utoipa::path(patch, path = "/api/v1/users/{id}", tag = "people", request_body = ChangeBody,
    params(("id" = String, Path, format = "uuid"), ("If-Match" = String, Header, description = "The `ETag` of what was looked at, or `*`")),
    responses((status = 200, body = UserSchema, headers(("ETag" = String, description = "The version"))),
        (status = 403, description = "`accounts.no_admin`, `accounts.only_owners`, `accounts.above_oneself`"),
        (status = 404, description = "`accounts.user_not_found`"), (status = 409, description = "`accounts.last_owner`"),
        (status = 412, description = "`accounts.stale_user`"), (status = 422, description = "`accounts.invalid`"),
        (status = 428, description = "`http.if_match_required`")))]
pub(crate) async fn change(
    State(edge): State<AppState>,
    Asking(by): Asking,
    PathId(id): PathId,
    IfMatch(version): IfMatch,
    Json(body): Json<ChangeBody>,
) -> Result<Tagged, Problem> {
    let people = edge.handles.accounts.people();
    Ok(tagged(people.change(by, id, version, body.into()).await?))
}

/// Erase a user
///
/// With all that is theirs: sessions and streams end, terminals are closed, mails that wait are not sent. Entries of the audit stay and
/// name only the id. Whoever is interrupted asks again.
#[utoipa::path(delete, path = "/api/v1/users/{id}", tag = "people", params(("id" = String, Path, format = "uuid")),
    responses((status = 204, description = "There is no such user any more"),
        (status = 403, description = "`accounts.only_owners`"), (status = 404, description = "`accounts.user_not_found`"),
        (status = 409, description = "`accounts.last_owner`")))]
pub(crate) async fn erase(
    State(edge): State<AppState>,
    Asking(by): Asking,
    PathId(id): PathId,
) -> Result<StatusCode, Problem> {
    edge.handles.accounts.people().erase(by, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give out an invitation to set a password
///
/// For a user who has none or has forgotten it. Good once, within seven days; shown in this answer only.
#[utoipa::path(post, path = "/api/v1/users/{id}/invites", tag = "people", params(("id" = String, Path, format = "uuid")),
    responses((status = 201, body = CreatedInvite), (status = 403, description = "`accounts.only_owners`"),
        (status = 404, description = "`accounts.user_not_found`"), (status = 409, description = "`accounts.own_password`")))]
pub(crate) async fn invite_user(
    State(edge): State<AppState>,
    Asking(by): Asking,
    PathId(id): PathId,
) -> Result<(StatusCode, Answer<CreatedInvite>), Problem> {
    let people = edge.handles.accounts.people();
    let invite = people.invite(by, NewInvite::User(id)).await?;
    Ok((StatusCode::CREATED, Answer(invite.into())))
}

/// Take somebody else's second factors away
///
/// For who has lost the authenticator app and the recovery codes. All their sessions end; passkeys stay.
#[utoipa::path(delete, path = "/api/v1/users/{id}/factors", tag = "people", params(("id" = String, Path, format = "uuid")),
    responses((status = 204, description = "There are none any more"), (status = 403, description = "`accounts.only_owners`"),
        (status = 404, description = "`accounts.user_not_found`"), (status = 409, description = "`accounts.own_password`")))]
pub(crate) async fn remove_factors(
    State(edge): State<AppState>,
    Asking(by): Asking,
    PathId(id): PathId,
) -> Result<StatusCode, Problem> {
    let people = edge.handles.accounts.people();
    people.remove_factors(by, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Set somebody else's password
///
/// All their sessions end.
#[utoipa::path(post, path = "/api/v1/users/{id}/password", tag = "people", request_body = NewPasswordBody,
    params(("id" = String, Path, format = "uuid")),
    responses((status = 204, description = "It is set"), (status = 403, description = "`accounts.only_owners`"),
        (status = 404, description = "`accounts.user_not_found`"), (status = 409, description = "`accounts.own_password`"),
        (status = 422, description = "`accounts.invalid`"), (status = 503, description = "`accounts.hashing_busy`")))]
pub(crate) async fn set_password(
    State(edge): State<AppState>,
    Asking(by): Asking,
    PathId(id): PathId,
    Json(body): Json<NewPasswordBody>,
) -> Result<StatusCode, Problem> {
    let people = edge.handles.accounts.people();
    people.set_password(by, id, body.password).await?;
    Ok(StatusCode::NO_CONTENT)
}
