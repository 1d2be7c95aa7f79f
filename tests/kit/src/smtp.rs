//! An SMTP server on the loopback interface: takes mails as a server on the internet does, or fails as one does.
//!
//! Why a server and no mock of our client: what matters is what goes over the line, TLS included, and what is done about the
//! answers. It speaks RFC 5321 with `STARTTLS` (or TLS from the first byte), `AUTH PLAIN` and `LOGIN`, `SIZE`, and `PIPELINING`, with a
//! certificate of its own making. Each connection takes the next [`Fault`] that a test has ordered; without one it plays well.

mod session;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// How a server protects its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// It offers `STARTTLS`, and takes mails only after it.
    StartTls,
    /// TLS from the first byte.
    Tls,
    /// None, and none is offered.
    None,
}

/// What one connection does wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Instead of the greeting: this code, and the end.
    Greeting(u16),
    /// The greeting comes after this time.
    LateGreeting(Duration),
    /// Every answer comes after this time.
    Slow(Duration),
    /// `STARTTLS` is not offered.
    NoStartTls,
    /// `STARTTLS` is answered, and what follows is no TLS.
    BrokenTls,
    /// More than was asked for is said in clear text behind the answer to `STARTTLS`.
    InjectedAnswer,
    /// `AUTH` is answered with this code.
    Auth(u16),
    /// `MAIL` is answered with this code.
    Mail(u16),
    /// `RCPT` is answered with this code.
    Recipient(u16),
    /// The whole mail is read, and answered with this code.
    Data(u16),
    /// The connection ends in the middle of the mail.
    CutInData,
    /// The mail is taken, and the connection ends before that is said.
    CutAfterData,
    /// The answer to `EHLO` is no answer.
    Garbage,
}

/// A mail that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The sender of the envelope.
    pub from: String,
    /// The recipients of the envelope.
    pub to: Vec<String>,
    /// Head and body, without the dots that the protocol adds.
    pub message: String,
    /// Whether it came over TLS.
    pub is_protected: bool,
    /// Who had signed in.
    pub signed_in: Option<String>,
}

impl Received {
    /// The value of a header, its folded lines joined.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let (head, _) = self.message.split_once("\r\n\r\n")?;
        let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        unfolded.split("\r\n").find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    }

    /// The body with plain line feeds; quoted-printable is undone.
    #[must_use]
    pub fn text(&self) -> String {
        let body = self
            .message
            .split_once("\r\n\r\n")
            .map_or("", |(_, body)| body);
        let is_quoted =
            self.header("Content-Transfer-Encoding").as_deref() == Some("quoted-printable");
        let body = if is_quoted {
            unquoted(body)
        } else {
            body.to_owned()
        };
        body.replace("\r\n", "\n")
    }
}

/// What a server asks of its clients.
#[derive(Clone, Debug)]
pub struct Terms {
    /// How connections are protected.
    pub protection: Protection,
    /// Who must sign in: name and password.
    pub account: Option<(String, String)>,
    /// Bytes of a mail at most.
    pub max_bytes: usize,
}

impl Default for Terms {
    /// `STARTTLS`, nobody signs in, 1 MiB.
    fn default() -> Self {
        Self {
            protection: Protection::StartTls,
            account: None,
            max_bytes: 1024 * 1024,
        }
    }
}

/// What the server's connections share.
struct Shared {
    terms: Terms,
    acceptor: TlsAcceptor,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    faults: VecDeque<Fault>,
    received: Vec<Received>,
    connections: usize,
}

/// The server. It ends when it is dropped.
pub struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    certificate: String,
    folder: tempfile::TempDir,
    accepting: JoinSet<()>,
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Sink").field(&self.address).finish()
    }
}

impl Sink {
    /// A server on the usual terms.
    ///
    /// # Panics
    ///
    /// When it cannot listen.
    pub async fn start() -> Self {
        Self::with(Terms::default()).await
    }

