//! The checks after the outage: receipts, redemptions, balances, and what the hub made of it all.

use super::compare;
use super::outage::Seen;
use super::replay::Tally;
use super::report::Report;
use super::screen::{Screen, money};
use super::world::World;

/// Compares every balance on every replica with the recount, and notes what was seen on the way.
pub async fn judge(
    screen: Screen,
    world: &World,
    tally: &Tally,
    seen: &Seen,
    report: &mut Report,
) -> anyhow::Result<()> {
    screen.step(
        5,
        "Сверка балансов и независимый пересчёт",
        "Balances compared, and counted again independently",
    );
    let compared = compare::compare(world, &tally.recount).await?;
    let (members, replicas) = (tally.recount.balances.len(), world.chain.stores.len() + 1);
    let points = money(compared.points);
    screen.say(
        format!("   Участников {members}, реплик {replicas}, баллов {points}"),
        format!("   {members} members, {replicas} replicas, {points} points"),
    );
    receipts(tally, report);
    redemptions(seen, report);
    let equal = compared.equal;
    report.check_none(
        &compared.replicas_differ,
        format!("балансы {equal} участников одинаковы на {replicas} репликах"),
        format!("balances of {equal} members are equal on {replicas} replicas"),
    );
    report.check_none(
        &compared.recount_differs,
        format!("и равны независимому пересчёту ({points} баллов)"),
        format!("and equal to the independent recount ({points} points)"),
    );
    let mut remarks = world.office.cases().await?;
    for store in &world.chain.stores {
        remarks.extend(store.tills[0].standing().await?.verdicts);
    }
    report.check_none(
        &remarks,
        "хаб принял все операции без замечаний, инцидентов нет".to_owned(),
        "the hub accepted every operation without remark, no cases".to_owned(),
    );
    Ok(())
}

fn receipts(tally: &Tally, report: &mut Report) {
    let refused: Vec<_> = tally.refused.iter().map(ToString::to_string).collect();
    let (sold, back) = (tally.sold, tally.taken_back);
    report.check_none(
        &refused,
        format!("приняты все чеки ({sold}) и возвраты ({back})"),
        format!("all receipts ({sold}) and returns ({back}) were taken"),
    );
    report.check_none(
        &tally.recount.faults,
        "суммы, баллы и доли каждого чека верны".to_owned(),
        "total, points and share of every receipt are right".to_owned(),
    );
}

fn redemptions(seen: &Seen, report: &mut Report) {
    report.check(
        seen.by_allowance > 0 && seen.own_points_spent > 0,
        format!(
            "без связи списано по лимиту: {}, из них только что начисленного: {}",
            seen.by_allowance, seen.own_points_spent
        ),
        format!(
            "redeemed offline under an allowance: {}, of it points just earned: {}",
            seen.by_allowance, seen.own_points_spent
        ),
        &[format!("{seen:?}")],
    );
    report.check(
        seen.refused_offline > 0 && seen.served_without_points > 0 && seen.unexpected.is_empty(),
        format!("сверх лимита отказано с причиной: {}, клиента обслужили без баллов", seen.refused_offline),
        format!("beyond the allowance refused with the reason: {}, the customer was served without points", seen.refused_offline),
        &seen.unexpected,
    );
    report.check(
        seen.by_hub > 0,
        "магазины на связи списывали через хаб".to_owned(),
        "connected stores redeemed through the hub meanwhile".to_owned(),
        &[format!("{seen:?}")],
    );
}
