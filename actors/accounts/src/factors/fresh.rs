//! Who may change a second factor: somebody who signed in in person, and lately where no code is asked for. No I/O.
//!
//! A stolen access token lasts minutes and a stolen personal token for ever; neither may become a way to keep an account.

use std::time::Duration;

use ground::Micros;

use crate::factors::error::FactorError;

/// For how long after a sign-in a factor may be set up without any further proof.
pub const FRESH_FOR: Duration = Duration::from_mins(10);

/// Whether the caller signed in in person, whenever that was: what asks for a code besides needs no more.
///
/// # Errors
/// `NotFresh` for the bearer of a personal token.
pub(crate) fn in_person(signed_in_at: Option<Micros>) -> Result<(), FactorError> {
    signed_in_at.map(drop).ok_or(FactorError::NotFresh)
}

/// Whether the caller signed in in person within [`FRESH_FOR`].
///
/// # Errors
/// `NotFresh` if not.
pub(crate) fn lately(signed_in_at: Option<Micros>, now: Micros) -> Result<(), FactorError> {
    let is_fresh = signed_in_at.is_some_and(|at| now.since(at) < FRESH_FOR);
    is_fresh.then_some(()).ok_or(FactorError::NotFresh)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_is_fresh_for_its_time() {
        let at = Micros(1_700_000_000_000_000);
        assert!(lately(Some(at), at + FRESH_FOR - Duration::from_micros(1)).is_ok());
        assert!(lately(Some(at), at + FRESH_FOR).is_err());
        assert!(lately(None, at).is_err());
        assert!(in_person(Some(Micros(0))).is_ok() && in_person(None).is_err());
    }
}
