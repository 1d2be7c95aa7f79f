//! Input from outside: bodies and query parameters, refused with *all* of their faults at once.
//!
//! serde stops at the first fault it meets, so a client with three wrong fields would need three tries. Here the input is
//! first read into a plain JSON value, then checked against the very schema that the OpenAPI document shows for the
//! type — types, required and unknown fields, ranges, lengths, allowed values, formats — and only then handed to serde.
//! What the document promises and what the server refuses therefore cannot drift apart.
//!
//! Layout: `read` text to value (duplicate keys found), `rules` schema to rules, `check` value against rules, `body` and
//! `query` the two extractors, `id` ids in paths, `if_match` versions, `page` the parameters of lists.

mod body;
mod check;
mod id;
mod if_match;
mod page;
mod query;
mod read;
mod rules;

pub(crate) use body::{Json, whole_body};
pub(crate) use id::PathId;
pub(crate) use if_match::IfMatch;
pub(crate) use page::PageQuery;
pub(crate) use query::Query;

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use {
    check::{Findings, Pointer, check},
    rules::Rules,
};
