//! How many requests a client may send: counted by account once a token was verified, by address until then.
//!
//! The algorithm (GCRA, of `governor`) keeps one number a client. A client may send a minute's worth at once and then evenly, so
//! nobody can save up for two bursts around the turn of a minute. Who has no credential to lose is counted by address; a wrong token
//! counts there too, and an address that has used up its share is refused before its token is looked up.
//!
//! The counts are not in an actor, so none is lost when one restarts, and they are bounded: see `memory`.

mod memory;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::{Quota, RateLimiter};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use self::memory::{Asked, Memory};
use super::client::AddressBlock;
use super::codes;
use super::problem::Problem;
use crate::config::LimitsConfig;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");
/// What the quotas are counted over.
const WINDOW: Duration = Duration::from_mins(1);

/// A class of clients with a quota of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Without a token, on a route that signs in.
    Auth,
    /// Without a token, elsewhere.
    Anonymous,
    /// With a token.
    SignedIn,
    /// With a token of an account of the tier `premium`.
    Premium,
}

impl Class {
    const ALL: [Self; 4] = [Self::Auth, Self::Anonymous, Self::SignedIn, Self::Premium];

    /// The name of its policy, in headers.
    const fn word(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Anonymous => "anonymous",
            Self::SignedIn => "signed-in",
            Self::Premium => "premium",
        }
    }

    const fn per_minute(self, config: &LimitsConfig) -> u32 {
        match self {
            Self::Auth => config.anonymous_auth_per_minute,
            Self::Anonymous => config.anonymous_per_minute,
            Self::SignedIn => config.signed_in_per_minute,
            Self::Premium => config.premium_per_minute,
        }
    }
}

/// Who is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    /// An account; `None` is the local operator's.
    Account(Option<Arc<str>>),
    /// Whoever is at this address.
    Address(AddressBlock),
}

/// How a client stands after a request, or why it may not send one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    class: Class,
    quota: u32,
    left: u32,
    /// Until all of the quota is there again; where nothing is left, until one more may come.
    again: Duration,
    /// Whether the request is refused.
    pub(crate) is_over: bool,
}

/// The counts. None of its methods waits.
#[derive(Debug, Default)]
pub struct Rates {
    /// None while nothing is counted.
    counters: ArcSwapOption<[Arc<Counter>; 4]>,
}

impl Rates {
    /// With these quotas.
    pub fn new(config: &LimitsConfig) -> Self {
        let rates = Self::default();
        rates.set(config);
        rates
    }

    /// Puts other quotas into force. Clients keep their counts where the quota of their class stays.
    pub fn set(&self, config: &LimitsConfig) {
        let old = self.counters.load_full();
        let counters = Class::ALL.map(|class| {
            let quota = class.per_minute(config);
            let kept = old.as_ref().and_then(|old| {
                let same = old
                    .iter()
                    .find(|one| one.class == class && one.quota == quota);
                same.cloned()
            });
            kept.unwrap_or_else(|| Arc::new(Counter::new(class, quota)))
        });
        self.counters
            .store(config.enabled.then(|| Arc::new(counters)));
    }

    /// Counts a request. `None` while nothing is counted.
    pub(crate) fn take(&self, class: Class, client: Client) -> Option<Standing> {
        self.ask(class, client, false)
    }

    /// Whether a request would be refused, without counting one.
    pub(crate) fn look(&self, class: Class, client: Client) -> Option<Standing> {
        self.ask(class, client, true)
    }

    fn ask(&self, class: Class, client: Client, is_look: bool) -> Option<Standing> {
        let counters = self.counters.load();
        let counter = counters.as_ref()?.iter().find(|one| one.class == class)?;
        Some(counter.ask(&Asked { client, is_look }))
    }
}

/// The counts of one class.
#[derive(Debug)]
struct Counter {
    class: Class,
    quota: u32,
    limiter: RateLimiter<Asked, Memory, Ticks, StateInformationMiddleware>,
}

impl Counter {
    fn new(class: Class, quota: u32) -> Self {
        let quota = std::num::NonZeroU32::new(quota).unwrap_or(std::num::NonZeroU32::MIN);
        let every = Quota::per_minute(quota);
        Self {
            class,
            quota: quota.get(),
            limiter: RateLimiter::new(every, Memory::default(), Ticks::start()),
        }
    }

    fn ask(&self, asked: &Asked) -> Standing {
        let now = self.limiter.clock().now();
        let every = WINDOW / self.quota;
        let (left, again, is_over) = match self.limiter.check_key(asked) {
            Ok(state) => {
                let left = state.remaining_burst_capacity().min(self.quota);
                // Without any left, the next one comes after one interval at most.
                let missing = if left == 0 { 1 } else { self.quota - left };
                (left, every * missing, false)
            }
            Err(until) => (0, until.wait_time_from(now), true),
        };
        Standing {
            class: self.class,
            quota: self.quota,
            left,
            again,
            is_over,
        }
    }
}

/// The time since the counter was made, by the clock that tests can pause.
#[derive(Debug)]
struct Ticks(Instant);

impl Ticks {
    fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        u64::try_from(self.0.elapsed().as_nanos())
            .unwrap_or(u64::MAX)
            .into()
    }
}

impl Standing {
    /// Tells the client (draft-ietf-httpapi-ratelimit-headers).
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        let (name, quota, left) = (self.class.word(), self.quota, self.left);
        let policy = format!("\"{name}\";q={quota};w={}", WINDOW.as_secs());
        let standing = format!("\"{name}\";r={left};t={}", whole_seconds(self.again));
        for (header, text) in [(POLICY, policy), (STANDING, standing)] {
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(header, value);
            }
        }
    }

    /// The 429 for a client that has used up its quota.
    pub(crate) fn refusal(&self) -> Problem {
        let whose = match self.class {
            Class::Auth | Class::Anonymous => "this address without a token",
            Class::SignedIn | Class::Premium => "this account",
        };
        let quota = self.quota;
        let detail = format!("{whose} may send {quota} requests a minute here; try again later");
        Problem::new(&codes::RATE_LIMITED, detail).retry_after(self.again)
    }
}

fn whole_seconds(span: Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}
