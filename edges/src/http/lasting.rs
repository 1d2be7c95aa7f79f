//! A request with an `Idempotency-Key`, over the end of the daemon: claimed on disk before it runs, settled there after.
//!
//! In front of this stands the memory of `repeats`, which answers for what this process ran or runs. Only the first request with a key
//! gets here. What it hears here is: run; or the answer that an earlier daemon gave; or that nobody knows what came of it.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use idempotency::{Answer, Claim, Claimed, IdempotencyHandle, Key, Settlement};
use tokio::time::Instant;

use super::codes;
use super::problem::Problem;
use super::repeats::{Outcome, REPLAYED, RepeatKey};

/// A request that is about to run.
#[derive(Debug)]
pub(crate) struct Lasting {
    pub(crate) keys: IdempotencyHandle,
    pub(crate) key: RepeatKey,
    /// The hash of its body.
    pub(crate) fingerprint: [u8; 32],
    /// When the client is answered at the latest.
    pub(crate) deadline: Option<Instant>,
}

impl Lasting {
    /// Runs `request` if nobody did, and answers with what came of it, now or then.
    pub(crate) async fn run(self, request: impl Future<Output = Response>) -> Response {
        let claim = self.keys.claim(stored(&self.key), self.fingerprint);
        match within(self.deadline, claim).await {
            Err(error) => Problem::from(error).into_response(),
            Ok(Claimed::Reused) => {
                Problem::new(&codes::KEY_REUSED, codes::KEY_REUSED.meaning).into_response()
            }
            Ok(Claimed::Done(answer)) => replayed(answer),
            Ok(Claimed::Fresh(claim)) => {
                let response = within(self.deadline, request).await;
                self.settle(claim, Outcome::of(response).await).await
            }
        }
    }

    /// Stores what came of it before the client hears it. What cannot be stored at once is tried again by the domain.
    async fn settle(&self, claim: Claim, outcome: Outcome) -> Response {
        if let Some(settlement) = settlement(&outcome, self.key.route.route().shows_secret)
            && let Err(error) = self.keys.settle(claim, settlement).await
        {
            tracing::warn!(%error, "the answer to a request with a key is kept in memory only");
        }
        outcome.response()
    }
}

/// Runs within the request's deadline, if it has one.
async fn within<F: Future>(deadline: Option<Instant>, future: F) -> F::Output {
    match deadline {
        Some(deadline) => supervisor::with_deadline(deadline, future).await,
        None => future.await,
    }
}

/// The key as it is stored: the route by its name, since its place in the table changes from version to version.
fn stored(key: &RepeatKey) -> Key {
    let route = key.route.route();
    Key {
        caller: key.caller.clone(),
        route: format!("{} {}", route.method, route.path),
        path: key.path.clone(),
        key: key.key.clone(),
    }
}

/// What is stored of an outcome. Nothing when nobody knows whether it took effect: that is what a claim says that stays.
fn settlement(outcome: &Outcome, shows_secret: bool) -> Option<Settlement> {
    if !outcome.took_effect() {
        return Some(Settlement::Released);
    }
    if !outcome.status.is_success() {
        return None;
    }
    if shows_secret {
        return Some(Settlement::Withheld);
    }
    let headers = outcome.headers.iter();
    let headers = headers.filter_map(|(name, value)| {
        let value = value.to_str().ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    });
    Some(Settlement::Done(Answer {
        status: outcome.status.as_u16(),
        headers: headers.collect(),
        body: outcome.body.to_vec(),
    }))
}

fn replayed(answer: Answer) -> Response {
    let headers = answer.headers.into_iter().filter_map(|(name, value)| {
        let name = HeaderName::try_from(name).ok()?;
        Some((name, HeaderValue::try_from(value).ok()?))
    });
    let mut headers: HeaderMap = headers.collect();
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    let Ok(status) = StatusCode::from_u16(answer.status) else {
        return Problem::internal("a stored answer has no status").into_response();
    };
    Outcome {
        status,
        headers,
        body: answer.body.into(),
        problem: None,
    }
    .response()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn settled(response: Response, shows_secret: bool) -> Option<Settlement> {
        settlement(&Outcome::of(response).await, shows_secret)
    }

    #[tokio::test]
    async fn what_is_stored_follows_from_the_outcome() {
        let made = || (StatusCode::CREATED, [("location", "/x")], "{}").into_response();
        match settled(made(), false).await {
            Some(Settlement::Done(answer)) => {
                assert_eq!((answer.status, &*answer.body), (201, &b"{}"[..]));
                let response = replayed(answer);
                assert_eq!(response.status(), 201);
                assert_eq!(response.headers()["location"], "/x");
                assert_eq!(response.headers()["idempotency-replayed"], "true");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(settled(made(), true).await, Some(Settlement::Withheld));
        let refused = Problem::new(&codes::INVALID, "no").into_response();
        assert_eq!(settled(refused, false).await, Some(Settlement::Released));
        let unknown = Problem::new(&codes::DEADLINE, "late").into_response();
        assert_eq!(settled(unknown, false).await, None);
    }
}
