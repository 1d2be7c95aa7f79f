//! Which events and spans are logged: by level and part, changeable while the daemon runs.
//!
//! The answer is a fact about a place in the code, so the tracing library asks once for each and remembers, until the filter changes. A
//! filter that can also look into spans would be asked again every time a span is entered and left, which costs a request more than
//! its line in the log.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer};

/// The layer. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Threshold(Arc<ArcSwap<Targets>>);

impl Threshold {
    pub(super) fn new(targets: Targets) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(targets)))
    }

    /// Puts another filter into force.
    pub(super) fn set(&self, targets: Targets) {
        self.0.store(Arc::new(targets));
        tracing_core::callsite::rebuild_interest_cache();
    }
}

impl<S: Subscriber> Layer<S> for Threshold {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        Layer::<S>::register_callsite(&**self.0.load(), metadata)
    }

    fn enabled(&self, metadata: &Metadata<'_>, _context: Context<'_, S>) -> bool {
        self.0
            .load()
            .would_enable(metadata.target(), metadata.level())
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Layer::<S>::max_level_hint(&**self.0.load())
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn a_change_counts_at_once() {
        let targets = |text: &str| text.parse::<Targets>().expect("a filter");
        let threshold = Threshold::new(targets("warn,noisy=off"));
        let subscriber = tracing_subscriber::registry().with(threshold.clone());
        tracing::subscriber::with_default(subscriber, || {
            let asked = || {
                [
                    tracing::enabled!(target: "part", tracing::Level::WARN),
                    tracing::enabled!(target: "part", tracing::Level::DEBUG),
                    tracing::enabled!(target: "noisy", tracing::Level::ERROR),
                ]
            };
            assert_eq!(asked(), [true, false, false]);
            threshold.set(targets("info,part=debug"));
            assert_eq!(asked(), [true, true, true]);
            threshold.set(targets("off"));
            assert_eq!(asked(), [false, false, false]);
        });
    }
}
