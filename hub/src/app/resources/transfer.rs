//! A coupon given by one member to another: taken and credited in one transaction, with the days that it had.

use std::time::Duration;

use kopilka_crdt::ids::{
    AccountId, Incarnation, MemberId, NodeId, OperationId, PartnerId, ProgrammeId,
};
use kopilka_crdt::ledger::Cause;
use kopilka_crdt::member::Member;
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{AccountTakes, Adjustment, Body, Credit, ReceiptKey};
use kopilka_rules::placement::{self, due_ms, free_share};
use kopilka_rules::{Moment, Programme};
use serde_json::json;

use super::coupons::{may_hold_one_more, place_where_they_shop};
use super::series;
use crate::app::Hub;
use crate::app::action::{ActionError, Actor};
use crate::app::hub_log::{HubLog, request_key};
use crate::app::members::adjust::Adjusted;
use crate::app::members::rules_now;
use crate::store::{AuditRow, Changes, Keys, Rows, StoreError};

/// How often it is tried while a store that holds the right to the coupon is asked to give it back.
const ATTEMPTS_MAX: u32 = 20;
/// How long it waits between two attempts.
const PAUSE: Duration = Duration::from_millis(100);
/// What the history says.
const GIVEN: &str = "coupon given to another member";
const RECEIVED: &str = "coupon received from another member";

/// Who gives what to whom.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Who has it.
    pub from: MemberId,
    /// Who gets it.
    pub to: MemberId,
    /// Code of the series.
    pub series: String,
    /// A second request with this key changes nothing and gets the first one's answer.
    pub idempotency_key: String,
}

/// What came of one attempt.
enum Attempt {
    Made(Adjusted),
    /// A store holds the right to the coupon and has been asked for it.
    Asked,
}

