//! The real actors on real databases, with a real server of ours at the other end.

mod house;
mod outbox;
mod sending;
mod statements;
