//! A hub of the real parts in this process, with a programme, a store, nodes and as many members as are asked for.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::Context;
use ed25519_dalek::SigningKey;
use kopilka_crdt::clock::Day;
use kopilka_crdt::identifier::LookupKey;
use kopilka_crdt::ids::{AccountId, Incarnation, NodeId, PartnerId, ProgrammeId, StoreId};
use kopilka_crdt::rulebook::Publication;
use kopilka_crdt::rulebook::model::{AccountRules, RuleBook, Text};
use kopilka_hub::app::Hub;
use kopilka_hub::app::action::Actor;
use kopilka_hub::app::catalogue::stores::{self, NewStore};
use kopilka_hub::app::catalogue::{programmes, tills};
use kopilka_hub::app::entities::{Kept, NodeEntity};
use kopilka_hub::app::{kept, rulebook};
use kopilka_hub::store::{self, Changes, Keys, Rows, StoreSettings};
use kopilka_hub::sync::SyncServer;
use kopilka_node::identity::{self, Identity};
use kopilka_node::store::{CACHE_BYTES_DEFAULT, EngineKind};
use kopilka_protocol::key::PublicKey;
use kopilka_shell::shutdown::{self, ShutdownTrigger};
use kopilka_shell::{clock, key_file};
use tokio::task::JoinHandle;

use super::people::{ACCOUNTS, person};
use super::progress::Bar;

/// Members of one transaction; each names three rows, of which a decision loads 16,384 at most.
const FILL_MEMBERS: u64 = 4_000;

/// A hub with one store.
pub struct Chain {
    /// The hub.
    pub hub: Hub,
    /// The programme.
    pub programme: ProgrammeId,
    /// The store's owner.
    pub partner: PartnerId,
    /// The store.
    pub store: StoreId,
    /// The token of the store's till.
    pub token: String,
    /// The programme's secret for look-ups.
    pub lookup: LookupKey,
}

/// A listener for nodes; it ends with this value.
pub struct Serving {
    /// Where nodes connect.
    pub address: SocketAddr,
    trigger: ShutdownTrigger,
    task: JoinHandle<()>,
}

/// The starter rules with an account for each currency of a member.
pub fn rule_book() -> RuleBook {
    let mut rules = RuleBook::starter(Text::new("Копилка", "Kopilka"));
    for number in 2..=ACCOUNTS {
        let account = AccountRules {
            code: format!("account_{number}"),
            name: Text::new("Счёт", "Account"),
            active_after_days: 0,
            expires_after_days: None,
        };
        rules.accounts.insert(AccountId(number), account);
    }
    rules
}

impl Chain {
    /// Opens a store and sets a new programme up in it.
    pub async fn open(settings: &StoreSettings) -> anyhow::Result<Self> {
        let key = SigningKey::from_bytes(&clock::random_bytes());
        let hub = Hub::new(store::open(settings).await?, key, clock::now_ms);
        let actor = Actor::command_line();
        let programme = programmes::create(&hub, &actor, &Text::new("Замер", "Measured")).await?;
        let partner = programmes::create_partner(&hub, &actor, programme.id, "Partner").await?;
        let new = NewStore {
            programme: programme.id,
            partner: partner.id,
            name: "Store".to_owned(),
            time_zone: "Europe/Moscow".to_owned(),
            groups: Vec::new(),
        };
        let store = stores::create(&hub, &actor, new).await?;
        let till = tills::create(&hub, &actor, store.id, "Till").await?;
        let chain = Self {
            hub,
            programme: programme.id,
            partner: partner.id,
            store: store.id,
            token: till.token,
            lookup: programme.lookup_key,
        };
        chain.publish(&rule_book(), "three accounts").await?;
        Ok(chain)
    }

