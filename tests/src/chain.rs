//! A programme with its hub processes, stores and nodes, all enrolled and running.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::http::Http;
use crate::hub::{Database, HubServer};
use crate::line::Line;
use crate::node::{Engine, StoreNode};
use crate::scene::Scene;
use crate::till::{Customer, Till};
use crate::wait::until;

/// How long a new node may take until it has all members.
const BOOTSTRAP: Duration = Duration::from_secs(30);

/// What a chain is made of.
#[derive(Debug, Clone)]
pub struct ChainPlan {
    /// Where the hub keeps its data.
    pub database: Database,
    /// Hub processes on it.
    pub hubs: usize,
    /// A store with one node for each of them; node i begins with hub i modulo hubs.
    pub nodes: Vec<Engine>,
    /// Tills of each store.
    pub tills: usize,
}

impl ChainPlan {
    /// One hub on SQLite, and stores with a till each.
    pub fn small(nodes: &[Engine]) -> Self {
        Self {
            database: Database::Sqlite,
            hubs: 1,
            nodes: nodes.to_vec(),
            tills: 1,
        }
    }
}

/// A store.
#[derive(Debug, Clone)]
pub struct Store {
    /// Its identifier.
    pub id: String,
    /// Its tills, with their tokens.
    pub tills: Vec<(String, String)>,
    /// Its only cashier.
    pub cashier: String,
}

/// A running chain.
#[derive(Debug)]
pub struct Chain {
    /// The hub processes; all of them serve the same programme.
    pub hubs: Vec<HubServer>,
    /// The programme.
    pub programme: String,
    /// The owner of all stores.
    pub partner: String,
    /// The stores.
    pub stores: Vec<Store>,
    /// The nodes, one for each store unless more were added.
    pub nodes: Vec<StoreNode>,
    folder: PathBuf,
}

impl Chain {
    /// Starts everything and waits until all nodes have all members.
    pub async fn start(scene: &Scene, plan: ChainPlan) -> anyhow::Result<Self> {
        let mut hubs = Vec::new();
        for number in 0..plan.hubs {
            let name = format!("hub{number}");
            let mut hub = HubServer::new(&name, plan.database.clone(), scene.folder())?;
            if number == 0 {
                hub.add_owner().await?;
            }
            hub.start().await?;
            hubs.push(hub);
        }
        let names = json!({ "name_ru": "Копилка", "name_en": "Kopilka" });
        let programme = id_of(&hubs[0].post("/v1/programmes", &names).await?)?;
        let path = format!("/v1/programmes/{programme}/partners");
        let partner = id_of(
            &hubs[0]
                .post(&path, &json!({ "name": "Own stores" }))
                .await?,
        )?;
        let mut chain = Self {
            hubs,
            programme,
            partner,
            stores: Vec::new(),
            nodes: Vec::new(),
            folder: scene.folder().to_owned(),
        };
        for (number, engine) in plan.nodes.iter().enumerate() {
            chain.add_store(plan.tills).await?;
            chain.add_node(number, number % plan.hubs, *engine).await?;
            chain.nodes[number].start().await?;
        }
        for node in &chain.nodes {
            chain.has_members(node).await?;
        }
        Ok(chain)
    }

    /// Waits until a node has its snapshot and is connected.
    pub async fn has_members(&self, node: &StoreNode) -> anyhow::Result<()> {
        node.synced("its first snapshot", BOOTSTRAP, |status| {
            let feed = status["feed"].as_array();
            status["connected"] == true && feed.is_some_and(|feed| !feed.is_empty())
        })
        .await
        .map(|_| ())
    }

    /// The first hub process.
    pub fn hub(&self) -> &HubServer {
        &self.hubs[0]
    }

    /// A path below the programme.
    pub fn path(&self, rest: &str) -> String {
        format!("/v1/programmes/{}{rest}", self.programme)
    }

    /// Creates a store with tills and a cashier.
    pub async fn add_store(&mut self, tills: usize) -> anyhow::Result<&Store> {
        let name = format!("Store {}", self.stores.len() + 1);
        let body = json!({ "partner": self.partner, "name": name, "time_zone": "Europe/Moscow" });
        let id = id_of(&self.hub().post(&self.path("/stores"), &body).await?)?;
        let mut made = Vec::new();
        for number in 1..=tills {
            let path = format!("/v1/stores/{id}/tills");
            let till = self
                .hub()
                .post(&path, &json!({ "name": format!("Till {number}") }))
                .await?;
            let token = till["token"]
                .as_str()
                .context("a new till shows its token")?;
            made.push((id_of(&till)?, token.to_owned()));
        }
        let path = format!("/v1/stores/{id}/cashiers");
        let cashier = id_of(&self.hub().post(&path, &json!({ "name": "Olga" })).await?)?;
        self.stores.push(Store {
            id,
            tills: made,
            cashier,
        });
        self.stores.last().context("just pushed")
    }

