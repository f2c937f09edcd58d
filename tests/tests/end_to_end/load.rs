//! A load of sales whose outcome is known: who bought, which receipts were acknowledged, and under which names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use kopilka_tests::{Basket, Chain, Customer, POLL, Standing, Till};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What the starter rules give for joining, minor units.
const WELCOME: i64 = 25_000;
/// How long one sale may be retried.
const RETRY: Duration = Duration::from_secs(60);

/// Sales of a test, each with a receipt number that is its key too.
#[derive(Debug, Clone, Default)]
pub struct Load {
    /// Who buys, in turn.
    pub customers: Vec<Customer>,
    acknowledged: Arc<AtomicU64>,
}

/// What a till got for a sale.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sold {
    /// The till's receipt number.
    pub receipt: u64,
    /// The member.
    pub member: String,
    /// The node's name for it.
    pub purchase: String,
    /// The signed operation.
    pub operation: String,
    /// Minor units.
    pub price: i64,
    /// Points, minor units.
    pub earned: i64,
}

impl Load {
    /// A load on customers who join at a till.
    pub async fn of(till: &Till, customers: u64) -> anyhow::Result<Self> {
        let mut load = Self::default();
        for serial in 1..=customers {
            load.customers.push(till.enrol(serial).await?);
        }
        Ok(load)
    }

    /// Sales acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Acquire)
    }

    /// Waits until so many sales are acknowledged.
    pub async fn reaches(&self, acknowledged: u64) {
        while self.acknowledged() < acknowledged {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Sells under these receipt numbers with so many sales under way at once, each retried under its key until it is
    /// acknowledged.
    pub async fn sell(
        &self,
        till: &Till,
        receipts: std::ops::Range<u64>,
        at_once: u64,
    ) -> anyhow::Result<Vec<Sold>> {
        let mut workers = JoinSet::new();
        for worker in 0..at_once {
            let (load, till, receipts) = (self.clone(), till.clone(), receipts.clone());
            workers.spawn(async move {
                let mut sold = Vec::new();
                for receipt in receipts.filter(|receipt| receipt % at_once == worker) {
                    sold.push(load.sell_one(&till, receipt).await?);
                }
                anyhow::Ok(sold)
            });
        }
        let mut sold = Vec::new();
        while let Some(worked) = workers.join_next().await {
            sold.extend(worked??);
        }
        sold.sort();
        Ok(sold)
    }

    async fn sell_one(&self, till: &Till, receipt: u64) -> anyhow::Result<Sold> {
        let index = usize::try_from(receipt)? % self.customers.len();
        let customer = &self.customers[index];
        let price = 1_000 + i64::try_from(receipt % 97)? * 100;
        let body = till.sale(customer, receipt, Basket::of(price));
        let started = Instant::now();
        while started.elapsed() < RETRY {
            match till.post_sale(&format!("load-{receipt}"), &body).await {
                Ok(answer) if answer.is_success() => {
                    self.acknowledged.fetch_add(1, Ordering::AcqRel);
                    return Sold::read(&answer.body, price);
                }
                // The node is coming up or going down; nobody knows what became of the sale.
                Ok(answer) if answer.status == 503 => tokio::time::sleep(POLL).await,
                Ok(answer) => bail!("receipt {receipt}: {answer:?}"),
                Err(_) => tokio::time::sleep(POLL).await,
            }
        }
        bail!("receipt {receipt} was not acknowledged in {RETRY:?}");
    }
}

impl Sold {
    fn read(sale: &Value, price: i64) -> anyhow::Result<Self> {
        let text = |field: &str| {
            let text = sale[field].as_str().map(str::to_owned);
            text.with_context(|| format!("{field} in {sale}"))
        };
        Ok(Self {
            receipt: sale["receipt"]["number"].as_u64().context("a receipt")?,
            member: text("member_id")?,
            purchase: text("purchase_id")?,
            operation: text("operation_id")?,
            price,
            earned: sale["earned"].as_i64().context("what was earned")?,
        })
    }
}

/// What a member must have after these sales.
pub fn expected(customer: &Customer, sold: &[Sold]) -> Standing {
    let own = sold.iter().filter(|sold| sold.member == customer.member);
    own.fold(
        Standing {
            spendable: WELCOME,
            ..Standing::default()
        },
        |sum, sold| Standing {
            spendable: sum.spendable + sold.earned,
            counted: sum.counted + sold.price,
            purchases: sum.purchases + 1,
            ..sum
        },
    )
}

/// Every sale is at the node that made it, under the names that its till was told, and no two share an operation.
pub async fn check_node(till: &Till, sold: &[Sold]) -> anyhow::Result<()> {
    let operations: BTreeSet<_> = sold.iter().map(|sold| &sold.operation).collect();
    ensure!(
        operations.len() == sold.len(),
        "an operation was named twice"
    );
    for sold in sold {
        let path = format!("/v1/purchases/{}", sold.purchase);
        let kept = till.http.get(&path).await?.ok()?;
        let same = Sold::read(&kept, sold.price)?;
        ensure!(kept["state"] == "confirmed" && same == *sold, "{kept}");
    }
    Ok(())
}

/// Hub and nodes have every one of these sales exactly once.
pub async fn check_chain(
    chain: &Chain,
    load: &Load,
    sold: &[Sold],
    bound: Duration,
) -> anyhow::Result<()> {
    let customers: Vec<_> = load.customers.iter().collect();
    let found = chain.agreed(&customers, bound).await?;
    for (customer, standing) in customers.iter().zip(&found) {
        let wanted = expected(customer, sold);
        ensure!(
            *standing == wanted,
            "{}: {standing:?}, not {wanted:?}",
            customer.member
        );
    }
    let mut receipts = BTreeMap::<(String, u64), u64>::new();
    for customer in customers {
        for operation in chain.operations(customer).await? {
            if operation["kind"] != "purchase" {
                continue;
            }
            ensure!(operation["verdict"] == "accepted", "{operation}");
            let receipt = &operation["receipt"];
            let till = receipt["till"].as_str().context("a till")?.to_owned();
            let number = receipt["number"].as_u64().context("a number")?;
            *receipts.entry((till, number)).or_default() += 1;
        }
    }
    ensure!(
        receipts.values().all(|count| *count == 1),
        "a receipt counted twice"
    );
    ensure!(
        receipts.len() == sold.len(),
        "{} receipts of {}",
        receipts.len(),
        sold.len()
    );
    Ok(())
}
