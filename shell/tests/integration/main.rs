//! The shell against real sockets: QUIC handshakes, HTTP serving and draining, problem documents on the wire.

#[cfg(test)]
mod http;
#[cfg(test)]
mod impostor;
#[cfg(test)]
mod problem;
#[cfg(test)]
mod quic;
