//! QUIC with mutual raw public keys: who a peer is, is its ed25519 key (RFC 7250), and no certificate expires.
//!
//! TLS 1.3 only, no 0-RTT and no resumption: each connection proves both keys anew, so a revoked key cannot come back on
//! an old ticket. The server admits any well-formed key and the hub decides after the handshake, because a node that is
//! still enrolling is not known yet; the dialer names the key, or the key's fingerprint, that it expects.

mod endpoint;
mod identity;
mod reset;
mod socket;
mod verifier;

use std::io;
use std::net::SocketAddr;

use thiserror::Error;

pub use endpoint::{ClientEndpoint, server_endpoint};
pub use identity::{ExpectedKey, PeerKey, peer_key};

/// The application protocol both sides must name.
pub const ALPN: &[u8] = b"kopilka/1";

/// Why there is no endpoint or no connection.
#[derive(Debug, Error)]
pub enum QuicError {
    /// The UDP socket cannot be made; [`io::ErrorKind::AddrInUse`] when the address is taken.
    #[error("cannot open the UDP address {address}")]
    Socket {
        /// What was to be bound.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The peer cannot be dialled at all.
    #[error("cannot dial")]
    Dial(#[from] quinn::ConnectError),
    /// The handshake failed or the connection was lost.
    #[error("no connection")]
    Connection(#[from] quinn::ConnectionError),
    /// The server proved a key, but not the expected one. Nothing was sent to it.
    #[error("the server's key is {offered}, which is not the one expected")]
    UnexpectedKey {
        /// The key that it presented.
        offered: PeerKey,
    },
    /// The connection carries no ed25519 raw public key.
    #[error("the peer's identity is not an ed25519 raw public key")]
    NoPeerKey,
}
