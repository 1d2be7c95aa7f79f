//! A server that takes mails: the connection, the signing in, the handing over.
//!
//! One connection a mail: a few mails a minute are no reason to keep one open, and none can then be stale. The phases are kept
//! apart, since the same answer means different things in them: a 550 after `AUTH` is about our account, after `RCPT` about the mail.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::extension::ClientId;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use supervisor::StartError;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::config::{MailConfig, TlsMode};
use crate::fault::{SendError, plain};
use crate::letter::Letter;
use crate::starttls;
use crate::wire::{GREETING, Wire};

/// How long a goodbye may take: the mail is handed over by then.
const QUIT_LIMIT: Duration = Duration::from_secs(1);
/// How we may sign in. Both send the password itself, which TLS protects; they are what servers offer.
const MECHANISMS: &[Mechanism] = &[Mechanism::Plain, Mechanism::Login];

/// A server, and how to speak with it.
pub(crate) struct Smtp {
    host: String,
    port: u16,
    security: Security,
    hello: String,
    credentials: Option<Credentials>,
}

enum Security {
    StartTls(TlsConnector, ServerName<'static>),
    Tls(TlsConnector, ServerName<'static>),
    None,
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl Smtp {
    /// The configured server; nothing when there is none.
    ///
    /// # Errors
    /// When its certificates cannot be read. Trying again helps as soon as the file is there.
    pub(crate) fn of(config: &MailConfig) -> Result<Option<Self>, StartError> {
        let Some(host) = config.smtp_host.clone() else {
            return Ok(None);
        };
        let wrong = |message: String| StartError::retry("mail.misconfigured", message);
        let security = match config.tls {
            TlsMode::None => Security::None,
            TlsMode::StartTls | TlsMode::Tls => {
                let connector = connector(config.ca_file.as_deref()).map_err(wrong)?;
                let name = ServerName::try_from(host.clone())
                    .map_err(|_| wrong(format!("{host:?} is no name of a server")))?;
                match config.tls {
                    TlsMode::Tls => Security::Tls(connector, name),
                    _ => Security::StartTls(connector, name),
                }
            }
        };
        let credentials = config
            .username
            .clone()
            .map(|username| Credentials::new(username, config.password.expose().to_owned()));
        Ok(Some(Self {
            port: config.port(),
            hello: config.sender().email.domain().to_owned(),
            host,
            security,
            credentials,
        }))
    }

    /// Hands a mail over. When this returns the server has taken it.
    ///
    /// # Errors
    /// See [`SendError`]. After `Unreachable` the server may have taken it all the same.
    pub(crate) async fn deliver(&self, letter: &Letter) -> Result<(), SendError> {
        let mut connection = self.connect().await?;
        // The end of the last line is sent with the dot that ends a mail.
        let bytes = letter.bytes.strip_suffix(b"\r\n").unwrap_or(&letter.bytes);
        let sent = connection.send(&letter.envelope, bytes).await;
        sent.map_err(|error| SendError::sending(&error))?;
        drop(timeout(QUIT_LIMIT, connection.quit()).await);
        Ok(())
    }

    /// Looks whether a mail could be handed over: everything but the mail.
    ///
    /// # Errors
    /// See [`SendError`].
    pub(crate) async fn probe(&self) -> Result<(), SendError> {
        let mut connection = self.connect().await?;
        drop(timeout(QUIT_LIMIT, connection.quit()).await);
        Ok(())
    }

    /// A connection on which mails are taken: protected and signed in.
    async fn connect(&self) -> Result<AsyncSmtpConnection, SendError> {
        let stream = self.open().await?;
        let hello = ClientId::Domain(self.hello.clone());
        let connected = AsyncSmtpConnection::connect_with_transport(stream, &hello).await;
        let mut connection = connected.map_err(|error| SendError::connecting(&error))?;
        if let Some(credentials) = &self.credentials {
            let signed_in = connection.auth(MECHANISMS, credentials).await;
            signed_in.map_err(|error| SendError::signing_in(&error))?;
        }
        Ok(connection)
    }

    async fn open(&self) -> Result<Box<dyn AsyncTokioStream>, SendError> {
        let lost = |error: std::io::Error| SendError::Unreachable {
            detail: plain(&format!("{}:{}: {error}", self.host, self.port)),
        };
        let opened = TcpStream::connect((self.host.as_str(), self.port)).await;
        let mut stream = opened.map_err(lost)?;
        let peer = stream.peer_addr().map_err(lost)?;
        match &self.security {
            Security::None => Ok(Box::new(Wire::new(stream, peer, b""))),
            Security::Tls(connector, name) => {
                let stream = protected(connector, name, stream).await?;
                Ok(Box::new(Wire::new(stream, peer, b"")))
            }
            Security::StartTls(connector, name) => {
                starttls::ask(&mut stream, &self.hello).await?;
                let stream = protected(connector, name, stream).await?;
                Ok(Box::new(Wire::new(stream, peer, GREETING)))
            }
        }
    }
}

async fn protected(
    connector: &TlsConnector,
    name: &ServerName<'static>,
    stream: TcpStream,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, SendError> {
    let shaken = connector.connect(name.clone(), stream).await;
    shaken.map_err(|error| SendError::Tls {
        detail: plain(&error.to_string()),
    })
}

/// What checks the server's certificate: the usual authorities, and those in `ca_file`.
fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(file) = ca_file {
        let shown = file.display();
        let told = |error: &dyn fmt::Display| format!("mail.ca_file: {shown}: {error}");
        let found = CertificateDer::pem_file_iter(file).map_err(|error| told(&error))?;
        let mut count = 0_usize;
        for certificate in found {
            let certificate = certificate.map_err(|error| told(&error))?;
            roots.add(certificate).map_err(|error| told(&error))?;
            count += 1;
        }
        if count == 0 {
            return Err(told(&"there is no certificate in it"));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
