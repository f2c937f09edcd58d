//! Writes of tills, and rung 1 of the ladder: the hub is asked while the till waits, within a deadline.

use kopilka_crdt::ids::{AccountId, MemberId};
use kopilka_crdt::money::Minor;
use kopilka_protocol::message::{Reply, ReserveRequest};
use kopilka_rules::pricing::Wish;
use kopilka_rules::redemption::HubAnswer;

use super::error::AppError;
use super::hub::within;
use super::records::Outcome;
use super::request::{Action, Basket, Call, News, Request, Sale};
use super::{App, view};

impl App {
    /// Carries out a till's write, and returns when it is on the disk. The same call again gets the same outcome.
    ///
    /// A redemption beyond the rights that this node holds asks the hub first, while it is connected.
    ///
    /// # Errors
    /// See [`AppError`]; nothing was recorded then.
    pub async fn write(&self, call: Call, action: Action) -> Result<Outcome, AppError> {
        if let Some(outcome) = view::answered(&self.rows(), &call)? {
            return Ok(outcome);
        }
        let action = match action {
            Action::Authorise(mut sale, HubAnswer::Unreachable) => {
                sale.online = self.hub().is_connected();
                let hub = self.ask_for_sale(&sale).await?;
                Action::Authorise(sale, hub)
            }
            Action::WriteOff(write_off, HubAnswer::Unreachable) => {
                let hub = self
                    .ask(write_off.member, write_off.account, write_off.amount)
                    .await?;
                Action::WriteOff(write_off, hub)
            }
            Action::PayByGiftCard(payment, HubAnswer::Unreachable) => {
                let (account, wanted) = self.gift_card_wanted(&payment)?;
                let hub = self.ask(payment.record, account, wanted).await?;
                Action::PayByGiftCard(payment, hub)
            }
            Action::Authorise(..)
            | Action::WriteOff(..)
            | Action::PayByGiftCard(..)
            | Action::LoadGiftCard(_)
            | Action::RefundGiftCard(_)
            | Action::Confirm(_)
            | Action::Void(_)
            | Action::Cancel(_)
            | Action::Return(..)
            | Action::Enrol(_)
            | Action::Bind(_)
            | Action::CardState { .. }
            | Action::Gift { .. }
            | Action::Consent { .. }
            | Action::Profile { .. } => action,
        };
        let _passing = self.0.gate.read().await;
        let outcome = self.submit(Request::Till(call, Box::new(action))).await?;
        Ok(outcome.expect("the writer answers every till's request with an outcome"))
    }

    async fn ask_for_sale(&self, sale: &Sale) -> Result<HubAnswer, AppError> {
        let account = self.rules()?.programme.rules().redemption.account;
        let wanted = match sale.basket.wish {
            Wish::Nothing => Minor::ZERO,
            Wish::Exactly(amount) => {
                let basket = Basket {
                    wish: Wish::Nothing,
                    ..sale.basket.clone()
                };
                amount.min(self.quote(sale.member, &basket)?.redeemable)
            }
            Wish::Most => self.quote(sale.member, &sale.basket)?.redeemed,
        };
        self.ask(sale.member, account, wanted).await
    }

    /// Asks the hub for what the node's own rights do not cover.
    async fn ask(
        &self,
        member: MemberId,
        account: AccountId,
        wanted: Minor,
    ) -> Result<HubAnswer, AppError> {
        let deadline_ms = self.hub_deadline_ms()?;
        let missing = self
            .member_now(member)?
            .customer()
            .missing_rights(account, wanted);
        let hub = self.hub();
        if missing <= Minor::ZERO || !hub.is_connected() {
            return Ok(HubAnswer::Unreachable);
        }
        let request = ReserveRequest {
            member,
            account,
            amount: missing,
            deadline_ms,
        };
        let Some(reply) = within(deadline_ms, hub.reserve(request)).await else {
            return Ok(HubAnswer::Unreachable);
        };
        let (state, answer) = match reply {
            Reply::Reserved(state) => (state, HubAnswer::Reserved),
            Reply::Short { available, state } => (state, HubAnswer::Short(available)),
            Reply::Refused(refusal) => {
                tracing::warn!(%refusal, "the hub refused to reserve");
                return Ok(HubAnswer::Unreachable);
            }
            Reply::Enrolled(_)
            | Reply::Found(_)
            | Reply::Page(_)
            | Reply::Publication(_)
            | Reply::Rules(_) => {
                tracing::warn!("the hub's answer to a reservation makes no sense");
                return Ok(HubAnswer::Unreachable);
            }
        };
        match (self.hear(News::Member(state)).await, answer) {
            // The feed was quicker: what is here is no older than the answer, and the right may be used up since.
            (Err(AppError::OutOfOrder), HubAnswer::Reserved) => {
                let now = self.member_now(member)?;
                let missing = now.customer().missing_rights(account, wanted);
                Ok(if missing <= Minor::ZERO {
                    HubAnswer::Reserved
                } else {
                    HubAnswer::Unreachable
                })
            }
            // A hub that had nothing to give changed nothing, so the state is here already.
            (Ok(()) | Err(AppError::OutOfOrder), answer) => Ok(answer),
            (Err(error), _) => Err(error),
        }
    }
}
