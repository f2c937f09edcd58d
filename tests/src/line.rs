//! The line between one node and the hub: a UDP relay that can lose, delay and pace packets, or be cut.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use tokio::net::UdpSocket;
use tokio::task::{JoinHandle, JoinSet};

/// Addresses that a node may send from in one test; each attempt to connect brings a new one.
const SOURCES_MAX: usize = 4_096;
/// Largest UDP payload.
const PACKET_BYTES_MAX: usize = 65_535;

/// A relay that runs until it is dropped.
#[derive(Debug)]
pub struct Line {
    /// Where the node finds the hub.
    pub address: SocketAddr,
    wire: Arc<Wire>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Wire {
    store_side: UdpSocket,
    hub: Mutex<SocketAddr>,
    cut: AtomicBool,
    lost_permille: AtomicU64,
    delay_ms: AtomicU64,
    down_bytes_per_second: AtomicU64,
    packets: AtomicU64,
    down_bytes: AtomicU64,
    up_bytes: AtomicU64,
}

impl Line {
    /// A line to `hub`.
    pub async fn to(hub: SocketAddr) -> anyhow::Result<Self> {
        let store_side = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("no free UDP port for a line")?;
        let address = store_side.local_addr()?;
        let wire = Arc::new(Wire {
            store_side,
            hub: Mutex::new(hub),
            cut: AtomicBool::new(false),
            lost_permille: AtomicU64::new(0),
            delay_ms: AtomicU64::new(0),
            down_bytes_per_second: AtomicU64::new(0),
            packets: AtomicU64::new(0),
            down_bytes: AtomicU64::new(0),
            up_bytes: AtomicU64::new(0),
        });
        let task = tokio::spawn(carry_up(Arc::clone(&wire)));
        Ok(Self {
            address,
            wire,
            task,
        })
    }

    /// Drops every packet from here on.
    pub fn cut(&self) {
        self.wire.cut.store(true, Ordering::Release);
    }

    /// Lets packets through again.
    pub fn mend(&self) {
        self.wire.cut.store(false, Ordering::Release);
    }

    /// Leads new connections to another hub.
    pub fn lead_to(&self, hub: SocketAddr) {
        *self.wire.hub.lock().unwrap_or_else(PoisonError::into_inner) = hub;
    }

    /// Loses so many of a thousand packets, both ways.
    pub fn lose(&self, permille: u64) {
        self.wire.lost_permille.store(permille, Ordering::Release);
    }

    /// Delays packets by up to so much, which also changes their order.
    pub fn delay(&self, up_to: Duration) {
        let ms = u64::try_from(up_to.as_millis()).unwrap_or(u64::MAX);
        self.wire.delay_ms.store(ms, Ordering::Release);
    }

    /// Carries no more than so many bytes a second to the store; 0: as they come.
    pub fn pace_down(&self, bytes_per_second: u64) {
        let pace = &self.wire.down_bytes_per_second;
        pace.store(bytes_per_second, Ordering::Release);
    }

    /// Bytes that reached the store so far.
    pub fn down_bytes(&self) -> u64 {
        self.wire.down_bytes.load(Ordering::Acquire)
    }

    /// Bytes that reached the hub so far.
    pub fn up_bytes(&self) -> u64 {
        self.wire.up_bytes.load(Ordering::Acquire)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Wire {
    fn hub(&self) -> SocketAddr {
        *self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What becomes of the next packet: lost, or how long it takes.
    fn fate(&self) -> Option<Duration> {
        if self.cut.load(Ordering::Acquire) {
            return None;
        }
        let number = self.packets.fetch_add(1, Ordering::Relaxed);
        // Any fixed mixing of the packet's number will do.
        let dice = u64::from_le_bytes(
            blake3::hash(&number.to_le_bytes()).as_bytes()[..8]
                .try_into()
                .unwrap_or_default(),
        );
        if dice % 1_000 < self.lost_permille.load(Ordering::Acquire) {
            return None;
        }
        let delay_ms = self.delay_ms.load(Ordering::Acquire);
        Some(Duration::from_millis((dice >> 32) % (delay_ms + 1)))
    }
}

/// The hub's side of one address of the node.
struct Peer {
    hub: SocketAddr,
    socket: Arc<UdpSocket>,
}

async fn carry_up(wire: Arc<Wire>) {
    let mut peers = BTreeMap::<SocketAddr, Peer>::new();
    let mut down = JoinSet::new();
    let mut packet = vec![0; PACKET_BYTES_MAX];
    loop {
        // An error here is the refusal of an earlier packet, reported late.
        let Ok((length, source)) = wire.store_side.recv_from(&mut packet).await else {
            continue;
        };
        let Some(delay) = wire.fate() else { continue };
        let hub = wire.hub();
        let known = peers.get(&source).filter(|peer| peer.hub == hub);
        let socket = match known {
            Some(peer) => Arc::clone(&peer.socket),
            None if peers.len() == SOURCES_MAX => continue,
            None => {
                let Ok(socket) = connected(hub).await else {
                    continue;
                };
                let socket = Arc::new(socket);
                down.spawn(carry_down(Arc::clone(&wire), Arc::clone(&socket), source));
                let peer = Peer {
                    hub,
                    socket: Arc::clone(&socket),
                };
                peers.insert(source, peer);
                socket
            }
        };
        wire.up_bytes
            .fetch_add(u64::try_from(length).unwrap_or_default(), Ordering::Relaxed);
        // Packets that cannot be sent are QUIC's to notice.
        if delay.is_zero() {
            let _ = socket.send(&packet[..length]).await;
        } else {
            let late = packet[..length].to_vec();
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                let _ = socket.send(&late).await;
            });
        }
    }
}

async fn connected(hub: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(hub).await?;
    Ok(socket)
}

async fn carry_down(wire: Arc<Wire>, socket: Arc<UdpSocket>, source: SocketAddr) {
    let mut packet = vec![0; PACKET_BYTES_MAX];
    loop {
        let Ok(length) = socket.recv(&mut packet).await else {
            // Nobody listens there now; the node will notice the silence.
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        };
        let Some(delay) = wire.fate() else { continue };
        let bytes = u64::try_from(length).unwrap_or_default();
        let pace = wire.down_bytes_per_second.load(Ordering::Acquire);
        if let Some(micros) = bytes.saturating_mul(1_000_000).checked_div(pace) {
            tokio::time::sleep(Duration::from_micros(micros)).await;
            // The line may have been cut while the packet was on it.
            if wire.cut.load(Ordering::Acquire) {
                continue;
            }
        }
        wire.down_bytes.fetch_add(bytes, Ordering::Relaxed);
        if delay.is_zero() {
            let _ = wire.store_side.send_to(&packet[..length], source).await;
        } else {
            let late = packet[..length].to_vec();
            let wire = Arc::clone(&wire);
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                let _ = wire.store_side.send_to(&late, source).await;
            });
        }
    }
}
