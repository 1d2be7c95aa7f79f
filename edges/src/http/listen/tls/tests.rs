//! Handshakes against the real listener: what is served, what is refused, and certificates that change meanwhile.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use rcgen::{CertifiedKey as Made, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream as ClientStream;

use super::super::tests::{Running, ask, brisk, patient, rest, running_with, soon};
use super::*;

/// The files of a pair in a directory of their own.
struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn new() -> (Self, CertificateDer<'static>) {
        let files = Self {
            dir: tempfile::tempdir().expect("a directory"),
        };
        let certificate = files.renew();
        (files, certificate)
    }

    fn certificate(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.dir.path().join("key.pem")
    }

    /// Another pair in their place, put there in one step each.
    fn renew(&self) -> CertificateDer<'static> {
        let Made { cert, signing_key } = made();
        put(&self.key(), &signing_key.serialize_pem(), 0o600);
        put(&self.certificate(), &cert.pem(), 0o644);
        cert.der().clone()
    }

    fn tls(&self) -> Tls {
        Tls::load(self.certificate(), self.key()).expect("a good pair")
    }

    fn fault(&self) -> PairFault {
        Pair::load(&self.certificate(), &self.key()).expect_err("a bad pair")
    }
}

fn made() -> Made<rcgen::KeyPair> {
    generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a pair")
}

fn put(path: &Path, text: &str, mode: u32) {
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, text).expect("writes");
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(mode)).expect("sets");
    std::fs::rename(fresh, path).expect("renames");
}

/// A client that believes this certificate alone.
fn client(trusted: &CertificateDer<'static>, alpn: &[&[u8]], tls12: bool) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a certificate");
    let versions: &[_] = if tls12 {
        &[&rustls::version::TLS12]
    } else {
        &[&rustls::version::TLS13]
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

async fn shake(running: &Running, client: &TlsConnector) -> io::Result<ClientStream<TcpStream>> {
    let name = ServerName::try_from("localhost").expect("a name");
    let io = running.connect().await;
    soon("a handshake", client.connect(name, io)).await
}

#[tokio::test]
async fn https_is_served_in_both_versions_and_both_protocols() {
    let (files, certificate) = Files::new();
    let running = running_with(patient(), None, Some(files.tls())).await;
    for tls12 in [false, true] {
        let client = client(&certificate, &[b"http/1.1"], tls12);
        let mut stream = shake(&running, &client).await.expect("shakes hands");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let answer = ask(&mut stream, "/tls").await;
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with("true"),
            "{answer}"
        );
    }
    let both = client(&certificate, &[b"h2", b"http/1.1"], false);
    let mut stream = shake(&running, &both).await.expect("shakes hands");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    stream.write_all(preface).await.expect("writes");
    let mut head = [0; 9];
    soon("settings", stream.read_exact(&mut head))
        .await
        .expect("reads");
    assert_eq!(head[3], 4, "it answers with settings");
    let neither = client(&certificate, &[b"spdy/3"], false);
    assert!(shake(&running, &neither).await.is_err());
}

/// What is offered is what is recommended: forward secrecy and authenticated encryption, the larger keys first.
#[test]
fn no_weak_cipher_is_offered() {
    use rustls::CipherSuite::{
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
    };
    let offered = rustls::crypto::ring::default_provider().cipher_suites;
    let offered: Vec<_> = offered
        .iter()
        .map(rustls::SupportedCipherSuite::suite)
        .collect();
    assert_eq!(
        offered,
        [
            TLS13_AES_256_GCM_SHA384,
            TLS13_AES_128_GCM_SHA256,
            TLS13_CHACHA20_POLY1305_SHA256,
            TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        ]
    );
}

/// The newest version that both know is taken; none below 1.2 is.
#[tokio::test]
async fn an_old_version_is_refused() {
    let (files, _) = Files::new();
    let running = running_with(patient(), None, Some(files.tls())).await;
    // The greeting of a client that knows TLS 1.1 at most: version, 32 bytes of chance, no session, one cipher, no compression.
    let mut hello = vec![3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xc0, 0x14, 1, 0]);
    let mut message = vec![1, 0, 0, u8::try_from(hello.len()).expect("short")];
    message.extend(hello);
    let mut record = vec![22, 3, 1, 0, u8::try_from(message.len()).expect("short")];
    record.extend(message);
    let mut stream = running.connect().await;
    stream.write_all(&record).await.expect("writes");
    let mut answer = Vec::new();
    drop(soon("an end", stream.read_to_end(&mut answer)).await);
    assert_eq!(answer.first(), Some(&21), "an alert: {answer:?}");
    assert_eq!(answer.get(5), Some(&2), "a fatal one: {answer:?}");
}

