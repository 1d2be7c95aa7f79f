//! What is kept of one person: told whole, and gone whole.
//!
//! Domains: `accounts`.
