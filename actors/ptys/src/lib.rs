//! Terminals: real shells on PTYs, with any number of viewers.
//!
//! A terminal belongs to nobody's connection. It goes on when its viewers leave, gives each of them all output in order, and takes back
//! one who was away from the byte where he was. No viewer can slow a shell down, and none is told less than he missed.
//!
//! What must survive a fault is kept apart from what can fail: a [`Terminal`](terminal) with its shell, scrollback and viewers
//! lives in a directory that belongs to no actor, so a panic of the manager or of a terminal's actor loses nothing.
//!
//! # Layout
//! - From outside: [`PtysHandle`] (`handle.rs`), [`Attachment`] and [`ViewerInput`] (`attachment.rs`), the user's words (`types.rs`),
//!   [`PtysError`] (`error.rs`), [`Config`] (`config.rs`), [`Ports`] (`ports.rs`), [`Ptys`] (`manifest.rs`).
//! - The actors: `manager.rs` (admission and routing), `terminal_actor.rs` (one a terminal), `keeper.rs` (time limits, repair, the end),
//!   `records.rs` (rows, whenever there is a store); what they share is `house.rs`, what they are asked `messages.rs`.
//! - What survives them: `directory.rs`, `terminal.rs` and its task `pump.rs`.
//! - Pure: `scrollback.rs` (the ring), `view.rs` (what each viewer gets next), `viewer.rs` (who sees and may do what), `pace.rs` (how long reading may wait), `frames.rs` (the
//!   wire), `environment.rs` (what a shell is given).
//! - The system: `launch.rs` (checks before a start), `process.rs` (PTY, fork and exec), `master.rs` (reading and writing without
//!   threads), `session.rs` (ending everything). `store.rs` has the SQL, `personal.rs` what is
//!   recorded of one person.

mod attachment;
mod config;
mod directory;
mod environment;
mod error;
mod frames;
mod handle;
mod house;
mod keeper;
mod launch;
mod locked;
mod manager;
mod manifest;
mod master;
mod messages;
mod pace;
pub mod personal;
mod ports;
mod process;
mod pump;
mod records;
mod scrollback;
mod session;
mod store;
mod terminal;
mod terminal_actor;
#[cfg(test)]
mod tests;
mod types;
mod view;
mod viewer;

pub use attachment::{Attachment, ViewerInput};
pub use config::Config;
pub use environment::DaemonEnvironment;
pub use error::PtysError;
pub use frames::{ClosedReason, ExitEvent, Notice, SUBPROTOCOL};
pub use handle::{PtysHandle, Terminals};
pub use manifest::Ptys;
pub use ports::Ports;
pub use types::{
    MAX_NAME, MAX_SIDE, NewTerminal, Size, TerminalChange, TerminalInfo, TerminalState,
};
pub use view::{Frame, FrameKind};
pub use viewer::Viewer;
