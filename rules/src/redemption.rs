//! The authorisation ladder: whether a redemption may happen now, on which rung, and from which lots.
//!
//! Rung 1 is the hub reserving on the spot, rung 2 an allowance that the store holds, and below them the refusal. The
//! right and the points are separate questions: a store needs both a right to so much and lots to take it from.

use std::collections::BTreeMap;

use kopilka_crdt::allowance::{Allowance, AllowanceRef, AllowanceUse, Rung};
use kopilka_crdt::clock::Day;
use kopilka_crdt::ids::{AccountId, Incarnation, NodeId};
use kopilka_crdt::ledger::Take;
use kopilka_crdt::member::Member;
use kopilka_crdt::money::{AmountError, Minor};
use kopilka_crdt::operation::{AccountTakes, Authority};

use crate::moment::Moment;

/// What came of asking the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HubAnswer {
    /// It granted an allowance, which the member's state now shows.
    Reserved,
    /// It can be reached and has no more to give than this.
    Short(Minor),
    /// It did not answer within the deadline.
    Unreachable,
}

/// Who asks, for what, and what is already bound up.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// The store's node.
    pub node: NodeId,
    /// Its present incarnation.
    pub incarnation: Incarnation,
    /// The account to redeem from.
    pub account: AccountId,
    /// How much; positive.
    pub amount: Minor,
    /// Uses that sales waiting for confirmation have bound.
    pub held_rights: &'a BTreeMap<AllowanceRef, Minor>,
    /// Takes that sales waiting for confirmation have bound on this account.
    pub held_takes: &'a [Take],
    /// How far before its end an allowance is no longer used, milliseconds.
    pub margin_ms: u64,
}

/// A redemption that may happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorised {
    /// The lots to take from.
    pub takes: AccountTakes,
    /// What it stands on.
    pub authority: Authority,
}

/// Why a redemption may not happen now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The member has too few points that can be spent today.
    #[error("only {0:?} points can be spent today")]
    Balance(Minor),
    /// The hub can be reached and other stores hold the rest.
    #[error("the hub can give {0:?} points now; other stores hold the rest")]
    HeldElsewhere(Minor),
    /// Offline, and this store's allowance is smaller.
    #[error("without a connection this store may take {0:?} points")]
    Offline(Minor),
    /// A sum left 64 bits.
    #[error(transparent)]
    Amount(#[from] AmountError),
}

/// Rights of this node on the account, soonest to end first, with what is free of each.
fn rights<'a>(
    member: &'a Member,
    asking: &'a Asking<'_>,
    moment: Moment,
) -> impl Iterator<Item = (AllowanceRef, Minor, u64)> + 'a {
    let own = move |allowance: &Allowance| {
        allowance.node == asking.node
            && allowance.incarnation == asking.incarnation
            && allowance.account == asking.account
    };
    member
        .allowances
        .iter()
        .filter(move |(_, allowance)| own(allowance))
        .map(move |(name, allowance)| {
            let held = asking.held_rights.get(name).copied().unwrap_or_default();
            let usable = allowance.usable(moment.now_ms, asking.margin_ms);
            let bound = held
                .0
                .saturating_add(lost(member, allowance, *name, moment).0);
            let free = usable.0.saturating_sub(bound);
            (*name, Minor(free.max(0)), allowance.expires_at_ms)
        })
}

/// What of a right is worth nothing because the points that brought it cannot be spent: they ran out, are not active
/// yet, or went back with the goods. Used nevertheless, it would take what the hub has granted to others.
fn lost(member: &Member, allowance: &Allowance, name: AllowanceRef, moment: Moment) -> Minor {
    let AllowanceRef::Earned(name) = name else {
        return Minor::ZERO;
    };
    let account = member.accounts.get(&allowance.account);
    let today = moment.today();
    match account.and_then(|account| account.lots.get(&name)) {
        Some(lot) if lot.is_active(today) && !lot.is_expired(today) => lot.withdrawn,
        Some(_) | None => allowance.amount,
    }
}

/// What this store could take right now without asking anyone.
pub fn usable_rights(member: &Member, asking: &Asking<'_>, moment: Moment) -> Minor {
    let sum =
        rights(member, asking, moment).fold(0_i64, |sum, (_, free, _)| sum.saturating_add(free.0));
    Minor(sum)
}

/// Climbs the ladder for one redemption.
pub fn authorise(
    member: &Member,
    asking: &Asking<'_>,
    hub: HubAnswer,
    moment: Moment,
) -> Result<Authorised, Refused> {
    let mut account = member.account(asking.account);
    for held in asking.held_takes {
        let lot = account.lots.entry(held.lot).or_default();
        lot.taken = lot.taken.plus(held.amount)?;
    }
    let drawn = draw(member, asking, moment);
    let today = planning_day(member, drawn.as_deref().unwrap_or_default(), moment);
    let Some(takes) = account.plan(asking.amount, today)? else {
        return Err(Refused::Balance(account.view(today)?.spendable));
    };
    let Some(uses) = drawn else {
        let free = usable_rights(member, asking, moment);
        return Err(match hub {
            HubAnswer::Unreachable => Refused::Offline(free),
            HubAnswer::Short(available) => {
                Refused::HeldElsewhere(Minor(available.0.saturating_add(free.0)))
            }
            HubAnswer::Reserved => Refused::HeldElsewhere(free),
        });
    };
    let rung = match hub {
        HubAnswer::Reserved => Rung::Hub,
        HubAnswer::Short(_) | HubAnswer::Unreachable => Rung::Allowance,
    };
    let takes = AccountTakes {
        account: asking.account,
        takes,
    };
    Ok(Authorised {
        takes,
        authority: Authority { rung, uses },
    })
}

/// The day by which lots are chosen: the store's, and no earlier than the rights were granted.
///
/// The hub granted them on points that were active at its own day. A store whose clock is behind would leave such
/// points as pending and take others, which the hub has granted elsewhere and which may outlive them.
fn planning_day(member: &Member, uses: &[AllowanceUse], moment: Moment) -> Day {
    let granted = uses
        .iter()
        .filter_map(|used| member.allowances.get(&used.allowance))
        .map(|allowance| allowance.granted_on);
    granted.fold(moment.today(), Day::max)
}

fn draw(member: &Member, asking: &Asking<'_>, moment: Moment) -> Option<Vec<AllowanceUse>> {
    let mut order: Vec<_> = rights(member, asking, moment).collect();
    order.sort_unstable_by_key(|(name, _, expires_at_ms)| (*expires_at_ms, *name));
    let mut missing = asking.amount.0;
    let mut uses = Vec::new();
    for (allowance, free, _) in order {
        let part = free.0.min(missing);
        if part > 0 {
            missing -= part;
            uses.push(AllowanceUse {
                allowance,
                amount: Minor(part),
            });
        }
    }
    (missing == 0).then_some(uses)
}