#[tokio::test]
async fn plain_text_on_a_tls_port_gets_an_end_and_no_answer() {
    let (files, _) = Files::new();
    let running = running_with(patient(), None, Some(files.tls())).await;
    for plain in [
        "GET /health HTTP/1.1\r\nHost: test\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut stream = running.connect().await;
        stream.write_all(plain.as_bytes()).await.expect("writes");
        let mut answer = Vec::new();
        let ended = soon("the end", stream.read_to_end(&mut answer)).await;
        assert_eq!((ended.expect("no reset"), answer.len()), (0, 0));
    }
    running.until_open(0).await;
}

#[tokio::test]
async fn handshakes_that_stop_are_closed_and_hurt_nobody() {
    let (files, certificate) = Files::new();
    let running = running_with(brisk(), None, Some(files.tls())).await;
    let mut stuck = Vec::new();
    for _ in 0..100 {
        let mut stream = running.connect().await;
        // The head of a record that never comes.
        stream
            .write_all(b"\x16\x03\x01\x02\x00\x01")
            .await
            .expect("writes");
        stuck.push(stream);
    }
    let client = client(&certificate, &[], false);
    let mut stream = shake(&running, &client).await.expect("shakes hands");
    assert!(ask(&mut stream, "/peer").await.starts_with("HTTP/1.1 200"));
    for stream in &mut stuck {
        rest(stream).await;
    }
    running.until_open(0).await;
    assert_eq!(running.gauges.refused.load(Relaxed), 0);
}

#[tokio::test]
async fn a_renewed_pair_is_shown_to_new_connections_and_a_broken_one_to_none() {
    let (files, old) = Files::new();
    let tls = files.tls();
    let running = running_with(patient(), None, Some(tls.clone())).await;
    let old = client(&old, &[], false);
    let mut kept = shake(&running, &old).await.expect("shakes hands");

    // A certificate without its key, as in the middle of a renewal.
    put(&files.certificate(), &made().cert.pem(), 0o644);
    tls.look_again();
    soon("the refusal", async {
        while tls.refused().is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(shake(&running, &old).await.is_ok(), "the old one stays");

    let new = client(&files.renew(), &[], false);
    tls.look_again();
    soon("the renewal", async {
        while shake(&running, &new).await.is_err() {}
    })
    .await;
    assert_eq!(tls.refused(), None);
    assert!(shake(&running, &old).await.is_err());
    assert!(ask(&mut kept, "/peer").await.starts_with("HTTP/1.1 200"));
}

#[test]
fn files_that_cannot_be_a_pair_are_refused_each_with_its_reason() {
    let (files, _) = Files::new();
    let other = made();
    put(&files.key(), &other.signing_key.serialize_pem(), 0o600);
    assert!(matches!(files.fault(), PairFault::Mismatch { .. }));
    put(&files.key(), &other.signing_key.serialize_pem(), 0o644);
    let loose = files.fault();
    assert!(
        matches!(loose, PairFault::LooseKey { mode: 0o644, .. }),
        "{loose}"
    );
    assert!(loose.is_about_the_key());
    for text in [
        "",
        "nothing",
        "-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n",
    ] {
        put(&files.key(), text, 0o600);
        assert!(matches!(files.fault(), PairFault::NoKey { .. }), "{text:?}");
        put(&files.certificate(), text, 0o644);
        let fault = files.fault();
        assert!(matches!(fault, PairFault::NoCertificate { .. }), "{fault}");
        put(&files.certificate(), &other.cert.pem(), 0o644);
    }
    put(&files.key(), &"x".repeat(300 * 1024), 0o600);
    assert!(matches!(
        files.fault(),
        PairFault::Unreadable { is_key: true, .. }
    ));
    std::fs::remove_file(files.certificate()).expect("removes");
    let missing = files.fault();
    assert!(matches!(
        missing,
        PairFault::Unreadable { is_key: false, .. }
    ));
    assert!(missing.to_string().contains("cert.pem"));
}
