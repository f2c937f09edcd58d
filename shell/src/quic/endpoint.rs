//! Endpoints: the hub's, which listens, and the node's, which dials.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{EndpointConfig, TokioRuntime, TransportConfig, VarInt};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;

use super::identity::{ExpectedKey, certified_key};
use super::verifier::{AnyKey, OneKey};
use super::{ALPN, QuicError, reset, socket};

/// How often the dialer speaks on an idle connection; UDP mappings of common routers last 30 s.
const KEEP_ALIVE: Duration = Duration::from_secs(12);
/// Silence after which either side gives the connection up: three keep-alives lost.
const IDLE_TIMEOUT_MS: u32 = 40_000;
/// Unread bytes that a peer may have under way on one stream.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// Unread bytes that a peer may have under way on one connection.
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Unacknowledged bytes that this side keeps for one connection.
const SEND_WINDOW_BYTES: u64 = 1024 * 1024;
/// Streams of each kind that a peer may have open at once.
const STREAMS_MAX: u32 = 16;
/// Handshakes that the server holds before the application has taken them up.
const INCOMING_MAX: usize = 1024;
/// TLS wants a name of the server; the key is what counts, and the name is never sent.
const SERVER_NAME: &str = "kopilka";

/// Listens on `address` (port 0 for any) and presents `key`. Must be called within a tokio runtime.
///
/// It admits every peer that proves any ed25519 key; ask [`super::peer_key`] whom it is.
pub fn server_endpoint(
    address: SocketAddr,
    key: &SigningKey,
) -> Result<quinn::Endpoint, QuicError> {
    let crypto = QuicServerConfig::try_from(server_tls(key))
        .expect("the ring provider has QUIC's initial cipher suite");
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(Arc::new(transport(None)));
    config.max_incoming(INCOMING_MAX);
    open(address, reset::endpoint_config(key), Some(config))
}

/// Dials servers and presents one key to all of them.
#[derive(Debug, Clone)]
pub struct ClientEndpoint {
    endpoint: quinn::Endpoint,
    identity: Arc<CertifiedKey>,
    transport: Arc<TransportConfig>,
}

impl ClientEndpoint {
    /// Sends from `bind` (usually the unspecified address, port 0). Must be called within a tokio runtime.
    pub fn new(bind: SocketAddr, key: &SigningKey) -> Result<Self, QuicError> {
        Ok(Self {
            endpoint: open(bind, EndpointConfig::default(), None)?,
            identity: certified_key(key),
            transport: Arc::new(transport(Some(KEEP_ALIVE))),
        })
    }

    /// A connection to `address`, where the server has proved the expected key. Gives up after 40 s of silence.
    ///
    /// The server may still close it at once, if it does not like this side's key.
    pub async fn connect(
        &self,
        address: SocketAddr,
        expected: ExpectedKey,
    ) -> Result<quinn::Connection, QuicError> {
        let verifier = Arc::new(OneKey::new(provider(), expected));
        let tls = client_tls(Arc::clone(&self.identity), Arc::clone(&verifier));
        let crypto = QuicClientConfig::try_from(tls)
            .expect("the ring provider has QUIC's initial cipher suite");
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        config.transport_config(Arc::clone(&self.transport));
        let connecting = self.endpoint.connect_with(config, address, SERVER_NAME)?;
        connecting.await.map_err(|error| match verifier.refused() {
            Some(offered) => QuicError::UnexpectedKey { offered },
            None => error.into(),
        })
    }

    /// The socket's endpoint, to close it, to wait until it is idle, or to read its statistics.
    pub fn endpoint(&self) -> &quinn::Endpoint {
        &self.endpoint
    }
}

fn open(
    address: SocketAddr,
    config: EndpointConfig,
    server: Option<quinn::ServerConfig>,
) -> Result<quinn::Endpoint, QuicError> {
    socket::bind(address)
        .and_then(|socket| {
            let runtime = Arc::new(TokioRuntime);
            quinn::Endpoint::new(config, server, socket, runtime)
        })
        .map_err(|source| QuicError::Socket { address, source })
}

fn transport(keep_alive: Option<Duration>) -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        // One side's is enough, and only the dialer sits behind a NAT.
        .keep_alive_interval(keep_alive)
        .max_idle_timeout(Some(VarInt::from_u32(IDLE_TIMEOUT_MS).into()))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES))
        .send_window(SEND_WINDOW_BYTES)
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(STREAMS_MAX))
        // The protocol uses streams only.
        .datagram_receive_buffer_size(None);
    transport
}

/// Named rather than the process default, which depends on what other crates bring along.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn server_tls(key: &SigningKey) -> rustls::ServerConfig {
    let verifier = AnyKey {
        provider: provider(),
    };
    let resolver = AlwaysResolvesServerRawPublicKeys::new(certified_key(key));
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .expect("the ring provider has TLS 1.3")
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(resolver));
    tls.alpn_protocols = vec![ALPN.to_vec()];
    tls.max_early_data_size = 0;
    tls.session_storage = Arc::new(NoServerSessionStorage {});
    tls.send_tls13_tickets = 0;
    tls
}

fn client_tls(identity: Arc<CertifiedKey>, verifier: Arc<OneKey>) -> rustls::ClientConfig {
    let resolver = AlwaysResolvesClientRawPublicKeys::new(identity);
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .expect("the ring provider has TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(Arc::new(resolver));
    tls.alpn_protocols = vec![ALPN.to_vec()];
    tls.enable_early_data = false;
    tls.resumption = Resumption::disabled();
    tls.enable_sni = false;
    tls
}
