//! Signed tokens of the JOSE family, read strictly: whoever reads one leniently has let somebody in.
//!
//! Used for our own access tokens and for the ID tokens of outside issuers. No I/O, no clock. What the attacks of RFC 8725 have in
//! common is that the token itself says how it wants to be checked; here it says nothing but the name of a key, and everything else
//! comes from that key and from the caller. What is not understood is refused, never skipped over.
//!
//! # Layout
//! - [`strict`]: base64url and JSON with one reading each. [`jwk`]: keys, and which of them may check what. [`jws`]: the check.

pub(crate) mod jwk;
pub(crate) mod jws;
mod roca;
pub(crate) mod strict;
#[cfg(test)]
mod wycheproof;
