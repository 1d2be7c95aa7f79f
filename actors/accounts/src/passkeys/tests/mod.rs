//! Every way that an answer can be right or wrong, on a database of each engine, with an authenticator of the harness.

mod garbage;
mod lies;
mod making;
mod room;
mod signing_in;
mod whole;