    /// A server on these terms, on a free port.
    ///
    /// # Panics
    ///
    /// When it cannot listen.
    pub async fn with(terms: Terms) -> Self {
        let (acceptor, certificate) = identity();
        let shared = Arc::new(Shared {
            terms,
            acceptor,
            book: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("ca.pem"), &certificate).expect("writable");
        let mut sink = Self {
            address,
            shared,
            certificate,
            folder,
            accepting: JoinSet::new(),
        };
        sink.serve(listener);
        sink
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its certificate, which nobody but itself has signed, as PEM. It is for `localhost` and `127.0.0.1`.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A file with its certificate.
    #[must_use]
    pub fn certificate_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The keys of a daemon's section `[mail]` that lead here, with short pauses between attempts.
    #[must_use]
    pub fn section(&self) -> String {
        let tls = match self.shared.terms.protection {
            Protection::StartTls => "starttls",
            Protection::Tls => "tls",
            Protection::None => "none",
        };
        let account = self.shared.terms.account.as_ref();
        let account = account.map_or_else(String::new, |(name, password)| {
            format!("username = \"{name}\"\npassword = \"{password}\"\n")
        });
        let ca_file = Path::display(&self.certificate_file()).to_string();
        format!(
            "[mail]\nsmtp_host = \"localhost\"\nsmtp_port = {}\ntls = \"{tls}\"\nca_file = \"{ca_file}\"\n\
             from = \"Mainstay <mainstay@example.org>\"\nretry_first = \"100ms\"\nretry_max = \"1s\"\nmax_per_second = 100\n{account}",
            self.address.port()
        )
    }

    /// Has the next connection that nothing was ordered for do this wrong.
    pub fn order(&self, fault: Fault) {
        self.shared.book().faults.push_back(fault);
    }

    /// The mails that were taken so far, in order.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.shared.book().received.clone()
    }

    /// How many connections there were.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.book().connections
    }

    /// Waits until so many mails were taken, and gives them.
    ///
    /// # Panics
    ///
    /// When they do not come in time.
    pub async fn received_at_least(&self, count: usize) -> Vec<Received> {
        crate::eventually(crate::PATIENCE, async || {
            let received = self.received();
            if received.len() >= count {
                Ok(received)
            } else {
                Err(format!("{} of {count} mail(s) came", received.len()))
            }
        })
        .await
    }

    /// Nobody listens any more; what is connected is cut.
    pub async fn leave(&mut self) {
        self.accepting.shutdown().await;
    }

    /// Listens again, where it did.
    ///
    /// # Panics
    ///
    /// When somebody else has taken the port meanwhile.
    pub async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.address)
            .await
            .expect("the port is still free");
        self.serve(listener);
    }

    fn serve(&mut self, listener: TcpListener) {
        let shared = Arc::clone(&self.shared);
        self.accepting.spawn(async move {
            // Owned by the one that accepts, so that they end with it.
            let mut sessions = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                while sessions.try_join_next().is_some() {}
                let shared = Arc::clone(&shared);
                sessions.spawn(async move { attend(shared, stream).await });
            }
        });
    }
}

async fn attend(shared: Arc<Shared>, stream: TcpStream) {
    let fault = {
        let mut book = shared.book();
        book.connections += 1;
        book.faults.pop_front()
    };
    // A client that breaks off is no fault of the server.
    drop(session::attend(&shared, stream, fault).await);
}

impl Shared {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A key and a certificate for `localhost`, made now.
fn identity() -> (TlsAcceptor, String) {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let chain: Vec<CertificateDer<'static>> = vec![made.cert.der().clone()];
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a key and its certificate");
    (TlsAcceptor::from(Arc::new(config)), made.cert.pem())
}

/// Quoted-printable, undone (RFC 2045, section 6.7).
fn unquoted(text: &str) -> String {
    let joined = text.replace("=\r\n", "");
    let mut bytes = Vec::with_capacity(joined.len());
    let mut rest = joined.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let code = behind.get(..2).filter(|_| *first == b'=');
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        if let Some(byte) = code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            bytes.push(byte);
            rest = behind.get(2..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = behind;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_is_read() {
        assert_eq!(unquoted("Gr=C3=BC=C3=9Fe =3D=\r\n x=zz"), "Grüße = x=zz");
    }
}
