//! Serves a router over HTTP or HTTPS until the process is asked to stop, then lets open requests finish.

mod listener;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::net::TcpListener;

use self::listener::HttpListener;
use crate::shutdown::Shutdown;

/// How long open requests may go on after the request to stop.
const DRAIN_MAX: Duration = Duration::from_secs(20);

/// PEM files of an HTTPS server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The certificate and what leads from it to its authority.
    pub certificate: PathBuf,
    /// The private key of the certificate.
    pub key: PathBuf,
}

/// Why a router cannot be served.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The address cannot be bound; [`io::ErrorKind::AddrInUse`] when it is taken.
    #[error("cannot listen on {address}")]
    Bind {
        /// What was to be bound.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The certificate or the key cannot be read.
    #[error("cannot read {path}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::pki_types::pem::Error,
    },
    /// The certificate and the key are no pair, or of an unknown kind.
    #[error("the TLS certificate and key cannot be used")]
    Tls(#[from] rustls::Error),
    /// The server failed.
    #[error("the HTTP server failed")]
    Failed(#[source] io::Error),
}

/// The address that a connection comes from, for handlers as `ConnectInfo<ClientAddress>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub SocketAddr);

impl Connected<IncomingStream<'_, HttpListener>> for ClientAddress {
    fn connect_info(stream: IncomingStream<'_, HttpListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// A bound address; connections wait in the kernel until [`HttpServer::serve`].
#[derive(Debug)]
pub struct HttpServer {
    listener: HttpListener,
    address: SocketAddr,
}

impl HttpServer {
    /// Binds `address` (port 0 for any), and reads the certificate if there is one.
    pub async fn bind(address: SocketAddr, tls: Option<&TlsFiles>) -> Result<Self, ServeError> {
        let tls = tls.map(tls::server_config).transpose()?.map(Arc::new);
        let failed = |source| ServeError::Bind { address, source };
        let tcp = TcpListener::bind(address).await.map_err(failed)?;
        Ok(Self {
            address: tcp.local_addr().map_err(failed)?,
            listener: HttpListener::new(tcp, tls),
        })
    }

    /// The real address, with the port that the kernel chose.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until the stop is requested; then takes no new connection, and returns when the open requests are
    /// answered, or after 20 s.
    pub async fn serve(self, router: Router, shutdown: Shutdown) -> Result<(), ServeError> {
        self.serve_with_drain(router, shutdown, DRAIN_MAX).await
    }

    async fn serve_with_drain(
        self,
        router: Router,
        shutdown: Shutdown,
        drain_max: Duration,
    ) -> Result<(), ServeError> {
        let stop = shutdown.clone();
        let service = router.into_make_service_with_connect_info::<ClientAddress>();
        let serving = axum::serve(self.listener, service)
            .with_graceful_shutdown(async move { stop.requested().await });
        let out_of_patience = async {
            shutdown.requested().await;
            tokio::time::sleep(drain_max).await;
        };
        tokio::select! {
            ended = async { serving.await } => ended.map_err(ServeError::Failed),
            () = out_of_patience => {
                tracing::warn!(address = %self.address, "gave up on requests that did not finish");
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpStream;
    use tokio::sync::mpsc;

    use super::*;
    use crate::shutdown;

    #[tokio::test]
    async fn a_request_that_never_ends_does_not_hold_the_process() {
        let (entered, mut entries) = mpsc::channel(1);
        let handler = move || async move {
            entered.send(()).await.unwrap();
            std::future::pending::<()>().await;
        };
        let router = Router::new().route("/", get(handler));
        let server = HttpServer::bind("127.0.0.1:0".parse().unwrap(), None)
            .await
            .unwrap();
        let address = server.address();
        let (trigger, stop) = shutdown::channel();
        let serving =
            tokio::spawn(server.serve_with_drain(router, stop, Duration::from_millis(50)));

        let mut client = TcpStream::connect(address).await.unwrap();
        client
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        entries.recv().await.unwrap();
        trigger.request();
        serving.await.unwrap().unwrap();
    }
}
