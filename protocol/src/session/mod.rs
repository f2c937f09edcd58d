//! Sync sessions as state machines: what a node and the hub say to each other, without sockets or clocks.
//!
//! A shell feeds a machine with `handle_*`, then drains `poll_output` until it gives nothing, then waits for the next
//! frame, the next event of its own, or the moment that `poll_timeout` names.

mod backoff;
mod dialer;
mod listener;
#[cfg(test)]
mod tests;

pub use backoff::Backoff;
pub use dialer::{Dialer, DialerOutput, Wanted};
pub use listener::{Known, Listener, ListenerOutput, standing};
