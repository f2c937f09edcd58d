//! The file that holds a process's ed25519 signing key.
//!
//! 64 hexadecimal digits of the 32-byte seed and a newline, readable by its owner alone.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use thiserror::Error;

use crate::{clock, hex};

/// Digits of a 32-byte seed.
const SEED_DIGITS: usize = 64;
/// What is read of a key file at most: the digits, a line end, and one byte more to see that it is too long.
const FILE_BYTES_MAX: u64 = 67;
/// Rights of a new key file: its owner reads and writes it.
const OWNER_ONLY: u32 = 0o600;
/// Rights of anybody else, which a key file must not give.
const GROUP_AND_OTHERS: u32 = 0o077;

/// Why a key file cannot be used.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// It cannot be read.
    #[error("cannot read the key file {path}")]
    Read {
        /// The key file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be made.
    #[error("cannot create the key file {path}")]
    Create {
        /// The key file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Its content is something else.
    #[error(
        "the key file {path} is malformed: it must hold {SEED_DIGITS} hexadecimal digits and nothing else"
    )]
    Malformed {
        /// The key file.
        path: PathBuf,
    },
    /// Others than its owner have rights to it.
    #[error(
        "the key file {path} is open to others (mode {mode:04o}): run `chmod 600` on it, and replace the key if it may have been read"
    )]
    OpenToOthers {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

/// The key in the file, which must exist.
pub fn load(path: &Path) -> Result<SigningKey, KeyFileError> {
    read(path)?.ok_or_else(|| KeyFileError::Read {
        path: path.to_owned(),
        source: io::ErrorKind::NotFound.into(),
    })
}

/// The key in the file, or a new one in a new file. When it returns, the key survives power loss.
pub fn load_or_create(path: &Path) -> Result<SigningKey, KeyFileError> {
    if let Some(key) = read(path)? {
        return Ok(key);
    }
    match create(path) {
        Ok(key) => Ok(key),
        // Another process was quicker; both must go on with one key.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => load(path),
        Err(source) => Err(KeyFileError::Create {
            path: path.to_owned(),
            source,
        }),
    }
}

/// `None` if there is no such file.
fn read(path: &Path) -> Result<Option<SigningKey>, KeyFileError> {
    let failed = |source| KeyFileError::Read {
        path: path.to_owned(),
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
    if mode & GROUP_AND_OTHERS != 0 {
        return Err(KeyFileError::OpenToOthers {
            path: path.to_owned(),
            mode,
        });
    }
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX)
        .read_to_end(&mut text)
        .map_err(failed)?;
    let digits = text.strip_suffix(b"\n").unwrap_or(&text);
    let digits = digits.strip_suffix(b"\r").unwrap_or(digits);
    let seed = hex::decode(digits).ok_or_else(|| KeyFileError::Malformed {
        path: path.to_owned(),
    })?;
    Ok(Some(SigningKey::from_bytes(&seed)))
}

fn create(path: &Path) -> io::Result<SigningKey> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    let key = SigningKey::from_bytes(&clock::random_bytes());
    let temporary = temporary_beside(path)?;
    let published = write_synced(&temporary, &key)
        // A link, unlike a rename, never replaces a key that another process has made meanwhile.
        .and_then(|()| fs::hard_link(&temporary, path));
    let removed = fs::remove_file(&temporary);
    published?;
    removed?;
    File::open(directory)?.sync_all()?;
    Ok(key)
}

fn temporary_beside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}", hex::encode(&clock::random_bytes::<8>())));
    Ok(path.with_file_name(temporary))
}

fn write_synced(path: &Path, key: &SigningKey) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(OWNER_ONLY)
        .open(path)?;
    let mut line = hex::encode(&key.to_bytes());
    line.push('\n');
    file.write_all(line.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_new_key_is_private_alone_in_its_folder_and_the_same_next_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.key");
        let key = load_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, OWNER_ONLY);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(load_or_create(&path).unwrap(), key);
        assert_eq!(load(&path).unwrap(), key);
    }

    #[test]
    fn processes_that_race_agree_on_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.key");
        let keys: Vec<SigningKey> = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| load_or_create(&path).unwrap()))
                .collect();
            racers
                .into_iter()
                .map(|racer| racer.join().unwrap())
                .collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
    }

    #[test]
    fn a_file_open_to_others_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.key");
        load_or_create(&path).unwrap();
        for mode in [0o640, 0o604, 0o660, 0o644] {
            set_mode(&path, mode);
            let error = load_or_create(&path).unwrap_err();
            assert!(
                matches!(error, KeyFileError::OpenToOthers { mode: seen, .. } if seen == mode),
                "{mode:o}: {error}"
            );
        }
        set_mode(&path, 0o400);
        load_or_create(&path).unwrap();
    }

    #[test]
    fn malformed_content_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.key");
        let digits = "0".repeat(SEED_DIGITS);
        for content in [
            String::new(),
            "0".repeat(SEED_DIGITS - 1),
            format!("{digits}0"),
            format!("{digits}\n\n\n\n"),
            "g".repeat(SEED_DIGITS),
        ] {
            fs::write(&path, &content).unwrap();
            set_mode(&path, OWNER_ONLY);
            let error = load_or_create(&path).unwrap_err();
            assert!(
                matches!(error, KeyFileError::Malformed { .. }),
                "{content:?}"
            );
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
    }

    #[test]
    fn a_missing_file_or_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("absent").join("node.key");
        assert!(matches!(load(&path), Err(KeyFileError::Read { .. })));
        assert!(matches!(
            load_or_create(&path),
            Err(KeyFileError::Create { .. })
        ));
    }
}
