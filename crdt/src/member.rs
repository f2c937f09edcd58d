//! A member as every replica holds them: cards, accounts, counters, registers. No personal data beyond what a till shows.

mod history;
mod usage;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::allowance::{Allowance, AllowanceRef};
use crate::calendar::MonthDay;
use crate::card::Card;
use crate::clock::Stamp;
use crate::identifier::CardTag;
use crate::ids::{AccountId, MemberId, NodeId, OperationId, PromotionId};
use crate::ledger::Account;
use crate::money::Minor;
use crate::operation::Channel;
pub use history::{DaySum, HISTORY_DAYS, HISTORY_LATEST, History};
pub use usage::{USAGE_DAYS, USAGE_LATEST, Usage, Used};

/// A last-writer register: the larger (stamp, operation) wins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register<T> {
    /// What decides.
    pub written: (Stamp, OperationId),
    /// The value.
    pub value: T,
}

impl<T> Register<T> {
    /// Takes the other value if it was written later.
    pub fn merge(&mut self, written: (Stamp, OperationId), value: T) {
        if written > self.written {
            *self = Self { written, value };
        }
    }
}

/// What a till may show of a person.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Shown {
    /// Given name and an initial.
    pub name: String,
    /// Phone with its middle masked.
    pub phone: String,
    /// Day of birth, without the year.
    pub birthday: Option<MonthDay>,
}

/// The state of a card's block: the order with the largest number decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockMark {
    /// Number of the hub's block order.
    pub order: u64,
    /// Blocked, or released.
    pub blocked: bool,
    /// When the hub ordered it, milliseconds since 1970.
    pub at_ms: u64,
}

/// A member's state: the fold of all operations about them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Member {
    /// When they joined; zero while the enrolment is not known here.
    pub enrolled: Stamp,
    /// What tills may show. Written by whoever can open the sealed questionnaire; not part of the fold.
    pub shown: Shown,
    /// Their cards.
    pub cards: BTreeMap<CardTag, Card>,
    /// Block orders about their cards.
    pub blocks: BTreeMap<CardTag, BlockMark>,
    /// Their lots by account.
    pub accounts: BTreeMap<AccountId, Account>,
    /// Sum of purchases that counts towards tiers.
    pub counted: Minor,
    /// Sum of what came off `counted` again: no replica has ever seen more than the two together.
    pub taken_back: Minor,
    /// Number of purchases, less those taken back whole.
    pub purchases: i32,
    /// The latest purchase.
    pub last_purchase: Stamp,
    /// What they bought, by day.
    pub history: History,
    /// Uses of promotions with limits of the member's own.
    pub used: BTreeMap<PromotionId, Used>,
    /// Segments that they are in, and what staff noted.
    pub tags: BTreeMap<String, Register<bool>>,
    /// Badges awarded, by code.
    pub badges: BTreeSet<String>,
    /// The member who brought them.
    pub referrer: Option<MemberId>,
    /// Gifts waiting for them, by code.
    pub gifts: BTreeMap<String, i32>,
    /// Consents.
    pub consents: BTreeMap<Channel, Register<bool>>,
    /// Rights that stores hold on their accounts.
    pub allowances: BTreeMap<AllowanceRef, Allowance>,
    /// The number of the last allowance that the hub granted on them.
    pub allowance_last: u32,
}

impl Member {
    /// Whether the block order with the largest number says that this card is blocked.
    pub fn is_blocked(&self, card: CardTag) -> bool {
        self.blocks.get(&card).is_some_and(|mark| mark.blocked)
    }

    /// Whether consent was given and not withdrawn.
    pub fn consents_to(&self, channel: Channel) -> bool {
        self.consents
            .get(&channel)
            .is_some_and(|register| register.value)
    }

    /// Codes of the tags that are on.
    pub fn tags_on(&self) -> impl Iterator<Item = &str> {
        let on = self.tags.iter().filter(|(_, register)| register.value);
        on.map(|(tag, _)| tag.as_str())
    }

    /// The account, empty when nothing was ever credited.
    pub fn account(&self, account: AccountId) -> Account {
        self.accounts.get(&account).cloned().unwrap_or_default()
    }

    /// Open rights on an account over all holders.
    pub fn outstanding(&self, account: AccountId) -> Minor {
        let open = self
            .allowances
            .values()
            .filter(|allowance| allowance.account == account);
        Minor(open.fold(0, |sum, allowance| allowance.open().0.saturating_add(sum)))
    }

    /// What one node needs of this state: other nodes' allowances are none of its business.
    pub fn for_node(&self, node: NodeId) -> Self {
        let mut copy = self.clone();
        copy.allowances
            .retain(|_, allowance| allowance.node == node && !allowance.closed);
        copy
    }

    /// Bytes for disk and wire, with a version byte in front.
    pub fn encode(&self) -> Vec<u8> {
        let bytes = vec![MEMBER_VERSION];
        postcard::to_extend(self, bytes).expect("a member encodes: all its types are plain data")
    }

    /// Reads what [`Self::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match bytes.split_first() {
            Some((&MEMBER_VERSION, rest)) => match postcard::take_from_bytes(rest) {
                Ok((member, [])) => Ok(member),
                Ok(_) | Err(_) => Err(DecodeError),
            },
            Some(_) | None => Err(DecodeError),
        }
    }
}

const MEMBER_VERSION: u8 = 2;

/// Stored bytes that are not a member of a known version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored member record is damaged or of an unknown version")]
pub struct DecodeError;
