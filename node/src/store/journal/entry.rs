//! An entry of the journal: a batch as bytes, behind a header that says which one it is and whether it is whole.

use crate::store::{Batch, StoreError, Table, Write};

/// Entries begin at multiples of this many bytes and are padded to them.
///
/// It is the largest sector that disks have, and the page in which the system writes files back: so no
/// write of an entry touches a sector that holds a part of an earlier one, and a torn write damages
/// only the entry that it belongs to.
pub(super) const BLOCK_BYTES: usize = 4096;

const MAGIC: [u8; 8] = *b"KPKentry";
/// Magic, checksum, generation, sequence, length of the body; numbers are little-endian. The checksum is over
/// all that comes after it, the padding left out.
const HEADER_BYTES: usize = CHECKED_FROM + 8 + 8 + 4;
const CHECKED_FROM: usize = MAGIC.len() + blake3::OUT_LEN;

/// Bytes of a write beside its key and value, at most: table, kind, two lengths.
const WRITE_BYTES: u64 = 1 + 1 + 4 + 4;
const DELETE: u8 = 0;
const PUT: u8 = 1;

/// A whole entry among the journal's bytes.
pub(super) struct Found<'a> {
    /// The generation that it was written in.
    pub(super) generation: u64,
    /// Its place in the generation, from 0.
    pub(super) sequence: u64,
    /// Bytes that it occupies, padding included.
    pub(super) bytes: usize,
    body: &'a [u8],
}

/// Bytes that a batch occupies as an entry, or a few more.
pub(super) fn bytes_max(batch: &Batch) -> u64 {
    let writes = u64::try_from(batch.len()).unwrap_or(u64::MAX);
    let body = writes
        .saturating_mul(WRITE_BYTES)
        .saturating_add(batch.bytes());
    let (header, block) = (HEADER_BYTES as u64, BLOCK_BYTES as u64);
    body.saturating_add(header)
        .div_ceil(block)
        .saturating_mul(block)
}

/// Writes an entry over `buffer`. It has to fit a journal: [`bytes_max`] is less than 4 GiB.
pub(super) fn encode(batch: &Batch, generation: u64, sequence: u64, buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.resize(HEADER_BYTES, 0);
    for write in batch.writes() {
        buffer.push(write.table().tag());
        match write {
            Write::Put { key, value, .. } => {
                buffer.push(PUT);
                put_bytes(key, buffer);
                put_bytes(value, buffer);
            }
            Write::Delete { key, .. } => {
                buffer.push(DELETE);
                put_bytes(key, buffer);
            }
        }
    }
    let body_bytes = length(buffer.len() - HEADER_BYTES);
    let mut header = generation.to_le_bytes().to_vec();
    header.extend(sequence.to_le_bytes());
    header.extend(body_bytes.to_le_bytes());
    buffer[CHECKED_FROM..HEADER_BYTES].copy_from_slice(&header);
    let checksum = blake3::hash(&buffer[CHECKED_FROM..]);
    buffer[..MAGIC.len()].copy_from_slice(&MAGIC);
    buffer[MAGIC.len()..CHECKED_FROM].copy_from_slice(checksum.as_bytes());
    buffer.resize(buffer.len().next_multiple_of(BLOCK_BYTES), 0);
}

/// The entry at the beginning of `bytes`, if a whole one is there.
pub(super) fn find(bytes: &[u8]) -> Option<Found<'_>> {
    let mut reader = Reader(bytes);
    if reader.take(MAGIC.len())? != MAGIC {
        return None;
    }
    let checksum = reader.take(blake3::OUT_LEN)?;
    let (generation, sequence) = (reader.u64()?, reader.u64()?);
    let body_bytes = reader.length()?;
    let body = reader.take(body_bytes)?;
    let end = HEADER_BYTES + body_bytes;
    (*blake3::hash(&bytes[CHECKED_FROM..end]).as_bytes() == *checksum).then_some(Found {
        generation,
        sequence,
        bytes: end.next_multiple_of(BLOCK_BYTES),
        body,
    })
}

impl Found<'_> {
    /// Adds the entry's writes to a batch.
    ///
    /// # Errors
    /// [`StoreError::Version`] when it names a table that this version does not know.
    pub(super) fn decode(&self, batch: &mut Batch) -> Result<(), StoreError> {
        let mut reader = Reader(self.body);
        while !reader.0.is_empty() {
            decode_write(&mut reader, batch)?;
        }
        Ok(())
    }
}

fn decode_write(reader: &mut Reader<'_>, batch: &mut Batch) -> Result<(), StoreError> {
    let malformed = || StoreError::Corrupt("a journal entry makes no sense".to_owned());
    let tag = reader.byte().ok_or_else(malformed)?;
    let table = Table::from_tag(tag)
        .ok_or_else(|| StoreError::Version(format!("of a journal with table {tag}")))?;
    let kind = reader.byte().ok_or_else(malformed)?;
    let key = reader.bytes().ok_or_else(malformed)?;
    match kind {
        DELETE => batch.delete(table, key),
        PUT => batch.put(table, key, reader.bytes().ok_or_else(malformed)?),
        _ => return Err(malformed()),
    }
    Ok(())
}

fn put_bytes(bytes: &[u8], buffer: &mut Vec<u8>) {
    buffer.extend(length(bytes.len()).to_le_bytes());
    buffer.extend_from_slice(bytes);
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("an entry fits the journal")
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn length(&mut self) -> Option<usize> {
        let length = u32::from_le_bytes(self.array()?);
        usize::try_from(length).ok()
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.length()?;
        self.take(length)
    }
}
