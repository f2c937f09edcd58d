//! A store without a node: it keeps a log, draws by the ladder on what the hub told it, and sends what it wrote.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use kopilka_crdt::clock::{Day, Stamp};
use kopilka_crdt::ids::{
    AccountId, CashierId, Incarnation, MemberId, NodeId, PartnerId, PromotionId, StoreId, TillId,
};
use kopilka_crdt::ledger::apply;
use kopilka_crdt::log::{Log, Tip, decode_entry};
use kopilka_crdt::member::Member;
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{Body, Charge, Enrolment, ReceiptKey};
use kopilka_crdt::rulebook::Publication;
use kopilka_crdt::rulebook::model::{AccountRules, GiftCardRules, SeriesRules, Text};
use kopilka_hub::app::Hub;
use kopilka_hub::app::action::Actor;
use kopilka_hub::app::catalogue::programmes;
use kopilka_hub::app::entities::NodeEntity;
use kopilka_hub::app::intake::{Arrived, Intake, Taken};
use kopilka_hub::app::kept;
use kopilka_hub::app::rulebook::publish::{rules, signed};
use kopilka_protocol::key::PublicKey;
use kopilka_protocol::message::{Reply, ReserveRequest, VerdictNote};
use kopilka_protocol::segment::{Seal, Segment};
use kopilka_rules::Moment;
use kopilka_rules::redemption::{Asking, HubAnswer, authorise};

use crate::hubs::PROGRAMME;

/// What the hub's clock shows.
pub const NOW_MS: u64 = 1_790_000_000_000;
/// The account of both series of coupons' units.
pub const COUPONS: AccountId = AccountId(2);
/// The account of gift cards.
pub const GIFTS: AccountId = AccountId(4);
/// The promotion with a limit of the programme.
pub const LIMITED: PromotionId = PromotionId(7);
const OWN: Incarnation = Incarnation(1);

/// Puts rules in force with coupons, gift cards, a tag, and a promotion for so many customers.
pub async fn publish(hub: &Hub, most: u64) {
    let mut entity = programmes::one(hub, PROGRAMME).await.unwrap();
    let mut book = rules(hub, PROGRAMME, 1).await.unwrap();
    for (id, code) in [(COUPONS, "next"), (AccountId(3), "fixed"), (GIFTS, "gifts")] {
        let account = AccountRules {
            code: code.to_owned(),
            name: Text::new(code, code),
            active_after_days: 0,
            expires_after_days: Some(30),
        };
        book.accounts.insert(id, account);
    }
    for (account, code, transferable) in [(COUPONS, "next", true), (AccountId(3), "fixed", false)] {
        let series = SeriesRules {
            name: Text::new(code, code),
            account,
            per_member_max: Some(2),
            transferable,
            comes_back: true,
        };
        book.coupons.insert(code.to_owned(), series);
    }
    book.gift_cards = Some(GiftCardRules {
        account: GIFTS,
        load_min_minor: Minor(10_000),
        balance_max_minor: Minor(1_000_000),
    });
    book.tags
        .insert("parents".to_owned(), Text::new("Родители", "Parents"));
    let promotion = serde_json::json!({
        "name": { "ru": "Первым", "en": "First come" }, "stage": "receipt", "offline": "allowance",
        "effects": [{ "kind": "discount", "off": { "by": "percent", "permille": 100 } }],
        "limits": [{ "scope": "programme", "most": most }],
    });
    book.promotions
        .insert(LIMITED, serde_json::from_value(promotion).unwrap());
    entity.value.publication += 1;
    let publication = Publication::new(PROGRAMME, entity.value.publication, NOW_MS, &book);
    let publication = signed(hub, publication, &Actor::command_line(), "");
    let changes = [entity.change(), kept::create(&publication)];
    hub.store.change_entities(&changes, None).await.unwrap();
}

/// A store.
pub struct Shop {
    pub node: NodeEntity,
    hub: Hub,
    intake: Intake,
    key: SigningKey,
    log: Log,
    sent: Tip,
    entries: Vec<Vec<u8>>,
    replica: BTreeMap<MemberId, Member>,
}

