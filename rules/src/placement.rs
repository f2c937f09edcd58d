//! Where rights to spend lie: what the hub grants, reserves and takes back. Only the hub decides this.
//!
//! What may be granted until some moment is what will still be spendable then, less every open right. So lots that run
//! out never leave two holders with rights to them.

mod portion;

use kopilka_crdt::allowance::{Allowance, AllowanceRef};
use kopilka_crdt::clock::{Day, Stamp};
use kopilka_crdt::ids::{AccountId, Incarnation, MemberId, NodeId};
use kopilka_crdt::member::Member;
use kopilka_crdt::money::{AmountError, Minor};
use kopilka_crdt::rulebook::model::OfflineRules;

use crate::moment::Moment;
use crate::programme::Programme;
use portion::Standing;
pub(crate) use portion::{Portion, Portions};

/// How long a till may take to authorise under a reservation of rung 1, in milliseconds.
const RESERVATION_EXTRA_MS: u64 = 60_000;

/// The node that is to hold a right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Which node.
    pub node: NodeId,
    /// In which life.
    pub incarnation: Incarnation,
    /// The last stamp seen in its log: rights end by the holder's own clock.
    pub seen: Stamp,
}

/// What came of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reservation {
    /// The holder now has rights to at least what it asked for.
    Granted(AllowanceRef),
    /// So much could be had, and this much more lies with other holders.
    Short {
        /// Free at the hub.
        available: Minor,
        /// Open at other holders.
        elsewhere: Minor,
    },
}

/// What the hub could grant on an account until `expires_at_ms`.
pub fn free_share(
    member: &Member,
    account: AccountId,
    expires_at_ms: u64,
    moment: Moment,
) -> Result<Minor, AmountError> {
    let until = moment.day_at(expires_at_ms);
    let Some(lots) = member.accounts.get(&account) else {
        return Ok(Minor::ZERO);
    };
    let alive = lots.spendable_through(moment.today(), until)?;
    Ok(alive.minus(member.outstanding(account))?.max(Minor::ZERO))
}

/// Rung 1: grants `amount` to the holder for as long as a sale may be held.
pub fn reserve(
    member: &mut Member,
    programme: &Programme,
    holder: Holder,
    account: AccountId,
    amount: Minor,
    moment: Moment,
) -> Result<Reservation, AmountError> {
    let offline = &programme.rules().offline;
    let life_ms = margin_ms(offline) + RESERVATION_EXTRA_MS;
    let expires_at_ms = ends_after(holder, moment, life_ms);
    let available = free_share(member, account, expires_at_ms, moment)?;
    if amount <= Minor::ZERO || available < amount {
        let others = member.allowances.values().filter(|allowance| {
            allowance.account == account
                && (allowance.node, allowance.incarnation) != (holder.node, holder.incarnation)
        });
        let elsewhere =
            Minor(others.fold(0, |sum, allowance| allowance.open().0.saturating_add(sum)));
        return Ok(Reservation::Short {
            available,
            elsewhere,
        });
    }
    Ok(Reservation::Granted(grant(
        member,
        holder,
        account,
        amount,
        moment.today(),
        expires_at_ms,
    )))
}

/// Where members shop, and where records are drawn on: after a visit, fills the store's rights on every account that may
/// be spent up to the portion that the rules allow. Gives the rights granted.
pub fn place(
    id: MemberId,
    member: &mut Member,
    programme: &Programme,
    holder: Holder,
    moment: Moment,
) -> Result<Vec<AllowanceRef>, AmountError> {
    let portions = programme.portions();
    let spent: Vec<(AccountId, Portion)> = member
        .accounts
        .keys()
        .filter_map(|account| Some((*account, portions.of(id, *account)?)))
        .collect();
    let mut granted = Vec::new();
    for (account, portion) in spent {
        granted.extend(fill(member, programme, holder, account, portion, moment)?);
    }
    Ok(granted)
}

/// Fills a holder's rights on one account.
fn fill(
    member: &mut Member,
    programme: &Programme,
    holder: Holder,
    account: AccountId,
    portion: Portion,
    moment: Moment,
) -> Result<Option<AllowanceRef>, AmountError> {
    let offline = &programme.rules().offline;
    let Some(lots) = member.accounts.get(&account) else {
        return Ok(None);
    };
    let spendable = lots.view(moment.today())?.spendable;
    if spendable == Minor::ZERO {
        return Ok(None);
    }
    let life_ms = u64::from(offline.allowance_hours) * 3_600_000;
    let expires_at_ms = ends_after(holder, moment, life_ms);
    let lasting_to_ms = expires_at_ms / 2 + moment.now_ms / 2;
    let standing = Standing {
        spendable,
        held: held_until(member, holder, account, lasting_to_ms),
        free: free_share(member, account, expires_at_ms, moment)?,
    };
    let Some(amount) = portion.missing(offline, standing)? else {
        return Ok(None);
    };
    Ok(Some(grant(
        member,
        holder,
        account,
        amount,
        moment.today(),
        expires_at_ms,
    )))
}

