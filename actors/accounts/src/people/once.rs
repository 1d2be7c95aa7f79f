//! Tokens that are good for one use: the setup token and invitations. In form like access tokens, told apart by their prefix.

use ground::Secret;
use rand::TryRng;
use rand::rngs::SysRng;
use std::sync::Arc;

use super::error::PeopleError;
use crate::token::{self, TokenHash};

/// What the setup token begins with.
pub const SETUP_PREFIX: &str = "mss_";
/// What an invitation begins with.
pub const INVITE_PREFIX: &str = "msi_";

/// A new token with this prefix, and what is stored of it.
pub(crate) fn draw(prefix: &str) -> Result<(Secret, TokenHash), PeopleError> {
    let internal = |error| PeopleError::Internal(Arc::new(error));
    let mut random = [0; 32];
    // Straight from the system: no state of ours that could repeat.
    SysRng.try_fill_bytes(&mut random).map_err(internal)?;
    let secret = token::make_as(prefix, &mut random);
    let hash = token::read_as(prefix, secret.expose());
    let hash = hash.map_err(|error| PeopleError::Internal(Arc::new(error)))?;
    Ok((secret, hash))
}

/// What a client presents as such a token; nothing when it cannot be one.
pub(crate) fn read(prefix: &str, presented: &Secret) -> Option<TokenHash> {
    token::read_as(prefix, presented.expose()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_kind_is_not_taken_for_another() {
        let (setup, hash) = draw(SETUP_PREFIX).expect("drawn");
        assert!(setup.expose().starts_with("mss_"));
        assert_eq!(read(SETUP_PREFIX, &setup), Some(hash));
        assert_eq!(read(INVITE_PREFIX, &setup), None);
        assert!(token::read(setup.expose()).is_err());
        let (other, _) = draw(SETUP_PREFIX).expect("drawn");
        assert!(other != setup);
    }
}
