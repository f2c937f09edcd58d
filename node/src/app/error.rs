//! Why the app did not do what it was asked.

use kopilka_crdt::card::{CardKind, CardState};
use kopilka_crdt::identifier::IdentifierError;
use kopilka_crdt::ids::CashierId;
use kopilka_crdt::ledger::FoldError;
use kopilka_crdt::log::EntryError;
use kopilka_crdt::money::AmountError;
use kopilka_crdt::sealed::SealError;
use kopilka_protocol::key::SignatureError;
use kopilka_protocol::publication::TransferError;
use kopilka_rules::pricing::PricingError;
use kopilka_rules::programme::CompileError;
use kopilka_rules::redemption::Refused;
use kopilka_rules::reversal::ReversalError;

use crate::store::StoreError;
use crate::store::writer::WriterError;

use super::coupon::CouponError;
use super::gift_card::GiftCardError;
use super::records::PurchaseId;

/// Why a request was not carried out. Nothing of it was recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The writer took no request.
    #[error(transparent)]
    Writer(#[from] WriterError),
    /// No publication or no directory has come from the hub yet.
    #[error("this node has not received its rules and its store's directory yet")]
    NotReady,
    /// The cashier is not in the directory, or may not work.
    #[error("cashier {0} is not known in this store")]
    UnknownCashier(CashierId),
    /// No such member on this replica.
    #[error("no such member is known here")]
    UnknownMember,
    /// The member has no such card.
    #[error("the member has no such card")]
    UnknownCard,
    /// No such purchase at this node, or no longer.
    #[error("no such purchase is known here")]
    UnknownPurchase,
    /// The purchase was made at another store, and the hub cannot be asked about it.
    #[error("the purchase was not made here, and the hub is out of reach")]
    PurchaseOutOfReach,
    /// The page of the list can only come from the hub.
    #[error("the hub is out of reach")]
    HubOutOfReach,
    /// The key was used with another body.
    #[error("the idempotency key was used for another request")]
    IdempotencyKeyReused,
    /// The receipt belongs to a purchase already.
    #[error("the receipt is registered as purchase {0}")]
    ReceiptRegistered(PurchaseId),
    /// A block order stands against the card.
    #[error("the card is blocked: {reason}")]
    CardBlocked {
        /// As the order gives it; may be empty.
        reason: String,
    },
    /// The card is not usable in its present state.
    #[error("the card is {0:?}")]
    CardNotActive(CardState),
    /// A gift card or coupon where a member's card is asked for.
    #[error("the card is its bearer's, and no member's")]
    BearersCard(CardKind),
    /// A coupon that was shown is not taken.
    #[error(transparent)]
    Coupon(#[from] CouponError),
    /// A gift card does not do what was asked.
    #[error(transparent)]
    GiftCard(#[from] GiftCardError),
    /// Nobody is known by what the friend who brought the new member showed.
    #[error("the friend who brought the new member is not known here")]
    UnknownReferrer,
    /// The new member names themselves as the friend who brought them.
    #[error("nobody brings themselves")]
    OwnReferrer,
    /// The card or identifier belongs to somebody.
    #[error("the card or identifier belongs to a member already")]
    IdentifierTaken,
    /// The identifier is not well formed.
    #[error(transparent)]
    Identifier(#[from] IdentifierError),
    /// A questionnaire without the consent that it needs.
    #[error("personal data are recorded only with the member's consent")]
    ConsentMissing,
    /// The receipt cannot be priced.
    #[error(transparent)]
    Pricing(#[from] PricingError),
    /// The points may not be redeemed now.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The goods cannot be taken back.
    #[error(transparent)]
    Reversal(#[from] ReversalError),
    /// The sale was not confirmed.
    #[error("the sale is not confirmed")]
    NotConfirmed,
    /// The sale was confirmed: only a cancel or a return takes it back.
    #[error("the sale is confirmed")]
    AlreadyConfirmed,
    /// The till gave the sale up.
    #[error("the sale was voided")]
    Voided,
    /// More sales wait for confirmation than the node keeps.
    #[error("too many sales wait for confirmation")]
    TooManyHolds,
    /// Fewer gifts than are to be handed out.
    #[error("only {0} such gifts wait for the member")]
    GiftsShort(i32),
    /// A sum left its range.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// The operation does not fit its member's state.
    #[error(transparent)]
    Fold(#[from] FoldError),
    /// The operation cannot be written into the log.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// Personal data too long to be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// What should be the hub's is not signed by it.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The publication cannot be run; the last good one stays in force.
    #[error(transparent)]
    Publication(#[from] CompileError),
    /// A delta does not make a publication of the hub's out of the one that is here.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// What came belongs to another programme, store or node.
    #[error("this was meant for another programme or store")]
    Foreign,
    /// What came from the hub does not fit what it sent before.
    #[error("this does not follow what the hub sent before")]
    OutOfOrder,
    /// The hub sent a member's state that cannot be read.
    #[error("the hub sent a record that cannot be read")]
    UnreadableRecord,
}

impl AppError {
    /// Whether the node itself is at fault: worth an error in the log.
    pub fn is_fault(&self) -> bool {
        matches!(
            self,
            Self::Store(StoreError::Corrupt(_) | StoreError::Io(_) | StoreError::Version(_))
                | Self::Writer(WriterError::Stopped)
                | Self::Fold(_)
                | Self::UnreadableRecord
        )
    }
}
