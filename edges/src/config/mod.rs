//! The configuration of the daemon: where its layers come from, how they are read, checked, shown and compared.
//!
//! Later wins: built-in defaults, the file, `MAINSTAY_SECTION__KEY` in the environment, flags. Every fault of all layers
//! is found in one run, each with its place and what to write instead; the usual way (merge, then let serde stop at the
//! first type error) makes a user fix a file one error at a time, and cannot say where a value came from.
//!
//! What a section is, and the checks of single values, belong to [`ground::config`]. Reading is a pure function of
//! [`Sources`]; [`environment`] is the one place of the whole program that looks at the environment.
//!
//! # Layout
//! [`Settings`] the one list of sections (`settings`) · `http`, `sections` those of the edges themselves, `network` a value of theirs,
//! `dependencies` that of the outside · `load` the layers ·
//! `file` bounded reading, places · `document` TOML to values · `recover` what a broken file still says · `variables` the
//! environment · `findings` faults for people and programs · `change` what a reload may apply · `template` the commented
//! default file · `verbs` the command line's `config …`.

mod change;
mod dependencies;
mod document;
mod file;
mod findings;
mod http;
mod load;
mod network;
mod recover;
mod sections;
mod settings;
mod template;
#[cfg(test)]
mod tests;
mod variables;
pub mod verbs;

pub use change::{Change, ReloadPlan, plan};
pub use dependencies::{DependenciesConfig, DependencyDefaults, DependencyOverride};
pub use findings::{Finding, Invalid};
pub use http::{HttpConfig, LimitsConfig, TlsConfig};
pub use load::{Flag, Loaded, SYSTEM_FILE, Sources, load};
pub use network::Network;
pub use sections::{DrillsConfig, LogConfig, LogFormat, SecretsConfig};
pub use settings::Settings;
pub use template::{Environment, template};
pub use variables::environment;
