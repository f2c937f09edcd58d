//! Every member's balance on every replica, beside the recount.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::recount::Recount;
use super::screen::money;
use super::world::World;

/// Members asked about at once.
const AT_ONCE: usize = 32;

/// What the comparison found.
#[derive(Debug, Default)]
pub struct Compared {
    /// Members whose balance is the same on all replicas.
    pub equal: usize,
    /// Members whose balances differ between replicas, in words.
    pub replicas_differ: Vec<String>,
    /// Members whose balance is not what the recount says, in words.
    pub recount_differs: Vec<String>,
    /// Points of all members by the replicas, minor units.
    pub points: i64,
}

/// Asks the hub and every node about every customer.
pub async fn compare(world: &World, recount: &Recount) -> anyhow::Result<Compared> {
    let mut compared = Compared::default();
    let customers: Vec<u32> = recount.balances.keys().copied().collect();
    for some in customers.chunks(AT_ONCE) {
        let mut asked = JoinSet::new();
        for customer in some {
            let (chain, customer) = (Arc::clone(&world.chain), *customer);
            asked.spawn(async move {
                let shown = chain.stores[0].tills[0]
                    .identify(chain.card(customer))
                    .await?;
                let shown = shown.map_err(|refusal| anyhow::anyhow!("{customer}: {refusal}"))?;
                let mut balances = Vec::with_capacity(chain.stores.len());
                for store in &chain.stores {
                    balances.push(store.tills[0].balance(&shown.member).await?);
                }
                anyhow::Ok((customer, shown.member, balances))
            });
        }
        while let Some(answer) = asked.join_next().await {
            let (customer, member, mut balances) = answer??;
            balances.push(world.office.balance(&member).await?);
            let expected = recount.balances.get(&customer).copied().unwrap_or_default();
            compared.add(customer, &balances, expected);
        }
    }
    Ok(compared)
}

impl Compared {
    fn add(&mut self, customer: u32, balances: &[Option<i64>], expected: i64) {
        let texts = || -> Vec<String> {
            let text = |balance: &Option<i64>| balance.map_or_else(|| "?".to_owned(), money);
            balances.iter().map(text).collect()
        };
        let first = balances.first().copied().flatten();
        if first.is_some() && balances.iter().all(|balance| *balance == first) {
            self.equal += 1;
            self.points += first.unwrap_or_default();
        } else {
            self.replicas_differ
                .push(format!("{customer}: {}", texts().join(" ")));
        }
        if balances.iter().any(|balance| *balance != Some(expected)) {
            let line = format!("{customer}: {} ≠ {}", money(expected), texts().join(" "));
            self.recount_differs.push(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_found_on_any_replica() {
        let mut compared = Compared::default();
        compared.add(1, &[Some(5), Some(5)], 5);
        compared.add(2, &[Some(5), Some(5)], 6);
        compared.add(3, &[Some(5), Some(6)], 5);
        compared.add(4, &[None, None], 0);
        assert_eq!((compared.equal, compared.points), (2, 10));
        assert_eq!(compared.replicas_differ, ["3: 0.05 0.06", "4: ? ?"]);
        assert_eq!(compared.recount_differs.len(), 3);
    }
}
