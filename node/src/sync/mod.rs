//! The sync loop: dials the hub, keeps one session, and dials again after a jittered wait.

mod bootstrap;
mod link;
mod publication;
mod pushes;
mod session;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use kopilka_protocol::codec::CodecError;
use kopilka_protocol::message::Refusal;
use kopilka_protocol::publication::TransferError;
use kopilka_protocol::session::Backoff;
use kopilka_protocol::snapshot::PageError;
use kopilka_shell::clock::random_bytes;
use kopilka_shell::frame_io::FrameError;
use kopilka_shell::quic::{ClientEndpoint, ExpectedKey, PeerKey, QuicError};
use kopilka_shell::shutdown::Shutdown;

use crate::app::{App, AppError, SESSIONS_FAILED, SESSIONS_REFUSED};
use ed25519_dalek::SigningKey;
use link::Link;

/// How long one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Refusals that will not pass by waiting a little: dial now and then all the same.
const REFUSED_WAIT: Duration = Duration::from_secs(5);

/// How often in a row tills may have written more than the hub took over, before they are held back for a session.
const OUTRUN_MAX: u32 = 3;

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error("the hub's address {0} cannot be resolved")]
    Address(String),
    #[error(transparent)]
    Quic(#[from] QuicError),
    #[error("the hub did not answer in time")]
    Timeout,
    #[error("the connection ended: {0}")]
    Connection(#[from] quinn::ConnectionError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error("a snapshot page was not believed: {0}")]
    Page(#[from] PageError),
    #[error(transparent)]
    Transfer(#[from] TransferError),
    #[error(transparent)]
    App(#[from] AppError),
    #[error("a task ended early: {0}")]
    Task(#[from] tokio::task::JoinError),
    #[error("the hub closed the stream")]
    Closed,
    #[error("the hub refused: {0}")]
    Refused(Refusal),
    #[error(
        "the hub wants operations that this node has pruned: it was restored from an older backup"
    )]
    Pruned,
}

/// How a session ended well.
enum Ended {
    /// The process is going down.
    Shutdown,
    /// Something began anew: dial again at once.
    Again,
    /// The hub ended the log before it had all that tills wrote: dial again and send the rest.
    Outrun,
}

/// Keeps the node in touch with the hub at `address` (host and port) until shutdown.
pub async fn run(app: App, key: SigningKey, address: String, shutdown: Shutdown) {
    let link = Arc::new(Link::default());
    app.set_hub(Arc::clone(&link) as Arc<dyn crate::app::HubLink>);
    let mut backoff = Backoff::default();
    let mut outrun: u32 = 0;
    while !shutdown.is_requested() {
        let hold_tills = outrun >= OUTRUN_MAX;
        let mut dial = Dial {
            app: &app,
            key: &key,
            address: &address,
            link: &link,
            backoff: &mut backoff,
            hold_tills,
        };
        let result = dial.run(&shutdown).await;
        link.clear();
        let wait = match result {
            Ok(Ended::Shutdown) => return,
            Ok(Ended::Again) => {
                outrun = 0;
                Duration::ZERO
            }
            Ok(Ended::Outrun) if !hold_tills => {
                outrun = outrun.saturating_add(1);
                Duration::ZERO
            }
            Ok(Ended::Outrun) => {
                // It takes longer than tills may wait. They work on, and it is tried again when there is less to do.
                outrun = 0;
                REFUSED_WAIT
            }
            Err(SessionError::Refused(refusal)) => {
                tracing::error!(%refusal, "the hub refuses this node");
                metrics::counter!(SESSIONS_REFUSED).increment(1);
                REFUSED_WAIT
            }
            Err(error) => {
                metrics::counter!(SESSIONS_FAILED).increment(1);
                let wait =
                    Duration::from_millis(backoff.failed(u64::from_le_bytes(random_bytes::<8>())));
                tracing::info!(%error, wait_ms = wait.as_millis(), "out of touch with the hub");
                wait
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shutdown.requested() => return,
        }
    }
}

/// One attempt, on an endpoint of its own: an old socket may hang on an interface that is gone (quinn#2321).
struct Dial<'a> {
    app: &'a App,
    key: &'a SigningKey,
    address: &'a str,
    link: &'a Link,
    backoff: &'a mut Backoff,
    /// Tills wait while the session ends the log.
    hold_tills: bool,
}

impl Dial<'_> {
    async fn run(&mut self, shutdown: &Shutdown) -> Result<Ended, SessionError> {
        let address = tokio::select! {
            address = resolve(self.address) => address?,
            () = shutdown.requested() => return Ok(Ended::Shutdown),
        };
        let bind: SocketAddr = if address.is_ipv4() {
            (Ipv4Addr::UNSPECIFIED, 0).into()
        } else {
            (Ipv6Addr::UNSPECIFIED, 0).into()
        };
        let endpoint = ClientEndpoint::new(bind, self.key)?;
        let hub = ExpectedKey::Exact(PeerKey(self.app.identity().hub.0));
        let connection = tokio::select! {
            connection = tokio::time::timeout(CONNECT_TIMEOUT, endpoint.connect(address, hub)) => {
                connection.map_err(|_| SessionError::Timeout)??
            }
            () = shutdown.requested() => return Ok(Ended::Shutdown),
        };
        let result = session::run(self, &connection, shutdown).await;
        connection.close(0_u8.into(), b"bye");
        // Lets the hub hear the goodbye; it would otherwise wait for the idle time-out.
        let _ =
            tokio::time::timeout(Duration::from_millis(300), endpoint.endpoint().wait_idle()).await;
        result
    }
}

async fn resolve(address: &str) -> Result<SocketAddr, SessionError> {
    let unresolved = || SessionError::Address(address.to_owned());
    tokio::net::lookup_host(address)
        .await
        .map_err(|_| unresolved())?
        .next()
        .ok_or_else(unresolved)
}
