//! Receipts that a node sold, for tests of what the hub does with them.

use ed25519_dalek::SigningKey;
use kopilka_crdt::clock::{Day, Stamp};
use kopilka_crdt::ids::{
    CashierId, Incarnation, MemberId, NodeId, PartnerId, ProgrammeId, StoreId, TillId,
};
use kopilka_crdt::log::{Log, Tip};
use kopilka_crdt::member::Member;
use kopilka_crdt::money::{Milli, Minor};
use kopilka_crdt::operation::{Body, Purchase, ReceiptKey};
use kopilka_hub::app::Hub;
use kopilka_hub::app::entities::NodeEntity;
use kopilka_hub::app::intake::{Arrived, Intake, Taken};
use kopilka_protocol::key::PublicKey;
use kopilka_protocol::segment::{Seal, Segment};
use kopilka_rules::pricing::{ReceiptLine, Wish, quote};

const PROGRAMME: ProgrammeId = ProgrammeId(1);
const NODE: NodeId = NodeId(5);
const OWN: Incarnation = Incarnation(1);

/// Takes in receipts of one line each, for these prices, under the rules in force, of a member in the lowest tier.
pub async fn sell(hub: &Hub, prices: &[i64]) {
    let key = SigningKey::from_bytes(&[2; 32]);
    let now_ms = (hub.clock)();
    let rules = hub.current_rules(PROGRAMME).await.unwrap().unwrap();
    let today = hub.moment(&rules).today();
    let base = Tip::genesis(NODE, OWN);
    let mut log = Log::resume(NODE, OWN, base, Stamp::default());
    let entries = (1..).zip(prices).map(|(number, price)| {
        let body = Body::Purchase(purchase(&rules, today, number, *price));
        log.append(now_ms, &body).unwrap().bytes
    });
    let entries: Vec<_> = entries.collect();
    let segment = Segment {
        node: NODE,
        incarnation: OWN,
        base,
        entries,
        signature: Seal::sign(&key, NODE, OWN, log.tip()).signature,
    };
    let arrived = Arrived {
        node: NodeEntity {
            id: NODE,
            programme: PROGRAMME,
            store: StoreId(1),
            partner: PartnerId(1),
            key: PublicKey::of(&key),
            incarnation: OWN,
            enrolled_ms: 0,
            revoked: false,
        },
        run: segment.verify(&PublicKey::of(&key)).unwrap(),
        keys: Vec::new(),
    };
    let taken = Intake::start(hub.clone()).submit(arrived).await.await;
    assert_eq!(taken.unwrap(), Taken::Durable(log.tip(), Vec::new()));
}

fn purchase(rules: &kopilka_rules::Programme, today: Day, number: u64, price: i64) -> Purchase {
    let receipt = [ReceiptLine {
        sku: "A".to_owned(),
        group: String::new(),
        quantity: Milli::ONE,
        unit_price: Minor(price),
        discount: Minor(0),
        price_min: None,
        attributes: std::collections::BTreeMap::new(),
    }];
    let quoted = quote(rules, &Member::default(), &receipt, Wish::Nothing, today).unwrap();
    Purchase {
        receipt: ReceiptKey {
            till: TillId(1),
            day: today,
            number,
        },
        cashier: CashierId(1),
        member: MemberId(77),
        card: None,
        publication: rules.number(),
        promoted: None,
        lines: quoted.lines,
        tenders: Vec::new(),
        redeemed: None,
        authority: None,
        earned: quoted.earned,
        counted: quoted.to_pay,
        partner: PartnerId(1),
    }
}
