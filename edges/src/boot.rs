//! The life of the daemon, in order: data directory, configuration, log, listeners, tree, ready, signals, stop.
//!
//! What can be refused for good is refused before anything runs (a data directory in use, a broken configuration, a port
//! that is taken, a database that this version must not touch). What may pass (a database server that is away) is left to
//! the supervisor: the daemon comes up, says what is missing and goes on trying.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use supervisor::System;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use crate::cli::UpOptions;
use crate::config::{self, Sources, TlsConfig};
use crate::data_dir::{self, DataDirLock};
use crate::http::{Listeners, Server, Tls};
use crate::reload::Reloadable;
use crate::wire;
use crate::{systemd, telemetry};

/// How long requests in flight get to finish at a stop.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// Runs the daemon until a signal ends it.
pub(crate) fn up(options: UpOptions) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    data_dir::prepare(&options.data_dir)?;
    let lock = DataDirLock::acquire(&options.data_dir)?;
    let sources = sources(&options);
    let loaded = config::load(&sources)?;
    let log = telemetry::start(&loaded.settings.log)?;
    for warning in &loaded.warnings {
        tracing::warn!(%warning, "configuration");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the system gives no event loop")?;
    let configuration = Reloadable::new(sources, loaded, log);
    let daemon = Daemon {
        options,
        configuration,
        started,
    };
    let code = runtime.block_on(daemon.run());
    // What still runs now has had its limits.
    runtime.shutdown_timeout(Duration::from_millis(100));
    drop(lock);
    code
}

/// TLS, if it is configured.
fn tls(config: &TlsConfig) -> anyhow::Result<Option<Tls>> {
    let files = config.files();
    let tls = files.map(|(certificate, key)| Tls::load(certificate.clone(), key.clone()));
    Ok(tls.transpose()?)
}

/// Where the layers of the configuration are.
fn sources(options: &UpOptions) -> Sources {
    let mut sources =
        Sources::new(config::environment()).flag("--listen", "http.listen", options.listen);
    sources.file.clone_from(&options.config);
    sources.data_dir = Some(options.data_dir.clone());
    sources
}

struct Daemon {
    options: UpOptions,
    configuration: Reloadable,
    started: Instant,
}

/// What ended the daemon's normal life.
enum End {
    Asked,
    RootEnded,
}

impl Daemon {
    async fn run(mut self) -> anyhow::Result<ExitCode> {
        let mut signals = Signals::listen()?;
        let socket = data_dir::socket_path(&self.options.data_dir);
        let http = &self.configuration.settings().http;
        let tls = tls(&http.tls)?;
        let listeners = Listeners::bind(http.listen, Some(&socket)).await?;
        let listeners = listeners.with_tls(tls);
        let url = format!("{}://{}", listeners.scheme(), listeners.address());
        let own_origin = listeners.own_origin();
        let mut wired = wire::wire(self.configuration.settings(), &self.options, own_origin)?;
        let system = wired.start().await?;
        let (served, edge) = wired.serve(
            self.configuration.settings(),
            &system,
            listeners,
            self.started,
        )?;
        self.configuration.serves(edge);
        let told = systemd::follow(system.clone());
        let mut feed = systemd::Feed::new();
        let _watchdog = system
            .watch(tokio::runtime::Handle::current(), move |vitals| {
                feed.look(vitals);
            })
            .context("the system gives no thread for the watchdog")?;

        tokio::select! {
            () = system.ready() => {}
            () = signals.stop() => return self.stop(&system, served, &mut signals).await,
        }
        if let Some(refusal) = refusal(&system) {
            self.stop(&system, served, &mut signals).await?;
            return Err(refusal);
        }
        print_ready(&url, self.started.elapsed());
        wired.greet().await;
        systemd::ready();

        let end = loop {
            tokio::select! {
                asked = signals.next() => match asked {
                    Asked::Stop => break End::Asked,
                    Asked::Reload => {
                        systemd::reloading();
                        let entry = self.configuration.reload();
                        systemd::ready();
                        wired.recorded(entry).await;
                    }
                },
                () = system.ended() => break End::RootEnded,
            }
        };
        drop(told);
        let code = self.stop(&system, served, &mut signals).await?;
        match end {
            End::Asked => Ok(code),
            End::RootEnded => anyhow::bail!("the root supervisor ended; the log tells why"),
        }
    }

    /// Refuses new work, finishes what is in flight, stops the domains in reverse order. A second signal ends it at once.
    async fn stop(
        &self,
        system: &System,
        server: Server,
        signals: &mut Signals,
    ) -> anyhow::Result<ExitCode> {
        tracing::info!("stopping");
        systemd::stopping();
        let orderly = async {
            server.refuse();
            let drained = server.drain(DRAIN_LIMIT).await;
            if drained.cut_off > 0 {
                tracing::warn!(
                    requests = drained.cut_off,
                    "requests were cut off at the limit"
                );
            }
            let report = system.stop().await;
            if !report.killed.is_empty() {
                tracing::warn!(killed = ?report.killed, "did not stop within their limits");
            }
        };
        tokio::select! {
            () = orderly => {
                tracing::info!("stopped");
                Ok(ExitCode::SUCCESS)
            }
            () = signals.stop_again() => anyhow::bail!("a second signal ended the stop before it was done"),
        }
    }
}

/// The one line on stdout. A reader that has gone ends nothing.
fn print_ready(url: &str, took: Duration) {
    let ms = took.as_millis();
    let mut stdout = std::io::stdout();
    let printed = writeln!(stdout, "mainstay ready on {url} in {ms} ms");
    if let Err(error) = printed.and_then(|()| stdout.flush()) {
        tracing::warn!(%error, "ready line not printed");
    }
}

/// What a signal asks for.
#[derive(PartialEq, Eq)]
enum Asked {
    Stop,
    Reload,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("signals cannot be received");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// The next signal.
    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }

    /// Waits for a signal that ends the daemon.
    async fn stop(&mut self) {
        while self.next().await != Asked::Stop {}
    }

    /// Waits for a further signal that ends the daemon. Some senders (`timeout`, a terminal's Ctrl-C through a wrapper) signal a
    /// process and its group, so the same request arrives twice at once: that is still the first.
    async fn stop_again(&mut self) {
        const ONE_REQUEST: Duration = Duration::from_millis(20);
        let first = Instant::now();
        loop {
            self.stop().await;
            if first.elapsed() > ONE_REQUEST {
                return;
            }
        }
    }
}

/// Why the daemon must not go on: the database is one that this version must not touch.
fn refusal(system: &System) -> Option<anyhow::Error> {
    let refused = system
        .refusals()
        .into_iter()
        .find(|refusal| refusal.path.starts_with("/store"))?;
    Some(anyhow::anyhow!("{}", refused.message))
}
