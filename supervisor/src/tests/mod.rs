//! The shell with real actors: what `README.md` promises, one test a promise.

mod dependencies;
mod drills;
mod ends;
mod lab;
mod messages;
mod order;
mod promises;
mod slot;
mod stopping;
mod true_root;
mod watching;
