//! The outage: some stores are cut off, sell, earn and redeem all the same, and come back.

use std::sync::Arc;

use super::http::Refusal;
use super::receipts::{Event, Sample, SoldLine, home_store};
use super::replay::{Tally, replay};
use super::screen::{Screen, money};
use super::till::{Points, Shown, Sold, Till};
use super::world::{Chain, World};

/// A receipt on which points may pay more than anybody has.
const LARGE_RECEIPT_MINOR: i64 = 1_000_000;
/// A receipt that earns a handful of points.
const SMALL_RECEIPT_MINOR: i64 = 50_000;
/// Customers of the cut store who try to spend everything.
const SPENDERS: usize = 3;
/// All that the customer has.
const WHOLE_SHARE_PERCENT: i64 = 100;
/// More than a store holds by itself, so that the hub must be asked.
const RESERVED_SHARE_PERCENT: i64 = 80;

/// What the scripted part saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// Redemptions that a cut store's own rights covered.
    pub by_allowance: usize,
    /// Redemptions that were refused there for want of a right.
    pub refused_offline: usize,
    /// Redemptions of points which the store itself had credited in the outage.
    pub own_points_spent: usize,
    /// Sales without points after a refusal.
    pub served_without_points: usize,
    /// Redemptions in the other stores that the hub reserved.
    pub by_hub: usize,
    /// Anything else that happened to a redemption, in words.
    pub unexpected: Vec<String>,
}

/// The stores to cut off: the second half.
pub fn cut_stores(chain: &Chain) -> std::ops::Range<usize> {
    let stores = chain.stores.len();
    stores - (stores / 2)..stores
}

/// Cuts stores off, serves the rest of the sample in all stores, and shows redemptions one by one.
pub async fn outage(
    screen: Screen,
    world: &World,
    sample: &Sample,
    run: std::ops::Range<usize>,
    tally: &mut Tally,
) -> anyhow::Result<Seen> {
    let chain = &world.chain;
    for store in cut_stores(chain) {
        chain.stores[store].relay.set_cut(true);
        let name = &chain.stores[store].name;
        screen.say(
            format!("   {name}: связь оборвана, реле отбрасывает все UDP-пакеты в обе стороны"),
            format!("   {name}: cut off, its relay drops every UDP packet both ways"),
        );
    }
    let mut seen = Seen::default();
    scripted(screen, chain, sample, run.start, tally, &mut seen).await?;
    let visits = run.len();
    screen.say(
        format!("   Тем временем все магазины работают дальше: {visits} посещений"),
        format!("   Meanwhile all stores go on: {visits} visits"),
    );
    let progress = screen.progress(u64::try_from(visits).unwrap_or(u64::MAX));
    let refused_before: usize = tally.points_refused.values().sum();
    replay(chain, sample, run, tally, Some(progress)).await?;
    let refused: usize = tally.points_refused.values().sum();
    let refused = refused - refused_before;
    screen.say(
        format!("   Из них {refused} раз баллы не списаны (не хватило лимита): проданы без баллов"),
        format!(
            "   In {refused} of them points were refused (no right to so much): sold without points"
        ),
    );
    Ok(seen)
}

async fn scripted(
    screen: Screen,
    chain: &Arc<Chain>,
    sample: &Sample,
    served: usize,
    tally: &mut Tally,
    seen: &mut Seen,
) -> anyhow::Result<()> {
    let stores = chain.stores.len();
    let cut = cut_stores(chain).start;
    let regulars = |store: usize| {
        let visits = sample.visits.iter().take(served).filter(move |visit| {
            let bought = matches!(visit.event, Event::Sale { .. });
            bought && visit.store == store && home_store(visit.customer, stores) == store
        });
        let mut customers: Vec<u32> = visits.map(|visit| visit.customer).collect();
        customers.sort_unstable();
        customers.dedup();
        customers
    };
    let mut scene = Scene {
        screen,
        chain,
        tally,
        seen,
    };
    let spenders = regulars(cut);
    for customer in spenders.iter().take(SPENDERS) {
        scene
            .spend_in_parts(cut, *customer, WHOLE_SHARE_PERCENT)
            .await?;
    }
    if let Some(customer) = spenders.first() {
        // Meanwhile the same customer stands at a till that can ask the hub.
        scene
            .spend_in_parts(0, *customer, WHOLE_SHARE_PERCENT)
            .await?;
    }
    if let Some(customer) = regulars(0).into_iter().next() {
        scene
            .spend_in_parts(0, customer, RESERVED_SHARE_PERCENT)
            .await?;
    }
    if let Some(visitor) = regulars(0).into_iter().nth(SPENDERS) {
        scene.visitor(cut, visitor).await?;
    }
    Ok(())
}

/// Redemptions that are shown one by one.
struct Scene<'a> {
    screen: Screen,
    chain: &'a Arc<Chain>,
    tally: &'a mut Tally,
    seen: &'a mut Seen,
}

