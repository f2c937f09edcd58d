//! Stateless resets (RFC 9000, 10.3) that outlive a process.
//!
//! A hub that comes back after a crash, or another one of the same key in its place, tells a node at once that its
//! connection is gone. With keys of the process's own the node would wait for its idle time-out.

use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use quinn::crypto::{CryptoError, HmacKey};
use quinn::{ConnectionId, ConnectionIdGenerator, EndpointConfig};

use crate::clock::random_bytes;

/// Length of the identifiers that this side gives its connections.
const IDENTIFIER_BYTES: usize = 8;

/// Signs connection identifiers with a key that is derived from the server's own.
struct ResetKey([u8; blake3::KEY_LEN]);

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        signature_out.copy_from_slice(blake3::keyed_hash(&self.0, data).as_bytes());
    }

    fn signature_len(&self) -> usize {
        blake3::OUT_LEN
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let signature = blake3::Hash::from_slice(signature).map_err(|_| CryptoError)?;
        // The comparison takes the same time wherever they differ.
        if blake3::keyed_hash(&self.0, data) == signature {
            Ok(())
        } else {
            Err(CryptoError)
        }
    }
}

/// Identifiers that every endpoint takes for its own: quinn's usual ones are recognised by the endpoint that made them
/// only, and packets with others are dropped without a reset.
struct AnyIdentifier;

impl ConnectionIdGenerator for AnyIdentifier {
    fn generate_cid(&mut self) -> ConnectionId {
        ConnectionId::new(&random_bytes::<IDENTIFIER_BYTES>())
    }

    fn cid_len(&self) -> usize {
        IDENTIFIER_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// An endpoint whose connections any endpoint of the same key can reset.
pub(super) fn endpoint_config(key: &SigningKey) -> EndpointConfig {
    let reset = blake3::derive_key("kopilka 2026 quic stateless reset", &key.to_bytes());
    let mut config = EndpointConfig::new(Arc::new(ResetKey(reset)));
    config.cid_generator(|| Box::new(AnyIdentifier));
    config
}
