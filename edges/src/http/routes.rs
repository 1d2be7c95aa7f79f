//! Every route with what a caller needs for it: the one table of who may do what.
//!
//! The permission layer knows nothing else. A route that is not in this table is refused, whatever the router says, and
//! a test holds router, table and OpenAPI document against each other; so a new route cannot be open by oversight.

use std::collections::HashMap;
use std::sync::LazyLock;

use accounts::Scope;
use http::Method;

/// What a caller needs for a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: it answers anybody.
    Nothing,
    /// To be signed in, with whatever scopes.
    SignedIn,
    /// Any one of these scopes.
    OneOf(&'static [Scope]),
    /// No limit to scopes, whatever the role: for what people do with what is their own.
    Unlimited,
    /// All of the owner's rights: a token without scopes of an administrator, or the local operator.
    Everything,
}

/// One route.
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts about a route that do not hang together"
)]
#[derive(Debug, Clone)]
pub struct Route {
    /// Its method; HEAD counts as GET.
    pub method: Method,
    /// Its path as the router writes it.
    pub path: &'static str,
    /// What a caller needs.
    pub needs: Needs,
    /// Whether it is asked by probes: served under overload, and logged at debug level only.
    pub is_probe: bool,
    /// Whether somebody signs in by it: strangers may try that less often than other things.
    pub is_auth: bool,
    /// Whether it makes something new, so that a client may name its request and send it twice.
    pub creates: bool,
    /// Whether its answer shows a secret, which must not be stored anywhere.
    pub shows_secret: bool,
}

impl Route {
    /// The same route, by which somebody signs in.
    #[must_use]
    pub const fn auth(mut self) -> Self {
        self.is_auth = true;
        self
    }
}

/// To read what changes nothing.
pub(super) const READ: Needs = Needs::OneOf(&[Scope::Read]);
/// To read the tree.
pub(super) const STATUS: Needs = Needs::OneOf(&[Scope::Read, Scope::Operator]);
/// To act on the tree.
pub(super) const OPERATE: Needs = Needs::OneOf(&[Scope::Operator]);

/// A route that makes nothing new.
pub(super) const fn route(method: Method, path: &'static str, needs: Needs) -> Route {
    Route {
        method,
        path,
        needs,
        is_probe: false,
        is_auth: false,
        creates: false,
        shows_secret: false,
    }
}

const fn probe(path: &'static str, needs: Needs) -> Route {
    Route {
        method: Method::GET,
        path,
        needs,
        is_probe: true,
        is_auth: false,
        creates: false,
        shows_secret: false,
    }
}

/// A POST that makes something new.
pub(super) const fn creating(path: &'static str, needs: Needs) -> Route {
    Route {
        method: Method::POST,
        path,
        needs,
        is_probe: false,
        is_auth: false,
        creates: true,
        shows_secret: false,
    }
}

/// A POST that makes something new and shows a secret of it, this once.
pub(super) const fn creating_secret(path: &'static str, needs: Needs) -> Route {
    Route {
        method: Method::POST,
        path,
        needs,
        is_probe: false,
        creates: true,
        is_auth: false,
        shows_secret: true,
    }
}

/// Health, documents, the tree and what can be done to it.
pub(super) const OPERATORS: &[Route] = &[
    probe("/health", Needs::Nothing),
    probe("/health/live", Needs::Nothing),
    probe("/health/ready", Needs::Nothing),
    probe("/info", Needs::Nothing),
    probe("/metrics", READ),
    route(Method::GET, "/", Needs::SignedIn),
    route(Method::GET, "/api/docs", Needs::SignedIn),
    route(Method::GET, "/api/openapi.json", Needs::SignedIn),
    route(Method::GET, "/api/v1/drills", STATUS),
    creating("/api/v1/drills/{name}", OPERATE),
    route(Method::GET, "/api/v1/drills/runs/{id}", STATUS),
    route(Method::GET, "/api/v1/status", STATUS),
    route(Method::GET, "/api/v1/status/{*path}", STATUS),
    route(Method::GET, "/api/v1/status/stream", STATUS),
    route(Method::GET, "/api/v1/status/waits", STATUS),
    route(Method::POST, "/api/v1/supervisor/{*path}", OPERATE),
];

/// All routes of all concerns.
pub static TABLE: LazyLock<Vec<Route>> = LazyLock::new(|| {
    let routes = super::CONCERNS.iter().flat_map(|concern| concern.table);
    routes.cloned().collect()
});

/// The places in [`TABLE`] of the routes at each path. Asked for every request.
static PLACES: LazyLock<HashMap<&'static str, Vec<usize>>> = LazyLock::new(|| {
    let mut places: HashMap<_, Vec<_>> = HashMap::new();
    for (place, route) in TABLE.iter().enumerate() {
        places.entry(route.path).or_default().push(place);
    }
    places
});

/// A route's place in [`TABLE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RouteId(pub usize);

impl RouteId {
    /// The route of this method at this path of the router's.
    pub fn find(method: &Method, path: &str) -> Option<Self> {
        let method = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let of_path = PLACES.get(path)?;
        let place = of_path
            .iter()
            .find(|place| TABLE[**place].method == *method);
        place.copied().map(Self)
    }

    /// The route.
    pub fn route(self) -> &'static Route {
        // An id is only ever made by `find`, so the place exists.
        &TABLE[self.0]
    }
}
