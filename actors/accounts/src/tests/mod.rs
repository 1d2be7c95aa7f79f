//! The domain as its users meet it: the real manager, a real database of each engine, and one that can be pulled out.

pub(crate) mod house;
mod lost;
mod others;
mod owners;
mod secrets;
mod sessions;
mod statements;
mod tokens;
