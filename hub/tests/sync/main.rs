//! The hub's side of sessions: over real sockets, and what becomes of the branches that they bring.

#![cfg(test)]

mod branches;
mod farewell;
mod originals;
