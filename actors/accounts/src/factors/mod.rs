//! Second factors: codes of an authenticator app, and recovery codes for whoever lost it.
//!
//! # What is promised
//! - A code works once. The newest time step of which a code was used is kept in the database and only ever raised, by
//!   compare-and-set: of two requests with one code, whichever daemon they reach, one wins; and a clock that jumps back brings no
//!   used code back.
//! - A recovery code works once, in the same way. 120 random bits each, so that their plain hash is all that is kept.
//! - At most five wrong codes a user in five minutes; then codes are refused unlooked. A right recovery code is let in even then, so
//!   that nobody can lock somebody else out.
//! - The secret of the app is sealed under a key that is not in the database. While the key is missing or wrong, what needs it is
//!   refused and told in the status; recovery codes need it not.
//! - Every change stands in the audit in its own transaction; so does every refusal, but for those past the limit, of which the first
//!   is told.
//!
//! # Layout
//! - `handle` the public face; `messages`, `manager` the actor; `desk` its slow work; `keys` whether the master key fits.
//! - Pure: `totp` (codes and their steps), `recovery` (make, read, hash), `shown` (which of them a text is), `guesses` (who may guess),
//!   `fresh` (who may change a factor).
//! - `types` the user's words; `error`; `store` every statement.

mod desk;
mod error;
mod fresh;
mod guesses;
mod handle;
mod keys;
mod manager;
mod messages;
mod recovery;
mod shown;
mod store;
#[cfg(test)]
mod tests;
mod totp;
mod types;

pub use error::FactorError;
pub use fresh::FRESH_FOR;
pub use handle::Factors;
pub use recovery::RECOVERY_CODES;
pub use types::{By, Enrolment, FactorOverview, TotpState};

pub(crate) use manager::{FactorsActor, Seed};
pub(crate) use store::remove_all;
