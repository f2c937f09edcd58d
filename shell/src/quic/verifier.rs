//! What each side demands of the other's raw public key during the handshake.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    SignatureScheme,
};

use super::identity::{ExpectedKey, PeerKey};

/// The server's side: any well-formed ed25519 key.
#[derive(Debug)]
pub(super) struct AnyKey {
    pub(super) provider: Arc<CryptoProvider>,
}

/// The dialer's side: the one key that it expects.
#[derive(Debug)]
pub(super) struct OneKey {
    provider: Arc<CryptoProvider>,
    expected: ExpectedKey,
    refused: OnceLock<PeerKey>,
}

impl OneKey {
    pub(super) fn new(provider: Arc<CryptoProvider>, expected: ExpectedKey) -> Self {
        Self {
            provider,
            expected,
            refused: OnceLock::new(),
        }
    }

    /// The key that was presented and refused, if that is what ended the handshake.
    pub(super) fn refused(&self) -> Option<PeerKey> {
        self.refused.get().copied()
    }
}

/// The methods in which rustls' two verifier traits agree: raw ed25519 keys, and TLS 1.3 alone, as QUIC has it.
macro_rules! raw_ed25519_keys {
    () => {
        fn verify_tls12_signature(
            &self,
            _message: &[u8],
            _cert: &CertificateDer<'_>,
            _dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Err(PeerIncompatible::Tls13RequiredForQuic.into())
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let spki = SubjectPublicKeyInfoDer::from(cert.as_ref());
            let algorithms = &self.provider.signature_verification_algorithms;
            verify_tls13_signature_with_raw_key(message, &spki, dss, algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ED25519]
        }

        fn requires_raw_public_keys(&self) -> bool {
            true
        }
    };
}

impl ServerCertVerifier for OneKey {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let key = presented_key(end_entity, intermediates)?;
        if self.expected.admits(key) {
            return Ok(ServerCertVerified::assertion());
        }
        self.refused.get_or_init(|| key);
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    raw_ed25519_keys!();
}

impl ClientCertVerifier for AnyKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        presented_key(end_entity, intermediates).map(|_| ClientCertVerified::assertion())
    }

    raw_ed25519_keys!();
}

fn presented_key(
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
) -> Result<PeerKey, Error> {
    let key = intermediates
        .is_empty()
        .then(|| PeerKey::from_spki(end_entity))
        .flatten();
    key.ok_or_else(|| CertificateError::BadEncoding.into())
}
