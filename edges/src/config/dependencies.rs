//! The section `[dependencies]`: the one place where calls to the outside are bounded, for all and for each by name.
//!
//! A dependency that no code knows is a fault that names the known ones: an override that silently does nothing would be found out in
//! the middle of an outage.

use std::collections::BTreeMap;
use std::time::Duration;

use ground::config::{Conflict, Group, Key, Reading, Reload, Section};
use supervisor::{Backoff, Dependency, DependencyPolicy};

/// The dependencies that can be configured, by the part of their path behind the first slash, with dots. A new one is one
/// entry here.
const KNOWN: [&str; 2] = ["store.database", "mail.smtp"];
/// Dependencies that have names of their own: the place of their groups, and what their names begin with here. The section of the
/// groups must be read before this one.
const NAMED: [(&str, &str); 1] = [("accounts.issuers", "accounts.issuer_")];

/// The longest span that a key takes.
const LONGEST: Duration = Duration::from_hours(1);
const SHORTEST: Duration = Duration::from_millis(1);

/// Declares the keys once: as the defaults of all, and as what may be said of one.
macro_rules! keys {
    ($($(#[doc = $doc:literal])* $key:ident: $type:ty = $default:expr, range $range:expr, example $example:literal;)+) => {
        ground::section! {
            /// What holds for every dependency.
            pub struct DependencyDefaults {
                $($(#[doc = $doc])* $key: $type = $default, range $range, reload daemon;)+
            }
            conflicts contradictions;
        }

        ground::section! {
            /// What holds for one dependency alone.
            pub struct DependencyOverride {
                $(
                    /// As above, for this one alone.
                    $key: Option<$type> = None, range $range, example $example, reload daemon;
                )+
            }
        }

        impl DependencyOverride {
            /// These keys over those of `base`.
            fn over(&self, base: &DependencyDefaults) -> DependencyDefaults {
                DependencyDefaults {
                    $($key: self.$key.unwrap_or(base.$key),)+
                }
            }
        }
    };
}

keys! {
    /// How long one attempt of a call may take.
    timeout: Duration = Duration::from_secs(5), range SHORTEST..=LONGEST, example "\"5s\"";
    /// How often a call is tried, the first time included.
    attempts: u32 = 3, range 1..=10, example "3";
    /// From which share of failed calls on it counts as away.
    failure_rate_percent: u32 = 50, range 1..=100, example "50";
    /// From which time on a call counts as slow.
    slow_call: Duration = Duration::from_secs(2), range SHORTEST..=LONGEST, example "\"2s\"";
    /// From which share of slow calls on it counts as slow.
    slow_rate_percent: u32 = 50, range 1..=100, example "50";
    /// How many of the last calls these shares are taken of, at most.
    window_calls: u32 = 100, range 1..=10_000, example "100";
    /// How old a call may be that these shares are taken of.
    window: Duration = Duration::from_secs(30), range SHORTEST..=LONGEST, example "\"30s\"";
    /// How many calls it takes at least for a share to mean anything.
    min_calls: u32 = 10, range 1..=10_000, example "10";
    /// How long one that is away is left alone before it is tried again. Doubles with every failed trial.
    open_first: Duration = Duration::from_secs(1), range SHORTEST..=LONGEST, example "\"1s\"";
    /// How long it is left alone at most.
    open_max: Duration = Duration::from_mins(1), range SHORTEST..=LONGEST, example "\"1m\"";
    /// How many calls in a row must succeed before it counts as back.
    half_open_calls: u32 = 3, range 1..=100, example "3";
    /// How many calls to it may be under way at once; further ones are refused at once.
    max_in_flight: u32 = 64, range 1..=1_000_000, example "64";
}

/// What the program calls outside of itself: how long calls may take, how often they are tried, and when they are refused at
/// once because nobody answers. Some dependencies have defaults of their own; `mainstay status` shows each with its state.
#[derive(Clone, Debug, Default)]
pub struct DependenciesConfig {
    /// What holds for all.
    pub defaults: DependencyDefaults,
    /// What holds for one, by name.
    pub overrides: BTreeMap<String, DependencyOverride>,
}

impl Group for DependenciesConfig {
    const DOC: &'static [&'static str] = &[
        " What is called outside of the program: how long calls may take, how often they are tried, and when they are",
        " refused at once because nobody answers. Some dependencies have defaults of their own for some keys.",
        " What holds for one outside issuer alone stands in [dependencies.\"accounts.issuer_NAME\"].",
    ];

    fn keys() -> Vec<Key> {
        let known = KNOWN.into_iter().map(|name| Key {
            name,
            doc: vec![" What differs for this dependency."],
            words: "section".to_owned(),
            range: None,
            default: None,
            example: None,
            reload: Reload::Daemon,
            secret: false,
            members: DependencyOverride::keys(),
        });
        DependencyDefaults::keys()
            .into_iter()
            .chain(known)
            .collect()
    }

    fn read(reading: &mut Reading<'_>) -> Self {
        let named = NAMED.into_iter().flat_map(|(place, prefix)| {
            let groups = reading.groups_of(place).into_iter();
            groups.map(move |name| format!("{prefix}{name}"))
        });
        let known: Vec<String> = KNOWN.map(str::to_owned).into_iter().chain(named).collect();
        let overrides = known
            .into_iter()
            .filter_map(|name| {
                let group = reading.beside(&name)?;
                Some((name, group))
            })
            .collect();
        Self {
            overrides,
            defaults: DependencyDefaults::read(reading),
        }
    }
}

impl Section for DependenciesConfig {
    const NAME: &'static str = "dependencies";
}

impl DependenciesConfig {
    /// The dependency at `path`. `tune` says what its domain knows better than the defaults; what stands in the file for
    /// this one comes last.
    pub fn dependency(
        &self,
        path: &str,
        tune: impl FnOnce(DependencyPolicy) -> DependencyPolicy,
    ) -> Dependency {
        let name = path.trim_start_matches('/').replace('/', ".");
        let tuned = tune(self.defaults.over(DependencyPolicy::default()));
        let policy = match self.overrides.get(name.as_str()) {
            Some(one) => one.over(&DependencyDefaults::of(&tuned)).over(tuned),
            None => tuned,
        };
        Dependency::new(path, policy)
    }
}

impl DependencyDefaults {
    /// These keys over `policy`, which has more.
    fn over(&self, policy: DependencyPolicy) -> DependencyPolicy {
        DependencyPolicy {
            timeout: self.timeout,
            attempts: self.attempts,
            failure_rate_percent: self.failure_rate_percent,
            slow_call: self.slow_call,
            slow_rate_percent: self.slow_rate_percent,
            window_calls: self.window_calls,
            window: self.window,
            min_calls: self.min_calls,
            open: Backoff {
                first: self.open_first,
                max: self.open_max,
            },
            half_open_calls: self.half_open_calls,
            max_in_flight: self.max_in_flight,
            ..policy
        }
    }

    /// The keys of `policy`.
    fn of(policy: &DependencyPolicy) -> Self {
        Self {
            timeout: policy.timeout,
            attempts: policy.attempts,
            failure_rate_percent: policy.failure_rate_percent,
            slow_call: policy.slow_call,
            slow_rate_percent: policy.slow_rate_percent,
            window_calls: policy.window_calls,
            window: policy.window,
            min_calls: policy.min_calls,
            open_first: policy.open.first,
            open_max: policy.open.max,
            half_open_calls: policy.half_open_calls,
            max_in_flight: policy.max_in_flight,
        }
    }
}

/// What does not fit together.
fn contradictions(keys: &DependencyDefaults) -> Vec<Conflict> {
    let mut found = Vec::new();
    if keys.min_calls > keys.window_calls {
        found.push(Conflict {
            key: "min_calls",
            message: format!(
                "expected at most window_calls ({}), found {}",
                keys.window_calls, keys.min_calls
            ),
        });
    }
    if keys.open_first > keys.open_max {
        found.push(Conflict {
            key: "open_max",
            message: format!(
                "expected at least open_first ({:?}), found {:?}",
                keys.open_first, keys.open_max
            ),
        });
    }
    found
}
