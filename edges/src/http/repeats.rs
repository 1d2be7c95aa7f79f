//! Requests that a client may send twice: an `Idempotency-Key` makes a second one get the first one's answer.
//!
//! A client whose connection broke does not know whether its terminal was made. With a key it simply asks again. For that
//! to hold, the first request must not die with its connection, so it runs in a task of its own; what came of it is kept
//! under the caller, the route and the key.
//!
//! Kept are answers of requests that took effect, and of those of which nobody knows (a deadline, a restart in the
//! middle): asking again must not do it twice. A refusal did nothing, so it frees its key. Here answers are kept in memory,
//! for 24 hours, at most [`MOST`] of them; the oldest make room. That includes the answer that shows a new token: it is
//! what the same caller asked for, and it is told to nobody else. Behind this memory stands the database (`lasting`), which
//! outlives the daemon and keeps no secrets.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body_util::{BodyExt, Limited};
use supervisor::task::{self, OwnedTask};
use tokio::sync::watch;
use tokio::time::Instant;

use super::codes;
use super::problem::Problem;
use super::routes::RouteId;

/// Answers kept at most.
const MOST: usize = 4096;
/// How long an answer is kept.
const KEPT_FOR: Duration = Duration::from_hours(24);
/// Bytes of an answer's body at most; what creates something answers with one small document.
const MAX_ANSWER: usize = 1024 * 1024;
/// Tells that an answer is that of an earlier request.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Whose request it is, for what, under which name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RepeatKey {
    pub(crate) caller: String,
    pub(crate) route: RouteId,
    pub(crate) path: String,
    pub(crate) key: String,
}

/// What came of a request, as often as it is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) problem: Option<Problem>,
}

/// A request under a key: running, or done.
#[derive(Debug)]
struct Slot {
    fingerprint: [u8; 32],
    begun: Instant,
    outcome: watch::Receiver<Option<Outcome>>,
    /// Owned here: the request goes on when its client leaves.
    _task: OwnedTask,
}

/// The requests that were sent with a key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Repeats {
    slots: Arc<DashMap<RepeatKey, Slot>>,
}

impl Repeats {
    /// Runs `request`, unless one with this key ran or runs; answers with what came of the one that did.
    ///
    /// # Errors
    /// 422 when the key was used with another body, 503 when too many requests with keys are under way.
    pub(crate) async fn once<F>(
        &self,
        key: RepeatKey,
        fingerprint: [u8; 32],
        request: F,
    ) -> Result<Response, Problem>
    where
        F: Future<Output = Response> + Send + 'static,
    {
        self.make_room()?;
        let (outcome, is_replay) = self.claim(key, fingerprint, request)?;
        answer(outcome, is_replay).await
    }

    fn claim<F>(
        &self,
        key: RepeatKey,
        fingerprint: [u8; 32],
        request: F,
    ) -> Result<(watch::Receiver<Option<Outcome>>, bool), Problem>
    where
        F: Future<Output = Response> + Send + 'static,
    {
        match self.slots.entry(key) {
            Entry::Occupied(slot) if slot.get().begun.elapsed() < KEPT_FOR => {
                if slot.get().fingerprint == fingerprint {
                    return Ok((slot.get().outcome.clone(), true));
                }
                let detail = "this Idempotency-Key was used with another body; use a new key";
                Err(Problem::new(&codes::KEY_REUSED, detail))
            }
            entry => {
                let (tell, outcome) = watch::channel(None);
                let run = run(self.clone(), entry.key().clone(), request, tell);
                let slot = Slot {
                    fingerprint,
                    begun: Instant::now(),
                    outcome: outcome.clone(),
                    _task: task::spawn(run),
                };
                entry.insert(slot);
                Ok((outcome, false))
            }
        }
    }

