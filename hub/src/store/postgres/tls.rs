//! TLS to PostgreSQL, asked for by `sslmode` in the connection string as libpq knows it.
//!
//! `require` encrypts, which keeps out those who only listen; `verify-full` also makes the server prove that it is the
//! one that the string names. Without either, connections are in clear, as suits a socket of this machine.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, PeerIncompatible, RootCertStore, SignatureScheme,
};
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::store::StoreError;

const VERIFY_FULL: &str = "sslmode=verify-full";
const REQUIRE: &str = "sslmode=require";

/// Reads a connection string, and makes ready for the TLS that it asks for.
pub(super) fn read(
    url: &str,
    root_certificates: Option<&Path>,
) -> Result<(Config, Option<MakeRustlsConnect>), StoreError> {
    let (url, is_verified) = without_verify_full(url);
    let config: Config = url.parse()?;
    let tls = match (config.get_ssl_mode() == SslMode::Require, root_certificates) {
        (true, Some(file)) if is_verified => Some(proving(file)?),
        (true, None) if is_verified => {
            let text = "sslmode=verify-full needs postgres_root_certificates";
            return Err(StoreError::Tls(text.to_owned()));
        }
        (_, Some(_)) => {
            let text =
                "postgres_root_certificates needs sslmode=verify-full in the connection string";
            return Err(StoreError::Tls(text.to_owned()));
        }
        (true, None) => Some(encrypting()),
        (false, None) => None,
    };
    Ok((config, tls.map(MakeRustlsConnect::new)))
}

/// The driver has no word for `verify-full`: it requires TLS, and the rest is for this file.
fn without_verify_full(url: &str) -> (String, bool) {
    let begins = |at: usize| {
        let before = url[..at].chars().next_back();
        before.is_none_or(|before| before.is_whitespace() || matches!(before, '?' | '&'))
    };
    let ends = |at: usize| {
        let after = url[at..].chars().next();
        after.is_none_or(|after| after.is_whitespace() || after == '&')
    };
    let mut places = url.match_indices(VERIFY_FULL).map(|(at, _)| at);
    match places.find(|at| begins(*at) && ends(at + VERIFY_FULL.len())) {
        Some(at) => {
            let (before, after) = (&url[..at], &url[at + VERIFY_FULL.len()..]);
            (format!("{before}{REQUIRE}{after}"), true)
        }
        None => (url.to_owned(), false),
    }
}

/// A server whose certificate leads to one of the file's and carries the name that was dialled.
fn proving(file: &Path) -> Result<ClientConfig, StoreError> {
    let unusable = |reason: &dyn Display| StoreError::Tls(format!("{}: {reason}", file.display()));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unusable(&error))? {
        let certificate = certificate.map_err(|error| unusable(&error))?;
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    if roots.is_empty() {
        return Err(unusable(&"there is no certificate in it"));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .expect("the ring provider has TLS 1.3");
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// Any server.
fn encrypting() -> ClientConfig {
    let provider = Arc::new(ring::default_provider());
    ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .expect("the ring provider has TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer { provider }))
        .with_no_client_auth()
}

#[derive(Debug)]
struct AnyServer {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_is_found_where_an_option_stands() {
        let cases = [
            ("host=a sslmode=verify-full", "host=a sslmode=require", true),
            ("sslmode=verify-full host=a", "sslmode=require host=a", true),
            (
                "postgres://u@a/d?sslmode=verify-full&x=1",
                "postgres://u@a/d?sslmode=require&x=1",
                true,
            ),
            ("host=a sslmode=require", "host=a sslmode=require", false),
            ("xsslmode=verify-full", "xsslmode=verify-full", false),
            ("sslmode=verify-fully", "sslmode=verify-fully", false),
        ];
        for (url, expected, is_verified) in cases {
            let found = without_verify_full(url);
            assert_eq!(found, (expected.to_owned(), is_verified), "{url}");
        }
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        let file = Some(Path::new("/nowhere/roots.pem"));
        for (url, roots) in [
            ("host=a sslmode=verify-full", None),
            ("host=a sslmode=require", file),
            ("host=a", file),
            ("host=a sslmode=verify-full", file),
        ] {
            let outcome = read(url, roots).map(|_| ());
            assert!(
                matches!(outcome, Err(StoreError::Tls(_))),
                "{url}: {outcome:?}"
            );
        }
        assert!(read("host=a", None).unwrap().1.is_none());
        assert!(read("host=a sslmode=require", None).unwrap().1.is_some());
    }
}
