//! Gift cards: what may be put on one, and what of a payment goes back.

use std::collections::BTreeMap;

use kopilka_crdt::clock::Day;
use kopilka_crdt::ids::LotId;
use kopilka_crdt::ledger::Take;
use kopilka_crdt::member::Member;
use kopilka_crdt::money::{AmountError, Minor};
use kopilka_crdt::operation::{AccountTakes, Charge, Credit, Refund};
use kopilka_crdt::rulebook::model::GiftCardRules;

use crate::programme::Programme;

/// Why a gift card is not loaded, or a payment does not go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GiftCardRefusal {
    /// The rule book knows of none.
    #[error("the programme has no gift cards")]
    NotOffered,
    /// Less than a card is loaded with.
    #[error("a gift card is loaded with at least {least:?}")]
    LoadTooSmall {
        /// What it takes.
        least: Minor,
    },
    /// More than may be on a card.
    #[error("at most {room:?} more may be put on the gift card")]
    LoadTooLarge {
        /// What may still be put on it.
        room: Minor,
    },
    /// More than was paid and has not gone back yet.
    #[error("only {left:?} of the payment has not gone back yet")]
    RefundTooLarge {
        /// What may still go back.
        left: Minor,
    },
    /// A sum left 64 bits.
    #[error(transparent)]
    Amount(#[from] AmountError),
}

/// The rules of gift cards.
///
/// # Errors
/// [`GiftCardRefusal::NotOffered`].
pub fn offered(programme: &Programme) -> Result<&GiftCardRules, GiftCardRefusal> {
    let rules = programme.rules().gift_cards.as_ref();
    rules.ok_or(GiftCardRefusal::NotOffered)
}

/// Puts money on a card. `record`: what is on it by now.
///
/// # Errors
/// When that is less or more than the rules allow.
pub fn load(
    programme: &Programme,
    record: &Member,
    amount: Minor,
    today: Day,
) -> Result<Credit, GiftCardRefusal> {
    let rules = offered(programme)?;
    let least = rules.load_min_minor.max(Minor(1));
    if amount < least {
        return Err(GiftCardRefusal::LoadTooSmall { least });
    }
    let view = record.account(rules.account).view(today)?;
    let on_it = view.spendable.plus(view.pending)?;
    let room = rules.balance_max_minor.minus(on_it)?.max(Minor::ZERO);
    if amount > room {
        return Err(GiftCardRefusal::LoadTooLarge { room });
    }
    Ok(programme.credit(rules.account, amount, today))
}

/// Gives a payment back, all that is left of it when no amount is named. What was taken last goes back first.
///
/// # Errors
/// [`GiftCardRefusal::RefundTooLarge`] for more than is left, also when nothing is.
pub fn refund<'a>(
    charge: &Charge,
    before: impl IntoIterator<Item = &'a Refund>,
    amount: Option<Minor>,
) -> Result<AccountTakes, GiftCardRefusal> {
    let Some(taken) = &charge.taken else {
        return Err(GiftCardRefusal::RefundTooLarge { left: Minor::ZERO });
    };
    let mut gone_back: BTreeMap<LotId, Minor> = BTreeMap::new();
    let restored = before
        .into_iter()
        .filter_map(|refund| refund.restored.as_ref());
    for take in restored.flat_map(|restored| &restored.takes) {
        let sum = gone_back.entry(take.lot).or_default();
        *sum = sum.plus(take.amount)?;
    }
    let mut left = Vec::with_capacity(taken.takes.len());
    for take in taken.takes.iter().rev() {
        let back = gone_back.get(&take.lot).copied().unwrap_or_default();
        left.push((take.lot, take.amount.minus(back)?.max(Minor::ZERO)));
    }
    let most = Minor::sum(left.iter().map(|(_, amount)| *amount))?;
    let mut missing = amount.unwrap_or(most);
    if missing <= Minor::ZERO || missing > most {
        return Err(GiftCardRefusal::RefundTooLarge { left: most });
    }
    let mut takes = Vec::new();
    for (lot, amount) in left {
        let amount = amount.min(missing);
        missing = missing.minus(amount)?;
        if amount > Minor::ZERO {
            takes.push(Take { lot, amount });
        }
    }
    Ok(AccountTakes {
        account: taken.account,
        takes,
    })
}
