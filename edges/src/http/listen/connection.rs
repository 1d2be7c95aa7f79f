//! One connection, from its first byte to its end.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tower::ServiceExt;

use super::crowd::Seat;
use super::drain::Drain;
use super::owned::OwnedExecutor;
use super::tls::Tls;
use super::{ListenGauges, Peer};
use crate::http::limits::Limits;

/// What a request knows of its connection: who is there, and the place it takes among the connections. It is a request
/// extension. A WebSocket outlives the HTTP connection it came from, so it keeps a clone to keep the place counted.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Who is at the other end.
    pub peer: Peer,
    /// Whether it speaks TLS with this server itself.
    pub is_tls: bool,
    _lease: Arc<Lease>,
}

/// A place among the connections; it is free again when the last clone is gone.
#[derive(Debug)]
struct Lease {
    _place: OwnedSemaphorePermit,
    _seat: Option<Seat>,
    peer: Peer,
    gauges: Arc<ListenGauges>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.gauges.open(&self.peer).fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connection {
    pub(super) fn new(
        peer: Peer,
        place: OwnedSemaphorePermit,
        seat: Option<Seat>,
        gauges: Arc<ListenGauges>,
    ) -> Self {
        gauges.open(&peer).fetch_add(1, Ordering::Relaxed);
        Self {
            peer,
            is_tls: false,
            _lease: Arc::new(Lease {
                _place: place,
                _seat: seat,
                peer,
                gauges,
            }),
        }
    }
}

#[cfg(test)]
impl Connection {
    /// A connection that no listener counts.
    pub(crate) fn for_tests(peer: Peer) -> Self {
        let places = Arc::new(tokio::sync::Semaphore::new(1));
        let place = places.try_acquire_owned().expect("a fresh semaphore");
        Self::new(peer, place, None, Arc::default())
    }
}

/// The HTTP settings that all connections share.
pub(super) struct Protocol {
    builder: Builder<OwnedExecutor>,
    header_timeout: Duration,
    drain: Drain,
    tls: Option<Tls>,
}

impl Protocol {
    pub(super) fn new(
        limits: &Limits,
        drain: &Drain,
        executor: OwnedExecutor,
        tls: Option<Tls>,
    ) -> Self {
        let mut builder = Builder::new(executor);
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_headers(limits.max_headers)
            // The head has to fit into the buffer; larger ones are answered 431.
            .max_buf_size(limits.max_header_bytes.max(8 * 1024));
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.max_http2_streams)
            .max_header_list_size(u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(20)
            .max_local_error_reset_streams(100)
            .max_send_buf_size(256 * 1024)
            .keep_alive_interval(limits.header_timeout)
            .keep_alive_timeout(limits.header_timeout);
        Self {
            builder,
            header_timeout: limits.header_timeout,
            drain: drain.clone(),
            tls,
        }
    }

    /// Whether TCP connections speak TLS.
    pub(super) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Serves one TCP connection, with TLS where that is set up.
    pub(super) async fn serve_tcp(
        &self,
        io: TcpStream,
        mut connection: Connection,
        router: Router,
    ) {
        let Some(tls) = &self.tls else {
            return self.serve(io, connection, router).await;
        };
        let shaken = tokio::select! {
            shaken = tls.accept(io, self.header_timeout) => shaken,
            () = self.drain.closed() => return,
        };
        match shaken {
            Ok(io) => {
                connection.is_tls = true;
                self.serve(io, connection, router).await;
            }
            Err(error) => tracing::debug!(%error, "no TLS handshake"),
        }
    }

    /// Waits until connections are to be closed.
    pub(super) async fn closed(&self) {
        self.drain.closed().await;
    }

    /// Serves one connection until the client leaves, is silent for too long, or the server closes.
    pub(super) async fn serve<I>(&self, io: I, connection: Connection, router: Router)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Arc::new(Activity::default());
        let service = PerConnection {
            router,
            connection,
            activity: Arc::clone(&activity),
        };
        let serving = self
            .builder
            .serve_connection_with_upgrades(TokioIo::new(io), service);
        tokio::pin!(serving);
        let served = tokio::select! {
            served = serving.as_mut() => served,
            rest = activity.rests_for(self.header_timeout) => match rest {
                // hyper gives no limit to the first bytes, from which it tells HTTP/1 from HTTP/2: dropped, not asked to go.
                Rest::Silent => return tracing::debug!("silent connection closed"),
                Rest::Idle => {
                    serving.as_mut().graceful_shutdown();
                    serving.await
                }
            },
            () = self.drain.closed() => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        if let Err(error) = served {
            tracing::debug!(error, "connection ended");
        }
    }
}

/// What a connection is doing, for its time limits.
#[derive(Debug, Default)]
struct Activity {
    requests: AtomicUsize,
    running: AtomicUsize,
}

/// Why a connection is of no more use.
enum Rest {
    /// There never was a request.
    Silent,
    /// There was none for long.
    Idle,
}

impl Activity {
    fn begin(self: &Arc<Self>) -> Running {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.running.fetch_add(1, Ordering::Relaxed);
        Running(Arc::clone(self))
    }

    /// Returns once `limit` has passed from now without any request, or, after there was one, once none has run for `limit` (at most
    /// twice that). One look at a time: a request that comes or ends wakes nobody.
    async fn rests_for(&self, limit: Duration) -> Rest {
        let mut idle_since = None;
        loop {
            tokio::time::sleep(limit).await;
            let seen = self.requests.load(Ordering::Relaxed);
            let is_idle = self.running.load(Ordering::Relaxed) == 0;
            match idle_since {
                _ if seen == 0 => return Rest::Silent,
                Some(before) if is_idle && before == seen => return Rest::Idle,
                _ => idle_since = is_idle.then_some(seen),
            }
        }
    }
}

/// A request that runs on a connection.
#[derive(Debug)]
struct Running(Arc<Activity>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The service of one connection: tells each request whose connection it came over.
struct PerConnection {
    router: Router,
    connection: Connection,
    activity: Arc<Activity>,
}

impl Service<Request<Incoming>> for PerConnection {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let running = self.activity.begin();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(self.connection.clone());
        let answer = self.router.clone().oneshot(request);
        Box::pin(async move {
            let response = answer.await?;
            Ok(response.map(|body| {
                Body::new(Held {
                    body,
                    _running: running,
                })
            }))
        })
    }
}

/// A response body that keeps its request counted as running until it is sent or given up.
#[derive(Debug)]
struct Held {
    body: Body,
    _running: Running,
}

impl hyper::body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
