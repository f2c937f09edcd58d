//! What a durable commit costs, with the limit beside it: a bare disk sync of 4 KiB.

use std::fs::File;
use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kopilka_node::store::writer::{Apply, Writer, WriterHandle};
use kopilka_node::store::{self, Batch, CACHE_BYTES_DEFAULT, EngineKind, StoreError, Table};
use tempfile::TempDir;

const KINDS: [(&str, EngineKind); 2] = [("redb", EngineKind::Redb), ("sled", EngineKind::Sled)];

const SUBMITTERS: [u64; 3] = [1, 8, 64];

/// On the disk of the build, since the system's temporary folder may be in memory.
fn directory() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the build folder takes files")
}

/// The five writes of a sale, some 600 bytes.
fn sale(number: u64, batch: &mut Batch) {
    let key = number.to_be_bytes();
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    batch.put(Table::Log, key, vec![1; 200]);
    batch.put(Table::Members, [spread[0], spread[1]], vec![2; 120]);
    batch.put(Table::Receipts, key, vec![3; 160]);
    batch.put(Table::Idempotency, spread, vec![4; 60]);
    batch.put(Table::Meta, *b"head", vec![5; 40]);
}

fn bare_sync(criterion: &mut Criterion) {
    let directory = directory();
    let mut file = File::create(directory.path().join("log")).expect("a new file");
    criterion.bench_function("commit/bare fdatasync of 4 KiB", |bencher| {
        bencher.iter(|| {
            file.write_all(&[1; 4096]).expect("the disk has room");
            file.sync_data().expect("the disk syncs");
        });
    });
}

fn engine_commit(criterion: &mut Criterion) {
    for (name, kind) in KINDS {
        let directory = directory();
        let engine =
            store::open(kind, directory.path(), CACHE_BYTES_DEFAULT).expect("a new store opens");
        let mut number = 0;
        criterion.bench_function(&format!("commit/{name}, one sale"), |bencher| {
            bencher.iter(|| {
                let mut batch = Batch::new();
                sale(number, &mut batch);
                number += 1;
                engine.commit(black_box(&batch)).expect("the disk has room");
            });
        });
    }
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
            let directory = directory();
            let engine = store::open(kind, directory.path(), CACHE_BYTES_DEFAULT)
                .expect("a new store opens");
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

criterion_group!(benches, bare_sync, engine_commit, group_commit);
criterion_main!(benches);
