//! Exit codes. Scripts and service managers act on them, so the contract fixes each number and this is the one place that
//! knows them; nothing else in the command line deals in integers.

use std::process::ExitCode;

use supervisor::Level;

/// How a verb ended, as the shell sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done; for `status`: NORMAL.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// The command line was not understood.
    Usage = 2,
    /// The daemon cannot be reached.
    Unreachable = 3,
    /// The configuration is not valid.
    Configuration = 4,
    /// Another process uses the data directory.
    AlreadyRunning = 5,
    /// `status`: DEGRADED.
    Degraded = 10,
    /// `status`: CRITICAL.
    Critical = 11,
    /// `status`: OFFLINE.
    Offline = 12,
}

impl Exit {
    /// The number that the shell gets.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// What `status` answers for a level.
    pub const fn of_level(level: Level) -> Self {
        match level {
            Level::Normal => Self::Done,
            Level::Degraded => Self::Degraded,
            Level::Critical => Self::Critical,
            Level::Offline => Self::Offline,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_the_contracts() {
        let all = [
            (Exit::Done, 0),
            (Exit::Failed, 1),
            (Exit::Usage, 2),
            (Exit::Unreachable, 3),
            (Exit::Configuration, 4),
            (Exit::AlreadyRunning, 5),
            (Exit::Degraded, 10),
            (Exit::Critical, 11),
            (Exit::Offline, 12),
        ];
        for (exit, code) in all {
            assert_eq!(exit.code(), code, "{exit:?}");
        }
    }

    #[test]
    fn each_level_has_its_code() {
        assert_eq!(
            Level::ALL.map(|level| Exit::of_level(level).code()),
            [0, 10, 11, 12]
        );
    }
}
