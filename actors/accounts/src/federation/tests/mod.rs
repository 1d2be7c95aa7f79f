//! The way of an attempt against a real issuer on loopback, on a database of each engine, with doubles of the neighbours alone.

mod attempts;
mod faults;
mod people;
pub(crate) mod room;
mod statements;