impl Scene<'_> {
    /// A customer wants to spend a share of what they have; who is refused spends a quarter of that.
    async fn spend_in_parts(
        &mut self,
        store: usize,
        customer: u32,
        percent: i64,
    ) -> anyhow::Result<()> {
        let (till, shown) = self.at(store, customer).await?;
        let wanted = (shown.balance * percent / 100).min(LARGE_RECEIPT_MINOR * 3 / 10);
        for points in [wanted, wanted / 4] {
            let sold = self
                .sell(&till, store, customer, &shown, LARGE_RECEIPT_MINOR, points)
                .await?;
            if sold.is_ok() {
                break;
            }
        }
        Ok(())
    }

    /// Somebody from elsewhere is refused, earns, and spends what was just earned.
    async fn visitor(&mut self, store: usize, customer: u32) -> anyhow::Result<()> {
        let (till, shown) = self.at(store, customer).await?;
        let wanted = shown.balance.min(LARGE_RECEIPT_MINOR * 3 / 10);
        let refused = self
            .sell(&till, store, customer, &shown, LARGE_RECEIPT_MINOR, wanted)
            .await?;
        if refused.is_ok() {
            return Ok(());
        }
        let earning = self
            .sell(&till, store, customer, &shown, SMALL_RECEIPT_MINOR, 0)
            .await?;
        let Ok(earning) = earning else { return Ok(()) };
        self.seen.served_without_points += 1;
        let spent = self
            .sell(
                &till,
                store,
                customer,
                &shown,
                SMALL_RECEIPT_MINOR,
                earning.earned,
            )
            .await?;
        if spent.is_ok() {
            self.seen.own_points_spent += 1;
        }
        Ok(())
    }

    async fn at(&self, store: usize, customer: u32) -> anyhow::Result<(Arc<Till>, Shown)> {
        let till = Arc::clone(&self.chain.stores[store].tills[0]);
        let shown = till.identify(self.chain.card(customer)).await?;
        let shown = shown.map_err(|refusal| anyhow::anyhow!("customer {customer}: {refusal}"))?;
        Ok((till, shown))
    }

    async fn sell(
        &mut self,
        till: &Till,
        store: usize,
        customer: u32,
        shown: &Shown,
        receipt: i64,
        points: i64,
    ) -> anyhow::Result<Result<Sold, Refusal>> {
        let lines = [SoldLine {
            sku: "DEMO".to_owned(),
            quantity: 1,
            unit_price: receipt,
        }];
        let wish = if points > 0 {
            Points::Exactly(points)
        } else {
            Points::Nothing
        };
        let answer = till.sell(shown, &lines, wish).await?;
        if let Ok(sold) = &answer {
            self.tally.recount.sold(customer, &lines, sold);
        }
        self.show(store, customer, shown.balance, points, &answer);
        Ok(answer)
    }

    fn show(
        &mut self,
        store: usize,
        customer: u32,
        balance: i64,
        points: i64,
        answer: &Result<Sold, Refusal>,
    ) {
        let is_cut = cut_stores(self.chain).contains(&store);
        let name = &self.chain.stores[store].name;
        let (had, points) = (money(balance), money(points));
        let outcome = match answer {
            Ok(sold) => match sold.rung.as_deref() {
                Some("allowance") => {
                    self.seen.by_allowance += usize::from(is_cut);
                    self.screen
                        .pick(
                            "списано по лимиту магазина",
                            "redeemed under the store's allowance",
                        )
                        .to_owned()
                }
                Some("hub") => {
                    if is_cut {
                        self.seen
                            .unexpected
                            .push(format!("{name}: reserved by the hub while cut off"));
                    }
                    self.seen.by_hub += 1;
                    self.screen
                        .pick(
                            "хаб зарезервировал и списано",
                            "reserved by the hub and redeemed",
                        )
                        .to_owned()
                }
                Some(other) => other.to_owned(),
                None => {
                    let earned = money(sold.earned);
                    self.screen.pick(
                        format!("продано без баллов, начислено {earned}"),
                        format!("sold without points, {earned} earned"),
                    )
                }
            },
            Err(refusal) => {
                let known = ["offline_limit", "points_held_elsewhere", "balance_short"];
                if refusal.code == "offline_limit" {
                    self.seen.refused_offline += 1;
                } else if !known.contains(&refusal.code.as_str()) {
                    self.seen.unexpected.push(format!("{name}: {refusal}"));
                }
                let said = own_language(self.screen, &refusal.detail);
                self.screen
                    .pick(format!("отказ: «{said}»"), format!("refused: \"{said}\""))
            }
        };
        self.screen.say(
            format!("   {name}, клиент {customer}: баланс {had}, списать {points} → {outcome}"),
            format!("   {name}, customer {customer}: has {had}, wants {points} → {outcome}"),
        );
    }
}

/// Nodes speak to cashiers in Russian and English at once; this is the reader's half.
pub fn own_language(screen: Screen, detail: &str) -> String {
    let (ru, en) = detail.split_once(" / ").unwrap_or((detail, detail));
    screen.pick(ru, en).to_owned()
}
