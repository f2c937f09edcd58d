//! The hub's QUIC side over real sockets.

#![cfg(test)]

mod farewell;
