//! Where `accounts.require_second_factor` is set: what a session may do that began without one. No I/O.
//!
//! Whoever has none yet must be able to come in and set one up, so such a session is not refused, it is for that alone. Personal tokens are
//! for programs, which have no second factor; the session that makes one needs it. The local operator is known by the kernel.

use http::Method;

use super::caller::Caller;
use super::codes;
use super::problem::Problem;
use super::routes::Route;

/// What one needs on the way to a second factor, and to leave.
const ON_THE_WAY: [(Method, &str); 7] = [
    (Method::GET, "/api/v1/me"),
    (Method::GET, "/api/v1/auth/factors"),
    (Method::POST, "/api/v1/auth/totp/enroll"),
    (Method::POST, "/api/v1/auth/totp/confirm"),
    (Method::POST, "/api/v1/auth/passkeys/register/begin"),
    (Method::POST, "/api/v1/auth/passkeys/register/finish"),
    (Method::POST, "/api/v1/auth/logout"),
];

/// Asks for a second factor of a session, unless the route is on the way to one.
///
/// # Errors
/// 403 that says what to do.
pub(super) fn check(caller: &Caller, route: Option<&Route>) -> Result<(), Problem> {
    let Caller::Session(identity) = caller else {
        return Ok(());
    };
    let is_on_the_way = route.is_some_and(|route| {
        let mut all = ON_THE_WAY.iter();
        all.any(|(method, path)| route.method == *method && route.path == *path)
    });
    if identity.second_factor || is_on_the_way {
        return Ok(());
    }
    let code = &codes::SECOND_FACTOR_REQUIRED;
    Err(Problem::new(code, code.meaning))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::routes::TABLE;

    #[test]
    fn the_way_to_a_second_factor_is_there() {
        for (method, path) in ON_THE_WAY {
            let is_it = |route: &&Route| route.method == method && route.path == path;
            assert_eq!(TABLE.iter().filter(is_it).count(), 1, "{method} {path}");
        }
    }
}
