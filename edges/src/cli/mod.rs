//! The command line: verbs, the client of the control socket, and what the documents of the API look like to a person.
//!
//! Except for `up`, a verb is a short-lived process that asks the daemon over its Unix socket or looks at files while the
//! daemon is down. Each one ends in an [`Exit`] or in a failure that says what happened and what to do next; nothing here
//! ends the process itself, so that whatever has to be put back (the cursor, a lock) is put back.
//!
//! # Layout
//! - `args`: the tree of verbs, which is also the help; `exit`, `failure`: how a verb ends.
//! - `client`, `sse`, `unreachable`: the control socket and why it may not answer; `document`: what it says.
//! - `screen`, `text`, `span`: what a terminal or a pipe can show; `render`: the looks, pure.
//! - `status`, `events`, `waits`, `watch`, `top`, `action`, `token`, `user` (with `typed` passwords), `audit`, `drill`: verbs that ask the
//!   daemon.
//! - `config_verbs`, `migrate`, `doctor`, [`version`], `completions`: verbs that work without it.

mod action;
mod args;
mod audit;
mod client;
mod completions;
mod config_verbs;
mod doctor;
mod document;
mod drill;
mod events;
mod exit;
mod failure;
mod migrate;
mod render;
mod screen;
mod span;
mod sse;
mod status;
#[cfg(test)]
mod tests;
mod text;
mod token;
mod top;
mod typed;
mod unreachable;
mod user;
pub mod version;
mod waits;
mod watch;

use std::{ffi::OsString, future::Future, path::PathBuf, process::ExitCode};

use clap::Parser as _;

pub use self::{args::UpOptions, exit::Exit};
pub(crate) use self::{failure::Failure, screen::hint};

use self::{
    action::Action,
    args::{Cli, Global, Verb},
    client::Client,
    screen::{Environment, Screen, error_style},
};

use crate::data_dir;

/// Runs the command line `arguments` (the program's name first) and answers with the exit code of the contract. Whatever
/// goes wrong has been told on stderr by then.
pub fn run<I, T>(arguments: I) -> ExitCode
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(answer) => {
            // Help that was asked for is no wrong usage; a closed pipe is no failure.
            let _reader_gone = answer.print();
            return if answer.use_stderr() {
                Exit::Usage.into()
            } else {
                Exit::Done.into()
            };
        }
    };
    let environment = Environment::of_process();
    let session = Session {
        screen: Screen::of_process(&environment),
        environment,
        global: cli.global,
    };
    match session.verb(cli.verb) {
        Ok(code) => code,
        Err(failure) => {
            let text = failure.render(&error_style(&session.environment));
            if !text.is_empty() {
                screen::hint(text.trim_end());
            }
            failure.exit.into()
        }
    }
}

/// What every verb is given.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) environment: Environment,
    pub(crate) screen: Screen,
    pub(crate) global: Global,
}

impl Session {
    fn verb(&self, verb: Verb) -> Result<ExitCode, Failure> {
        let exit = match verb {
            Verb::Up(args) => return self.up(args),
            Verb::Status(args) => status::status(self, &args),
            Verb::Explain(args) => status::explain(self, &args),
            Verb::Restart(args) => action::run(self, Action::Restart, &args),
            Verb::Stop(args) => action::run(self, Action::Stop, &args),
            Verb::Start(args) => action::run(self, Action::Start, &args),
            Verb::Top => top::run(self),
            Verb::Doctor(args) => doctor::run(self, &args),
            Verb::Config { verb } => config_verbs::run(self, &verb),
            Verb::Migrate { verb } => migrate::run(self, &verb),
            Verb::Token { verb } => token::run(self, verb),
            Verb::Audit { verb } => audit::run(self, &verb),
            Verb::User { verb } => user::run(self, verb),
            Verb::Drill { verb } => drill::run(self, verb),
            Verb::Completions(args) => completions::run(args.shell),
            Verb::Version(args) => version::run(&args),
        };
        exit.map(ExitCode::from)
    }

    fn up(&self, args: args::UpArgs) -> Result<ExitCode, Failure> {
        let options = UpOptions {
            data_dir: self.data_dir()?,
            config: self.global.config.clone(),
            listen: args.listen,
            only: args.only,
            without: args.without,
        };
        Ok(crate::boot::up(options)?)
    }

    /// The data directory that this command is about.
    ///
    /// # Errors
    /// A failure when neither a flag nor the environment says where it is.
    pub(crate) fn data_dir(&self) -> Result<PathBuf, Failure> {
        Ok(data_dir::resolve(
            self.global.data_dir.as_deref(),
            |name| self.environment.get(name),
        )?)
    }

    /// A client of the daemon that this command is about.
    ///
    /// # Errors
    /// As [`Self::data_dir`].
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        Ok(Client::new(&self.data_dir()?))
    }
}

/// Runs `work` to its end on a small runtime of its own.
///
/// # Errors
/// Those of `work`, and a failure when the system gives no runtime.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed("the system gives no event loop").caused_by(&error))?;
    runtime.block_on(work)
}
