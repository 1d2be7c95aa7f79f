//! Binding: the TCP port, and the Unix socket that only its owner may use.
//!
//! The socket file is made under another name, given mode 0600 and then renamed into place. So it never exists with
//! wider rights, a stale one left by a killed daemon is replaced in one step, and a live one is not: who still answers
//! is not pushed aside.

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::tls::Tls;
use tokio::net::{TcpListener, TcpSocket, UnixListener, UnixStream};

/// Connections that the kernel keeps waiting for us.
const BACKLOG: u32 = 1024;

/// Why the daemon cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The TCP address cannot be used; `source` tells a taken port from a foreign address.
    #[error("cannot listen on {address}")]
    Tcp {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A daemon answers on the socket already.
    #[error("another process serves {}", path.display())]
    SocketInUse {
        /// The socket's path.
        path: PathBuf,
    },
    /// Something that is not a socket has the socket's name.
    #[error("{} is in the way: it is not a socket", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The socket cannot be made.
    #[error("cannot make the socket {}", path.display())]
    Socket {
        /// The socket's path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Bound sockets that nobody serves yet; clients wait in the kernel's queue.
#[derive(Debug)]
pub struct Listeners {
    pub(super) tcp: TcpListener,
    pub(super) local: Option<LocalListener>,
    pub(super) tls: Option<Tls>,
    address: SocketAddr,
}

/// The Unix socket and its file.
#[derive(Debug)]
pub(super) struct LocalListener {
    pub(super) listener: UnixListener,
    file: SocketFile,
}

/// The file of a socket; removed at the end.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

/// Listeners that belong to no runtime, on their way from one to another.
pub(super) struct DetachedListeners {
    tcp: std::net::TcpListener,
    local: Option<(std::os::unix::net::UnixListener, SocketFile)>,
}

impl DetachedListeners {
    /// Puts them on the runtime that this is called in.
    pub(super) fn attach(self) -> io::Result<(TcpListener, Option<LocalListener>)> {
        let tcp = TcpListener::from_std(self.tcp)?;
        let local = self.local.map(|(listener, file)| {
            UnixListener::from_std(listener).map(|listener| LocalListener { listener, file })
        });
        Ok((tcp, local.transpose()?))
    }
}

impl Listeners {
    /// Binds the TCP address (port 0 picks a free one) and, if given, the Unix socket.
    ///
    /// # Errors
    /// When either cannot be bound; nothing is left behind then.
    pub async fn bind(address: SocketAddr, socket: Option<&Path>) -> Result<Self, ListenError> {
        let refused = |source| ListenError::Tcp { address, source };
        let tcp = bind_tcp(address).map_err(refused)?;
        let address = tcp.local_addr().map_err(refused)?;
        let local = match socket {
            Some(path) => Some(LocalListener::bind(path).await?),
            None => None,
        };
        Ok(Self {
            tcp,
            local,
            tls: None,
            address,
        })
    }

    /// Speaks TLS on the TCP port. The Unix socket needs none.
    #[must_use]
    pub fn with_tls(mut self, tls: Option<Tls>) -> Self {
        self.tls = tls;
        self
    }

    /// TLS on the TCP port, if it is set up.
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// What a URL of the TCP port begins with: `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// The origin at which a browser on this machine finds the server, and which it trusts without TLS; `None` when others reach it, too.
    pub fn own_origin(&self) -> Option<String> {
        let (scheme, port) = (self.scheme(), self.address.port());
        let is_usual = port == if self.tls.is_some() { 443 } else { 80 };
        let port = if is_usual {
            String::new()
        } else {
            format!(":{port}")
        };
        let is_own = self.address.ip().is_loopback();
        is_own.then(|| format!("{scheme}://localhost{port}"))
    }

    /// Takes them off their runtime.
    pub(super) fn detach(self) -> io::Result<DetachedListeners> {
        let tcp = self.tcp.into_std()?;
        let local = self.local.map(|local| {
            let LocalListener { listener, file } = local;
            listener.into_std().map(|listener| (listener, file))
        });
        Ok(DetachedListeners {
            tcp,
            local: local.transpose()?,
        })
    }

    /// The TCP address that was bound, with its real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // A restarted daemon takes its port back at once, although old connections linger in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl LocalListener {
    async fn bind(path: &Path) -> Result<Self, ListenError> {
        refuse_if_taken(path).await?;
        let failed = |source| ListenError::Socket {
            path: path.to_owned(),
            source,
        };
        // No longer than the final name: a socket's path has at most 107 bytes.
        let fresh = path.with_extension("new");
        remove_stale(&fresh).map_err(failed)?;
        let listener = UnixListener::bind(&fresh).map_err(failed)?;
        let placed = fs::set_permissions(&fresh, Permissions::from_mode(0o600))
            .and_then(|()| fs::metadata(&fresh))
            .and_then(|metadata| fs::rename(&fresh, path).map(|()| metadata.ino()));
        match placed {
            Ok(inode) => Ok(Self {
                listener,
                file: SocketFile {
                    path: path.to_owned(),
                    inode,
                },
            }),
            Err(source) => {
                let _gone = fs::remove_file(&fresh);
                Err(failed(source))
            }
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Only our own file: a successor may have put its socket there already.
        let is_ours =
            fs::symlink_metadata(&self.path).is_ok_and(|metadata| metadata.ino() == self.inode);
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "socket file not removed");
        }
    }
}

async fn refuse_if_taken(path: &Path) -> Result<(), ListenError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => {
            return Err(ListenError::Socket {
                path: path.to_owned(),
                source,
            });
        }
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(ListenError::NotASocket {
                path: path.to_owned(),
            });
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(ListenError::SocketInUse {
            path: path.to_owned(),
        }),
        // A full queue means that somebody holds the socket, if slowly.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(ListenError::SocketInUse {
            path: path.to_owned(),
        }),
        Err(_) => Ok(()),
    }
}

fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
