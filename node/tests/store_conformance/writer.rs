//! The writer: groups, failures, bounds and the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use kopilka_node::store::faulty::{Fault, FaultyEngine};
use kopilka_node::store::writer::{Apply, GROUP_MAX, QUEUE_MAX, Writer, WriterError, WriterHandle};
use kopilka_node::store::{Batch, Engine, StoreError, Table};
use tokio::task::{JoinHandle, yield_now};

const NOW_MS: u64 = 1_700_000_000_000;

enum Request {
    Append,
    Look,
    Panic,
}

/// Numbers entries; each reply is the entry's number, or the next one for a look.
struct Counter {
    engine: Arc<dyn Engine>,
    next: u64,
    /// Each seal reports here and waits for leave.
    gate: Option<Gate>,
}

struct Gate {
    sealing: Sender<usize>,
    leave: Receiver<()>,
}

impl Counter {
    fn stored(engine: &dyn Engine) -> u64 {
        engine
            .last(Table::Log, None)
            .unwrap()
            .map_or(0, |(key, _)| {
                u64::from_be_bytes(key.try_into().unwrap()) + 1
            })
    }
}

impl Apply for Counter {
    type Request = Request;
    type Reply = Result<u64, StoreError>;

    fn apply(&mut self, request: Request, now_ms: u64, batch: &mut Batch) -> Self::Reply {
        assert_eq!(now_ms, NOW_MS);
        match request {
            Request::Append => {
                let number = self.next;
                batch.put(Table::Log, number.to_be_bytes(), *b"entry");
                self.next += 1;
                Ok(number)
            }
            Request::Look => Ok(self.next),
            Request::Panic => panic!("asked to"),
        }
    }

    fn seal(&mut self, batch: &mut Batch) {
        if let Some(gate) = &self.gate {
            gate.sealing.send(batch.len()).unwrap();
            gate.leave.recv().unwrap();
        }
        batch.put(Table::Meta, *b"head", self.next.to_be_bytes());
    }

    fn committed(&mut self) {
        assert_eq!(self.next, Self::stored(&*self.engine));
    }

    fn rollback(&mut self) {
        self.next = Self::stored(&*self.engine);
    }

    fn failed(error: StoreError) -> Self::Reply {
        Err(error)
    }
}

type Handle = Arc<WriterHandle<Counter>>;

struct Setting {
    engine: Arc<FaultyEngine>,
    writer: Handle,
}

fn start(gate: Option<Gate>) -> Setting {
    let engine = Arc::new(FaultyEngine::new());
    let counter = Counter {
        engine: engine.clone(),
        next: 0,
        gate,
    };
    let writer = Writer::spawn(engine.clone(), counter, || NOW_MS).unwrap();
    Setting {
        engine,
        writer: Arc::new(writer),
    }
}

struct Gated {
    setting: Setting,
    sealing: Receiver<usize>,
    leave: Sender<()>,
}

/// A writer that has one entry in hand and waits for leave to commit it.
async fn start_gated() -> (Gated, Waiter) {
    let (sealing, sealed) = channel();
    let (leave, left) = channel();
    let setting = start(Some(Gate {
        sealing,
        leave: left,
    }));
    let mut first = append(&setting.writer, 1).await;
    assert_eq!(sealed.recv(), Ok(1));
    let gated = Gated {
        setting,
        sealing: sealed,
        leave,
    };
    (gated, first.remove(0))
}

type Waiter = JoinHandle<Result<Result<u64, StoreError>, WriterError>>;

/// Queues entries without waiting for their replies.
async fn append(writer: &Handle, count: usize) -> Vec<Waiter> {
    let queued = Arc::new(AtomicUsize::new(0));
    let waiters = (0..count)
        .map(|_| {
            let (writer, queued) = (Arc::clone(writer), Arc::clone(&queued));
            tokio::spawn(async move {
                // On a runtime of one thread the request is queued before anyone sees the count.
                queued.fetch_add(1, Ordering::Relaxed);
                writer.submit(Request::Append).await
            })
        })
        .collect();
    while queued.load(Ordering::Relaxed) < count {
        yield_now().await;
    }
    waiters
}

#[tokio::test]
async fn a_lone_request_is_committed_at_once() {
    let Setting { engine, writer } = start(None);
    for number in 0..5 {
        assert_eq!(writer.submit(Request::Append).await, Ok(Ok(number)));
        assert_eq!(engine.commits(), number + 1);
    }
    engine.power_cut();
    assert_eq!(engine.count(Table::Log), Ok(5));
    assert_eq!(
        engine.read(Table::Meta, b"head"),
        Ok(Some(5_u64.to_be_bytes().to_vec()))
    );
}

#[tokio::test]
async fn what_waits_shares_a_commit() {
    let (gated, first) = start_gated().await;
    let Setting { engine, writer } = &gated.setting;
    let waiters = append(writer, GROUP_MAX + 50).await;
    for expected in [GROUP_MAX, 50] {
        gated.leave.send(()).unwrap();
        assert_eq!(gated.sealing.recv(), Ok(expected));
    }
    gated.leave.send(()).unwrap();
    assert_eq!(first.await.unwrap(), Ok(Ok(0)));
    for (waiter, number) in waiters.into_iter().zip(1..) {
        assert_eq!(waiter.await.unwrap(), Ok(Ok(number)));
    }
    assert_eq!(engine.commits(), 3);
}

