//! Experiments: which members see a promotion, and which are those that it is compared with.

use kopilka_crdt::ids::MemberId;
use kopilka_crdt::rulebook::model::promotion::ExperimentShare;

/// Whether a member is in the part of an experiment that sees the promotion: FNV-1a over its name and the member
/// (Fowler, Noll, Vo, 1991), mixed by the finaliser of MurmurHash3 (Appleby, 2008). Who shows no card is in no part.
pub(super) fn takes_part(share: &ExperimentShare, member: Option<MemberId>) -> bool {
    let Some(member) = member else { return false };
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in share.experiment.bytes().chain(member.0.to_be_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    let permille = (hash ^ (hash >> 33)) % 1_000;
    (u64::from(share.from_permille)..u64::from(share.to_permille)).contains(&permille)
}
