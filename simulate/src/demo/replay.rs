//! The receipts of the sample through the tills of all stores at once, a queue for each till.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::http::Refusal;
use super::receipts::{Event, Sample, Visit, one_in};
use super::recount::Recount;
use super::screen::Progress;
use super::till::{Points, Shown, Sold, TakenBack, Till};
use super::world::Chain;

/// Answers that wait to be counted.
const DONE_QUEUE: usize = 256;
/// One new customer in so many joins at a till; the others were brought in.
const JOINS_ONE_IN: u64 = 12;

/// What came of a visit.
struct Done {
    place: usize,
    welcome: i64,
    points_refused: Option<Refusal>,
    what: What,
}

enum What {
    Sold(Sold),
    TakenBack(TakenBack),
    Refused(Refusal),
}

/// What happened so far, over all stores.
#[derive(Debug, Default)]
pub struct Tally {
    /// The books.
    pub recount: Recount,
    /// Sales.
    pub sold: usize,
    /// Returns.
    pub taken_back: usize,
    /// Members who joined at a till.
    pub joined: usize,
    /// Redemptions by rung.
    pub rungs: BTreeMap<String, usize>,
    /// Redemptions that were refused, by code; the goods were sold without points.
    pub points_refused: BTreeMap<String, usize>,
    /// Visits that a node refused altogether.
    pub refused: Vec<Refusal>,
    /// The sales' names at their nodes, by place in the sample.
    purchases: Arc<BTreeMap<usize, String>>,
}

impl Tally {
    fn count(&mut self, visit: &Visit, done: Done) {
        if done.welcome > 0 {
            self.joined += 1;
            self.recount.given(visit.customer, done.welcome);
        }
        if let Some(refusal) = done.points_refused {
            *self.points_refused.entry(refusal.code).or_default() += 1;
        }
        match (done.what, &visit.event) {
            (What::Sold(sold), Event::Sale { lines, .. }) => {
                self.sold += 1;
                self.recount.sold(visit.customer, lines, &sold);
                if let Some(rung) = sold.rung {
                    *self.rungs.entry(rung).or_default() += 1;
                }
                Arc::make_mut(&mut self.purchases).insert(done.place, sold.purchase);
            }
            (What::TakenBack(taken), _) => {
                self.taken_back += 1;
                self.recount.taken_back(visit.customer, taken);
            }
            (What::Refused(refusal), _) => self.refused.push(refusal),
            (What::Sold(_), Event::Return { .. }) => {}
        }
    }
}

/// A till's queue.
struct Queue {
    till: Arc<Till>,
    chain: Arc<Chain>,
    visits: Vec<(usize, Visit)>,
    purchases: Arc<BTreeMap<usize, String>>,
    done: mpsc::Sender<Done>,
}

/// Serves a run of the sample's visits.
pub async fn replay(
    chain: &Arc<Chain>,
    sample: &Sample,
    run: std::ops::Range<usize>,
    tally: &mut Tally,
    mut progress: Option<Progress>,
) -> anyhow::Result<()> {
    let mut by_till = BTreeMap::<(usize, usize), Vec<(usize, Visit)>>::new();
    for (place, visit) in sample
        .visits
        .iter()
        .enumerate()
        .skip(run.start)
        .take(run.len())
    {
        let till = chain.till_of(visit.store, visit.customer);
        by_till
            .entry((visit.store, till))
            .or_default()
            .push((place, visit.clone()));
    }
    let (sender, mut receiver) = mpsc::channel(DONE_QUEUE);
    let mut tills = JoinSet::new();
    for ((store, till), visits) in by_till {
        let queue = Queue {
            till: Arc::clone(&chain.stores[store].tills[till]),
            chain: Arc::clone(chain),
            visits,
            purchases: Arc::clone(&tally.purchases),
            done: sender.clone(),
        };
        tills.spawn(queue.serve());
    }
    drop(sender);
    while let Some(done) = receiver.recv().await {
        tally.count(&sample.visits[done.place], done);
        if let Some(progress) = &mut progress {
            progress.advance();
        }
    }
    while let Some(ended) = tills.join_next().await {
        ended??;
    }
    if let Some(progress) = progress {
        progress.finish();
    }
    Ok(())
}

