//! Branches of one log, taken over as they grow: each operation counts once, under one name.

use ed25519_dalek::SigningKey;
use kopilka_crdt::clock::Stamp;
use kopilka_crdt::ids::{Incarnation, MemberId, NodeId, PartnerId, ProgrammeId, StoreId};
use kopilka_crdt::log::{Log, Tip};
use kopilka_crdt::operation::{Body, GiftChange};
use kopilka_hub::app::Hub;
use kopilka_hub::app::entities::NodeEntity;
use kopilka_hub::app::intake::{Arrived, Intake, Taken, adopt};
use kopilka_hub::store::{self, StoreSettings};
use kopilka_protocol::key::PublicKey;
use kopilka_protocol::message::{Adoption, Renewal};
use kopilka_protocol::segment::{Seal, Segment, Verified};
use kopilka_shell::clock;
use tempfile::TempDir;

const NODE: NodeId = NodeId(5);
const OWN: Incarnation = Incarnation(1);
const MEMBER: MemberId = MemberId(77);
const GIFT: &str = "cup";

fn node_key() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

fn adopted(number: u32) -> Incarnation {
    Incarnation(Incarnation::ADOPTED_FIRST + number)
}

/// One life of the node's disk.
#[derive(Clone)]
struct Disk {
    log: Log,
    entries: Vec<Vec<u8>>,
}

impl Disk {
    fn new() -> Self {
        let genesis = Tip::genesis(NODE, OWN);
        Self {
            log: Log::resume(NODE, OWN, genesis, Stamp::default()),
            entries: Vec::new(),
        }
    }

    /// As the disk goes on with gifts at this time; the time tells one history from another.
    fn write(&mut self, at_ms: u64, gifts: usize) {
        for _ in 0..gifts {
            let body = Body::Gift(GiftChange {
                member: MEMBER,
                code: GIFT.to_owned(),
                count: 1,
            });
            self.entries
                .push(self.log.append(at_ms, &body).unwrap().bytes);
        }
    }

    fn runs(&self) -> Vec<Verified> {
        let mut log = Tip::genesis(NODE, OWN);
        let mut runs = Vec::new();
        for entries in self.entries.chunks(1_000) {
            let base = log;
            for entry in entries {
                log = log.follow(entry).unwrap().0;
            }
            let segment = Segment {
                node: NODE,
                incarnation: OWN,
                base,
                entries: entries.to_vec(),
                signature: Seal::sign(&node_key(), NODE, OWN, log).signature,
            };
            runs.push(segment.verify(&PublicKey::of(&node_key())).unwrap());
        }
        runs
    }
}

struct House {
    hub: Hub,
    node: NodeEntity,
    _folder: TempDir,
}

impl House {
    /// A hub that has a node's log up to its sixth gift, of which the disk given back has the first three.
    async fn start() -> (Self, Disk) {
        let folder = tempfile::tempdir().unwrap();
        let settings = StoreSettings::Sqlite {
            path: folder.path().join("hub.sqlite"),
        };
        let store = store::open(&settings).await.unwrap();
        let hub = Hub::new(store, SigningKey::from_bytes(&[1; 32]), clock::now_ms);
        let node = NodeEntity {
            id: NODE,
            programme: ProgrammeId(1),
            store: StoreId(1),
            partner: PartnerId(1),
            key: PublicKey::of(&node_key()),
            incarnation: OWN,
            enrolled_ms: 0,
            revoked: false,
        };
        let house = Self {
            hub,
            node,
            _folder: folder,
        };
        let mut disk = Disk::new();
        disk.write(1, 3);
        let backup = disk.clone();
        disk.write(2, 3);
        for run in disk.runs() {
            let tip = run.seal.tip;
            let arrived = Arrived {
                node: house.node.clone(),
                run,
                keys: Vec::new(),
            };
            let intake = Intake::start(house.hub.clone());
            let taken = intake.submit(arrived).await.await.unwrap();
            assert_eq!(taken, Taken::Durable(tip, Vec::new()));
        }
        (house, backup)
    }

