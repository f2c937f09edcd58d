//! A member's bytes on disk and wire.

use kopilka_crdt::member::{DecodeError, Member};
use proptest::prelude::*;

use crate::history::histories;

proptest! {
    #[test]
    fn members_survive_encoding(history in histories()) {
        let member = history.folded();
        prop_assert_eq!(Member::decode(&member.encode()), Ok(member));
    }

    #[test]
    fn damaged_records_are_refused(
        history in histories(), tail in prop::collection::vec(any::<u8>(), 1..4), cut: prop::sample::Index, version: u8,
    ) {
        let bytes = history.folded().encode();
        let longer = [bytes.as_slice(), &tail].concat();
        prop_assert_eq!(Member::decode(&longer), Err(DecodeError));
        prop_assert_eq!(Member::decode(&bytes[..cut.index(bytes.len())]), Err(DecodeError));
        let mut other = bytes.clone();
        other[0] = version;
        prop_assert_eq!(Member::decode(&other).is_ok(), version == bytes[0]);
    }

    #[test]
    fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        for version in 0..3 {
            let bytes = [&[version], noise.as_slice()].concat();
            if let Ok(member) = Member::decode(&bytes) {
                prop_assert_eq!(Member::decode(&member.encode()), Ok(member));
            }
        }
    }
}
