//! What to try by hand while the processes stay up.

use std::path::Path;

use super::receipts::Sample;
use super::screen::Screen;
use super::world::World;

/// Prints addresses, tokens and `curl` lines. `blocked` is the customer whose card was blocked.
pub fn print(screen: Screen, world: &World, sample: &Sample, blocked: u32, folder: &Path) {
    let chain = &world.chain;
    let (Some(store), Some(visit)) = (
        chain.stores.first(),
        sample.visits.iter().find(|visit| visit.customer != blocked),
    ) else {
        return;
    };
    let till = &store.tills[0];
    let (node, token, cashier) = (till.http.base(), till.http.token(), &till.cashier);
    let (hub, session) = (world.office.http.base(), world.office.http.token());
    let (programme, card) = (&world.office.programme, chain.card(visit.customer));
    let blocked = chain.card(blocked);
    screen.say(
        format!(
            "\nВсё работает; данные и журналы в {}. Ctrl-C завершает. Попробуйте:",
            folder.display()
        ),
        format!(
            "\nEverything stays up; data and logs are in {}. Ctrl-C ends it. Try:",
            folder.display()
        ),
    );
    for line in [
        format!("NODE={node}; TILL={token}"),
        format!("HUB={hub}; STAFF={session}"),
    ] {
        screen.line(&line);
    }
    for (ru, en, line) in examples(programme, cashier, card, blocked) {
        screen.line(&format!("# {}\n{line}", screen.pick(ru, en)));
    }
}

/// What to try, in Russian and English, with its command.
fn examples(
    programme: &str,
    cashier: &str,
    card: &str,
    blocked: &str,
) -> Vec<(&'static str, &'static str, String)> {
    let json = "-H 'Content-Type: application/json'";
    vec![
        (
            "кто это?",
            "who is it?",
            format!(
                r#"curl -s $NODE/v1/identify -H "Authorization: Bearer $TILL" {json} -d '{{"kind":"card","value":"{card}"}}'"#
            ),
        ),
        (
            "участник из ответа",
            "the member of that answer",
            format!(
                r#"MEMBER=$(curl -s $NODE/v1/identify -H "Authorization: Bearer $TILL" {json} -d '{{"kind":"card","value":"{card}"}}' | grep -o '"member_id": *"[^"]*"' | head -1 | cut -d'"' -f4)"#
            ),
        ),
        (
            "расчёт чека",
            "price a receipt",
            format!(
                r#"curl -s $NODE/v1/quotes -H "Authorization: Bearer $TILL" {json} -d "{{\"member_id\":\"$MEMBER\",\"lines\":[{{\"sku\":\"A1\",\"quantity\":\"2\",\"unit_price\":50000}}],\"redeem_most\":true}}""#
            ),
        ),
        (
            "продажа",
            "sell",
            format!(
                r#"curl -s $NODE/v1/purchases -H "Authorization: Bearer $TILL" -H "Idempotency-Key: $RANDOM$RANDOM" {json} -d "{{\"cashier\":\"{cashier}\",\"member_id\":\"$MEMBER\",\"receipt\":{{\"number\":$RANDOM$RANDOM}},\"lines\":[{{\"sku\":\"A1\",\"quantity\":\"2\",\"unit_price\":50000}}],\"redeem\":1000,\"confirm\":true}}""#
            ),
        ),
        (
            "связь узла с хабом",
            "how the node stands with the hub",
            r#"curl -s $NODE/v1/sync -H "Authorization: Bearer $TILL""#.to_owned(),
        ),
        (
            "тот же участник на хабе",
            "the same member at the hub",
            format!(
                r#"curl -s $HUB/v1/programmes/{programme}/members/$MEMBER -H "Authorization: Bearer $STAFF""#
            ),
        ),
        (
            "снять блокировку (\"blocked\":true блокирует)",
            "release the card (\"blocked\":true blocks)",
            format!(
                r#"curl -s $HUB/v1/programmes/{programme}/blocks -H "Authorization: Bearer $STAFF" -H "Idempotency-Key: $RANDOM$RANDOM" {json} -d '{{"number":"{blocked}","blocked":false,"reason":"found"}}'"#
            ),
        ),
    ]
}