    async fn adopt(&self, disk: &Disk) -> Renewal {
        let runs = disk.runs();
        adopt(&self.hub, &self.node, &runs, &[]).await.unwrap()
    }

    /// How many gifts the member has, by the state and by the log of each incarnation.
    async fn gifts(&self) -> (i32, Vec<(Incarnation, u64)>) {
        let log = (NODE, OWN);
        let stored = &self.hub.store;
        let member = stored.member(ProgrammeId(1), MEMBER, log).await.unwrap();
        let (row, _) = member.unwrap();
        let mut lengths = Vec::new();
        for (incarnation, row) in stored.logs(NODE).await.unwrap() {
            let log = (NODE, incarnation);
            let last = row.tip.sequence;
            let operations = stored.operations_between(log, 0, last, 1 << 16).await;
            let operations = operations.unwrap();
            assert_eq!(operations.last().unwrap().id.sequence, last);
            lengths.push((incarnation, u64::try_from(operations.len()).unwrap()));
        }
        (row.member.gifts[GIFT], lengths)
    }

    async fn cases(&self) -> usize {
        let cases = self.hub.store.cases(ProgrammeId(1), None, 100).await;
        cases.unwrap().len()
    }
}

fn from(from_sequence: u64, number: u32) -> Option<Adoption> {
    Some(Adoption {
        from_sequence,
        incarnation: adopted(number),
    })
}

#[tokio::test]
async fn a_branch_that_has_grown_goes_on_where_it_was_taken_over() {
    let (house, mut disk) = House::start().await;
    disk.write(3, 2);
    assert_eq!(house.adopt(&disk).await.adopted, from(4, 0));
    assert_eq!(house.gifts().await, (8, vec![(OWN, 6), (adopted(0), 2)]));
    // The order to renew was lost, or came too late: once with nothing new, then with more.
    for (more, longer) in [(0, 2), (4, 6), (0, 6), (1, 7)] {
        disk.write(4, more);
        assert_eq!(house.adopt(&disk).await.adopted, from(4, 0));
        let counted = i32::try_from(longer).unwrap() + 6;
        let logs = vec![(OWN, 6), (adopted(0), longer)];
        assert_eq!(house.gifts().await, (counted, logs));
    }
    assert_eq!(house.cases().await, 1, "one fork, one case");
}

#[tokio::test]
async fn a_branch_that_was_restored_again_counts_what_is_new_only() {
    let (house, mut disk) = House::start().await;
    disk.write(3, 2);
    let backup = disk.clone();
    disk.write(3, 2);
    house.adopt(&disk).await;
    // All of it is there.
    assert_eq!(house.adopt(&backup).await.adopted, from(4, 0));
    let mut third = backup.clone();
    third.write(9, 3);
    assert_eq!(house.adopt(&third).await.adopted, from(6, 1));
    let logs = vec![(OWN, 6), (adopted(0), 4), (adopted(1), 3)];
    assert_eq!(house.gifts().await, (13, logs.clone()));
    house.adopt(&third).await;
    house.adopt(&disk).await;
    assert_eq!(house.gifts().await, (13, logs));
    assert_eq!(house.cases().await, 2);
}

#[tokio::test]
async fn a_branch_longer_than_a_transaction_is_taken_over_whole() {
    let (house, mut disk) = House::start().await;
    disk.write(3, 5_000);
    assert_eq!(house.adopt(&disk).await.adopted, from(4, 0));
    let logs = vec![(OWN, 6), (adopted(0), 5_000)];
    assert_eq!(house.gifts().await, (5_006, logs));
    assert_eq!(house.cases().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sessions_that_bring_one_branch_count_it_once() {
    let (house, mut disk) = House::start().await;
    disk.write(3, 40);
    let longer = {
        let mut longer = disk.clone();
        longer.write(4, 40);
        longer
    };
    let (first, second) = tokio::join!(house.adopt(&disk), house.adopt(&longer));
    assert_eq!((first.adopted, second.adopted), (from(4, 0), from(4, 0)));
    let logs = vec![(OWN, 6), (adopted(0), 80)];
    assert_eq!(house.gifts().await, (86, logs));
}
