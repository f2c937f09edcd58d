//! Every limit of the wire in one place.

/// Version of the wire protocol; a peer one version away is served.
pub const PROTOCOL_VERSION: u16 = 2;
/// First version whose nodes take publications as deltas and in pieces, and orders about promotions.
pub const PROTOCOL_DELTAS: u16 = 2;

/// Largest frame of any stream, in bytes.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;
/// Most operations in one segment.
pub const SEGMENT_OPERATIONS_MAX: usize = 1_024;
/// Most bytes of entries in one segment.
pub const SEGMENT_BYTES_MAX: usize = 512 * 1024;
/// Segments that a node may have sent without an acknowledgement.
pub const SEGMENTS_IN_FLIGHT_MAX: usize = 8;
/// Most members in one batch of the feed.
pub const FEED_MEMBERS_MAX: usize = 512;
/// Most members in one page of a snapshot.
pub const SNAPSHOT_MEMBERS_MAX: usize = 4_096;
/// Largest page of a snapshot once unpacked, in bytes.
pub const SNAPSHOT_PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Largest piece of a publication's rules, in bytes.
pub const RULES_PIECE_BYTES_MAX: usize = 512 * 1024;
/// Most block orders in one batch.
pub const BLOCK_ORDERS_MAX: usize = 256;
/// Most purchases in one answer.
pub const SOLD_MAX: usize = 50;
