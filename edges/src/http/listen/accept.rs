//! The accept loop and the server that owns it with all of its connections.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use supervisor::task::OwnedTask;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{Connection, Protocol};
use super::crowd::Crowd;
use super::descriptors::make_room;
use super::drain::Drain;
use super::front::{Arrived, Detached, Front, HANDOVERS, Handover, Sorter};
use super::owned::OwnedExecutor;
use super::socket::{DetachedListeners, Listeners, LocalListener};
use super::{ListenGauges, Peer};
use crate::http::limits::Limits;

/// Pause after an accept that failed for want of a resource (descriptors, memory), doubled up to the second value.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));
/// What connections get to write their last bytes once they are asked to end, even when the limit is used up.
const LAST_BYTES: Duration = Duration::from_millis(250);

/// What a client beyond a limit is told, around the reason.
const REFUSAL_HEAD: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n\
    Retry-After: 1\r\nConnection: close\r\n\r\n\
    {\"type\":\"/api/docs#http.overloaded\",\"title\":\"Overloaded\",\"status\":503,\"detail\":\"";
const REFUSAL_TAIL: &str = "\",\"code\":\"http.overloaded\",\"request_id\":\"\",\"errors\":[]}";

/// A running listener. Dropping it ends the listener and every connection at once; [`Server::drain`] ends it gently.
#[derive(Debug)]
pub struct Server {
    drain: Drain,
    stop: CancellationToken,
    streams: TaskTracker,
    streams_ended: CancellationToken,
    serving: OwnedTask,
    /// Follows the files of the certificate.
    _renewal: Option<OwnedTask>,
    front: Front,
    connections: TaskTracker,
}

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Requests and streams that were cut off because the limit was reached.
    pub cut_off: usize,
}

impl Server {
    /// Starts to serve `router` on `listeners`. Requests find their [`Connection`] in their extensions. Must be called inside
    /// the main runtime, which serves everything but health.
    ///
    /// # Errors
    /// The system gives no thread, or the listeners cannot be moved to it.
    pub fn start(
        listeners: Listeners,
        router: Router,
        limits: &Limits,
        drain: Drain,
        gauges: Arc<ListenGauges>,
    ) -> io::Result<Self> {
        let streams = TaskTracker::new();
        let streams_ended = CancellationToken::new();
        let executor = OwnedExecutor {
            tracker: streams.clone(),
            ended: streams_ended.clone(),
        };
        let stop = CancellationToken::new();
        let connections = TaskTracker::new();
        let tls = listeners.tls.clone();
        let protocol = Arc::new(Protocol::new(limits, &drain, executor, tls.clone()));
        let (main, handovers) = mpsc::channel(HANDOVERS);
        let serving = serve_handovers(handovers, Arc::clone(&protocol), router.clone());
        let acceptor = Acceptor {
            sorter: Sorter {
                protocol,
                router,
                main,
                silence: limits.header_timeout,
            },
            tcp_places: Arc::new(Semaphore::new(make_room(limits))),
            crowd: Arc::new(Crowd::new(
                limits.max_connections_per_address,
                limits.proxies.clone(),
            )),
            local_places: Arc::new(Semaphore::new(limits.max_local_connections)),
            gauges,
            owner: rustix::process::geteuid().as_raw(),
            open: connections.clone(),
            connections: JoinSet::new(),
        };
        let detached = listeners.detach()?;
        let stopped = stop.clone();
        let front = Front::start(move || acceptor.run(detached, stopped))?;
        Ok(Self {
            drain,
            stop,
            streams,
            streams_ended,
            serving: supervisor::task::spawn(serving),
            _renewal: tls.map(|tls| supervisor::task::spawn(tls.follow())),
            front,
            connections,
        })
    }

    /// Refuses new work from now on: no connection is accepted any more, and requests on live ones are answered 503.
    pub fn refuse(&self) {
        self.drain.refuse();
        self.stop.cancel();
    }

    /// Refuses new work, waits at most `limit` for what is in flight, closes every connection and ends.
    pub async fn drain(mut self, limit: Duration) -> Drained {
        let started = tokio::time::Instant::now();
        self.refuse();
        self.drain.finished(limit).await;
        let cut_off = self.drain.in_flight();
        self.drain.close();
        self.connections.close();
        self.streams.close();
        let left = limit.saturating_sub(started.elapsed()).max(LAST_BYTES);
        let _all_closed = tokio::time::timeout(left, self.connections.wait()).await;
        self.streams_ended.cancel();
        self.front.cut();
        self.serving.abort();
        self.serving.finished().await;
        Drained { cut_off }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Connections end with `front` and `serving`, which own them; HTTP/2 streams with this.
        self.streams_ended.cancel();
    }
}

/// The state of the loop. It owns the connections: when its task ends, they end.
struct Acceptor {
    sorter: Sorter,
    tcp_places: Arc<Semaphore>,
    crowd: Arc<Crowd>,
    local_places: Arc<Semaphore>,
    gauges: Arc<ListenGauges>,
    owner: u32,
    open: TaskTracker,
    connections: JoinSet<()>,
}

/// One client that has just come.
enum Arrival {
    Tcp(TcpStream, std::net::SocketAddr),
    Local(UnixStream),
}

