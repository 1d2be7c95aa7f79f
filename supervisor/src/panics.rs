//! Panics as values: caught per poll, with message and location.
//!
//! The panic hook is the only place that knows where a panic happened. It leaves that in a thread-local, where the
//! catcher, on the same thread, finds it. Inside supervised code the default hook is not called: it would print a
//! trace (which takes tens of milliseconds in a debug build) before the restart, and the supervisor tells of the fault anyway.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Once;
use std::task::Poll;

use crate::on_thread;

thread_local! {
    static LOCATION: RefCell<Option<String>> = const { RefCell::new(None) };
    static SUPERVISED: Cell<bool> = const { Cell::new(false) };
}

/// A caught panic.
#[derive(Debug, Clone)]
pub(crate) struct Panic {
    /// What it said; longer texts are cut.
    pub(crate) message: String,
    /// `file:line:column`, where the hook saw it.
    pub(crate) location: Option<String>,
}

impl std::fmt::Display for Panic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.location {
            Some(location) => write!(f, "{} at {location}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

const MESSAGE_LIMIT_CHARS: usize = 500;

/// Chains our hook in front of the present one. Called once per process.
pub(crate) fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
            let location = info.location().map(ToString::to_string);
            LOCATION.with(|slot| *slot.borrow_mut() = location);
            if !SUPERVISED.get() {
                previous(info);
            }
        }));
    });
}

/// Runs `future`; a panic in it becomes a value.
pub(crate) async fn caught<F: Future>(future: F) -> Result<F::Output, Panic> {
    let future = pin!(future);
    caught_as(0, future).await
}

/// As [`caught`], with the thread marked as running code of `actor` (a cell's number) during each poll.
///
/// Takes the future where it is pinned: one that is given away is kept twice in the future that awaits it, and an idle actor is
/// little more than the futures that it is made of.
pub(crate) fn caught_as<F: Future>(
    actor: u64,
    mut future: Pin<&mut F>,
) -> impl Future<Output = Result<F::Output, Panic>> {
    poll_fn(move |cx| {
        let outer = SUPERVISED.replace(true);
        let _entered = (actor != 0).then(|| on_thread::enter(actor));
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        SUPERVISED.set(outer);
        match polled {
            Ok(poll) => poll.map(Ok),
            Err(payload) => Poll::Ready(Err(Panic {
                message: text_of(payload.as_ref()),
                location: LOCATION.with(|slot| slot.borrow_mut().take()),
            })),
        }
    })
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&'static str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without a text".to_owned());
    text.chars().take(MESSAGE_LIMIT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_caught_with_its_text_and_place() {
        install_hook();
        let panic = caught(async { panic!("the {} broke", "thing") })
            .await
            .map(|(): ()| ())
            .unwrap_err();
        assert_eq!(panic.message, "the thing broke");
        assert!(panic.location.unwrap().contains("panics.rs"));
    }
}
