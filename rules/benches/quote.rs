//! Pricing in process: the part of the 50 µs target for a quote that is the rules' own.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kopilka_crdt::clock::Day;
use kopilka_crdt::ids::{AccountId, Incarnation, LotId, NodeId, OperationId, ProgrammeId};
use kopilka_crdt::ledger::Lot;
use kopilka_crdt::member::Member;
use kopilka_crdt::money::{Milli, Minor};
use kopilka_crdt::rulebook::model::Text;
use kopilka_crdt::rulebook::{Publication, RuleBook};
use kopilka_rules::Programme;
use kopilka_rules::pricing::{ReceiptLine, Wish, quote};

const TODAY: Day = Day(20_000);
const LOTS: u64 = 20;

fn buyer() -> Member {
    let mut buyer = Member::default();
    let account = buyer.accounts.entry(AccountId(1)).or_default();
    for sequence in 1..=LOTS {
        let operation = OperationId {
            node: NodeId(1),
            incarnation: Incarnation(1),
            sequence,
        };
        let lot = Lot {
            amount: Minor(1_000),
            expires_on: Some(TODAY.plus(100)),
            ..Lot::default()
        };
        account.lots.insert(
            LotId {
                operation,
                index: 0,
            },
            lot,
        );
    }
    buyer
}

fn receipt(lines: u64) -> Vec<ReceiptLine> {
    (0..lines)
        .map(|place| ReceiptLine {
            sku: format!("46012345{place:05}"),
            group: if place % 7 == 0 { "tobacco" } else { "dairy" }.to_owned(),
            quantity: Milli(500 + place),
            unit_price: Minor(9_990),
            discount: Minor::ZERO,
            price_min: None,
            attributes: std::collections::BTreeMap::new(),
        })
        .collect()
}

fn quotes(criterion: &mut Criterion) {
    let rules = RuleBook::starter(Text::new("Копилка", "Kopilka"));
    let publication = Publication::new(ProgrammeId(1), 1, 0, &rules);
    let programme = Programme::compile(&publication).expect("the starter is sound");
    let buyer = buyer();
    let mut group = criterion.benchmark_group("quote");
    for lines in [5, 50, 500] {
        let receipt = receipt(lines);
        group.throughput(Throughput::Elements(lines));
        group.bench_with_input(
            BenchmarkId::from_parameter(lines),
            &receipt,
            |bench, receipt| {
                bench.iter(|| quote(&programme, &buyer, receipt, Wish::Most, TODAY));
            },
        );
    }
    group.finish();
}

criterion_group!(benches, quotes);
criterion_main!(benches);
