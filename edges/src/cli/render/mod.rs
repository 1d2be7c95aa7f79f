//! What the documents of the API look like to a person. Pure: a document, a moment and a [`Style`](super::screen::Style)
//! in, text out, so that every look has a snapshot.
//!
//! `tree` the status tree · `explain` one node in prose · `table` plain columns · `event` one change a line · `line` one
//! coloured line that fits.

pub(crate) mod event;
pub(crate) mod explain;
pub(crate) mod line;
pub(crate) mod table;
pub(crate) mod tree;

#[cfg(test)]
mod tests;