    /// Makes room for one more: what is too old goes, then the oldest that is done.
    fn make_room(&self) -> Result<(), Problem> {
        if self.slots.len() < MOST {
            return Ok(());
        }
        self.slots.retain(|_, slot| slot.begun.elapsed() < KEPT_FOR);
        if self.slots.len() < MOST {
            return Ok(());
        }
        let done = self
            .slots
            .iter()
            .filter(|slot| slot.outcome.borrow().is_some());
        let oldest = done
            .min_by_key(|slot| slot.begun)
            .map(|slot| slot.key().clone());
        let Some(oldest) = oldest else {
            let detail = "too many requests with an Idempotency-Key are under way";
            return Err(
                Problem::new(&codes::OVERLOADED, detail).retry_after(Duration::from_secs(1))
            );
        };
        self.slots.remove(&oldest);
        Ok(())
    }
}

async fn run<F>(repeats: Repeats, key: RepeatKey, request: F, tell: watch::Sender<Option<Outcome>>)
where
    F: Future<Output = Response> + Send + 'static,
{
    let mut forget = Forget {
        repeats,
        key,
        is_due: true,
    };
    let outcome = Outcome::of(request.await).await;
    forget.is_due = !outcome.took_effect();
    tell.send_replace(Some(outcome));
}

/// Frees a key when its request did nothing, which includes that it panicked.
struct Forget {
    repeats: Repeats,
    key: RepeatKey,
    is_due: bool,
}

impl Drop for Forget {
    fn drop(&mut self) {
        if self.is_due {
            self.repeats.slots.remove(&self.key);
        }
    }
}

