//! GitHub's endpoints: errors come with a 200, and who somebody is has to be asked for.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use super::oidc::{broken, faulty, pairs};
use super::state::{Fault, Person, check_client};
use super::{Shared, lock};

pub(super) async fn token(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: String,
) -> Response {
    lock(&shared).note("/login/oauth/access_token");
    if let Some(answer) = faulty(&shared).await {
        return answer;
    }
    let form = pairs(&body);
    let header = headers.get(header::AUTHORIZATION);
    let header = header.and_then(|value| value.to_str().ok());
    let mut state = lock(&shared);
    let redeemed = check_client(header, &form, true).and_then(|()| state.redeem(&form));
    let answer = match redeemed {
        Ok((person, _)) => {
            let token = state.access_token(&person);
            json!({ "access_token": token, "token_type": "bearer", "scope": "read:user,user:email" })
        }
        Err("invalid_client") => json!({ "error": "incorrect_client_credentials" }),
        Err(_) => json!({ "error": "bad_verification_code" }),
    };
    Json(answer).into_response()
}

pub(super) async fn root(State(shared): State<Shared>) -> Response {
    match lock(&shared).fault {
        Some(Fault::Broken) => broken(),
        _ => Json(json!({})).into_response(),
    }
}

pub(super) async fn user(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let document = |person: &Person| {
        let number: u64 = person.subject.parse().unwrap_or(0);
        json!({ "id": number, "login": "ada", "name": person.name, "email": "public@example.org" })
    };
    answer(&shared, &headers, document)
}

pub(super) async fn emails(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let document = |person: &Person| {
        json!([
            { "email": "old@example.org", "primary": false, "verified": true },
            { "email": person.email, "primary": true, "verified": person.is_email_verified },
        ])
    };
    answer(&shared, &headers, document)
}

/// What is told to who shows a token that is out, and says what it is.
fn answer(shared: &Shared, headers: &HeaderMap, document: impl Fn(&Person) -> Value) -> Response {
    let state = lock(shared);
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let token = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    let person = token.and_then(|token| state.tokens.get(token));
    match (state.fault, person, text(header::USER_AGENT)) {
        (Some(Fault::Broken), ..) => broken(),
        (_, Some(person), Some(_)) => Json(document(person)).into_response(),
        (_, None, _) => StatusCode::UNAUTHORIZED.into_response(),
        // As the real one does.
        (_, _, None) => StatusCode::FORBIDDEN.into_response(),
    }
}