/// Customers who join at a till within `run`, and the places where they do: some of those who buy in one store only,
/// since the stores' queues do not wait for each other.
pub fn newcomers(sample: &Sample, run: std::ops::Range<usize>) -> BTreeMap<u32, usize> {
    let mut first = BTreeMap::<u32, (usize, usize)>::new();
    let mut wanderers = BTreeSet::new();
    for (place, visit) in sample.visits.iter().enumerate().take(run.end) {
        let (_, store) = *first.entry(visit.customer).or_insert((place, visit.store));
        if store != visit.store {
            wanderers.insert(visit.customer);
        }
    }
    first
        .into_iter()
        .filter(|(customer, (place, _))| run.contains(place) && !wanderers.contains(customer))
        .filter(|(customer, _)| one_in(JOINS_ONE_IN, &format!("joins {customer}")))
        .map(|(customer, (place, _))| (customer, place))
        .collect()
}

impl Queue {
    async fn serve(self) -> anyhow::Result<()> {
        let mut own = BTreeMap::<usize, String>::new();
        for (place, visit) in &self.visits {
            let done = match &visit.event {
                Event::Sale { .. } => self.sale(*place, visit).await?,
                Event::Return { sale, lines } => {
                    match own.get(sale).or_else(|| self.purchases.get(sale)) {
                        Some(purchase) => {
                            let taken = self.till.take_back(purchase, lines).await?;
                            Done {
                                place: *place,
                                welcome: 0,
                                points_refused: None,
                                what: taken.map_or_else(What::Refused, What::TakenBack),
                            }
                        }
                        None => bail!("a return came before its sale"),
                    }
                }
            };
            if let What::Sold(sold) = &done.what {
                own.insert(*place, sold.purchase.clone());
            }
            self.done
                .send(done)
                .await
                .context("nobody counts any more")?;
        }
        Ok(())
    }

    async fn sale(&self, place: usize, visit: &Visit) -> anyhow::Result<Done> {
        let Event::Sale {
            lines,
            spends_points,
        } = &visit.event
        else {
            bail!("not a sale");
        };
        let (shown, welcome) = self.who(place, visit.customer).await?;
        let points = if *spends_points {
            Points::Most
        } else {
            Points::Nothing
        };
        let mut points_refused = None;
        let mut sold = self.till.sell(&shown, lines, points).await?;
        if points == Points::Most && sold.is_err() {
            points_refused = sold.err();
            sold = self.till.sell(&shown, lines, Points::Nothing).await?;
        }
        Ok(Done {
            place,
            welcome,
            points_refused,
            what: sold.map_or_else(What::Refused, What::Sold),
        })
    }

    /// The member, enrolled on the spot when this is the visit at which they join; and their welcome points.
    async fn who(&self, place: usize, customer: u32) -> anyhow::Result<(Shown, i64)> {
        let card = self.chain.card(customer);
        let refusal = match self.till.identify(card).await? {
            Ok(shown) => return Ok((shown, 0)),
            Err(refusal) => refusal,
        };
        if !self.chain.joins_at(customer, place) {
            bail!("customer {customer} is not known: {refusal}");
        }
        let (name, phone) = (format!("Customer {customer}"), format!("+79{customer:09}"));
        let joined = self.till.enrol(card, &name, &phone).await?;
        let welcome = joined.map_err(|refusal| anyhow!("customer {customer}: {refusal}"))?;
        let shown = self.till.identify(card).await?;
        let shown = shown.map_err(|refusal| anyhow!("customer {customer}: {refusal}"))?;
        Ok((shown, welcome))
    }
}