#[tokio::test]
async fn a_group_that_wrote_nothing_is_not_committed() {
    let Setting { engine, writer } = start(None);
    assert_eq!(writer.submit(Request::Look).await, Ok(Ok(0)));
    assert_eq!(engine.commits(), 0);
}

#[tokio::test]
async fn a_failed_commit_fails_its_whole_group_and_no_other() {
    for (fault, kept) in [(Fault::Full, 0), (Fault::Io, 0), (Fault::IoAfterSync, 10)] {
        let (gated, first) = start_gated().await;
        let Setting { engine, writer } = &gated.setting;
        engine.fail_commit(1, fault);
        let waiters = append(writer, 10).await;
        gated.leave.send(()).unwrap();
        assert_eq!(gated.sealing.recv(), Ok(10));
        gated.leave.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(Ok(0)));
        for waiter in waiters {
            let error = waiter.await.unwrap().unwrap().unwrap_err();
            assert_eq!(error == StoreError::Full, fault == Fault::Full);
        }
        assert_eq!(engine.count(Table::Log), Ok(1 + kept));

        gated.leave.send(()).unwrap();
        assert_eq!(writer.submit(Request::Append).await, Ok(Ok(1 + kept)));
        engine.power_cut();
        assert_eq!(engine.count(Table::Log), Ok(2 + kept));
    }
}

#[tokio::test]
async fn a_full_queue_is_busy() {
    let (gated, first) = start_gated().await;
    let writer = &gated.setting.writer;
    let waiters = append(writer, QUEUE_MAX).await;
    assert_eq!(writer.submit(Request::Append).await, Err(WriterError::Busy));
    for _ in 0..=QUEUE_MAX.div_ceil(GROUP_MAX) {
        gated.leave.send(()).unwrap();
    }
    assert_eq!(first.await.unwrap(), Ok(Ok(0)));
    for waiter in waiters {
        waiter.await.unwrap().unwrap().unwrap();
    }
    assert_eq!(gated.setting.engine.count(Table::Log).unwrap(), {
        u64::try_from(QUEUE_MAX).unwrap() + 1
    });
}

#[tokio::test]
async fn stopping_finishes_what_waits() {
    let (gated, first) = start_gated().await;
    let writer = &gated.setting.writer;
    let waiters = append(writer, 10).await;
    let stopping = thread::spawn({
        let writer = Arc::clone(writer);
        move || writer.stop()
    });
    gated.leave.send(()).unwrap();
    gated.leave.send(()).unwrap();
    assert_eq!(first.await.unwrap(), Ok(Ok(0)));
    for (waiter, number) in waiters.into_iter().zip(1..) {
        assert_eq!(waiter.await.unwrap(), Ok(Ok(number)));
    }
    assert_eq!(stopping.join().unwrap(), Ok(()));
    assert_eq!(
        writer.submit(Request::Append).await,
        Err(WriterError::Stopped)
    );
    assert_eq!(writer.stop(), Ok(()));
}

#[tokio::test]
async fn a_request_counts_though_nobody_waits() {
    let (gated, first) = start_gated().await;
    let waiters = append(&gated.setting.writer, 3).await;
    for waiter in waiters {
        waiter.abort();
        assert!(waiter.await.unwrap_err().is_cancelled());
    }
    gated.leave.send(()).unwrap();
    gated.leave.send(()).unwrap();
    assert_eq!(first.await.unwrap(), Ok(Ok(0)));
    gated.setting.writer.stop().unwrap();
    assert_eq!(gated.setting.engine.count(Table::Log), Ok(4));
}

#[tokio::test]
async fn a_panic_stops_the_writer() {
    let Setting { engine, writer } = start(None);
    writer.submit(Request::Append).await.unwrap().unwrap();
    let reply = writer.submit(Request::Panic).await;
    assert_eq!(reply, Err(WriterError::Stopped));
    assert_eq!(writer.stop(), Err(WriterError::Stopped));
    assert_eq!(engine.count(Table::Log), Ok(1));
}

#[test]
fn the_clock_is_read_for_each_request() {
    static TICKS: AtomicU64 = AtomicU64::new(0);
    struct Times;
    impl Apply for Times {
        type Request = ();
        type Reply = u64;
        fn apply(&mut self, (): (), now_ms: u64, _batch: &mut Batch) -> u64 {
            now_ms
        }
        fn seal(&mut self, _batch: &mut Batch) {}
        fn committed(&mut self) {}
        fn rollback(&mut self) {}
        fn failed(_error: StoreError) -> u64 {
            0
        }
    }
    let clock = || TICKS.fetch_add(1, Ordering::Relaxed);
    let writer = Writer::spawn(Arc::new(FaultyEngine::new()), Times, clock).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for expected in 0..3 {
        assert_eq!(runtime.block_on(writer.submit(())), Ok(expected));
    }
}
