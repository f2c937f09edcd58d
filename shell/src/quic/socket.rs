//! UDP sockets with buffers large enough for many connections on one port.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

/// Receive and send buffer to ask for, in bytes. Linux's default of 208 KiB dropped 11 % of the datagrams of 1,000
/// clients.
const UDP_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// A bound socket, with a warning in the log if the kernel granted smaller buffers than asked for.
pub(super) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(UDP_BUFFER_BYTES)?;
    socket.set_send_buffer_size(UDP_BUFFER_BYTES)?;
    socket.bind(&address.into())?;
    warn_if_short(
        "receive",
        usable_bytes(socket.recv_buffer_size()?),
        "net.core.rmem_max",
    );
    warn_if_short(
        "send",
        usable_bytes(socket.send_buffer_size()?),
        "net.core.wmem_max",
    );
    Ok(socket.into())
}

/// Linux doubles what is asked for, to have room for its own bookkeeping, and reports the doubled size (socket(7)).
fn usable_bytes(reported: usize) -> usize {
    if cfg!(target_os = "linux") {
        reported / 2
    } else {
        reported
    }
}

fn warn_if_short(direction: &str, granted_bytes: usize, sysctl: &str) {
    if granted_bytes < UDP_BUFFER_BYTES {
        tracing::warn!(
            granted_bytes,
            wanted_bytes = UDP_BUFFER_BYTES,
            "the kernel refused a UDP {direction} buffer of the wanted size, so bursts from many peers will lose \
             packets; raise it with `sysctl -w {sysctl}={UDP_BUFFER_BYTES}`",
        );
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_buffers_are_what_was_asked_for_or_all_that_the_kernel_allows() {
        let socket = Socket::from(bind("127.0.0.1:0".parse().unwrap()).unwrap());
        let cases = [
            ("rmem_max", socket.recv_buffer_size().unwrap()),
            ("wmem_max", socket.send_buffer_size().unwrap()),
        ];
        for (sysctl, reported) in cases {
            // A network namespace of its own may hide the limit; then there is nothing to compare with.
            if let Ok(text) = fs::read_to_string(format!("/proc/sys/net/core/{sysctl}")) {
                let limit: usize = text.trim().parse().unwrap();
                assert_eq!(usable_bytes(reported), UDP_BUFFER_BYTES.min(limit));
            }
        }
    }

    #[test]
    fn a_taken_address_is_told_apart() {
        let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = bind(first.local_addr().unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
