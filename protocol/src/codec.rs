//! Frames: a byte that says how the body is written, and a postcard body, packed with zstd where that is shorter.
//!
//! The length in front of a frame belongs to the transport.

use std::io::Read;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits::FRAME_BYTES_MAX;

/// First byte of a frame whose body stands as it is.
pub const FRAME_PLAIN: u8 = 1;
/// First byte of a frame whose body is packed with zstd.
pub const FRAME_PACKED: u8 = 2;

/// Bodies below this many bytes are not worth packing.
const PACK_BYTES_MIN: usize = 400;
const ZSTD_LEVEL: i32 = 1;

/// Bytes that are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Longer than [`FRAME_BYTES_MAX`].
    #[error("the frame is larger than 1 MiB")]
    TooLarge,
    /// A version that this program does not know.
    #[error("the frame has version {0}; this program reads versions 1 and 2")]
    Version(u8),
    /// Not a message, or bytes left over after one.
    #[error("the frame is malformed")]
    Malformed,
}

/// Encodes a message as one frame.
pub fn encode(message: &impl Serialize) -> Result<Vec<u8>, CodecError> {
    let plain =
        postcard::to_extend(message, vec![FRAME_PLAIN]).map_err(|_| CodecError::Malformed)?;
    if plain.len() > FRAME_BYTES_MAX {
        return Err(CodecError::TooLarge);
    }
    if plain.len() < PACK_BYTES_MIN {
        return Ok(plain);
    }
    let packed = zstd::encode_all(&plain[1..], ZSTD_LEVEL).map_err(|_| CodecError::Malformed)?;
    if packed.len() + 1 >= plain.len() {
        return Ok(plain);
    }
    Ok([&[FRAME_PACKED][..], &packed].concat())
}

/// Decodes one frame. A packed body unpacks to [`FRAME_BYTES_MAX`] at most.
pub fn decode<T: DeserializeOwned>(frame: &[u8]) -> Result<T, CodecError> {
    if frame.len() > FRAME_BYTES_MAX {
        return Err(CodecError::TooLarge);
    }
    match frame.split_first() {
        Some((&FRAME_PLAIN, body)) => read(body),
        Some((&FRAME_PACKED, packed)) => read(&unpack(packed)?),
        Some((&version, _)) => Err(CodecError::Version(version)),
        None => Err(CodecError::Malformed),
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, CodecError> {
    let (message, tail) = postcard::take_from_bytes(body).map_err(|_| CodecError::Malformed)?;
    if tail.is_empty() {
        Ok(message)
    } else {
        Err(CodecError::Malformed)
    }
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>, CodecError> {
    let limit = u64::try_from(FRAME_BYTES_MAX).map_err(|_| CodecError::TooLarge)?;
    let decoder = zstd::Decoder::new(packed).map_err(|_| CodecError::Malformed)?;
    let mut body = Vec::new();
    decoder
        .take(limit + 1)
        .read_to_end(&mut body)
        .map_err(|_| CodecError::Malformed)?;
    if body.len() > FRAME_BYTES_MAX {
        return Err(CodecError::TooLarge);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_frames_are_packed_and_bombs_are_refused() {
        let numbers: Vec<u64> = vec![7; 10_000];
        let frame = encode(&numbers).unwrap();
        assert_eq!(frame[0], FRAME_PACKED);
        assert!(frame.len() < 200);
        assert_eq!(decode::<Vec<u64>>(&frame), Ok(numbers));
        let bomb = zstd::encode_all(vec![0; FRAME_BYTES_MAX + 1].as_slice(), 1).unwrap();
        let bomb = [&[FRAME_PACKED][..], &bomb].concat();
        assert_eq!(decode::<Vec<u8>>(&bomb), Err(CodecError::TooLarge));
        let cut = &frame[..frame.len() - 3];
        assert_eq!(decode::<Vec<u64>>(cut), Err(CodecError::Malformed));
        assert_eq!(decode::<Vec<u64>>(&[3, 0]), Err(CodecError::Version(3)));
    }

    #[test]
    fn short_frames_stand_as_they_are() {
        let frame = encode(&vec![1_u8, 2, 3]).unwrap();
        assert_eq!(frame, [FRAME_PLAIN, 3, 1, 2, 3]);
    }
}
