//! Writes of tills, and rung 1 of the ladder: the hub is asked while the till waits, within a deadline.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kopilka_crdt::ids::{AccountId, MemberId};
use kopilka_crdt::money::Minor;
use kopilka_protocol::message::{Reply, ReserveRequest};
use kopilka_rules::pricing::{Wish, Wishes};
use kopilka_rules::redemption::HubAnswer;

use super::error::AppError;
use super::hub::within;
use super::needs::{HubAnswers, needs};
use super::records::Outcome;
use super::request::{Action, Basket, Call, News, Request, Sale, Told};
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
            Action::Authorise(mut sale, _) => {
                sale.online = self.hub().is_connected();
                let hub = self.ask_for_sale(&sale).await?;
                Action::Authorise(sale, hub)
            }
            Action::Return(purchase, lines, Told::Nothing) => {
                let told = self.ask_about(purchase).await?;
                Action::Return(purchase, lines, told)
            }
            Action::WriteOff(write_off, HubAnswer::Unreachable) => {
                let (of, wanted) = ((write_off.member, write_off.account), write_off.amount);
                let hub = self.ask(of, wanted, self.asking_until()?).await?;
                Action::WriteOff(write_off, hub)
            }
            Action::PayByGiftCard(payment, HubAnswer::Unreachable) => {
                let (account, wanted) = self.gift_card_wanted(&payment)?;
                let of = (payment.record, account);
                let hub = self.ask(of, wanted, self.asking_until()?).await?;
                Action::PayByGiftCard(payment, hub)
            }
            Action::WriteOff(..)
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

    /// Until when the hub is waited for.
    fn asking_until(&self) -> Result<Instant, AppError> {
        let deadline_ms = self.hub_deadline_ms()?;
        Ok(Instant::now() + Duration::from_millis(deadline_ms.into()))
    }

    /// Asks for all that a sale takes beyond the node's own rights, within one deadline.
    async fn ask_for_sale(&self, sale: &Sale) -> Result<HubAnswers, AppError> {
        let mut answers = HubAnswers::default();
        if !self.hub().is_connected() {
            return Ok(answers);
        }
        let until = self.asking_until()?;
        for ((record, account), wanted) in self.wanted(sale)? {
            let answer = self.ask((record, account), wanted, until).await?;
            answers.insert(record, account, answer);
        }
        Ok(answers)
    }

    /// What a sale would take were there rights enough, by record and account.
    ///
    /// Amounts named are wanted whether the balance here covers them or not: the hub may know of more.
    fn wanted(&self, sale: &Sale) -> Result<BTreeMap<(MemberId, AccountId), Minor>, AppError> {
        let rules = self.rules()?;
        let wishes = &sale.basket.wishes;
        let unnamed = |wish: Wish| match wish {
            Wish::Exactly(_) | Wish::Nothing => Wish::Nothing,
            Wish::Most => Wish::Most,
        };
        let further = wishes.further.iter();
        let basket = Basket {
            wishes: Wishes {
                points: unnamed(wishes.points),
                further: further
                    .map(|(account, wish)| (*account, unnamed(*wish)))
                    .collect(),
            },
            ..sale.basket.clone()
        };
        let quote = self.quote(sale.member, &basket)?;
        let mut wanted: BTreeMap<(MemberId, AccountId), Minor> = BTreeMap::new();
        let draws = quote.draws(&rules.programme);
        for need in needs(
            rules.programme.rules(),
            &draws,
            &quote,
            (sale.member, &basket),
        ) {
            let sum = wanted.entry((need.record, need.account)).or_default();
            *sum = sum.plus(need.amount)?;
        }
        let main = (
            rules.programme.rules().redemption.account,
            wishes.points,
            quote.redeemable,
        );
        let further = quote.payments.iter().filter_map(|payment| {
            let wish = wishes.further.get(&payment.account)?;
            Some((payment.account, *wish, payment.redeemable))
        });
        for (account, wish, redeemable) in std::iter::once(main).chain(further) {
            match wish {
                Wish::Exactly(amount) => {
                    let sum = wanted.entry((sale.member, account)).or_default();
                    *sum = sum.plus(amount.min(redeemable))?;
                }
                Wish::Nothing | Wish::Most => {}
            }
        }
        Ok(wanted)
    }

    /// Asks the hub for what the node's own rights do not cover.
    async fn ask(
        &self,
        (member, account): (MemberId, AccountId),
        wanted: Minor,
        until: Instant,
    ) -> Result<HubAnswer, AppError> {
        let missing = self
            .member_now(member)?
            .customer()
            .missing_rights(account, wanted);
        let hub = self.hub();
        let left = until.saturating_duration_since(Instant::now());
        if missing <= Minor::ZERO || !hub.is_connected() || left.is_zero() {
            return Ok(HubAnswer::Unreachable);
        }
        let deadline_ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX);
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
            | Reply::Rules(_)
            | Reply::Sold(_) => {
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
