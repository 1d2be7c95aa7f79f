//! The peer of the terminals: `openpty`, `AsyncFd` and an axum WebSocket, and nothing else.
//!
//! `GET /attach?program=PATH` starts the program on a new PTY and joins the two: binary messages are input, what is drained of
//! the PTY (at most 64 KiB) is a binary message. No ids, no scrollback, no second viewer, no permission, no limit. It is what the
//! daemon's cost is compared with, so it does the one thing well: it drains before it sends, and sets `TCP_NODELAY`.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Stdio;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::Query;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use axum::serve::ListenerExt;
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::io::unix::AsyncFd;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

/// Most bytes of one message.
const DRAIN: usize = 64 * 1024;

/// Serves until the bench that started it ends; tells its address on stdout.
///
/// # Errors
///
/// When it cannot listen.
pub(crate) fn serve(workers: usize) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut builder = if workers == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    let runtime = builder.worker_threads(workers).enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let router = Router::new().route("/attach", get(attach));
        axum::serve(listener, router)
            .await
            .context("the peer ended")
    })
}

async fn attach(
    Query(asked): Query<HashMap<String, String>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let program = asked.get("program").cloned().unwrap_or_default();
    upgrade.on_upgrade(async move |socket| {
        if let Err(error) = terminal(&program, socket).await {
            println!("{program}: {error}");
        }
    })
}

/// One terminal, as long as both sides are there.
async fn terminal(program: &str, socket: WebSocket) -> io::Result<()> {
    let (master, mut child) = start(program)?;
    #[expect(
        deprecated,
        reason = "an owned descriptor is what the sound constructor asks for, and that one is unsafe"
    )]
    let master = AsyncFd::new(master)?;
    let (mut sink, mut stream) = socket.split();
    let mut buffer = vec![0; DRAIN];
    loop {
        tokio::select! {
            ready = master.readable() => {
                let mut ready = ready?;
                let (filled, stop) = drain(master.get_ref(), &mut buffer);
                if stop == Stop::Dry {
                    ready.clear_ready();
                }
                let output = buffer.get(..filled).unwrap_or_default();
                let is_told = output.is_empty() || sink.send(Message::Binary(Bytes::copy_from_slice(output))).await.is_ok();
                if stop == Stop::Closed || !is_told {
                    break;
                }
            }
            message = stream.next() => match message {
                Some(Ok(Message::Binary(input))) => type_in(&master, &input).await?,
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Text(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
            },
        }
    }
    drop(sink.close().await);
    drop(master);
    child.kill().await
}

/// A nonblocking master and the program on its other side, which leads a session of its own.
fn start(program: &str) -> io::Result<(OwnedFd, Child)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let slave = ioctl_tiocgptpeer(&master, flags)?;
    tcsetwinsize(
        &master,
        Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        },
    )?;
    fcntl_setfl(&master, fcntl_getfl(&master)? | OFlags::NONBLOCK)?;
    let child = Command::new("setsid")
        .args(["--ctty", program])
        .stdin(Stdio::from(slave.try_clone()?))
        .stdout(Stdio::from(slave.try_clone()?))
        .stderr(Stdio::from(slave))
        .kill_on_drop(true)
        .spawn()?;
    Ok((master, child))
}

#[derive(Debug, PartialEq, Eq)]
enum Stop {
    Full,
    Dry,
    Closed,
}

/// Reads until nothing more comes or the buffer is full.
fn drain(fd: impl AsFd, buffer: &mut [u8]) -> (usize, Stop) {
    let mut filled = 0;
    loop {
        let Some(free) = buffer.get_mut(filled..).filter(|free| !free.is_empty()) else {
            return (filled, Stop::Full);
        };
        match rustix::io::read(&fd, free) {
            Ok(read) if read > 0 => filled += read,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return (filled, Stop::Dry),
            Ok(_) | Err(_) => return (filled, Stop::Closed),
        }
    }
}

async fn type_in(master: &AsyncFd<OwnedFd>, mut input: &[u8]) -> io::Result<()> {
    while !input.is_empty() {
        match rustix::io::write(master.get_ref(), input) {
            Ok(written) => input = input.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => master.writable().await?.clear_ready(),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
