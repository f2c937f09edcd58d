//! How many operations a second the hub's store takes in, with the limit beside it: a bare disk sync of a batch's bytes.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kopilka_crdt::clock::{Day, Stamp};
use kopilka_crdt::ids::{
    AccountId, Incarnation, LotId, MemberId, NodeId, OperationId, PartnerId, StoreId, TillId,
};
use kopilka_crdt::ledger::{Account, Cause, Lot};
use kopilka_crdt::log::Tip;
use kopilka_crdt::member::Member;
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{ReceiptKey, Verdict};
use kopilka_hub::store::{
    self, Changes, Keys, LogRow, MemberRow, OperationRow, Rows, Store, StoreSettings,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_postgres::NoTls;

const POSTGRES_VARIABLE: &str = "KOPILKA_TEST_POSTGRES";
const PARTITIONS: u16 = 8;
/// Operations of a batch, each about a member of its own.
const BATCH: u64 = 2_000;
/// Members in all.
const MEMBERS: u64 = 100_000;
/// An entry with some ten lines.
const ENTRY_BYTES: usize = 300;
const LOTS_KEPT: usize = 8;
const NODES: u32 = 50;
/// What a batch comes to: an entry, a member and a receipt each operation.
const BATCH_BYTES: usize = 1_200_000;
const PROGRAMME: u16 = 1;

/// Spreads numbers over all members, so that a batch names each at most once.
fn member_of(number: u64) -> MemberId {
    let mut seed = [0; 16];
    seed[..8].copy_from_slice(&(number % MEMBERS).to_le_bytes());
    MemberId::from_seed(seed)
}

struct Intake {
    store: Arc<dyn Store>,
    batch: u64,
}

impl Intake {
    /// A store with all its members.
    async fn open(settings: &StoreSettings) -> Self {
        let store = store::open(settings).await.expect("a new store opens");
        let mut intake = Self { store, batch: 0 };
        for _ in 0..MEMBERS / BATCH {
            intake.take_in().await;
        }
        intake
    }

    /// One segment of one node: a purchase by each of `BATCH` members.
    async fn take_in(&mut self) {
        let node = NodeId(u32::try_from(self.batch).expect("few batches") % NODES + 1);
        let first = self.batch * BATCH;
        self.batch += 1;
        let numbers = first..first + BATCH;
        let keys = Keys {
            programme: PROGRAMME,
            members: numbers.clone().map(member_of).collect(),
            receipts: numbers.clone().map(receipt_of).collect(),
            nodes: vec![node],
            ..Keys::default()
        };
        let mut decision = |rows: &Rows| purchases(rows, node, numbers.clone());
        self.store
            .decide(&keys, &mut decision)
            .await
            .expect("the store takes a batch in");
    }
}

fn receipt_of(number: u64) -> ReceiptKey {
    ReceiptKey {
        till: TillId(u32::try_from(number % 200).expect("below 200")),
        day: Day(20_000),
        number,
    }
}

fn purchases(rows: &Rows, node: NodeId, numbers: std::ops::Range<u64>) -> Changes {
    let log = (node, Incarnation(1));
    let mut tip = rows
        .logs
        .get(&log)
        .map_or_else(|| Tip::genesis(log.0, log.1), |row| row.tip);
    let mut changes = Changes::default();
    for number in numbers {
        tip.sequence += 1;
        tip.stamp = Stamp::from_ms(number);
        let id = OperationId {
            node,
            incarnation: log.1,
            sequence: tip.sequence,
        };
        let member = member_of(number);
        let row = rows.members.get(&member);
        changes
            .members
            .insert(member, (after_purchase(row, id), Some(number)));
        changes.receipts.push((receipt_of(number), id));
        changes.operations.push(OperationRow {
            id,
            stamp: tip.stamp,
            member: Some(member),
            store: Some(StoreId(node.0)),
            kind: "purchase",
            bytes: vec![1; ENTRY_BYTES],
            head: [2; 16],
            verdict: Verdict::Accepted,
            reason: String::new(),
            taken_in_ms: number / BATCH,
        });
    }
    let row = LogRow {
        tip,
        seal_signature: vec![3; 64],
        frozen: false,
    };
    changes.logs.push((log.0, log.1, row));
    changes
}

fn after_purchase(row: Option<&MemberRow>, id: OperationId) -> Member {
    let mut member = row.map(|row| row.member.clone()).unwrap_or_default();
    member.purchases += 1;
    let account: &mut Account = member.accounts.entry(AccountId(1)).or_default();
    let lot = Lot {
        amount: Minor(12_345),
        active_from: Day(20_000),
        expires_on: Some(Day(20_365)),
        issuer: Some(PartnerId(1)),
        cause: Cause::Purchase,
        ..Lot::default()
    };
    let place = LotId {
        operation: id,
        index: 0,
    };
    account.lots.insert(place, lot);
    if account.lots.len() > LOTS_KEPT {
        account.lots.pop_first();
    }
    member
}

/// On the disk of the build, since the system's temporary folder may be in memory.
fn directory() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the build folder takes files")
}

fn bare_sync(criterion: &mut Criterion) {
    let directory = directory();
    let mut file = File::create(directory.path().join("batch")).expect("a new file");
    let bytes = vec![1; BATCH_BYTES];
    let mut group = criterion.benchmark_group("intake");
    group.throughput(Throughput::Elements(BATCH));
    group.bench_function("bare fdatasync of a batch's bytes", |bencher| {
        bencher.iter(|| {
            file.rewind().expect("a file seeks");
            file.write_all(&bytes).expect("the disk has room");
            file.sync_data().expect("the disk syncs");
        });
    });
    group.finish();
}

fn engine_intake(criterion: &mut Criterion, runtime: &Runtime, settings: &StoreSettings) {
    let mut intake = runtime.block_on(Intake::open(settings));
    let mut group = criterion.benchmark_group("intake");
    group
        .throughput(Throughput::Elements(BATCH))
        .sample_size(20);
    let engine = intake.store.engine();
    group.bench_function(format!("{engine}, {BATCH} purchases a batch"), |bencher| {
        bencher.iter(|| runtime.block_on(intake.take_in()));
    });
    group.finish();
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime starts")
}

fn sqlite_intake(criterion: &mut Criterion) {
    let directory = directory();
    let path = directory.path().join("hub.db");
    engine_intake(criterion, &runtime(), &StoreSettings::Sqlite { path });
}

fn postgres_intake(criterion: &mut Criterion) {
    const NAME: &str = "kopilka_bench_intake";
    let Ok(server) = std::env::var(POSTGRES_VARIABLE) else {
        eprintln!("PostgreSQL is left out: {POSTGRES_VARIABLE} names no server");
        return;
    };
    let runtime = runtime();
    let drop_database = format!("DROP DATABASE IF EXISTS {NAME} WITH (FORCE)");
    runtime.block_on(execute(&server, &drop_database));
    runtime.block_on(execute(&server, &format!("CREATE DATABASE {NAME}")));
    let settings = StoreSettings::Postgres {
        url: format!("{server} dbname={NAME}"),
        partitions: PARTITIONS,
    };
    engine_intake(criterion, &runtime, &settings);
    runtime.block_on(execute(&server, &drop_database));
}

async fn execute(server: &str, sql: &str) {
    let (client, connection) = tokio_postgres::connect(server, NoTls)
        .await
        .expect("the server answers");
    tokio::spawn(connection);
    client
        .batch_execute(sql)
        .await
        .expect("the server lets databases be made");
}

criterion_group!(benches, bare_sync, sqlite_intake, postgres_intake);
criterion_main!(benches);
