//! Logs of sales as nodes write them: priced under the programme's rules, chained, sealed, cut into segments.

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use kopilka_crdt::clock::{Day, Stamp};
use kopilka_crdt::identifier::Identifier;
use kopilka_crdt::ids::{CashierId, MemberId, TillId};
use kopilka_crdt::log::{Log, Tip};
use kopilka_crdt::member::Member;
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{Body, Purchase, ReceiptKey, Tender, TenderKind};
use kopilka_hub::app::entities::NodeEntity;
use kopilka_protocol::segment::{Seal, Segment};
use kopilka_rules::Programme;
use kopilka_rules::pricing::{Wish, quote};
use kopilka_rules::promotion::Occasion;

use super::chain::Chain;
use super::people::{basket, card, drawn, id, person};

/// Between two sales of a node, milliseconds.
const INTERVAL_MS: u64 = 5;

/// One node's log, growing.
pub struct Seller<'a> {
    chain: &'a Chain,
    /// The node.
    pub node: NodeEntity,
    key: SigningKey,
    log: Log,
    rules: Arc<Programme>,
    buyer: Member,
    today: Day,
    members: u64,
    sold: u64,
    now_ms: u64,
}

impl<'a> Seller<'a> {
    /// A node that has sold nothing yet, to members 0 to `members`.
    pub async fn new(
        chain: &'a Chain,
        node: NodeEntity,
        key: SigningKey,
        members: u64,
    ) -> anyhow::Result<Self> {
        let rules = chain.hub.current_rules(chain.programme).await?;
        let rules = rules.ok_or_else(|| anyhow::anyhow!("the programme has rules"))?;
        let today = chain.today().await?;
        let buyer = person(0, &chain.lookup, today).member;
        let genesis = Tip::genesis(node.id, node.incarnation);
        Ok(Self {
            chain,
            log: Log::resume(node.id, node.incarnation, genesis, Stamp::default()),
            node,
            key,
            rules,
            buyer,
            today,
            members,
            sold: 0,
            now_ms: (chain.hub.clock)(),
        })
    }

    /// The next run of so many sales.
    pub fn segment(&mut self, sales: u64) -> anyhow::Result<Segment> {
        let base = self.log.tip();
        let mut entries = Vec::new();
        for _ in 0..sales {
            let body = Body::Purchase(self.purchase()?);
            entries.push(self.log.append(self.now_ms, &body)?.bytes);
            self.now_ms += INTERVAL_MS;
        }
        let (node, incarnation) = (self.node.id, self.node.incarnation);
        Ok(Segment {
            node,
            incarnation,
            base,
            entries,
            signature: Seal::sign(&self.key, node, incarnation, self.log.tip()).signature,
        })
    }

    fn purchase(&mut self) -> anyhow::Result<Purchase> {
        self.sold += 1;
        let buyer = drawn(u64::from(self.node.id.0) << 32 | self.sold, self.members);
        // All buyers are in one tier, so any of them gets the same price.
        let receipt = basket(u64::from(self.node.id.0) << 32 | self.sold);
        let quote = quote(
            &self.rules,
            &self.buyer,
            &receipt,
            Wish::Nothing,
            self.today,
        )?;
        let member: MemberId = id(buyer);
        Ok(Purchase {
            receipt: ReceiptKey {
                // Each node's receipts are of a till of its own.
                till: TillId(self.node.id.0),
                day: self.today,
                number: self.sold,
            },
            cashier: CashierId(7),
            member,
            card: Some(
                Identifier::card(&card(buyer))
                    .hash(&self.chain.lookup)
                    .tag(),
            ),
            publication: self.rules.number(),
            promoted: quote
                .promoted(&self.rules, &receipt, &Occasion::at(self.today))
                .expect("small amounts do not overflow"),
            lines: quote.lines,
            tenders: vec![Tender {
                kind: TenderKind::BankCard,
                amount: quote.to_pay,
            }],
            redeemed: None,
            authority: None,
            earned: quote.earned,
            counted: Minor(quote.to_pay.0),
            partner: self.chain.partner,
        })
    }
}