/// Gives an unused coupon of the series to another member.
pub async fn transfer(
    hub: &Hub,
    actor: &Actor,
    programme: ProgrammeId,
    wish: &Wish,
) -> Result<Adjusted, ActionError> {
    if wish.from == wish.to {
        return Err(ActionError::invalid("to", "is the member who gives it"));
    }
    let (rules, moment) = rules_now(hub, programme).await?;
    let found = series(&rules, &wish.series)?;
    if !found.transferable {
        let text = "coupons of this series may not be given to others";
        return Err(ActionError::Conflict(text.to_owned()));
    }
    let details = json!({ "series": wish.series, "to": wish.to.to_string() });
    let given = Giving {
        wish,
        account: found.account,
        rules: &rules,
        moment,
        request: request_key(programme, "coupon.transfer", &wish.idempotency_key),
        audit: actor.audit(moment.now_ms, "coupon.transfer", wish.from, &details),
    };
    for _ in 0..ATTEMPTS_MAX {
        match given.attempt(hub, programme).await? {
            Attempt::Made(made) => {
                hub.look_for_news().await?;
                return Ok(made);
            }
            Attempt::Asked => {
                hub.look_for_news().await?;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    let text = "a store holds the right to the coupon and has been asked for it; try again later";
    Err(ActionError::Conflict(text.to_owned()))
}

struct Giving<'a> {
    wish: &'a Wish,
    account: AccountId,
    rules: &'a Programme,
    moment: Moment,
    request: ReceiptKey,
    audit: AuditRow,
}

impl Giving<'_> {
    async fn attempt(&self, hub: &Hub, programme: ProgrammeId) -> Result<Attempt, ActionError> {
        let keys = Keys {
            programme: programme.0,
            members: vec![self.wish.from, self.wish.to],
            receipts: vec![self.request],
            counters: true,
            ..Keys::default()
        };
        let mut outcome = Err(ActionError::Store(StoreError::Contended));
        let mut decision = |rows: &Rows| match self.decide(rows) {
            Ok((changes, attempt)) => {
                outcome = Ok(attempt);
                changes
            }
            Err(refusal) => {
                outcome = Err(refusal);
                Changes::default()
            }
        };
        hub.store.decide(&keys, &mut decision).await?;
        outcome
    }

    fn decide(&self, rows: &Rows) -> Result<(Changes, Attempt), ActionError> {
        if let Some(first) = rows.receipts.get(&self.request) {
            let made = Adjusted {
                operation: *first,
                repeated: true,
            };
            return Ok((Changes::default(), Attempt::Made(made)));
        }
        let (mut from, mut to) = (state(rows, self.wish.from)?, state(rows, self.wish.to)?);
        may_hold_one_more(series(self.rules, &self.wish.series)?, &to, self.moment)?;
        let Some((taken, credit, partner)) = self.coupon(&from)? else {
            return Ok((self.ask(&from), Attempt::Asked));
        };
        let mut log = HubLog::resume(rows, self.rules, self.moment);
        let mut changes = Changes::default();
        let leaving = Adjustment {
            member: self.wish.from,
            credits: Vec::new(),
            taken: Some(taken),
            authority: None,
            cause: Cause::Adjustment,
            reason: GIVEN.to_owned(),
            counted: Minor::ZERO,
            partner,
        };
        let arriving = Adjustment {
            member: self.wish.to,
            credits: vec![credit],
            taken: None,
            authority: None,
            cause: Cause::Issued,
            reason: RECEIVED.to_owned(),
            counted: Minor::ZERO,
            partner,
        };
        log.make(&mut from, &Body::Adjust(leaving), &mut changes)?;
        let (operation, _) = log.make(&mut to, &Body::Adjust(arriving), &mut changes)?;
        place_where_they_shop(self.wish.to, &mut to, self.rules, self.moment);
        self.keep(&mut changes, operation, from, to);
        let made = Adjusted {
            operation,
            repeated: false,
        };
        Ok((changes, Attempt::Made(made)))
    }

    fn keep(&self, changes: &mut Changes, operation: OperationId, from: Member, to: Member) {
        for (id, member) in [(self.wish.from, from), (self.wish.to, to)] {
            let due = due_ms(&member);
            changes.members.insert(id, (member, due));
        }
        changes.receipts.push((self.request, operation));
        changes.audit = Some(self.audit.clone());
    }

    /// The coupon that would expire first, what the other member gets for it, and who owes for it; none when stores hold
    /// rights to all.
    fn coupon(
        &self,
        from: &Member,
    ) -> Result<Option<(AccountTakes, Credit, PartnerId)>, ActionError> {
        let none =
            || ActionError::Conflict("the member has no unused coupon of the series".to_owned());
        let account = from.accounts.get(&self.account).ok_or_else(none)?;
        let today = self.moment.today();
        let takes = account.plan(Minor(1), today)?.ok_or_else(none)?;
        if free_share(from, self.account, self.moment.now_ms, self.moment)? < Minor(1) {
            return Ok(None);
        }
        let lot = takes.first().and_then(|take| account.lots.get(&take.lot));
        let lot = lot.ok_or_else(none)?;
        let credit = Credit {
            account: self.account,
            amount: Minor(1),
            active_from: lot.active_from,
            expires_on: lot.expires_on,
        };
        let partner = lot.issuer.ok_or_else(none)?;
        let taken = AccountTakes {
            account: self.account,
            takes,
        };
        Ok(Some((taken, credit, partner)))
    }

    /// Asks the stores that hold rights to give one back, once.
    fn ask(&self, from: &Member) -> Changes {
        let mut asked = from.clone();
        let hub = (NodeId::HUB, Incarnation(0));
        placement::recall(&mut asked, self.account, hub, Minor(1), |_| true);
        if asked == *from {
            return Changes::default();
        }
        let due = due_ms(&asked);
        Changes {
            members: [(self.wish.from, (asked, due))].into(),
            ..Changes::default()
        }
    }
}

fn state(rows: &Rows, id: MemberId) -> Result<Member, ActionError> {
    let row = rows.members.get(&id);
    let row = row.ok_or_else(|| ActionError::not_found("member", id))?;
    if super::is_bearers(&row.member) {
        let text = "a bearer's card has no member; hand it over";
        return Err(ActionError::Conflict(text.to_owned()));
    }
    Ok(row.member.clone())
}
