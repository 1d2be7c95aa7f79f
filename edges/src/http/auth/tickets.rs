//! Tickets: the way in for a browser's WebSocket, which can carry no `Authorization` header.
//!
//! A ticket is got over an authenticated request and shown once, as a second sub-protocol `ticket.<t>`: no token in a URL, in a log or in
//! a page's storage. It is good for half a minute, for one path and from one origin. It lives in memory: after a restart the client
//! asks for another one.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use ground::Secret;
use http::{HeaderMap, header};
use rand::TryRng;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::http::caller::Caller;
use crate::http::codes;
use crate::http::problem::Problem;

/// For how long a ticket is good.
pub(crate) const LIFETIME: Duration = Duration::from_secs(30);
/// Tickets at once at most.
const MOST: usize = 4096;
/// Tickets of one caller at once at most.
const MOST_OF_ONE: usize = 64;
/// What the sub-protocol begins with.
const PREFIX: &str = "ticket.";
/// Characters of a ticket: 256 bits.
const CHARS: usize = 64;

/// What a ticket is bound to.
#[derive(Debug)]
struct Ticket {
    caller: Caller,
    path: String,
    origin: Option<String>,
    until: Instant,
}

/// The tickets that were not used yet, by their hash.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    open: Mutex<HashMap<[u8; 32], Ticket>>,
}

impl Tickets {
    /// Makes a ticket for a path, for use by a page of `origin`.
    ///
    /// # Errors
    /// 503 when too many are open.
    pub(crate) fn issue(
        &self,
        caller: &Caller,
        path: String,
        origin: Option<String>,
    ) -> Result<Secret, Problem> {
        let mut random = [0; CHARS / 2];
        if SysRng.try_fill_bytes(&mut random).is_err() {
            return Err(Problem::internal("the system gave no random bytes"));
        }
        let text = hex(&random);
        let ticket = Ticket {
            caller: caller.clone(),
            path,
            origin,
            until: Instant::now() + LIFETIME,
        };
        let mut open = self.open();
        open.retain(|_, ticket| ticket.until > Instant::now());
        let of_one = open
            .values()
            .filter(|ticket| is_same(&ticket.caller, caller));
        if open.len() >= MOST || of_one.count() >= MOST_OF_ONE {
            let detail = "too many tickets are open; use them, or try again";
            return Err(Problem::new(&codes::OVERLOADED, detail).retry_after(LIFETIME));
        }
        open.insert(hash(&text), ticket);
        Ok(Secret::from(text))
    }

    /// Uses a ticket up, right or wrong, and tells whose it is if it is right.
    pub(crate) fn redeem(&self, text: &str, path: &str, origin: Option<&str>) -> Option<Caller> {
        let ticket = self.open().remove(&hash(text))?;
        let is_right = ticket.until > Instant::now()
            && ticket.path == path
            && ticket.origin.as_deref() == origin;
        is_right.then_some(ticket.caller)
    }

    fn open(&self) -> MutexGuard<'_, HashMap<[u8; 32], Ticket>> {
        ground::lock(&self.open)
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}

fn is_same(one: &Caller, other: &Caller) -> bool {
    one.to_string() == other.to_string()
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// The ticket among the sub-protocols that a WebSocket offers. One of two is none.
pub(crate) fn offered(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let mut tickets = all
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|protocol| protocol.trim().strip_prefix(PREFIX));
    match (tickets.next(), tickets.next()) {
        (Some(only), None) if only.len() == CHARS => Some(only),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLER: Caller = Caller::Local { uid: 1 };

    fn issue(tickets: &Tickets) -> Secret {
        let ticket = tickets.issue(&CALLER, "/a".to_owned(), Some("http://x".to_owned()));
        ticket.expect("a ticket")
    }

    #[tokio::test(start_paused = true)]
    async fn a_ticket_is_good_once_and_for_one_thing() {
        let tickets = Tickets::default();
        let redeem =
            |ticket: &Secret, path, origin| tickets.redeem(ticket.expose(), path, origin).is_some();
        let ticket = issue(&tickets);
        assert_eq!(ticket.expose().len(), CHARS);
        assert!(redeem(&ticket, "/a", Some("http://x")));
        assert!(!redeem(&ticket, "/a", Some("http://x")), "once");
        for (path, origin) in [
            ("/b", Some("http://x")),
            ("/a", Some("http://y")),
            ("/a", None),
        ] {
            let ticket = issue(&tickets);
            assert!(!redeem(&ticket, path, origin), "{path} {origin:?}");
            assert!(
                !redeem(&ticket, "/a", Some("http://x")),
                "a wrong use uses it up"
            );
        }
        let ticket = issue(&tickets);
        tokio::time::advance(LIFETIME).await;
        assert!(!redeem(&ticket, "/a", Some("http://x")), "too late");
        assert_eq!(tickets.open().len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn tickets_are_bounded() {
        let tickets = Tickets::default();
        for _ in 0..MOST_OF_ONE {
            issue(&tickets);
        }
        assert!(tickets.issue(&CALLER, String::new(), None).is_err());
        for uid in 0..MOST {
            let caller = Caller::Local {
                uid: u32::try_from(uid).expect("small") + 10,
            };
            drop(tickets.issue(&caller, String::new(), None));
        }
        assert_eq!(tickets.open().len(), MOST);
        tokio::time::advance(LIFETIME).await;
        issue(&tickets);
        assert_eq!(tickets.open().len(), 1);
    }

    #[test]
    fn the_ticket_is_found_among_the_sub_protocols() {
        let ticket = "0".repeat(CHARS);
        for (offer, is_found) in [
            (format!("mainstay.pty.v1, ticket.{ticket}"), true),
            (format!("ticket.{ticket}"), true),
            (format!("ticket.{ticket}, ticket.{ticket}"), false),
            ("ticket.short".to_owned(), false),
            ("mainstay.pty.v1".to_owned(), false),
        ] {
            let mut headers = HeaderMap::new();
            let value = offer.parse().expect("ASCII");
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, value);
            assert_eq!(offered(&headers).is_some(), is_found, "{offer}");
        }
    }
}
