//! QUIC clients that the crate's own API cannot make: without a key, or with the public key of somebody else.

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use kopilka_shell::quic::ALPN;
use quinn::crypto::rustls::QuicClientConfig;
use rustls::client::AlwaysResolvesClientRawPublicKeys;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

/// PKCS #8 before the 32 bytes of an ed25519 seed.
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// A client that has no key.
pub fn without_key() -> quinn::ClientConfig {
    quic(builder().with_no_client_auth())
}

/// A client that shows the public key of `shown` and signs with `signing`.
pub fn with_key_of(shown: &SigningKey, signing: &SigningKey) -> quinn::ClientConfig {
    let shown = signer(shown);
    let spki = shown.public_key().unwrap();
    let spki = CertificateDer::from(spki.to_vec());
    let identity = Arc::new(CertifiedKey::new(vec![spki], signer(signing)));
    let resolver = AlwaysResolvesClientRawPublicKeys::new(identity);
    quic(builder().with_client_cert_resolver(Arc::new(resolver)))
}

fn signer(key: &SigningKey) -> Arc<dyn rustls::sign::SigningKey> {
    let pkcs8 = [PKCS8_PREFIX.as_slice(), key.as_bytes()].concat();
    ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(pkcs8)).unwrap()
}

fn builder() -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous))
}

fn quic(mut tls: ClientConfig) -> quinn::ClientConfig {
    tls.alpn_protocols = vec![ALPN.to_vec()];
    quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()))
}

/// Believes every server.
#[derive(Debug)]
struct Credulous;

impl ServerCertVerifier for Credulous {
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
        unreachable!("QUIC has TLS 1.3 only")
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