    /// An enrolment code for a store.
    pub async fn code(&self, store: usize) -> anyhow::Result<String> {
        let path = format!("/v1/stores/{}/node-codes", self.stores[store].id);
        let issued = self.hub().post(&path, &json!({})).await?;
        Ok(issued["code"].as_str().context("a code")?.to_owned())
    }

    /// Enrols a node for a store, with a line to one of the hubs. It does not run yet.
    pub async fn add_node(
        &mut self,
        store: usize,
        hub: usize,
        engine: Engine,
    ) -> anyhow::Result<&mut StoreNode> {
        let line = Line::to(self.hubs[hub].quic).await?;
        let name = format!("node{}", self.nodes.len());
        let mut node = StoreNode::new(&name, engine, line, &self.folder)?;
        node.enrol(&self.code(store).await?).await?;
        let Store { tills, cashier, .. } = &self.stores[store];
        for (id, token) in tills {
            node.tills.push(Till {
                id: id.clone(),
                cashier: cashier.clone(),
                http: Http::new(node.address, token)?,
            });
        }
        self.nodes.push(node);
        self.nodes.last_mut().context("just pushed")
    }

    /// A member as the hub has them.
    pub async fn member(&self, customer: &Customer) -> anyhow::Result<Value> {
        let path = self.path(&format!("/members/{}", customer.member));
        self.hub().get(&path).await
    }

    /// A member's operations at the hub, newest first.
    pub async fn operations(&self, customer: &Customer) -> anyhow::Result<Vec<Value>> {
        let mut found = Vec::new();
        let mut before = String::new();
        loop {
            let rest = format!("/members/{}/operations?limit=200{before}", customer.member);
            let page = self.hub().get(&self.path(&rest)).await?;
            found.extend(page["items"].as_array().context("a page")?.iter().cloned());
            match page["next"].as_str() {
                Some(next) => before = format!("&before={next}"),
                None => return Ok(found),
            }
        }
    }

    /// Blocks or releases a card; gives the order's number.
    pub async fn order(&self, card: &str, blocked: bool) -> anyhow::Result<u64> {
        let body = json!({ "number": card, "blocked": blocked, "reason": "lost" });
        let ordered = self.hub().post(&self.path("/blocks"), &body).await?;
        ordered["number"].as_u64().context("an order has a number")
    }

    /// The programme's cases.
    pub async fn cases(&self) -> anyhow::Result<Vec<Value>> {
        let page = self.hub().get(&self.path("/cases?limit=200")).await?;
        Ok(page["items"].as_array().context("a page")?.clone())
    }

    /// Waits until the hub and all nodes say the same of these members; gives it, member by member.
    pub async fn agreed(
        &self,
        customers: &[&Customer],
        bound: Duration,
    ) -> anyhow::Result<Vec<Standing>> {
        for node in &self.nodes {
            node.level(bound).await?;
        }
        let mut standings = Vec::new();
        for customer in customers {
            let mut last = Vec::new();
            let found = until("hub and nodes agree", bound, async || {
                last = self.standings(customer).await?;
                let same = last.iter().all(|standing| *standing == last[0]);
                Ok(same.then(|| last[0]))
            })
            .await;
            match found {
                Ok(standing) => standings.push(standing),
                Err(error) => bail!("{error}: hub, then nodes: {last:?}"),
            }
        }
        Ok(standings)
    }

    async fn standings(&self, customer: &Customer) -> anyhow::Result<Vec<Standing>> {
        let mut found = vec![Standing::at_hub(&self.member(customer).await?)?];
        for node in &self.nodes {
            // A node that has not heard of the member yet does not agree.
            let member = node.till().member(customer).await;
            found.push(
                member
                    .and_then(|member| Standing::at_node(&member))
                    .unwrap_or_default(),
            );
        }
        Ok(found)
    }
}

/// What two replicas must say the same of, minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Points that may be spent today.
    pub spendable: i64,
    /// Points taken beyond what was credited.
    pub debt: i64,
    /// Money that counts towards tiers.
    pub counted: i64,
    /// Number of purchases.
    pub purchases: i64,
}

impl Standing {
    fn at_hub(member: &Value) -> anyhow::Result<Self> {
        let account = &member["accounts"][0];
        Ok(Self {
            spendable: number(&account["spendable_minor"])?,
            debt: number(&account["debt_minor"])?,
            counted: number(&member["counted_minor"])?,
            purchases: number(&member["purchases"])?,
        })
    }

    fn at_node(member: &Value) -> anyhow::Result<Self> {
        let account = &member["balances"][0];
        Ok(Self {
            spendable: number(&account["spendable"])?,
            debt: number(&account["debt"])?,
            counted: number(&member["counted"])?,
            purchases: number(&member["purchases"])?,
        })
    }
}

fn number(value: &Value) -> anyhow::Result<i64> {
    value
        .as_i64()
        .with_context(|| format!("not a number: {value}"))
}

fn id_of(made: &Value) -> anyhow::Result<String> {
    Ok(made["id"]
        .as_str()
        .context("what was made has an id")?
        .to_owned())
}
