//! Any order, any pieces, any repetition: one state; and no point comes from nowhere.

use std::collections::BTreeMap;

use kopilka_crdt::clock::Day;
use kopilka_crdt::member::Member;
use proptest::prelude::*;

use crate::facts::{Fact, facts};
use crate::history::{Replica, histories};
use crate::reference;

fn picks() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..1_000_usize, 0..80)
}

proptest! {
    #[test]
    fn any_interleaving_gives_the_same_state(history in histories(), one in picks(), two in picks()) {
        let fold = |picks: &[usize]| {
            let mut replica = Replica::new();
            history.interleaved(picks).into_iter().for_each(|entry| replica.receive(entry));
            replica
        };
        let (one, two) = (fold(&one), fold(&two));
        prop_assert_eq!(one.member.encode(), two.member.encode());
        prop_assert_eq!(one, two);
    }

    /// What was folded, stored and read again goes on as if nothing had happened, also when pieces overlap.
    #[test]
    fn pieces_make_the_whole(
        history in histories(), order in picks(), cut: prop::sample::Index, overlap in 0..20_usize,
    ) {
        let entries = history.interleaved(&order);
        let cut = cut.index(entries.len() + 1);
        let mut replica = Replica::new();
        entries[..cut].iter().for_each(|entry| replica.receive(entry));
        replica.member = Member::decode(&replica.member.encode()).unwrap();
        entries[cut.saturating_sub(overlap)..].iter().for_each(|entry| replica.receive(entry));
        prop_assert_eq!(replica.member, history.folded());
    }

    #[test]
    fn what_is_sent_again_changes_nothing(history in histories(), order in picks(), again in picks()) {
        let mut replica = Replica::new();
        let entries = history.interleaved(&order);
        let mut again = again.into_iter().cycle();
        for (place, entry) in entries.iter().enumerate() {
            replica.receive(entry);
            let before = replica.clone();
            let prefix = again.next().unwrap_or(place) % (place + 1);
            entries[..=prefix].iter().for_each(|entry| replica.receive(entry));
            prop_assert_eq!(&replica, &before);
        }
        prop_assert_eq!(replica.member, history.folded());
    }

    #[test]
    fn the_reference_agrees(history in histories()) {
        prop_assert_eq!(history.folded(), reference::member(&facts(&history)));
    }

    #[test]
    fn points_are_conserved(history in histories(), day in 0..60_u32) {
        let member = history.folded();
        let facts = facts(&history);
        let mut issuers = BTreeMap::new();
        for fact in &facts {
            if let Fact::Credited { lot, set, .. } = fact {
                issuers.insert(*lot, set.issuer);
            }
        }
        let mut by_account = BTreeMap::new();
        let mut by_issuer = BTreeMap::new();
        for fact in &facts {
            let (account, lot, change) = if let Fact::Credited { account, lot, set } = fact {
                (account, lot, set.amount.0)
            } else if let Fact::Taken { account, lot, amount } | Fact::Withdrawn { account, lot, amount } = fact {
                (account, lot, -amount)
            } else {
                continue;
            };
            *by_account.entry(*account).or_insert(0) += change;
            *by_issuer.entry((*account, issuers[lot])).or_insert(0) += change;
        }
        let mut left_by_issuer = BTreeMap::new();
        for (id, account) in &member.accounts {
            prop_assert_eq!(account.total().unwrap().0, by_account[id]);
            for lot in account.lots.values() {
                *left_by_issuer.entry((*id, lot.issuer)).or_insert(0) += lot.remaining().unwrap().0;
            }
            let view = account.view(Day(day)).unwrap();
            prop_assert_eq!(
                view.spendable.0 + view.pending.0 + view.expired.0 - view.debt.0,
                account.total().unwrap().0
            );
        }
        prop_assert_eq!(left_by_issuer, by_issuer);
        prop_assert_eq!(by_account.len(), member.accounts.len());
    }
}
