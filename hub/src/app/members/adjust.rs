//! Points credited or written off by staff, once for each idempotency key.

use kopilka_crdt::ids::{AccountId, MemberId, OperationId, PartnerId, ProgrammeId};
use kopilka_crdt::ledger::Cause;
use kopilka_crdt::log::decode_entry;
use kopilka_crdt::member::Member;
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{AccountTakes, Adjustment, Body, TEXT_BYTES_MAX};
use kopilka_rules::placement::{due_ms, free_share};
use kopilka_rules::{Moment, Programme};
use serde_json::json;

use super::rules_now;
use crate::app::Hub;
use crate::app::action::{ActionError, Actor, text};
use crate::app::catalogue::programmes;
use crate::app::hub_log::{self, HubLog, request_key};
use crate::store::{Changes, Keys, Rows, StoreError};

/// What staff ask for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The account.
    pub account: AccountId,
    /// Credited when positive, written off when negative; not zero.
    pub amount: Minor,
    /// The partner that owes for credits.
    pub partner: PartnerId,
    /// In words, for the history.
    pub reason: String,
    /// A second request with this key changes nothing and gets the first one's answer.
    pub idempotency_key: String,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adjusted {
    /// The hub's operation.
    pub operation: OperationId,
    /// It had been made before, by the same key.
    pub repeated: bool,
}

/// Credits or writes off points. What stores hold rights to is not written off here: they may have spent it already.
pub async fn adjust(
    hub: &Hub,
    actor: &Actor,
    programme: ProgrammeId,
    id: MemberId,
    wish: &Wish,
) -> Result<Adjusted, ActionError> {
    let reason = text("reason", &wish.reason, TEXT_BYTES_MAX)?;
    programmes::require_partner(hub, programme, wish.partner).await?;
    let (rules, moment) = rules_now(hub, programme).await?;
    if !rules.rules().accounts.contains_key(&wish.account) {
        return Err(ActionError::not_found("account", wish.account));
    }
    if wish.amount == Minor::ZERO {
        return Err(ActionError::invalid("amount_minor", "must not be 0"));
    }
    let receipt = request_key(programme, "member.adjust", &wish.idempotency_key);
    let keys = Keys {
        programme: programme.0,
        members: vec![id],
        receipts: vec![receipt],
        counters: true,
        ..Keys::default()
    };
    let details = json!({
        "account": wish.account.to_string(),
        "amount_minor": wish.amount.0,
        "reason": reason,
    });
    let mut outcome = Err(ActionError::Store(StoreError::Contended));
    let mut decision = |rows: &Rows| {
        if let Some(first) = rows.receipts.get(&receipt) {
            outcome = Ok(Adjusted {
                operation: *first,
                repeated: true,
            });
            return Changes::default();
        }
        let mut changes = Changes::default();
        match decide(rows, id, wish, &reason, &rules, moment, &mut changes) {
            Ok(operation) => {
                changes.receipts.push((receipt, operation));
                changes.audit = Some(actor.audit(moment.now_ms, "member.adjust", id, &details));
                outcome = Ok(Adjusted {
                    operation,
                    repeated: false,
                });
                changes
            }
            Err(refusal) => {
                outcome = Err(refusal);
                Changes::default()
            }
        }
    };
    hub.store.decide(&keys, &mut decision).await?;
    let adjusted = outcome?;
    if adjusted.repeated {
        same_request(hub, programme, id, wish, adjusted.operation).await?;
    }
    hub.look_for_news().await?;
    Ok(adjusted)
}

fn decide(
    rows: &Rows,
    id: MemberId,
    wish: &Wish,
    reason: &str,
    rules: &Programme,
    moment: Moment,
    changes: &mut Changes,
) -> Result<OperationId, ActionError> {
    let row = rows
        .members
        .get(&id)
        .ok_or_else(|| ActionError::not_found("member", id))?;
    let mut member = row.member.clone();
    let mut adjustment = Adjustment {
        member: id,
        credits: Vec::new(),
        taken: None,
        authority: None,
        cause: Cause::Adjustment,
        reason: reason.to_owned(),
        counted: Minor::ZERO,
        partner: wish.partner,
    };
    if wish.amount > Minor::ZERO {
        adjustment
            .credits
            .push(rules.credit(wish.account, wish.amount, moment.today()));
    } else {
        adjustment.taken = Some(takes(&member, wish, moment)?);
    }
    let body = Body::Adjust(adjustment);
    let (operation, _) = HubLog::resume(rows, rules, moment).make(&mut member, &body, changes)?;
    let due = due_ms(&member);
    changes.members.insert(id, (member, due));
    Ok(operation)
}

fn takes(member: &Member, wish: &Wish, moment: Moment) -> Result<AccountTakes, ActionError> {
    let amount = wish.amount.negated()?;
    let free = free_share(member, wish.account, moment.now_ms, moment)?;
    let short = ActionError::Short { available: free.0 };
    if free < amount {
        return Err(short);
    }
    let takes = member
        .account(wish.account)
        .plan(amount, moment.today())?
        .ok_or(short)?;
    Ok(AccountTakes {
        account: wish.account,
        takes,
    })
}

/// The same key with another content is refused rather than answered with what it does not say.
async fn same_request(
    hub: &Hub,
    programme: ProgrammeId,
    id: MemberId,
    wish: &Wish,
    made: OperationId,
) -> Result<(), ActionError> {
    let log = hub_log::name(programme);
    let before = made.sequence.saturating_sub(1);
    let found = hub
        .store
        .operations_between(log, before, made.sequence, 1)
        .await?;
    let bytes = &found.first().ok_or(StoreError::Damaged("operation"))?.bytes;
    let (_, body) = decode_entry(bytes).map_err(|_| StoreError::Damaged("operation"))?;
    let Body::Adjust(first) = body else {
        return Err(ActionError::KeyReused);
    };
    let credited = first
        .credits
        .iter()
        .map(|credit| (credit.account, credit.amount.0));
    let written_off = first.taken.iter().map(|taken| {
        let sum = taken
            .takes
            .iter()
            .fold(0_i64, |sum, take| sum.saturating_add(take.amount.0));
        (taken.account, sum.saturating_neg())
    });
    let same = credited
        .chain(written_off)
        .eq([(wish.account, wish.amount.0)])
        && first.member == id
        && first.reason == wish.reason.trim();
    if same {
        Ok(())
    } else {
        Err(ActionError::KeyReused)
    }
}