async fn answer(
    mut outcome: watch::Receiver<Option<Outcome>>,
    is_replay: bool,
) -> Result<Response, Problem> {
    let known = outcome.wait_for(Option::is_some).await;
    let known = known.ok().and_then(|known| known.clone());
    let mut response = known
        .ok_or_else(|| Problem::internal("a request with a key ended without an answer"))?
        .response();
    if is_replay {
        response
            .headers_mut()
            .insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

impl Outcome {
    /// Of a response, whose body is read to its end.
    pub(crate) async fn of(response: Response) -> Self {
        let (
            Parts {
                status,
                headers,
                mut extensions,
                ..
            },
            body,
        ) = response.into_parts();
        let problem = extensions.remove::<Problem>();
        match Limited::new(body, MAX_ANSWER).collect().await {
            Ok(body) => Self {
                status,
                headers,
                body: body.to_bytes(),
                problem,
            },
            Err(error) => {
                let problem = Problem::internal(&error.to_string());
                Self {
                    status: problem.status(),
                    headers: HeaderMap::new(),
                    body: Bytes::new(),
                    problem: Some(problem),
                }
            }
        }
    }

    /// Whether the request did something, or may have.
    pub(crate) fn took_effect(&self) -> bool {
        let died = self
            .problem
            .as_ref()
            .is_some_and(|problem| problem.code() == "supervisor.died");
        self.status.is_success() || self.status == StatusCode::GATEWAY_TIMEOUT || died
    }

    /// As a response.
    pub(crate) fn response(self) -> Response {
        if let Some(problem) = self.problem {
            return problem.into_response();
        }
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    fn key(name: &str) -> RepeatKey {
        RepeatKey {
            caller: "local:0".to_owned(),
            route: RouteId(0),
            path: "/".to_owned(),
            key: name.to_owned(),
        }
    }

    const BODY: [u8; 32] = [1; 32];
    const OTHER: [u8; 32] = [2; 32];

    /// Counts how often it ran and answers with that number and this status.
    fn counting(
        count: &Arc<AtomicUsize>,
        status: StatusCode,
    ) -> impl Future<Output = Response> + Send + 'static {
        let count = Arc::clone(count);
        async move { (status, count.fetch_add(1, Ordering::Relaxed).to_string()).into_response() }
    }

    async fn text(response: Response) -> String {
        let bytes = response
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    #[tokio::test]
    async fn the_same_key_gives_the_same_answer_once() {
        let (repeats, count) = (Repeats::default(), Arc::new(AtomicUsize::new(0)));
        for replay in [false, true, true] {
            let request = counting(&count, StatusCode::CREATED);
            let response = repeats
                .once(key("a"), BODY, request)
                .await
                .expect("an answer");
            assert_eq!(response.status(), StatusCode::CREATED);
            assert_eq!(response.headers().contains_key(REPLAYED), replay);
            assert_eq!(text(response).await, "0");
        }
        let other = repeats
            .once(key("b"), BODY, counting(&count, StatusCode::CREATED))
            .await;
        assert_eq!(text(other.expect("an answer")).await, "1");
        let reused = repeats
            .once(key("a"), OTHER, counting(&count, StatusCode::CREATED))
            .await;
        assert_eq!(
            reused.expect_err("another body").code(),
            codes::KEY_REUSED.code
        );
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_refusal_frees_its_key_and_an_unknown_outcome_does_not() {
        let (repeats, count) = (Repeats::default(), Arc::new(AtomicUsize::new(0)));
        for (status, ran) in [
            (StatusCode::UNPROCESSABLE_ENTITY, 1),
            (StatusCode::SERVICE_UNAVAILABLE, 2),
            (StatusCode::GATEWAY_TIMEOUT, 3),
            (StatusCode::CREATED, 3),
        ] {
            let response = repeats.once(key("a"), BODY, counting(&count, status)).await;
            response.expect("an answer");
            assert_eq!(count.load(Ordering::Relaxed), ran, "{status}");
        }
    }

    #[tokio::test]
    async fn a_request_goes_on_when_its_client_leaves() {
        let (repeats, count) = (Repeats::default(), Arc::new(AtomicUsize::new(0)));
        let (begun, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let slow = {
            let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
            let request = counting(&count, StatusCode::CREATED);
            async move {
                begun.add_permits(1);
                let _let_go = go_on.acquire().await;
                request.await
            }
        };
        tokio::select! {
            _answer = repeats.once(key("a"), BODY, slow) => panic!("it was not let go"),
            _begun = begun.acquire() => {}
        }
        go_on.add_permits(1);
        let again = repeats
            .once(key("a"), BODY, counting(&count, StatusCode::CREATED))
            .await;
        assert_eq!(text(again.expect("an answer")).await, "0");
    }

    #[tokio::test]
    async fn a_panic_is_an_answer_and_frees_the_key() {
        let repeats = Repeats::default();
        let refused = repeats
            .once(key("a"), BODY, async { panic!("on purpose") })
            .await;
        assert_eq!(refused.expect_err("no answer").code(), codes::INTERNAL.code);
        let count = Arc::new(AtomicUsize::new(0));
        let fine = repeats
            .once(key("a"), BODY, counting(&count, StatusCode::CREATED))
            .await;
        assert_eq!(fine.expect("an answer").status(), StatusCode::CREATED);
    }

    #[tokio::test(start_paused = true)]
    async fn answers_are_bounded_in_number_and_time() {
        let (repeats, count) = (Repeats::default(), Arc::new(AtomicUsize::new(0)));
        for number in 0..MOST + 10 {
            let request = counting(&count, StatusCode::CREATED);
            repeats
                .once(key(&number.to_string()), BODY, request)
                .await
                .expect("an answer");
            // Distinct times, so that "the oldest" means something.
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(repeats.slots.len(), MOST);
        assert!(
            !repeats.slots.contains_key(&key("0")),
            "the oldest made room"
        );
        let last = (MOST + 9).to_string();
        let ran = count.load(Ordering::Relaxed);
        repeats
            .once(key(&last), BODY, counting(&count, StatusCode::CREATED))
            .await
            .expect("an answer");
        assert_eq!(count.load(Ordering::Relaxed), ran);
        tokio::time::advance(KEPT_FOR).await;
        repeats
            .once(key(&last), BODY, counting(&count, StatusCode::CREATED))
            .await
            .expect("an answer");
        assert_eq!(count.load(Ordering::Relaxed), ran + 1);
    }
}
