//! How many connections each address has: one client alone must not take all places.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use crate::http::client::{AddressBlock, Proxies};

/// The connections by address. It knows addresses with open connections only, so it is as bounded as these are.
#[derive(Debug)]
pub(super) struct Crowd {
    limit: usize,
    proxies: Proxies,
    open: Mutex<HashMap<AddressBlock, usize>>,
}

/// A place of an address; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    crowd: Arc<Crowd>,
    /// None where nothing is counted.
    block: Option<AddressBlock>,
}

impl Crowd {
    /// At most `limit` connections from one address, as many as they like from `proxies`.
    pub(super) fn new(limit: usize, proxies: Proxies) -> Self {
        Self {
            limit,
            proxies,
            open: Mutex::default(),
        }
    }

    /// A place for `address`; `None` when it has all of its own.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Seat> {
        let block = (!self.proxies.contains(address)).then(|| AddressBlock::from(address));
        if let Some(block) = block {
            // The map is whole after every statement, also after a panic.
            let mut open = ground::lock(&self.open);
            let count = open.entry(block).or_default();
            if *count >= self.limit {
                return None;
            }
            *count += 1;
        }
        Some(Seat {
            crowd: Arc::clone(self),
            block,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some(block) = self.block else { return };
        let open = &self.crowd.open;
        let mut open = ground::lock(open);
        if let Some(count) = open.get_mut(&block) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&block);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_places_and_gets_them_back() {
        let proxies = Proxies::new(["10.0.0.0/8".parse().expect("a network")]);
        let crowd = Arc::new(Crowd::new(2, proxies));
        let enter = |address: &str| crowd.enter(address.parse().expect("an address"));
        let held = [enter("2001:db8::1"), enter("2001:db8::2")];
        assert!(held.iter().all(Option::is_some));
        assert!(enter("2001:db8::3").is_none(), "the same network");
        assert!(enter("2001:db8:0:1::1").is_some() && enter("192.0.2.1").is_some());
        drop(held);
        assert!(enter("2001:db8::3").is_some());
        let many: Vec<_> = (0..10).map(|_| enter("10.1.2.3")).collect();
        assert!(many.iter().all(Option::is_some), "a proxy has no limit");
        drop(many);
        assert!(crowd.open.lock().expect("unharmed").is_empty());
    }
}
