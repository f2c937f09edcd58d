//! What the arithmetic itself costs: the limits of everything that is signed and chained.

use std::hint::black_box;
use std::time::Instant;

use ed25519_dalek::SigningKey;
use kopilka_crdt::ids::{Incarnation, NodeId};
use kopilka_crdt::log::Head;
use kopilka_protocol::key::{Domain, PublicKey, sign};

use super::Bench;
use super::figures::{Figure, Table, grouped, median, nanos, rate, time};

/// Bytes of an entry: a sale of four lines.
const ENTRY_BYTES: usize = 120;
/// Steps of a sample; one alone is too quick for the clock.
const STEPS: u32 = 64;

/// Nanoseconds to check one signature strictly.
pub fn check(rounds: u64) -> u64 {
    let (key, hash) = (SigningKey::from_bytes(&[3; 32]), [5; 32]);
    let (public, signature) = (PublicKey::of(&key), sign(&key, Domain::Log, &hash));
    sampled(rounds, || {
        public
            .verify(Domain::Log, black_box(&hash), &signature)
            .expect("the key signed it");
    })
}

/// Measures.
pub fn measure(bench: &Bench) -> Table {
    let rounds = bench.scale.syncs;
    let key = SigningKey::from_bytes(&[3; 32]);
    let signing = sampled(rounds, || {
        black_box(sign(&key, Domain::Log, black_box(&[5; 32])));
    });
    let mut head = Head::genesis(NodeId(1), Incarnation(1));
    let entry = [7; ENTRY_BYTES];
    let step = sampled(rounds, || head = head.then(black_box(&entry)));
    let figure = |what: &str, taken: u64| {
        let measured = format!(
            "{} ({}/s on one core)",
            time(taken),
            grouped(rate(1, taken))
        );
        Figure::new(what, measured)
    };
    Table {
        title: "Signatures and chains",
        method: format!("Medians of {rounds} samples of {STEPS} steps, on one core."),
        figures: vec![
            figure("checking one ed25519 signature, strictly", check(rounds)),
            figure("making one", signing),
            figure("one step of a log's hash chain, 120 bytes", step),
        ],
    }
}

fn sampled(rounds: u64, mut step: impl FnMut()) -> u64 {
    let mut samples: Vec<u64> = (0..rounds)
        .map(|_| {
            let started = Instant::now();
            for _ in 0..STEPS {
                step();
            }
            nanos(started.elapsed()) / u64::from(STEPS)
        })
        .collect();
    median(&mut samples)
}