impl Shop {
    pub fn new(hub: &Hub, number: u8) -> Self {
        let key = SigningKey::from_bytes(&[number; 32]);
        let id = NodeId(number.into());
        let genesis = Tip::genesis(id, OWN);
        Self {
            node: NodeEntity {
                id,
                programme: PROGRAMME,
                store: StoreId(number.into()),
                partner: PartnerId(1),
                key: PublicKey::of(&key),
                incarnation: OWN,
                enrolled_ms: 0,
                revoked: false,
            },
            hub: hub.clone(),
            intake: Intake::start(hub.clone()),
            key,
            log: Log::resume(id, OWN, genesis, Stamp::default()),
            sent: genesis,
            entries: Vec::new(),
            replica: BTreeMap::new(),
        }
    }

    /// Notes an operation in the log and in what the store knows.
    pub fn write(&mut self, body: &Body) {
        let appended = self.log.append(NOW_MS, body).unwrap();
        assert!(decode_entry(&appended.bytes).is_ok());
        if let Some(member) = body.member().and_then(|id| self.replica.get_mut(&id)) {
            apply(member, appended.id, appended.stamp, body).unwrap();
        }
        self.entries.push(appended.bytes);
    }

    /// A new member joins here.
    pub async fn enrol(&mut self) -> MemberId {
        let member = MemberId(99);
        self.write(&Body::Enrol(Enrolment {
            member,
            identifiers: Vec::new(),
            card: None,
            profile: Vec::new(),
            consents: Vec::new(),
            credits: Vec::new(),
            partner: PartnerId(1),
            till: Some(TillId(1)),
            cashier: Some(CashierId(1)),
            referrer: None,
        }));
        assert_eq!(self.sync().await, []);
        member
    }

    /// Sends what was written; gives the verdicts that are no plain acceptance, and learns what the hub knows.
    pub async fn sync(&mut self) -> Vec<VerdictNote> {
        let tip = self.log.tip();
        if tip.sequence == self.sent.sequence {
            return Vec::new();
        }
        let segment = Segment {
            node: self.node.id,
            incarnation: OWN,
            base: self.sent,
            entries: std::mem::take(&mut self.entries),
            signature: Seal::sign(&self.key, self.node.id, OWN, tip).signature,
        };
        let arrived = Arrived {
            node: self.node.clone(),
            run: segment.verify(&PublicKey::of(&self.key)).unwrap(),
            keys: Vec::new(),
        };
        let taken = self.intake.submit(arrived).await.await.unwrap();
        let Taken::Durable(durable, notes) = taken else {
            panic!("{taken:?}");
        };
        assert_eq!(durable, tip);
        self.sent = tip;
        for id in self.replica.keys().copied().collect::<Vec<_>>() {
            self.learn(id).await;
        }
        notes
    }

    async fn learn(&mut self, id: MemberId) {
        let state = self.hub.member_state(&self.node, OWN, id).await.unwrap();
        let member = Member::decode(&state.unwrap().member.record).unwrap();
        self.replica.insert(id, member);
    }

    /// Asks the hub for a right on the spot; the store has to have sent what it wrote.
    pub async fn reserve(&mut self, member: MemberId, account: AccountId, amount: i64) -> bool {
        let request = ReserveRequest {
            member,
            account,
            amount: Minor(amount),
            deadline_ms: 100,
        };
        let reply = self.hub.reserve(&self.node, &request).await.unwrap();
        self.learn(member).await;
        matches!(reply, Reply::Reserved(_))
    }

    /// Draws within the rights that the store knows of; none when they do not suffice.
    pub async fn draw(
        &mut self,
        member: MemberId,
        account: AccountId,
        amount: i64,
    ) -> Option<Charge> {
        if !self.replica.contains_key(&member) {
            self.learn(member).await;
        }
        let asking = Asking {
            node: self.node.id,
            incarnation: OWN,
            account,
            amount: Minor(amount),
            held_rights: &BTreeMap::new(),
            held_takes: &[],
            margin_ms: 0,
        };
        let moment = Moment {
            now_ms: NOW_MS,
            offset_seconds: 0,
        };
        let known = &self.replica[&member];
        let authorised = authorise(known, &asking, HubAnswer::Unreachable, moment).ok()?;
        let charge = Charge {
            member,
            card: None,
            receipt: ReceiptKey {
                till: TillId(self.node.id.0),
                day: Day::from_ms(NOW_MS, 0),
                number: self.log.tip().sequence + 1,
            },
            cashier: CashierId(1),
            taken: Some(authorised.takes),
            authority: Some(authorised.authority),
            counted: None,
        };
        self.write(&Body::Charge(charge.clone()));
        Some(charge)
    }
}
