//! A card is blocked at the hub: how long until each store refuses it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::world::World;

/// How long a connected store may take at most before the demo gives up.
const REFUSED_WITHIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(1);

/// What the block came to.
#[derive(Debug)]
pub struct Blocked {
    /// From the order's request until each store refused the card, store by store.
    pub refused_after: Vec<Duration>,
    /// The words of the first store.
    pub words: String,
    /// Nodes that the hub knows to have the order, and all nodes.
    pub delivered: (usize, usize),
}

/// Blocks a customer's card while a till of every store asks for it again and again.
pub async fn block(world: &World, customer: u32, reason: &str) -> anyhow::Result<Blocked> {
    let chain = &world.chain;
    let card = chain.card(customer).to_owned();
    let started = Instant::now();
    let mut watchers = JoinSet::new();
    for (place, store) in chain.stores.iter().enumerate() {
        let (till, card) = (Arc::clone(&store.tills[0]), card.clone());
        watchers.spawn(async move {
            while started.elapsed() < REFUSED_WITHIN {
                if let Err(refusal) = till.identify(&card).await? {
                    if refusal.code != "card_blocked" {
                        bail!("the card was refused for another reason: {refusal}");
                    }
                    return Ok((place, started.elapsed(), refusal));
                }
                sleep(POLL).await;
            }
            bail!(
                "the card is still taken after {} s",
                REFUSED_WITHIN.as_secs()
            );
        });
    }
    let order = world.office.block(&card, reason).await?;
    let mut refused_after = vec![Duration::ZERO; chain.stores.len()];
    let mut words = String::new();
    while let Some(watched) = watchers.join_next().await {
        let (place, after, refusal) = watched??;
        refused_after[place] = after;
        words = refusal.detail;
    }
    // Nodes report what they have after they act on it.
    let mut delivered = world.office.delivery(order).await?;
    while delivered.0 < delivered.1 && started.elapsed() < REFUSED_WITHIN {
        sleep(Duration::from_millis(20)).await;
        delivered = world.office.delivery(order).await?;
    }
    Ok(Blocked {
        refused_after,
        words,
        delivered,
    })
}
