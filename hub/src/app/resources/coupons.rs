//! Members' coupons: units of their series' account, issued at head office.

use kopilka_crdt::ids::{MemberId, PartnerId, ProgrammeId};
use kopilka_crdt::ledger::Cause;
use kopilka_crdt::member::Member;
use kopilka_crdt::money::{AmountError, Minor};
use kopilka_crdt::operation::{Adjustment, Body, ReceiptKey};
use kopilka_crdt::rulebook::model::SeriesRules;
use kopilka_rules::{Moment, Programme, placement};
use serde_json::{Value, json};

use super::bulk::{Deed, Now};
use super::series;
use crate::app::Hub;
use crate::app::action::ActionError;
use crate::app::catalogue::programmes;
use crate::app::hub_log::request_key;
use crate::app::members::rules_now;

/// A coupon is issued to members, one each.
#[derive(Debug, Clone)]
pub struct Issuing {
    programme: ProgrammeId,
    series: String,
    partner: PartnerId,
    idempotency_key: String,
}

impl Issuing {
    /// Issues of a series that is published; `idempotency_key` issues to each member once.
    pub async fn new(
        hub: &Hub,
        programme: ProgrammeId,
        code: &str,
        partner: PartnerId,
        idempotency_key: &str,
    ) -> Result<Self, ActionError> {
        programmes::require_partner(hub, programme, partner).await?;
        let (rules, _) = rules_now(hub, programme).await?;
        series(&rules, code)?;
        Ok(Self {
            programme,
            series: code.to_owned(),
            partner,
            idempotency_key: idempotency_key.to_owned(),
        })
    }
}

impl Deed for Issuing {
    fn action(&self) -> &'static str {
        "coupon.issue"
    }

    fn details(&self) -> Value {
        json!({ "series": self.series, "partner": self.partner.to_string() })
    }

    fn request(&self, member: MemberId) -> Option<ReceiptKey> {
        let key = format!("{member}/{}", self.idempotency_key);
        Some(request_key(self.programme, "coupon.issue", &key))
    }

    fn body(
        &self,
        id: MemberId,
        member: &Member,
        now: Now<'_>,
    ) -> Result<Option<Body>, ActionError> {
        let rules = series(now.rules, &self.series)?;
        may_hold_one_more(rules, member, now.moment)?;
        let credit = now
            .rules
            .credit(rules.account, Minor(1), now.moment.today());
        Ok(Some(Body::Adjust(Adjustment {
            member: id,
            credits: vec![credit],
            taken: None,
            authority: None,
            cause: Cause::Issued,
            reason: String::new(),
            counted: Minor::ZERO,
            partner: self.partner,
        })))
    }

    fn afterwards(&self, id: MemberId, member: &mut Member, now: Now<'_>) {
        place_where_they_shop(id, member, now.rules, now.moment);
    }
}

/// Lets the store where a member shopped last use the coupon while it is offline.
pub(super) fn place_where_they_shop(
    id: MemberId,
    member: &mut Member,
    rules: &Programme,
    moment: Moment,
) {
    if let Some(holder) = placement::last_visited(member) {
        // An amount out of range leaves rights as they are: the coupon then needs a connection.
        let _ = placement::place(id, member, rules, holder, moment);
    }
}

/// Coupons of a series that a member holds, those not yet active included.
pub fn held(rules: &SeriesRules, member: &Member, moment: Moment) -> Result<Minor, AmountError> {
    let view = member.account(rules.account).view(moment.today())?;
    view.spendable.plus(view.pending)
}

/// Refuses when a member holds as many as the series allows.
pub(super) fn may_hold_one_more(
    rules: &SeriesRules,
    member: &Member,
    moment: Moment,
) -> Result<(), ActionError> {
    let held = held(rules, member, moment)?;
    match rules.per_member_max {
        Some(most) if held >= Minor(most.into()) => {
            let text = format!(
                "holds {} coupons of the series, and may hold {most}",
                held.0
            );
            Err(ActionError::Conflict(text))
        }
        Some(_) | None => Ok(()),
    }
}