impl Acceptor {
    async fn run(mut self, detached: DetachedListeners, stop: CancellationToken) {
        match detached.attach() {
            Ok((tcp, local)) => self.accept(tcp, local, &stop).await,
            Err(error) => tracing::error!(%error, "the listener cannot be served"),
        }
        while let Some(ended) = self.connections.join_next().await {
            report(ended);
        }
    }

    async fn accept(
        &mut self,
        tcp: tokio::net::TcpListener,
        local: Option<LocalListener>,
        stop: &CancellationToken,
    ) {
        let mut backoff = BACKOFF.0;
        loop {
            let arrival = tokio::select! {
                () = stop.cancelled() => return,
                Some(ended) = self.connections.join_next() => {
                    report(ended);
                    continue;
                }
                arrival = arrival(&tcp, local.as_ref()) => arrival,
            };
            match arrival {
                Ok(arrival) => {
                    backoff = BACKOFF.0;
                    self.admit(arrival);
                }
                Err(error) if is_clients(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, pause_ms = backoff.as_millis(), "connections cannot be accepted; trying again");
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(backoff) => {}
                    }
                    backoff = (backoff * 2).min(BACKOFF.1);
                }
            }
        }
    }

    fn admit(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Tcp(stream, address) => self.admit_tcp(stream, address),
            Arrival::Local(stream) => self.admit_local(stream),
        }
    }

    fn admit_tcp(&mut self, stream: TcpStream, address: std::net::SocketAddr) {
        let Ok(place) = Arc::clone(&self.tcp_places).try_acquire_owned() else {
            return self.refuse(&stream, "too many connections are open");
        };
        let Some(seat) = self.crowd.enter(address.ip()) else {
            return self.refuse(&stream, "too many connections are open from this address");
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY not set");
        }
        let gauges = Arc::clone(&self.gauges);
        let connection = Connection::new(Peer::Tcp(address), place, Some(seat), gauges);
        self.own(stream, connection);
    }

    /// Tells a client beyond a limit why it is not served; whether it reads that is its own affair. One that speaks TLS would not
    /// understand.
    fn refuse(&self, stream: &TcpStream, detail: &str) {
        self.gauges.refused.fetch_add(1, Ordering::Relaxed);
        if self.sorter.protocol.is_tls() {
            return;
        }
        let answer = format!("{REFUSAL_HEAD}{detail}{REFUSAL_TAIL}");
        if stream.try_write(answer.as_bytes()).is_err() {
            tracing::debug!("client beyond the connection limit left");
        }
    }

    fn admit_local(&mut self, stream: UnixStream) {
        let Ok(place) = Arc::clone(&self.local_places).try_acquire_owned() else {
            self.gauges.refused.fetch_add(1, Ordering::Relaxed);
            return;
        };
        match stream.peer_cred() {
            Ok(peer) if peer.uid() == self.owner || peer.uid() == 0 => {
                let peer = Peer::Local {
                    uid: peer.uid(),
                    pid: peer.pid(),
                };
                let connection = Connection::new(peer, place, None, Arc::clone(&self.gauges));
                self.own(stream, connection);
            }
            Ok(peer) => tracing::warn!(
                uid = peer.uid(),
                "another user's process refused on the control socket"
            ),
            Err(error) => {
                tracing::warn!(%error, "process without credentials refused on the control socket");
            }
        }
    }

    fn own<I: Arrived>(&mut self, io: I, connection: Connection) {
        let sorted = self.sorter.clone().sort(io, connection, self.open.token());
        self.connections.spawn(sorted);
    }
}

/// Serves what the front hands over, and owns it.
async fn serve_handovers(
    mut handovers: mpsc::Receiver<Handover>,
    protocol: Arc<Protocol>,
    router: Router,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(ended) = connections.join_next() => report(ended),
            handover = handovers.recv() => match handover {
                Some(handover) => {
                    let served = serve(handover, Arc::clone(&protocol), router.clone());
                    connections.spawn(served);
                }
                None => break,
            },
        }
    }
    while let Some(ended) = connections.join_next().await {
        report(ended);
    }
}

async fn serve(handover: Handover, protocol: Arc<Protocol>, router: Router) {
    let Handover {
        io,
        connection,
        counted,
    } = handover;
    match io {
        Detached::Tcp(io) => match TcpStream::from_std(io) {
            Ok(io) => protocol.serve_tcp(io, connection, router).await,
            Err(error) => tracing::warn!(%error, "connection lost on its way"),
        },
        Detached::Local(io) => match UnixStream::from_std(io) {
            Ok(io) => protocol.serve(io, connection, router).await,
            Err(error) => tracing::warn!(%error, "connection lost on its way"),
        },
    }
    drop(counted);
}

async fn arrival(
    tcp: &tokio::net::TcpListener,
    local: Option<&LocalListener>,
) -> io::Result<Arrival> {
    let local = async {
        match local {
            Some(local) => local.listener.accept().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        accepted = tcp.accept() => accepted.map(|(stream, address)| Arrival::Tcp(stream, address)),
        accepted = local => accepted.map(|(stream, _)| Arrival::Local(stream)),
    }
}

/// Whether an accept failed because of that one client, which went away again.
fn is_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection's task panicked");
    }
}
