//! Length-prefixed frames over any byte stream: a QUIC stream, or TLS on TCP.
//!
//! On the wire: a little-endian `u32` length, then so many bytes. What the bytes mean, and how long they may be, is
//! the protocol's business.

use std::io;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes before the body.
const HEADER_BYTES: usize = 4;
/// Memory set aside on the strength of a header alone; beyond it the buffer grows with what has really come.
const BODY_RESERVE_BYTES_MAX: usize = 64 * 1024;

/// Why a frame could not be moved.
#[derive(Debug, Error)]
pub enum FrameError {
    /// The frame is longer than the limit; nothing of its body was read or written.
    #[error("a frame of {len_bytes} bytes is over the limit of {limit_bytes}")]
    Oversized {
        /// Length of the body, in bytes.
        len_bytes: usize,
        /// The limit, in bytes.
        limit_bytes: usize,
    },
    /// The stream ended within a frame.
    #[error("the stream ended within a frame")]
    Truncated,
    /// The stream failed.
    #[error("the stream failed")]
    Io(#[from] io::Error),
}

/// Reads frames, and keeps a half-read one, so that [`FrameReader::next`] is cancel safe.
#[derive(Debug)]
pub struct FrameReader<R> {
    stream: R,
    limit_bytes: usize,
    header: [u8; HEADER_BYTES],
    header_filled: usize,
    /// `Some` once the header is whole.
    body: Option<PartialBody>,
}

#[derive(Debug)]
struct PartialBody {
    len_bytes: usize,
    received: Vec<u8>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Reads frames of at most `limit_bytes` from `stream`.
    pub fn new(stream: R, limit_bytes: usize) -> Self {
        Self {
            stream,
            limit_bytes,
            header: [0; HEADER_BYTES],
            header_filled: 0,
            body: None,
        }
    }

    /// The next frame; `None` when the stream ended between two frames. It never reads past the frame's end.
    ///
    /// Cancel safe. After an error the stream must be given up.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        while self.body.is_none() {
            if self.header_filled < HEADER_BYTES {
                let unfilled = &mut self.header[self.header_filled..];
                let count = self.stream.read(unfilled).await?;
                if count == 0 {
                    return match self.header_filled {
                        0 => Ok(None),
                        _ => Err(FrameError::Truncated),
                    };
                }
                self.header_filled += count;
            } else {
                self.body = Some(PartialBody::announced(self.header, self.limit_bytes)?);
            }
        }
        let body = self
            .body
            .as_mut()
            .expect("the loop above ends with the header read");
        while body.missing() > 0 {
            let mut rest = (&mut self.stream).take(body.missing());
            if rest.read_buf(&mut body.received).await? == 0 {
                return Err(FrameError::Truncated);
            }
        }
        self.header_filled = 0;
        Ok(self.body.take().map(|body| body.received))
    }
}

impl PartialBody {
    fn announced(header: [u8; HEADER_BYTES], limit_bytes: usize) -> Result<Self, FrameError> {
        let len_bytes = usize::try_from(u32::from_le_bytes(header)).unwrap_or(usize::MAX);
        if len_bytes > limit_bytes {
            return Err(FrameError::Oversized {
                len_bytes,
                limit_bytes,
            });
        }
        Ok(Self {
            len_bytes,
            received: Vec::with_capacity(len_bytes.min(BODY_RESERVE_BYTES_MAX)),
        })
    }

    /// Bytes still to come.
    fn missing(&self) -> u64 {
        u64::try_from(self.len_bytes - self.received.len()).unwrap_or(u64::MAX)
    }
}

/// Reads one frame of at most `limit_bytes`; `None` when the stream ended before it began.
///
/// Not cancel safe: dropped half-way it loses what it read. In a `select!`, keep a [`FrameReader`].
pub async fn read_frame<R: AsyncRead + Unpin>(
    stream: &mut R,
    limit_bytes: usize,
) -> Result<Option<Vec<u8>>, FrameError> {
    FrameReader::new(stream, limit_bytes).next().await
}

/// Writes one frame of at most `limit_bytes`. It does not flush, so that small frames may share a packet.
///
/// Not cancel safe: dropped half-way it leaves half a frame on the stream.
pub async fn write_frame<W: AsyncWrite + Unpin>(
    stream: &mut W,
    body: &[u8],
    limit_bytes: usize,
) -> Result<(), FrameError> {
    let oversized = || FrameError::Oversized {
        len_bytes: body.len(),
        limit_bytes,
    };
    if body.len() > limit_bytes {
        return Err(oversized());
    }
    let header = u32::try_from(body.len()).map_err(|_| oversized())?;
    stream.write_all(&header.to_le_bytes()).await?;
    stream.write_all(body).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT_BYTES: usize = 100_000;

    async fn read_all(mut bytes: &[u8]) -> Result<Vec<Vec<u8>>, FrameError> {
        let mut frames = Vec::new();
        while let Some(frame) = read_frame(&mut bytes, LIMIT_BYTES).await? {
            frames.push(frame);
        }
        Ok(frames)
    }

    #[tokio::test]
    async fn frames_come_back_as_written_up_to_the_limit() {
        let frames = vec![vec![], vec![7; 3], vec![1; LIMIT_BYTES]];
        let mut bytes = Vec::new();
        for frame in &frames {
            write_frame(&mut bytes, frame, LIMIT_BYTES).await.unwrap();
        }
        assert_eq!(&bytes[..8], &[0, 0, 0, 0, 3, 0, 0, 0]);
        assert_eq!(read_all(&bytes).await.unwrap(), frames);
    }

    #[tokio::test]
    async fn one_byte_over_the_limit_is_refused_both_ways() {
        let mut bytes = Vec::new();
        let written = write_frame(&mut bytes, &[1; LIMIT_BYTES + 1], LIMIT_BYTES).await;
        assert!(matches!(written, Err(FrameError::Oversized { .. })));
        assert!(bytes.is_empty(), "nothing of it may be written");

        for len_bytes in [u32::try_from(LIMIT_BYTES).unwrap() + 1, u32::MAX] {
            let read = read_all(&len_bytes.to_le_bytes()).await;
            assert!(
                matches!(read, Err(FrameError::Oversized { .. })),
                "{read:?}"
            );
        }
    }

    #[tokio::test]
    async fn every_cut_within_a_frame_is_truncation() {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, b"whole", LIMIT_BYTES)
            .await
            .unwrap();
        assert!(read_all(&bytes[..0]).await.unwrap().is_empty());
        for cut in 1..bytes.len() {
            let read = read_all(&bytes[..cut]).await;
            assert!(
                matches!(read, Err(FrameError::Truncated)),
                "{cut}: {read:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_cancelled_read_loses_nothing() {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, b"first", LIMIT_BYTES)
            .await
            .unwrap();
        let (mut sender, receiver) = tokio::io::duplex(64);
        let mut reader = FrameReader::new(receiver, LIMIT_BYTES);
        for byte in bytes.chunks(1).take(bytes.len() - 1) {
            sender.write_all(byte).await.unwrap();
            tokio::select! {
                biased;
                frame = reader.next() => panic!("not whole yet: {frame:?}"),
                () = std::future::ready(()) => {}
            }
        }
        sender.write_all(&bytes[bytes.len() - 1..]).await.unwrap();
        assert_eq!(reader.next().await.unwrap().unwrap(), b"first");
    }
}
