//! The one list of all sections. A new domain is one line here.

use ground::config::{Effective, Group, Key, Problem, Reading, Section};

use super::dependencies::DependenciesConfig;
use super::http::{HttpConfig, LimitsConfig};
use super::sections::{DrillsConfig, LogConfig, SecretsConfig};

/// Lists the sections in the order of the default file; everything else follows from the list.
macro_rules! settings {
    ($($(#[doc = $doc:literal])* $field:ident: $section:ty,)+) => {
        /// All settings of the daemon, checked: one field a section.
        #[derive(Clone, Debug, Default)]
        pub struct Settings {
            $($(#[doc = $doc])* pub $field: $section,)+
        }

        impl Settings {
            /// Reads every section at the top of `reading` and ends the reading.
            pub(super) fn read(mut reading: Reading<'_>) -> (Self, Vec<Effective>, Vec<Problem>) {
                $(reading.announce::<$section>();)+
                let settings = Self { $($field: reading.section::<$section>(),)+ };
                let (effective, problems) = reading.finish();
                (settings, effective, problems)
            }
        }

        /// The sections with their documentation and keys, for the default file and the hints.
        pub(super) fn sections() -> Vec<SectionKeys> {
            vec![$(SectionKeys {
                name: <$section as Section>::NAME,
                doc: <$section as Group>::DOC,
                keys: <$section as Group>::keys(),
            },)+]
        }
    };
}

/// A section as it is described.
pub(super) struct SectionKeys {
    /// Its name in the file.
    pub(super) name: &'static str,
    /// The lines of its documentation.
    pub(super) doc: &'static [&'static str],
    /// Its keys.
    pub(super) keys: Vec<Key>,
}

settings! {
    /// The HTTP server.
    http: HttpConfig,
    /// How many requests a client may send.
    limits: LimitsConfig,
    /// The log.
    log: LogConfig,
    /// The database.
    store: store::StoreConfig,
    /// The master key.
    secrets: SecretsConfig,
    /// Access tokens.
    accounts: accounts::Config,
    /// The audit.
    audit: audit::Config,
    /// Requests that are done once.
    idempotency: idempotency::Config,
    /// The history.
    ledger: ledger::Config,
    /// Outgoing mail.
    mail: mail::MailConfig,
    /// Terminals.
    ptys: ptys::Config,
    /// What is called outside.
    dependencies: DependenciesConfig,
    /// Fault drills.
    drills: DrillsConfig,
}
