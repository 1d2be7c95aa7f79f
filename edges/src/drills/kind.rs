//! The kinds of drills: what each does, to what, and what the status must then say. Plain data.

use std::time::Duration;

use supervisor::{Disturbance, Injection, LONGEST_BLOCK, Level};

use super::run::Diagnosis;

/// The database as a dependency.
pub(super) const DATABASE: &str = "/store/database";
/// Who tells that the database is slow or full.
pub(super) const STORE: &str = "/store/manager";
/// How far the clock jumps.
pub(super) const JUMP: Duration = Duration::from_hours(1);
/// The code under which a drill tells of itself where nothing else may be told.
pub(super) const NOTED: &str = "drill";

/// A kind of drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Kill,
    Panic,
    Hang,
    Block,
    CrashLoop,
    Flood,
    StoreDown,
    StoreSlow,
    DiskFull,
    UpstreamDown,
    UpstreamSlow,
    UpstreamGarbage,
    ClockJump,
}

/// What a kind can be aimed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    /// An actor that runs.
    Actor,
    /// The database alone.
    Database,
    /// Anything outside of the process.
    Upstream,
    /// The whole daemon.
    Daemon,
}

/// The fault itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Inject(Injection),
    Disturb(Disturbance),
    Jump,
}

impl Kind {
    pub(super) const ALL: [Self; 13] = [
        Self::Kill,
        Self::Panic,
        Self::Hang,
        Self::Block,
        Self::CrashLoop,
        Self::Flood,
        Self::StoreDown,
        Self::StoreSlow,
        Self::DiskFull,
        Self::UpstreamDown,
        Self::UpstreamSlow,
        Self::UpstreamGarbage,
        Self::ClockJump,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill-actor",
            Self::Panic => "panic-actor",
            Self::Hang => "hang-actor",
            Self::Block => "block-actor",
            Self::CrashLoop => "crash-loop",
            Self::Flood => "mailbox-flood",
            Self::StoreDown => "store-down",
            Self::StoreSlow => "store-slow",
            Self::DiskFull => "disk-full",
            Self::UpstreamDown => "upstream-down",
            Self::UpstreamSlow => "upstream-slow",
            Self::UpstreamGarbage => "upstream-garbage",
            Self::ClockJump => "clock-jump",
        }
    }

    pub(super) const fn summary(self) -> &'static str {
        match self {
            Self::Kill => {
                "the actor is killed in the middle of its work; its supervisor starts it again"
            }
            Self::Panic => "the actor's handler panics; its supervisor starts it again",
            Self::Hang => {
                "the actor's handler waits for what does not come; beyond its limit it is killed and started again"
            }
            Self::Block => {
                "the actor's handler blocks a thread of the runtime, 5 s at most; nobody can end that early"
            }
            Self::CrashLoop => {
                "the actor panics whenever it is ready, until it is set aside; in the end it is started"
            }
            Self::Flood => "the actor's mailbox is kept full; its callers are told to come back",
            Self::StoreDown => {
                "the database cannot be reached; what needs it is refused at once, all else goes on"
            }
            Self::StoreSlow => {
                "each read and each commit of the database takes longer than a slow call"
            }
            Self::DiskFull => {
                "the database file finds no space for what is written, and can still be read (SQLite)"
            }
            Self::UpstreamDown => "what lies outside cannot be reached",
            Self::UpstreamSlow => {
                "calls to what lies outside take longer than a slow call; told once enough were made"
            }
            Self::UpstreamGarbage => "what lies outside answers nonsense",
            Self::ClockJump => {
                "the daemon's wall clock jumps ahead by an hour and back: nothing may change its level or restart"
            }
        }
    }

    pub(super) const fn aim(self) -> Aim {
        match self {
            Self::Kill | Self::Panic | Self::Hang | Self::Block | Self::CrashLoop | Self::Flood => {
                Aim::Actor
            }
            Self::StoreDown | Self::StoreSlow | Self::DiskFull => Aim::Database,
            Self::UpstreamDown | Self::UpstreamSlow | Self::UpstreamGarbage => Aim::Upstream,
            Self::ClockJump => Aim::Daemon,
        }
    }

    /// Whether the fault goes on for the drill's time; else it is done at once, and that time is for watching.
    pub(super) const fn lasts(self) -> bool {
        !matches!(self, Self::Kill | Self::Panic)
    }

    /// Whether it makes calls slow, which is so only when the first of them has taken as long as a slow call.
    pub(super) const fn is_slow(self) -> bool {
        matches!(self, Self::StoreSlow | Self::UpstreamSlow)
    }

    /// What the status must say of it: where the database is concerned in the words of the store, which knows better than
    /// the rates of its breaker.
    pub(super) fn expected(self, target: &str) -> Diagnosis {
        let is_database = target == DATABASE;
        let (path, level, code) = match self {
            Self::Kill => (target, Level::Offline, "actor.killed"),
            Self::Panic | Self::CrashLoop => (target, Level::Offline, "actor.panicked"),
            Self::Hang => (target, Level::Degraded, "actor.stuck"),
            Self::Block => (target, Level::Degraded, "actor.blocked"),
            Self::Flood => (target, Level::Degraded, "actor.flooded"),
            Self::DiskFull => (STORE, Level::Critical, "store.disk_full"),
            Self::StoreSlow | Self::UpstreamSlow if is_database => {
                (STORE, Level::Degraded, "store.slow")
            }
            Self::StoreSlow | Self::UpstreamSlow => (target, Level::Degraded, "dependency.slow"),
            Self::StoreDown | Self::UpstreamDown | Self::UpstreamGarbage if is_database => {
                (target, Level::Critical, "store.unreachable")
            }
            Self::StoreDown | Self::UpstreamDown | Self::UpstreamGarbage => {
                (target, Level::Critical, "dependency.open")
            }
            Self::ClockJump => (target, Level::Normal, NOTED),
        };
        Diagnosis {
            path: path.to_owned(),
            level,
            cause_code: code.to_owned(),
        }
    }

    /// The worst level that it can bring its target to. One that hangs for long is killed in the end.
    pub(super) fn worst(self, expected: &Diagnosis) -> Level {
        match self {
            Self::Hang => Level::Offline,
            _ => expected.level,
        }
    }

    /// The fault, for `span`. `slow_call` is from when on a call to the target counts as slow.
    pub(super) fn fault(self, span: Duration, slow_call: Duration) -> Fault {
        match self {
            Self::Kill => Fault::Inject(Injection::Kill),
            Self::Panic => Fault::Inject(Injection::Panic),
            Self::Hang => Fault::Inject(Injection::Hang(span)),
            Self::Block => Fault::Inject(Injection::Block(span.min(LONGEST_BLOCK))),
            Self::CrashLoop => Fault::Inject(Injection::CrashLoop(span)),
            Self::Flood => Fault::Inject(Injection::Flood(span)),
            Self::StoreDown | Self::UpstreamDown => Fault::Disturb(Disturbance::Down),
            Self::StoreSlow | Self::UpstreamSlow => {
                Fault::Disturb(Disturbance::Slow(slow_call + slow_call / 10))
            }
            Self::UpstreamGarbage => Fault::Disturb(Disturbance::Garbage),
            Self::DiskFull => Fault::Disturb(Disturbance::Full),
            Self::ClockJump => Fault::Jump,
        }
    }
}
