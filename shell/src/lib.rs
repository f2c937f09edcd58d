//! What the node and hub processes share around the pure crates: transport, configuration, logs, metrics, problem documents.
//!
//! Nothing here knows the domain: the crate imports no other crate of the workspace, and every clock
//! reading and random byte that a process uses comes from [`clock`].

pub mod clock;
pub mod exit;
pub mod frame_io;
pub mod key_file;
pub mod logs;
pub mod problem;
pub mod quic;
pub mod serve;
pub mod settings;
pub mod shutdown;
pub mod telemetry;

mod hex;
