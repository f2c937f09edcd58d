//! A router behind a real port: plain, over TLS, and while it drains.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use kopilka_shell::serve::{ClientAddress, HttpServer, ServeError, TlsFiles};
use kopilka_shell::shutdown;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;

/// A self-signed certificate for `localhost`, and its key; known to all, for tests only.
fn tls_files() -> TlsFiles {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    TlsFiles {
        certificate: data.join("localhost.cert.pem"),
        key: data.join("localhost.key.pem"),
    }
}

async fn bind(tls: Option<&TlsFiles>) -> HttpServer {
    HttpServer::bind("127.0.0.1:0".parse().unwrap(), tls)
        .await
        .unwrap()
}

/// The whole answer to one GET on a connection that is then closed.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> String {
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

fn tells_client_address() -> Router {
    Router::new().route(
        "/",
        get(|ConnectInfo(client): ConnectInfo<ClientAddress>| async move { client.0.to_string() }),
    )
}

#[tokio::test]
async fn a_router_is_served_on_the_port_the_kernel_chose() {
    let server = bind(None).await;
    let address = server.address();
    assert_ne!(address.port(), 0);
    let (trigger, stop) = shutdown::channel();
    let serving = tokio::spawn(server.serve(tells_client_address(), stop));

    let stream = TcpStream::connect(address).await.unwrap();
    let client = stream.local_addr().unwrap().to_string();
    let text = answer(stream).await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert!(text.ends_with(&client), "{text}");

    trigger.request();
    serving.await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn the_request_under_way_is_answered_before_the_server_ends() {
    let entered = Arc::new(Semaphore::new(0));
    let released = Arc::new(Semaphore::new(0));
    let handler = {
        let (entered, released) = (Arc::clone(&entered), Arc::clone(&released));
        move || async move {
            entered.add_permits(1);
            released.acquire().await.unwrap().forget();
            "done"
        }
    };
    let server = bind(None).await;
    let address = server.address();
    let (trigger, stop) = shutdown::channel();
    let serving = tokio::spawn(server.serve(Router::new().route("/", get(handler)), stop));

    let idle = TcpStream::connect(address).await.unwrap();
    let asking =
        tokio::spawn(async move { answer(TcpStream::connect(address).await.unwrap()).await });
    entered.acquire().await.unwrap().forget();
    trigger.request();
    // The listener is closed while the request is still open.
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!serving.is_finished());
    released.add_permits(1);
    assert!(asking.await.unwrap().ends_with("done"));
    serving.await.unwrap().unwrap();
    drop(idle);
}

#[tokio::test]
async fn https_is_served_while_another_client_stalls_in_its_handshake() {
    let files = tls_files();
    let server = bind(Some(&files)).await;
    let address = server.address();
    let (_trigger, stop) = shutdown::channel();
    tokio::spawn(server.serve(tells_client_address(), stop));

    let _stalled = TcpStream::connect(address).await.unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(&files.certificate).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap();
    let client = stream.get_ref().0.local_addr().unwrap().to_string();
    let text = answer(stream).await;
    assert!(text.ends_with(&client), "{text}");
}

#[tokio::test]
async fn a_taken_address_and_a_missing_certificate_are_told_apart() {
    let first = bind(None).await;
    let taken = HttpServer::bind(first.address(), None).await.unwrap_err();
    assert!(
        matches!(&taken, ServeError::Bind { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse),
        "{taken}"
    );
    let absent = TlsFiles {
        certificate: "/nonexistent/cert.pem".into(),
        ..tls_files()
    };
    let missing = HttpServer::bind("127.0.0.1:0".parse().unwrap(), Some(&absent))
        .await
        .unwrap_err();
    assert!(matches!(missing, ServeError::Pem { path, .. } if path == absent.certificate));
}