/// Before anybody drew on a promotion's budget: gives each store an equal part of what a store may hold of it.
///
/// Where there is less than one unit for each, nobody gets any, and stores ask when they draw.
pub fn spread(
    member: &mut Member,
    programme: &Programme,
    holders: &[Holder],
    moment: Moment,
) -> Result<(), AmountError> {
    let offline = &programme.rules().offline;
    let account = AccountId::BUDGET;
    let life_ms = u64::from(offline.allowance_hours) * 3_600_000;
    let lasting_to_ms = moment.now_ms.saturating_add(life_ms / 2);
    let without: Vec<Holder> = holders
        .iter()
        .filter(|holder| held_until(member, **holder, account, lasting_to_ms) == Minor::ZERO)
        .copied()
        .collect();
    let ends = without
        .iter()
        .map(|holder| ends_after(*holder, moment, life_ms));
    let Some(last_ms) = ends.max() else {
        return Ok(());
    };
    let free = free_share(member, account, last_ms, moment)?;
    let share = free.fraction(i64::from(offline.allowance_share_permille), 1_000)?;
    let stores = i64::try_from(holders.len()).map_err(|_| AmountError)?;
    let each = share.fraction(1, stores)?;
    if each == Minor::ZERO {
        return Ok(());
    }
    for holder in without {
        let expires_at_ms = ends_after(holder, moment, life_ms);
        grant(member, holder, account, each, moment.today(), expires_at_ms);
    }
    Ok(())
}

/// Open rights of a holder that last at least until `ms`.
fn held_until(member: &Member, holder: Holder, account: AccountId, ms: u64) -> Minor {
    let own = member.allowances.values().filter(|allowance| {
        allowance.account == account
            && (allowance.node, allowance.incarnation) == (holder.node, holder.incarnation)
            && allowance.expires_at_ms >= ms
    });
    Minor(own.fold(0, |sum, allowance| allowance.open().0.saturating_add(sum)))
}

fn ends_after(holder: Holder, moment: Moment, life_ms: u64) -> u64 {
    holder.seen.ms().max(moment.now_ms).saturating_add(life_ms)
}

/// How far before an allowance's end its holder stops authorising with it, in milliseconds: a sale may wait for its
/// confirmation, and is written down before the end even then.
pub fn margin_ms(offline: &OfflineRules) -> u64 {
    (u64::from(offline.clock_margin_seconds) + u64::from(offline.hold_seconds)) * 1_000
}

fn grant(
    member: &mut Member,
    holder: Holder,
    account: AccountId,
    amount: Minor,
    today: Day,
    expires_at_ms: u64,
) -> AllowanceRef {
    member.allowance_last = member.allowance_last.saturating_add(1);
    let name = AllowanceRef::Granted(member.allowance_last);
    let allowance = Allowance {
        account,
        node: holder.node,
        incarnation: holder.incarnation,
        amount,
        used: Minor::ZERO,
        granted_on: today,
        expires_at_ms,
        recalled: false,
        closed: false,
    };
    member.allowances.insert(name, allowance);
    name
}

/// Takes back rights whose holder's log has been seen past their end, and forgets those that are over.
///
/// `seen` gives the last stamp known of a log; an incarnation that was ended counts as seen to the end of time.
pub fn reclaim(member: &mut Member, seen: impl Fn(NodeId, Incarnation) -> Option<Stamp>) {
    member.allowances.retain(|_, allowance| {
        let proven = seen(allowance.node, allowance.incarnation)
            .is_some_and(|stamp| allowance.is_proven_lapsed(stamp));
        !proven && allowance.open() > Minor::ZERO
    });
}

/// When the first open right is to be looked at again, milliseconds since 1970.
pub fn due_ms(member: &Member) -> Option<u64> {
    member
        .allowances
        .values()
        .map(|allowance| allowance.expires_at_ms)
        .min()
}

/// The store where a member shopped last, as far as rights tell: that of the open right that lasts longest.
pub fn last_visited(member: &Member) -> Option<Holder> {
    let open = member
        .allowances
        .values()
        .filter(|allowance| allowance.open() > Minor::ZERO);
    let latest = open.max_by_key(|allowance| (allowance.expires_at_ms, allowance.node))?;
    Some(Holder {
        node: latest.node,
        incarnation: latest.incarnation,
        seen: Stamp::default(),
    })
}

/// Asks other holders for `missing` of an account back, largest right first; only those that `reachable` admits.
///
/// Gives whether anybody was asked.
pub fn recall(
    member: &mut Member,
    account: AccountId,
    but: (NodeId, Incarnation),
    missing: Minor,
    reachable: impl Fn(NodeId) -> bool,
) -> bool {
    let mut others: Vec<_> = member
        .allowances
        .iter()
        .filter(|(_, allowance)| {
            allowance.account == account && (allowance.node, allowance.incarnation) != but
        })
        .filter(|(_, allowance)| allowance.open() > Minor::ZERO && reachable(allowance.node))
        .map(|(name, allowance)| (std::cmp::Reverse(allowance.open()), *name))
        .collect();
    others.sort_unstable();
    let mut gathered = 0_i64;
    let mut asked = false;
    for (std::cmp::Reverse(open), name) in others {
        if gathered >= missing.0 {
            break;
        }
        if let Some(allowance) = member.allowances.get_mut(&name) {
            allowance.recalled = true;
            asked = true;
            gathered = gathered.saturating_add(open.0);
        }
    }
    asked
}
