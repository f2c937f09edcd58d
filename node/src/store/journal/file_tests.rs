//! The journal's file: torn ends, damage, generations, formats.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::entry::{self, BLOCK_BYTES};
use super::file::{JournalFile, replay};
use crate::store::{Batch, StoreError, Table};

const FILE_BYTES: u64 = 16 << 12;

fn setting() -> (TempDir, PathBuf, JournalFile) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let journal = JournalFile::create(&path, FILE_BYTES).unwrap();
    (directory, path, journal)
}

/// An entry of `1 + value_bytes / 4096` blocks, or one more.
fn batch(key: u8, value_bytes: usize) -> Batch {
    let mut batch = Batch::new();
    batch.put(Table::Log, [key], vec![key; value_bytes]);
    batch.delete(Table::Pending, [key]);
    batch
}

fn joined(batches: &[Batch]) -> Batch {
    let mut joined = Batch::new();
    for batch in batches {
        let mut entry = Vec::new();
        entry::encode(batch, 0, 0, &mut entry);
        entry::find(&entry).unwrap().decode(&mut joined).unwrap();
    }
    joined
}

/// A generation of three entries: of one, two and two blocks.
fn three() -> (Vec<Batch>, Vec<u8>) {
    let (_directory, path, mut journal) = setting();
    journal.restart(7);
    let batches = vec![batch(1, 40), batch(2, 5_000), batch(3, 4_500)];
    for batch in &batches {
        assert_eq!(journal.append(batch), Ok(true));
    }
    (batches, fs::read(path).unwrap())
}

/// Where the entries' contents lie in the file of [`three`]: header, the put, the delete.
fn content(number: usize) -> std::ops::Range<usize> {
    let (first_block, value_bytes) = [(1, 40), (2, 5_000), (4, 4_500)][number];
    let start = first_block * BLOCK_BYTES;
    start..start + 60 + (11 + value_bytes) + 7
}

#[test]
fn entries_come_back() {
    let (batches, bytes) = three();
    assert_eq!(replay(&bytes, 7), Ok((joined(&batches), 3)));
    for number in 0..3 {
        let last = content(number).end - 1;
        assert!(bytes[last] != 0, "{number}: the content is shorter");
        assert_eq!(bytes[last + 1], 0, "{number}: the content is longer");
    }
}

#[test]
fn a_torn_end_was_never_there() {
    let (batches, whole) = three();
    let before = joined(&batches[..2]);
    // What the last entry was written over: nothing, or the same file of an earlier generation.
    let (_directory, path, mut journal) = setting();
    journal.restart(6);
    while journal.append(&batch(9, 60)).unwrap() {}
    for under in [vec![0; whole.len()], fs::read(path).unwrap()] {
        for cut in content(2) {
            let end = 6 * BLOCK_BYTES;
            let mut torn = whole.clone();
            torn[cut..end].copy_from_slice(&under[cut..end]);
            if torn != whole {
                assert_eq!(replay(&torn, 7), Ok((before.clone(), 2)), "cut at {cut}");
            }
            // The disk may write the later sectors first.
            let mut torn = whole.clone();
            let start = 4 * BLOCK_BYTES;
            torn[start..=cut].copy_from_slice(&under[start..=cut]);
            if torn != whole {
                assert_eq!(replay(&torn, 7), Ok((before.clone(), 2)), "from {cut} on");
            }
        }
    }
    for garbled in content(2) {
        let mut torn = whole.clone();
        torn[garbled] ^= 0x40;
        assert_eq!(replay(&torn, 7), Ok((before.clone(), 2)), "byte {garbled}");
    }
}

