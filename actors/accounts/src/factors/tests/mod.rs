//! Second factors as their users meet them: the real actor and a real database of each engine.

mod bench;
mod changes;
mod guessing;
mod keys;
mod once;
mod secrets;
mod sign_in;
