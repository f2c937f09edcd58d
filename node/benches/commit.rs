//! What a durable commit costs, with the limits beside it: bare disk syncs of 4 KiB.

use std::fs::File;
use std::hint::black_box;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kopilka_node::store::writer::{Apply, Writer, WriterHandle};
use kopilka_node::store::{
    self, Batch, CACHE_BYTES_DEFAULT, Engine, EngineKind, StoreError, Table,
};
use tempfile::TempDir;

const KINDS: [(&str, EngineKind); 2] = [("redb", EngineKind::Redb), ("sled", EngineKind::Sled)];

const SUBMITTERS: [u64; 3] = [1, 8, 64];

/// Sales between two measured checkpoints: about what a journal of redb holds.
const SALES_PER_CHECKPOINT: u64 = 700;

/// Blocks of the file that is overwritten, as many as a journal of redb has.
const BLOCKS: u64 = 768;

/// On the disk of the build, since the system's temporary folder may be in memory.
fn directory() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the build folder takes files")
}

/// A store that holds 65,536 members.
fn stocked(kind: EngineKind) -> (TempDir, Arc<dyn Engine>) {
    let directory = directory();
    let engine =
        store::open(kind, directory.path(), CACHE_BYTES_DEFAULT).expect("a new store opens");
    for first in 0..=u8::MAX {
        let mut batch = Batch::new();
        for second in 0..=u8::MAX {
            batch.put(Table::Members, [first, second], vec![2; 120]);
        }
        engine.commit_relaxed(&batch).expect("the disk has room");
    }
    engine.commit(&Batch::new()).expect("the disk has room");
    (directory, engine)
}

/// One row: the log's.
fn row(number: u64, batch: &mut Batch) {
    batch.put(Table::Log, number.to_be_bytes(), vec![1; 200]);
}

/// The twelve writes of a sale's confirmation, some 1.6 KB.
fn sale(number: u64, batch: &mut Batch) {
    let key = number.to_be_bytes();
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    row(number, batch);
    batch.put(Table::Members, [spread[0], spread[1]], vec![2; 120]);
    batch.put(Table::Receipts, key, vec![3; 160]);
    batch.put(Table::Idempotency, spread, vec![4; 260]);
    batch.put(Table::Meta, *b"head", vec![5; 40]);
    batch.put(Table::Meta, *b"clock", vec![6; 8]);
    batch.put(Table::Seals, key, vec![7; 72]);
    batch.put(Table::Pending, key, Vec::new());
    batch.put(Table::Purchases, spread, vec![8; 500]);
    batch.delete(Table::Holds, spread);
    batch.put(Table::History, [&spread[..2], &key].concat(), vec![9; 60]);
    batch.put(Table::Expiry, [&key[..], &spread].concat(), Vec::new());
}

fn bare_sync(criterion: &mut Criterion) {
    let directory = directory();
    let mut file = File::create(directory.path().join("log")).expect("a new file");
    criterion.bench_function("commit/bare append of 4 KiB and fdatasync", |bencher| {
        bencher.iter(|| {
            file.write_all(&[1; 4096]).expect("the disk has room");
            file.sync_data().expect("the disk syncs");
        });
    });
    let mut file = File::create(directory.path().join("blocks")).expect("a new file");
    for _ in 0..BLOCKS {
        file.write_all(&[0; 4096]).expect("the disk has room");
    }
    file.sync_all().expect("the disk syncs");
    let mut block = 0;
    criterion.bench_function("commit/bare overwrite of 4 KiB and fdatasync", |bencher| {
        bencher.iter(|| {
            file.write_all_at(&[1; 4096], block % BLOCKS * 4096)
                .expect("the disk has room");
            file.sync_data().expect("the disk syncs");
            block += 1;
        });
    });
}

fn engine_commit(criterion: &mut Criterion) {
    for (name, kind) in KINDS {
        for (what, fill) in [
            ("one row", row as fn(u64, &mut Batch)),
            ("a sale of twelve rows", sale),
        ] {
            let (_directory, engine) = stocked(kind);
            let mut number = 0;
            let mut batch = || {
                let mut batch = Batch::new();
                fill(number, &mut batch);
                number += 1;
                black_box(batch)
            };
            let id = format!("commit/{name}'s own commit, {what}");
            criterion.bench_function(&id, |bencher| {
                // While a bulk load is outstanding, a commit is one of the engine.
                bencher.iter(|| {
                    engine.commit_relaxed(&batch()).expect("the disk has room");
                    engine.commit(&Batch::new()).expect("the disk has room");
                });
            });
            let id = format!("commit/{name} through the journal, {what}");
            criterion.bench_function(&id, |bencher| {
                bencher.iter(|| engine.commit(&batch()).expect("the disk has room"));
            });
        }
    }
}

fn checkpoint(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("checkpoint");
    group.sample_size(10);
    let (_directory, engine) = stocked(EngineKind::Redb);
    let mut number = 0;
    let id = format!("redb, after {SALES_PER_CHECKPOINT} sales of twelve rows");
    group.bench_function(id, |bencher| {
        bencher.iter_custom(|rounds| {
            let mut elapsed = Duration::ZERO;
            for _ in 0..rounds {
                for _ in 0..SALES_PER_CHECKPOINT {
                    let mut batch = Batch::new();
                    sale(number, &mut batch);
                    number += 1;
                    engine.commit(&batch).expect("the disk has room");
                }
                let started = Instant::now();
                // A bulk load begins with a checkpoint.
                engine
                    .commit_relaxed(&Batch::new())
                    .expect("the disk has room");
                elapsed += started.elapsed();
                engine.commit(&Batch::new()).expect("the disk has room");
            }
            elapsed
        });
    });
    group.finish();
}

struct Sales {
    number: u64,
}

impl Apply for Sales {
    type Request = ();
    type Reply = Result<u64, StoreError>;

    fn apply(&mut self, (): (), _now_ms: u64, batch: &mut Batch) -> Self::Reply {
        sale(self.number, batch);
        self.number += 1;
        Ok(self.number)
    }

    fn seal(&mut self, _batch: &mut Batch) {}

    fn committed(&mut self) {}

    fn rollback(&mut self) {}

    fn failed(error: StoreError) -> Self::Reply {
        Err(error)
    }
}

fn wall_clock_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// Each submitter sells `rounds` times, one after the other; all of them at once.
async fn sell(writer: &Arc<WriterHandle<Sales>>, submitters: u64, rounds: u64) -> Duration {
    let started = Instant::now();
    let tasks: Vec<_> = (0..submitters)
        .map(|_| {
            let writer = Arc::clone(writer);
            tokio::spawn(async move {
                for _ in 0..rounds {
                    let reply = writer.submit(()).await.expect("the queue has room");
                    reply.expect("the disk has room");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no submitter panics");
    }
    started.elapsed()
}

fn group_commit(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("a runtime starts");
    for (name, kind) in KINDS {
        let mut group = criterion.benchmark_group(format!("writer/{name}"));
        for submitters in SUBMITTERS {
            let (_directory, engine) = stocked(kind);
            let writer = Arc::new(
                Writer::spawn(engine, Sales { number: 0 }, wall_clock_ms).expect("a thread starts"),
            );
            group.throughput(Throughput::Elements(submitters));
            let id = BenchmarkId::new("sales by tills at once", submitters);
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|rounds| runtime.block_on(sell(&writer, submitters, rounds)));
            });
            writer.stop().expect("the writer did not panic");
        }
        group.finish();
    }
}

criterion_group!(benches, bare_sync, engine_commit, checkpoint, group_commit);
criterion_main!(benches);
