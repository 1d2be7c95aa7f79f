//! The shell with real actors: what `README.md` promises, one test a promise.

mod dependencies;
mod ends;
mod lab;
mod order;
mod promises;
