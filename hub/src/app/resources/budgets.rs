//! Budgets of promotions: the record of each limit that stores need rights to holds as much as the rule book says.
//!
//! A record's `counted` is the size that its limit was last brought to, so that matching twice changes nothing, and what
//! stores have used meanwhile does not matter.

use std::collections::BTreeMap;
use std::sync::Arc;

use kopilka_crdt::clock::Stamp;
use kopilka_crdt::ids::{AccountId, MemberId, PartnerId, ProgrammeId, PromotionId};
use kopilka_crdt::ledger::Cause;
use kopilka_crdt::member::Member;
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{AccountTakes, Adjustment, Body, Credit};
use kopilka_crdt::rulebook::model::promotion::{OfflinePolicy, Period, Promotion};
use kopilka_rules::placement::{self, Holder, due_ms, free_share};
use kopilka_rules::promotion::draws_on_budget;
use kopilka_rules::{Moment, Programme};
use serde_json::json;

use crate::app::Hub;
use crate::app::action::{ActionError, Actor};
use crate::app::hub_log::HubLog;
use crate::app::members::rules_now;
use crate::store::{Changes, Keys, Rows};

/// Records in one transaction.
const BATCH_RECORDS: usize = 200;
/// Most stores that get rights before they draw; where there are more, each asks when it draws first.
const STORES_MAX: usize = 500;
/// Nobody owes for a budget: partners are numbered from 1.
const NOBODY: PartnerId = PartnerId(0);

/// A budget that was changed, or could not be changed as far as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matched {
    /// Whose.
    pub promotion: PromotionId,
    /// By how much it rose; negative: it was lowered.
    pub change: Minor,
    /// What could not be taken off: it is used up, or stores hold rights to it.
    pub left_over: Minor,
}

/// A budget as the rules want it.
struct Wanted {
    promotion: PromotionId,
    most: Minor,
    /// Whether stores may hold rights to it while they are offline.
    spread: bool,
}

/// Brings every budget to the size that the rules in force give it. Doing it again changes nothing.
pub async fn match_publication(
    hub: &Hub,
    actor: &Actor,
    programme: ProgrammeId,
) -> Result<Vec<Matched>, ActionError> {
    let (rules, moment) = rules_now(hub, programme).await?;
    let wanted: BTreeMap<MemberId, Wanted> = rules
        .rules()
        .promotions
        .iter()
        .filter_map(|(id, promotion)| wanted(*id, promotion))
        .collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let matching = Matching {
        actor,
        programme,
        rules,
        moment,
        stores: stores(hub, programme).await?,
        wanted,
    };
    let records: Vec<MemberId> = matching.wanted.keys().copied().collect();
    let mut matched = Vec::new();
    for records in records.chunks(BATCH_RECORDS) {
        matched.extend(matching.batch(hub, records).await?);
    }
    hub.look_for_news().await?;
    Ok(matched)
}

fn wanted(id: PromotionId, promotion: &Promotion) -> Option<(MemberId, Wanted)> {
    let limit = draws_on_budget(promotion)?;
    match limit.period {
        Period::Ever => {}
        // What starts anew each day needs no matching, and has no budget that lasts.
        Period::Day | Period::Month | Period::Year => return None,
    }
    let wanted = Wanted {
        promotion: id,
        most: Minor(i64::try_from(limit.most).unwrap_or(i64::MAX)),
        spread: promotion.offline == OfflinePolicy::Allowance && promotion.enabled,
    };
    Some((MemberId::of_limit(id, None), wanted))
}

/// The stores that rights are spread over.
async fn stores(hub: &Hub, programme: ProgrammeId) -> Result<Vec<Holder>, ActionError> {
    let nodes = hub.nodes(programme).await?;
    let trusted = nodes.iter().filter(|node| !node.revoked);
    let holders: Vec<Holder> = trusted
        .map(|node| Holder {
            node: node.id,
            incarnation: node.incarnation,
            seen: Stamp::default(),
        })
        .collect();
    Ok(if holders.len() > STORES_MAX {
        Vec::new()
    } else {
        holders
    })
}

/// Budgets about to be matched.
struct Matching<'a> {
    actor: &'a Actor,
    programme: ProgrammeId,
    rules: Arc<Programme>,
    moment: Moment,
    stores: Vec<Holder>,
    wanted: BTreeMap<MemberId, Wanted>,
}

impl Matching<'_> {
    async fn batch(&self, hub: &Hub, records: &[MemberId]) -> Result<Vec<Matched>, ActionError> {
        let keys = Keys {
            programme: self.programme.0,
            members: records.to_vec(),
            counters: true,
            ..Keys::default()
        };
        let mut outcome = Ok(Vec::new());
        let mut decision = |rows: &Rows| match self.decide(rows, records) {
            Ok((changes, matched)) => {
                outcome = Ok(matched);
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

    fn decide(
        &self,
        rows: &Rows,
        records: &[MemberId],
    ) -> Result<(Changes, Vec<Matched>), ActionError> {
        let mut log = HubLog::resume(rows, &self.rules, self.moment);
        let mut changes = Changes::default();
        let mut matched = Vec::new();
        for (id, wanted) in records
            .iter()
            .filter_map(|id| Some((id, self.wanted.get(id)?)))
        {
            let stored = rows.members.get(id).map(|row| &row.member);
            let mut member = stored.cloned().unwrap_or_default();
            let asked = wanted.most.minus(member.counted)?;
            let change = self.resize(*id, &mut member, asked, &mut log, &mut changes)?;
            if wanted.spread {
                placement::spread(&mut member, &self.rules, &self.stores, self.moment)?;
            }
            if stored != Some(&member) {
                let due = due_ms(&member);
                changes.members.insert(*id, (member, due));
            }
            if asked != Minor::ZERO {
                matched.push(Matched {
                    promotion: wanted.promotion,
                    change,
                    left_over: change.minus(asked)?,
                });
            }
        }
        if matched.iter().any(|one| one.change != Minor::ZERO) {
            let budgets: BTreeMap<String, i64> = matched
                .iter()
                .map(|one| (one.promotion.to_string(), one.change.0))
                .collect();
            let (at_ms, details) = (self.moment.now_ms, json!({ "budgets": budgets }));
            let subject = self.programme;
            changes.audit = Some(self.actor.audit(at_ms, "budget.match", subject, &details));
        }
        Ok((changes, matched))
    }

    /// Credits what is missing, or writes off what is too much and free. Gives the change that was made.
    fn resize(
        &self,
        id: MemberId,
        member: &mut Member,
        asked: Minor,
        log: &mut HubLog<'_>,
        changes: &mut Changes,
    ) -> Result<Minor, ActionError> {
        let account = AccountId::BUDGET;
        let today = self.moment.today();
        let free = free_share(member, account, self.moment.now_ms, self.moment)?;
        let change = asked.max(free.negated()?);
        if change == Minor::ZERO {
            return Ok(change);
        }
        let mut resizing = Adjustment {
            member: id,
            credits: Vec::new(),
            taken: None,
            authority: None,
            cause: Cause::Budget,
            reason: String::new(),
            counted: change,
            partner: NOBODY,
        };
        if change > Minor::ZERO {
            resizing.credits.push(Credit {
                account,
                amount: change,
                active_from: today,
                expires_on: None,
            });
        } else {
            let takes = member.account(account).plan(change.negated()?, today)?;
            resizing.taken = takes.map(|takes| AccountTakes { account, takes });
        }
        log.make(member, &Body::Adjust(resizing), changes)?;
        Ok(change)
    }
}
