//! All that is kept of one person: told to them, and gone with them.
//!
//! # What is promised
//! - An export holds every row that refers to the person, of this domain and of all others, but no secret: no password, no token, no code,
//!   not even hashed. `docs/personal_data.md` lists where it comes from, and a test holds that list against the migrations.
//! - After an erasure nothing is left that names the person: one transaction removes what all domains stored, or nothing. What stays is the
//!   audit (and ended tokens, for other daemons to notice), which name nobody but by an id that belongs to no one any more.
//! - Whoever is interrupted asks again: first the person is kept out, for good; then all that runs for them is ended; then the rows go.
//!
//! # Layout
//! `desk`: the order of an erasure, and what an export is put together of. `store`: what this domain keeps. What other domains keep comes
//! by [`PersonalData`](crate::PersonalData).

mod desk;
mod store;
