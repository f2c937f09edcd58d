//! What may be taken back: a purchase or charge that the hub counted, of the same member or record.

use ed25519_dalek::SigningKey;
use kopilka_crdt::clock::{Day, Stamp};
use kopilka_crdt::ids::{
    CashierId, Incarnation, MemberId, NodeId, OperationId, PartnerId, ProgrammeId, PromotionId,
    StoreId, TillId,
};
use kopilka_crdt::log::{Log, Tip};
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{
    Applied, Body, Charge, Counting, GiftChange, ReceiptKey, Refund, Verdict,
};
use kopilka_hub::app::Hub;
use kopilka_hub::app::entities::NodeEntity;
use kopilka_hub::app::intake::{Arrived, Intake, Taken};
use kopilka_hub::store::{self, StoreSettings};
use kopilka_protocol::key::PublicKey;
use kopilka_protocol::segment::{Seal, Segment};
use kopilka_shell::clock;
use tempfile::TempDir;

const NODE: NodeId = NodeId(5);
const OWN: Incarnation = Incarnation(1);
const RECORD: MemberId = MemberId(77);
const OTHER: MemberId = MemberId(78);
const USED: Applied = Applied {
    promotion: PromotionId(1),
    off: Minor(100),
    points: Minor::ZERO,
    counting: Counting::Not,
};

fn node_key() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

struct House {
    hub: Hub,
    log: Log,
    _folder: TempDir,
}

impl House {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = StoreSettings::Sqlite {
            path: folder.path().join("hub.sqlite"),
        };
        let store = store::open(&settings).await.unwrap();
        Self {
            hub: Hub::new(store, SigningKey::from_bytes(&[1; 32]), clock::now_ms),
            log: Log::resume(NODE, OWN, Tip::genesis(NODE, OWN), Stamp::default()),
            _folder: folder,
        }
    }

    /// Sends operations in one run; gives those that were not simply accepted.
    async fn send(&mut self, bodies: &[Body]) -> Vec<(u64, Verdict)> {
        let base = self.log.tip();
        let entries = bodies
            .iter()
            .map(|body| self.log.append(1, body).unwrap().bytes);
        let entries: Vec<_> = entries.collect();
        let tip = self.log.tip();
        let segment = Segment {
            node: NODE,
            incarnation: OWN,
            base,
            entries,
            signature: Seal::sign(&node_key(), NODE, OWN, tip).signature,
        };
        let key = PublicKey::of(&node_key());
        let node = NodeEntity {
            id: NODE,
            programme: ProgrammeId(1),
            store: StoreId(1),
            partner: PartnerId(1),
            key,
            incarnation: OWN,
            enrolled_ms: 0,
            revoked: false,
        };
        let arrived = Arrived {
            node,
            run: segment.verify(&key).unwrap(),
            keys: Vec::new(),
        };
        let intake = Intake::start(self.hub.clone());
        let taken = intake.submit(arrived).await.await.unwrap();
        let Taken::Durable(durable, notes) = taken else {
            panic!("the run was not taken in: {taken:?}");
        };
        assert_eq!(durable, tip);
        let notes = notes.iter();
        notes
            .map(|note| (note.operation.sequence, note.verdict))
            .collect()
    }
}

fn charge(member: MemberId) -> Body {
    Body::Charge(Charge {
        member,
        card: None,
        receipt: ReceiptKey {
            till: TillId(1),
            day: Day(0),
            number: 1,
        },
        cashier: CashierId(1),
        taken: None,
        authority: None,
        counted: Some(USED),
    })
}

fn refund(sequence: u64, uncounts: bool) -> Body {
    Body::Refund(Refund {
        member: RECORD,
        charge: OperationId {
            node: NODE,
            incarnation: OWN,
            sequence,
        },
        till: TillId(1),
        cashier: CashierId(1),
        day: Day(0),
        restored: None,
        uncounted: uncounts.then_some(USED),
    })
}

#[tokio::test]
async fn a_refund_names_a_charge_of_its_record() {
    let mut house = House::start().await;
    let gift = Body::Gift(GiftChange {
        member: RECORD,
        code: "cup".to_owned(),
        count: 1,
    });
    // A charge, another record's, and something else: first in the same run as what gives them back.
    let run = [
        charge(RECORD),
        charge(OTHER),
        gift,
        refund(1, true),
        refund(2, false),
        refund(3, false),
        refund(99, false),
    ];
    let contested = |sequences: &[u64]| -> Vec<_> {
        let sequences = sequences.iter();
        sequences
            .map(|sequence| (*sequence, Verdict::Contested))
            .collect()
    };
    assert_eq!(house.send(&run).await, contested(&[5, 6, 7]));
    // Then in runs of their own, by what is stored.
    let run = [refund(1, false), refund(2, false), refund(3, false)];
    assert_eq!(house.send(&run).await, contested(&[9, 10]));
    // The use was given back already.
    assert_eq!(house.send(&[refund(1, true)]).await, contested(&[11]));
}
