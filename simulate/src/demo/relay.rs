//! A UDP relay between one node and the hub. Cutting a store off means that its relay drops every packet, both ways.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::Context;
use tokio::net::UdpSocket;
use tokio::task::{JoinHandle, JoinSet};

/// Addresses that a node may send from in one run; each reconnection may bring a new one.
const SOURCES_MAX: usize = 256;
/// Largest UDP payload.
const PACKET_BYTES_MAX: usize = 65_535;

/// A relay that runs until it is dropped.
pub struct Relay {
    /// Where the node finds the hub.
    pub address: SocketAddr,
    line: Arc<Line>,
    task: JoinHandle<()>,
}

struct Line {
    store_side: UdpSocket,
    hub: SocketAddr,
    cut: AtomicBool,
    dropped: AtomicU64,
}

impl Line {
    fn lets_through(&self) -> bool {
        let cut = self.cut.load(Ordering::Acquire);
        if cut {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        !cut
    }
}

impl Relay {
    /// Starts a relay to `hub` on a free port.
    pub async fn start(hub: SocketAddr) -> anyhow::Result<Self> {
        let store_side = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("no free UDP port for a relay")?;
        let address = store_side.local_addr()?;
        let line = Arc::new(Line {
            store_side,
            hub,
            cut: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
        });
        let task = tokio::spawn(carry_up(Arc::clone(&line)));
        Ok(Self {
            address,
            line,
            task,
        })
    }

    /// Cuts the line, or mends it.
    pub fn set_cut(&self, cut: bool) {
        self.line.cut.store(cut, Ordering::Release);
    }

    /// Packets dropped so far.
    pub fn dropped(&self) -> u64 {
        self.line.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry_up(line: Arc<Line>) {
    let mut hub_sides = BTreeMap::<SocketAddr, Arc<UdpSocket>>::new();
    let mut down = JoinSet::new();
    let mut packet = vec![0; PACKET_BYTES_MAX];
    loop {
        // An error here is the refusal of an earlier packet, reported late.
        let Ok((length, source)) = line.store_side.recv_from(&mut packet).await else {
            continue;
        };
        if !line.lets_through() {
            continue;
        }
        let hub_side = match hub_sides.get(&source) {
            Some(known) => Arc::clone(known),
            None if hub_sides.len() == SOURCES_MAX => continue,
            None => {
                let Ok(socket) = connected(line.hub).await else {
                    continue;
                };
                let socket = Arc::new(socket);
                down.spawn(carry_down(Arc::clone(&line), Arc::clone(&socket), source));
                hub_sides.insert(source, Arc::clone(&socket));
                socket
            }
        };
        // Lost packets are QUIC's to notice.
        let _ = hub_side.send(&packet[..length]).await;
    }
}

async fn connected(hub: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(hub).await?;
    Ok(socket)
}

async fn carry_down(line: Arc<Line>, hub_side: Arc<UdpSocket>, source: SocketAddr) {
    let mut packet = vec![0; PACKET_BYTES_MAX];
    loop {
        let Ok(length) = hub_side.recv(&mut packet).await else {
            continue;
        };
        if line.lets_through() {
            let _ = line.store_side.send_to(&packet[..length], source).await;
        }
    }
}