    /// Signs and stores rules under the next number, past the draft, and tells connected nodes; gives the number.
    pub async fn publish(&self, rules: &RuleBook, note: &str) -> anyhow::Result<u32> {
        let actor = Actor::command_line();
        let mut programme = programmes::one(&self.hub, self.programme).await?;
        let number = programme.value.publication + 1;
        let publication = Publication::new(self.programme, number, clock::now_ms(), rules);
        let signed = rulebook::publish::signed(&self.hub, publication, &actor, note);
        programme.value.publication = number;
        let changes = [programme.change(), kept::create(&signed)];
        self.hub.store.change_entities(&changes, None).await?;
        self.hub.look_for_news().await?;
        Ok(number)
    }

    /// Today in the programme's calendar.
    pub async fn today(&self) -> anyhow::Result<Day> {
        let rules = self.hub.current_rules(self.programme).await?;
        let rules = rules.context("the programme has rules")?;
        Ok(self.hub.moment(&rules).today())
    }

    /// Writes members 0 to `count` into the store.
    pub async fn fill(&self, count: u64, bar: &Bar) -> anyhow::Result<()> {
        let today = self.today().await?;
        let mut first = 0;
        while first < count {
            let end = count.min(first + FILL_MEMBERS);
            self.fill_batch(first..end, today).await?;
            bar.advance(end - first);
            first = end;
        }
        self.hub.look_for_news().await?;
        Ok(())
    }

    async fn fill_batch(&self, numbers: std::ops::Range<u64>, today: Day) -> anyhow::Result<()> {
        let mut keys = Keys {
            programme: self.programme.0,
            ..Keys::default()
        };
        let mut changes = Changes::default();
        for number in numbers {
            let person = person(number, &self.lookup, today);
            keys.members.push(person.id);
            for (kind, hash) in person.identifiers {
                keys.identifiers.push(hash);
                changes.identifiers.push((hash, kind, person.id));
            }
            changes.members.insert(person.id, (person.member, None));
        }
        let mut decision = |_: &Rows| changes.clone();
        self.hub.store.decide(&keys, &mut decision).await?;
        Ok(())
    }

    /// Enrols nodes of the store by their keys.
    pub async fn enrol(&self, keys: &[SigningKey]) -> anyhow::Result<Vec<NodeEntity>> {
        let mut nodes = Vec::with_capacity(keys.len());
        for key in keys {
            nodes.push(NodeEntity {
                id: NodeId(self.hub.store.next_number(NodeEntity::KIND).await?),
                programme: self.programme,
                store: self.store,
                partner: self.partner,
                key: PublicKey::of(key),
                incarnation: Incarnation(1),
                enrolled_ms: clock::now_ms(),
                revoked: false,
            });
        }
        let changes: Vec<_> = nodes.iter().map(kept::create).collect();
        self.hub.store.change_entities(&changes, None).await?;
        self.hub.look_for_news().await?;
        Ok(nodes)
    }

    /// Makes the folder of an enrolled node, as `kopilka-node enrol` leaves it.
    pub async fn node_folder(&self, folder: &Path, hub: SocketAddr) -> anyhow::Result<NodeEntity> {
        std::fs::create_dir_all(folder)?;
        let key = key_file::load_or_create(&identity::key_path(folder))?;
        let mut nodes = self.enrol(&[key]).await?;
        let node = nodes.pop().context("one key enrols one node")?;
        let identity = Identity {
            node: node.id,
            incarnation: node.incarnation,
            programme: node.programme,
            store: node.store,
            hub: self.hub.public_key(),
        };
        let engine = kopilka_node::store::open(EngineKind::Redb, folder, CACHE_BYTES_DEFAULT)?;
        identity.write(engine.as_ref(), &hub.to_string())?;
        Ok(node)
    }

    /// Listens for nodes on loopback.
    pub fn serve(&self) -> anyhow::Result<Serving> {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = SyncServer::bind(self.hub.clone(), any_port)?;
        let address = server.address()?;
        let (trigger, shutdown) = shutdown::channel();
        Ok(Serving {
            address,
            trigger,
            task: tokio::spawn(server.serve(shutdown)),
        })
    }
}

impl Serving {
    /// Closes all connections.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.trigger.request();
        Ok(self.task.await?)
    }
}
