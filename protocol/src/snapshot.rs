//! Snapshot pages: members in order of identifier, packed with zstd, signed by the hub.
//!
//! A page stands for itself, so a node that was cut off goes on after the last member that it stored, at any hub
//! process. Pages are read at different moments; the feed, started from where it stood before the first page, brings
//! every page up to date.

use std::io::Read;

use ed25519_dalek::SigningKey;
use kopilka_crdt::ids::{MemberId, ProgrammeId};
use serde::{Deserialize, Serialize};

use crate::key::{Domain, PublicKey, SignatureBytes, sign};
use crate::limits::{FRAME_BYTES_MAX, SNAPSHOT_MEMBERS_MAX, SNAPSHOT_PAGE_BYTES_MAX};
use crate::message::FeedBatch;

const ZSTD_LEVEL: i32 = 1;

/// One page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedPage {
    /// The programme.
    pub programme: ProgrammeId,
    /// The last member of the page, to ask after; none on an empty page.
    pub through: Option<MemberId>,
    /// Whether it is the partition's last.
    pub last: bool,
    /// A packed [`FeedBatch`].
    pub packed: Vec<u8>,
    /// The hub's, over all of the above.
    pub signature: SignatureBytes,
}

/// Why a page is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// Larger than a frame, or than [`SNAPSHOT_PAGE_BYTES_MAX`] once unpacked.
    #[error("the snapshot page is too large")]
    TooLarge,
    /// The hub did not sign it.
    #[error("the snapshot page's signature does not verify")]
    Signature,
    /// It does not unpack to members.
    #[error("the snapshot page is malformed")]
    Malformed,
}

fn page_hash(
    programme: ProgrammeId,
    through: Option<MemberId>,
    last: bool,
    packed: &[u8],
) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("kopilka 2026 snapshot page");
    hasher.update(&programme.0.to_le_bytes());
    hasher.update(&[u8::from(through.is_some()), u8::from(last)]);
    hasher.update(&through.map_or(0, |member| member.0).to_le_bytes());
    hasher.update(packed);
    *hasher.finalize().as_bytes()
}

impl SignedPage {
    /// Packs and signs members.
    pub fn pack(
        key: &SigningKey,
        programme: ProgrammeId,
        batch: &FeedBatch,
        last: bool,
    ) -> Result<Self, PageError> {
        let plain = postcard::to_stdvec(batch).map_err(|_| PageError::Malformed)?;
        if plain.len() > SNAPSHOT_PAGE_BYTES_MAX || batch.members.len() > SNAPSHOT_MEMBERS_MAX {
            return Err(PageError::TooLarge);
        }
        let packed =
            zstd::encode_all(plain.as_slice(), ZSTD_LEVEL).map_err(|_| PageError::Malformed)?;
        let through = batch.members.last().map(|member| member.id);
        let signature = sign(
            key,
            Domain::Snapshot,
            &page_hash(programme, through, last, &packed),
        );
        let page = Self {
            programme,
            through,
            last,
            packed,
            signature,
        };
        if page.packed.len() + 256 > FRAME_BYTES_MAX {
            Err(PageError::TooLarge)
        } else {
            Ok(page)
        }
    }

    /// Checks the signature and unpacks.
    pub fn unpack(&self, hub: &PublicKey) -> Result<FeedBatch, PageError> {
        let hash = page_hash(self.programme, self.through, self.last, &self.packed);
        hub.verify(Domain::Snapshot, &hash, &self.signature)
            .map_err(|_| PageError::Signature)?;
        let decoder =
            zstd::Decoder::new(self.packed.as_slice()).map_err(|_| PageError::Malformed)?;
        let limit = u64::try_from(SNAPSHOT_PAGE_BYTES_MAX).map_err(|_| PageError::TooLarge)?;
        let mut plain = Vec::new();
        decoder
            .take(limit + 1)
            .read_to_end(&mut plain)
            .map_err(|_| PageError::Malformed)?;
        if plain.len() > SNAPSHOT_PAGE_BYTES_MAX {
            return Err(PageError::TooLarge);
        }
        let batch: FeedBatch = postcard::from_bytes(&plain).map_err(|_| PageError::Malformed)?;
        if batch.members.last().map(|member| member.id) != self.through {
            return Err(PageError::Malformed);
        }
        Ok(batch)
    }
}
