//! Bytes on the wire and sync sessions as state machines: no clock, network, disk, entropy or async in here.
//!
//! Inputs are `handle_*` calls, outputs are drained by `poll_*`; wall time is an argument, in milliseconds since 1970.

pub mod codec;
pub mod enrolment;
pub mod key;
pub mod limits;
pub mod message;
pub mod publication;
pub mod segment;
pub mod session;
pub mod signed;
pub mod snapshot;