#[test]
fn damage_before_the_end_is_reported() {
    let (_, whole) = three();
    for garbled in content(0).chain(content(1)) {
        let mut damaged = whole.clone();
        damaged[garbled] ^= 0x40;
        let replayed = replay(&damaged, 7);
        assert!(
            matches!(replayed, Err(StoreError::Corrupt(_))),
            "byte {garbled}: {replayed:?}"
        );
    }
    let mut swapped = whole;
    let (first, rest) = swapped[BLOCK_BYTES..].split_at_mut(BLOCK_BYTES);
    first.copy_from_slice(&rest[2 * BLOCK_BYTES..3 * BLOCK_BYTES]);
    assert!(matches!(replay(&swapped, 7), Err(StoreError::Corrupt(_))));
}

#[test]
fn earlier_generations_do_not_count() {
    let (_directory, path, mut journal) = setting();
    let mut appended = 0;
    for generation in 1..20_u8 {
        journal.restart(u64::from(generation));
        assert!(journal.is_empty());
        let mut expected = Vec::new();
        // Full ones and short ones, of entries whose blocks lie differently each time.
        for number in 0..generation % 5 * 4 {
            let batch = batch(generation, usize::from(number) * 1_000);
            if !journal.append(&batch).unwrap() {
                break;
            }
            expected.push(batch);
            appended += 1;
        }
        let bytes = fs::read(&path).unwrap();
        let entries = u64::try_from(expected.len()).unwrap();
        assert_eq!(
            replay(&bytes, u64::from(generation)),
            Ok((joined(&expected), entries))
        );
        assert_eq!(
            replay(&bytes, u64::from(generation) + 1),
            Ok((Batch::new(), 0))
        );
        if !expected.is_empty() {
            let ahead = replay(&bytes, u64::from(generation) - 1);
            assert!(matches!(ahead, Err(StoreError::Corrupt(_))), "{ahead:?}");
        }
    }
    assert!(appended > 50, "{appended}");
    assert_eq!(fs::metadata(&path).unwrap().len(), FILE_BYTES);
}

#[test]
fn an_entry_fits_or_leaves_no_trace() {
    let (_directory, path, mut journal) = setting();
    let room = usize::try_from(FILE_BYTES).unwrap() - BLOCK_BYTES;
    let empty = fs::read(&path).unwrap();
    assert_eq!(journal.append(&batch(1, room)), Ok(false));
    assert_eq!(fs::read(&path).unwrap(), empty);
    assert_eq!(journal.append(&batch(1, room - 200)), Ok(true));
    assert_eq!(journal.append(&batch(2, 0)), Ok(false));
    assert_eq!(fs::metadata(&path).unwrap().len(), FILE_BYTES);
}

#[test]
fn another_file_is_refused() {
    let (_directory, path, _) = setting();
    let whole = fs::read(&path).unwrap();
    let mut newer = whole.clone();
    newer[8] += 1;
    fs::write(&path, newer).unwrap();
    let opened = JournalFile::open(&path).err();
    assert!(matches!(opened, Some(StoreError::Version(_))), "{opened:?}");
    let mut other = whole.clone();
    other[0] = 0;
    for wrong in [&other[..], &whole[..100], &[]] {
        fs::write(&path, wrong).unwrap();
        let opened = JournalFile::open(&path).err();
        assert!(matches!(opened, Some(StoreError::Corrupt(_))), "{opened:?}");
    }
    fs::remove_file(&path).unwrap();
    assert!(matches!(JournalFile::open(&path), Ok(None)));
}

#[test]
fn a_table_of_a_newer_version_is_refused() {
    let mut entry = Vec::new();
    entry::encode(&batch(1, 4), 0, 0, &mut entry);
    let body = 60;
    assert_eq!(entry[body], Table::Log.tag());
    entry[body] = 200;
    // The checksum is over generation, sequence, length and body: 2 × 8 + 4 + (6 + 1 + 4 + 4) + (6 + 1).
    let checksum = blake3::hash(&entry[40..body + 22]);
    entry[8..40].copy_from_slice(checksum.as_bytes());
    let decoded = entry::find(&entry).unwrap().decode(&mut Batch::new());
    assert!(
        matches!(decoded, Err(StoreError::Version(_))),
        "{decoded:?}"
    );
}
