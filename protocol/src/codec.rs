//! Frames: a version byte and a postcard body; the length in front of them belongs to the transport.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits::FRAME_BYTES_MAX;

/// The version that frames are written in.
pub const FRAME_VERSION: u8 = 1;

/// Bytes that are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Longer than [`FRAME_BYTES_MAX`].
    #[error("the frame is larger than 1 MiB")]
    TooLarge,
    /// A version that this program does not know.
    #[error("the frame has version {0}; this program reads version 1")]
    Version(u8),
    /// Not a message, or bytes left over after one.
    #[error("the frame is malformed")]
    Malformed,
}

/// Encodes a message as one frame.
pub fn encode(message: &impl Serialize) -> Result<Vec<u8>, CodecError> {
    let bytes =
        postcard::to_extend(message, vec![FRAME_VERSION]).map_err(|_| CodecError::Malformed)?;
    if bytes.len() > FRAME_BYTES_MAX {
        Err(CodecError::TooLarge)
    } else {
        Ok(bytes)
    }
}

/// Decodes one frame.
pub fn decode<T: DeserializeOwned>(frame: &[u8]) -> Result<T, CodecError> {
    if frame.len() > FRAME_BYTES_MAX {
        return Err(CodecError::TooLarge);
    }
    match frame.split_first() {
        Some((&FRAME_VERSION, rest)) => {
            let (message, tail) =
                postcard::take_from_bytes(rest).map_err(|_| CodecError::Malformed)?;
            if tail.is_empty() {
                Ok(message)
            } else {
                Err(CodecError::Malformed)
            }
        }
        Some((&version, _)) => Err(CodecError::Version(version)),
        None => Err(CodecError::Malformed),
    }
}
