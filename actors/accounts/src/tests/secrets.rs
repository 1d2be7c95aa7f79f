//! No token in anything that is shown or logged.

use ground::audit::By;
use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

use super::house::{House, Pulled, eventually, made_up};
use crate::*;

/// Keeps all that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn nothing_that_is_shown_or_logged_holds_a_token() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_max_level(Level::DEBUG)
        .finish();
    // For the whole process: tracing settles once and for all threads whether a place logs, and other tests run beside
    // this one. What they log is looked at as well.
    tracing::subscriber::set_global_default(subscriber).expect("the only one");
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        let (told, secret) = house.token().await;
        let bad = made_up(5);
        let mut shown = format!("{told:?} {secret:?} {:?}", house.accounts);
        for text in [secret.expose(), bad.expose(), "mst_typo-of-a-secret"] {
            write!(shown, " {:?}", house.accounts.verify(text).await).expect("a string");
        }
        write!(shown, " {:?}", house.accounts).expect("a string");
        let pulled = Pulled::out_of(&db);
        write!(shown, " {:?}", house.verify(&bad).await).expect("a string");
        eventually("the loss shows", async || {
            house.level() > supervisor::Level::Normal
        })
        .await;
        let status = house.system.status(None, None).expect("a tree");
        write!(shown, " {status:?}").expect("a string");
        pulled.back_into(&db).await;
        write!(
            shown,
            " {:?}",
            house.accounts.revoke(told.id, None, By::system()).await
        )
        .expect("a string");
        house.stop().await;

        let logged = log.text();
        assert!(
            logged.contains("token created") && logged.contains("token revoked"),
            "{shown}\n{logged}"
        );
        for secret in [secret.expose(), bad.expose(), "typo-of-a-secret"] {
            let secret = secret.strip_prefix(TOKEN_PREFIX).unwrap_or(secret);
            for part in [secret, secret.get(..12).expect("ASCII")] {
                assert!(!shown.contains(part), "{shown}");
                assert!(!logged.contains(part), "{logged}");
            }
        }
        let mut tokens = logged.split(TOKEN_PREFIX).skip(1);
        let is_token = |rest: &str| rest.bytes().take_while(u8::is_ascii_alphanumeric).count() > 8;
        assert!(!tokens.any(is_token), "{logged}");
    })
    .await;
}
