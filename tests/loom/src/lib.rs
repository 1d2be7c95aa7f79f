//! The slot behind an address, in every interleaving of the threads that use it at once.
//!
//! Why a crate of its own: the model checker brings its own lock, and a switch of the compiler for that would build the whole
//! workspace a second time. So the very file that the supervisor runs is taken in here, with `sync` naming the
//! checker's lock instead of the real one, and plain `cargo test -p loom-slot` is all there is to run.
#![forbid(unsafe_code)]

#[cfg(test)]
mod models;
#[cfg(test)]
#[path = "../../../supervisor/src/slot.rs"]
mod slot;
#[cfg(test)]
mod sync;
