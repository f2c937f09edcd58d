//! How long a block order takes to reach a thousand connected nodes.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use ed25519_dalek::SigningKey;
use kopilka_hub::app::action::Actor;
use kopilka_hub::app::blocks::{self, CardName, Wish};
use kopilka_hub::app::entities::NodeEntity;
use kopilka_hub::store::StoreSettings;
use kopilka_protocol::codec::decode;
use kopilka_protocol::key::PublicKey;
use kopilka_protocol::limits::FRAME_BYTES_MAX;
use kopilka_protocol::message::{BlockBatch, Channel, NodeMessage, Seen};
use kopilka_shell::clock;
use kopilka_shell::frame_io::FrameReader;
use quinn::RecvStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::chain::{Chain, Serving};
use super::figures::{Figure, Table, grouped, median, nanos, quantile, time, times};
use super::session::Session;
use super::{Bench, people, progress, signatures};

const MEMBERS: u64 = 1_000;
/// Handshakes under way at once.
const DIALLING_MAX: usize = 32;
const LAST_NANOS_MAX: u64 = 1_000_000_000;
/// How long a round may take before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(30);
/// Orders that a client has read and not yet told the hub of.
const ORDERS_WAITING_MAX: usize = 16;
const POLL: Duration = Duration::from_millis(5);
const LAST: &str = "All clients share the two processors with the hub: each order is a lookup, an encryption, a decryption and \
    a signature check for every connection.";

/// A client heard of an order.
struct Heard {
    number: u64,
    at: Instant,
}

/// Measures.
pub async fn measure(bench: &Bench) -> anyhow::Result<Table> {
    let folder = bench.folder("blocks")?;
    let path = folder.path().join("hub.db");
    let chain = Chain::open(&StoreSettings::Sqlite { path }).await?;
    chain
        .fill(MEMBERS, &progress::bar("members into the hub", MEMBERS))
        .await?;
    let serving = chain.serve()?;
    let (heard, mut hearing) = mpsc::unbounded_channel();
    let mut clients = connect(bench.scale.connections, &chain, &serving, &heard).await?;
    let mut times_of: [Vec<u64>; 4] = Default::default();
    let bar = progress::bar("block orders", bench.scale.orders);
    for number in 1..=bench.scale.orders {
        let round = one_order(&chain, number, bench.scale.connections, &mut hearing);
        let round = tokio::select! {
            round = tokio::time::timeout(PATIENCE, round) => round.context("every client hears of the order")??,
            Some(ended) = clients.join_next() => bail!("a client left: {ended:?}"),
        };
        for (times, taken) in times_of.iter_mut().zip(round) {
            times.push(taken);
        }
        bar.advance(1);
    }
    clients.abort_all();
    serving.stop().await?;
    Ok(table(bench, times_of))
}

fn table(bench: &Bench, mut times_of: [Vec<u64>; 4]) -> Table {
    let connections = bench.scale.connections;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cores = u64::try_from(cores).unwrap_or(1);
    let checks = signatures::check(16) * connections / cores;
    let [first, middle, last, shown] = &mut times_of;
    let last = median(last);
    let limit = format!(
        "{} signature checks on {cores} cores: {}",
        grouped(connections),
        time(checks)
    );
    let figure = Figure::new(
        format!(
            "until the last of {} connections refuses the card",
            grouped(connections)
        ),
        time(last),
    );
    let figure = figure.limit(limit, times(last, checks));
    let figures = vec![
        Figure::new(
            "until the first connection refuses the card",
            time(median(first)),
        ),
        Figure::new("until half of them do", time(median(middle))),
        if connections >= 1_000 {
            figure
                .target("≤ 1 s", last <= LAST_NANOS_MAX)
                .obstacle(LAST)
        } else {
            figure
        },
        Figure::new(
            "until the hub shows that all of them have it",
            time(median(shown)),
        ),
    ];
    Table {
        title: "A block order to every store",
        method: format!(
            "{} QUIC connections with keys of their own, enrolled and in session with one hub on SQLite; hub and clients share \
             the processors. From the staff's command until a client has verified the signed order and would refuse. Medians of \
             {} orders.",
            grouped(connections),
            bench.scale.orders
        ),
        figures,
    }
}

async fn connect(
    count: u64,
    chain: &Chain,
    serving: &Serving,
    heard: &mpsc::UnboundedSender<Heard>,
) -> anyhow::Result<JoinSet<anyhow::Result<()>>> {
    let keys: Vec<_> = (0..count)
        .map(|_| SigningKey::from_bytes(&clock::random_bytes()))
        .collect();
    let nodes = chain.enrol(&keys).await?;
    let hub = chain.hub.public_key();
    let bar = progress::bar("connections", count);
    let mut clients = JoinSet::new();
    let mut dialling: JoinSet<anyhow::Result<Session>> = JoinSet::new();
    let listen = |session, clients: &mut JoinSet<_>| {
        clients.spawn(client(session, hub, heard.clone()));
        bar.advance(1);
    };
    for (node, key) in nodes.into_iter().zip(keys) {
        if dialling.len() == DIALLING_MAX {
            let session = dialling.join_next().await.context("some are dialling")??;
            listen(session?, &mut clients);
        }
        let address = serving.address;
        dialling.spawn(async move { dial(&node, &key, &hub, address).await });
    }
    while let Some(session) = dialling.join_next().await {
        listen(session??, &mut clients);
    }
    Ok(clients)
}

async fn dial(
    node: &NodeEntity,
    key: &SigningKey,
    hub: &PublicKey,
    address: std::net::SocketAddr,
) -> anyhow::Result<Session> {
    Session::open(node, key, hub, address).await
}

/// Reads what the hub pushes, checks each order, and tells the hub what it has.
async fn client(
    mut session: Session,
    hub: PublicKey,
    heard: mpsc::UnboundedSender<Heard>,
) -> anyhow::Result<()> {
    let (news, mut orders) = mpsc::channel(ORDERS_WAITING_MAX);
    let connection = session.connection.clone();
    let mut readers = JoinSet::new();
    loop {
        tokio::select! {
            stream = connection.accept_uni() => {
                readers.spawn(read(stream?, hub, news.clone()));
            }
            Some(order) = orders.recv() => {
                let Heard { number, .. } = order;
                heard.send(order).ok().context("the measurement goes on")?;
                let seen = Seen { block: number, ..Seen::default() };
                session.send(&NodeMessage::Seen(seen)).await?;
            }
            message = session.receive() => drop(message?),
            Some(ended) = readers.join_next() => ended??,
        }
    }
}

async fn read(stream: RecvStream, hub: PublicKey, news: mpsc::Sender<Heard>) -> anyhow::Result<()> {
    let mut frames = FrameReader::new(stream, FRAME_BYTES_MAX);
    let first = frames
        .next()
        .await?
        .context("a stream says what it carries")?;
    let channel: Channel = decode(&first)?;
    while let Some(frame) = frames.next().await? {
        match channel {
            Channel::Feed => {}
            Channel::Blocks => {
                let BlockBatch { orders } = decode(&frame)?;
                for signed in orders {
                    signed.verify(&hub)?;
                    let number = signed.order.number;
                    let at = Instant::now();
                    news.send(Heard { number, at }).await?;
                }
            }
        }
    }
    bail!("the hub ended a stream")
}

/// Nanoseconds until the first, the middle and the last client refuse, and until the hub shows all.
async fn one_order(
    chain: &Chain,
    number: u64,
    clients: u64,
    hearing: &mut mpsc::UnboundedReceiver<Heard>,
) -> anyhow::Result<[u64; 4]> {
    let wish = Wish {
        card: CardName::Number(people::card(number).digits().to_owned()),
        blocked: true,
        reason: "lost".to_owned(),
        idempotency_key: format!("order-{number}"),
    };
    let started = Instant::now();
    let ordered = blocks::order(&chain.hub, &Actor::command_line(), chain.programme, &wish).await?;
    let mut taken = Vec::new();
    for _ in 0..clients {
        let heard = hearing.recv().await.context("clients listen")?;
        ensure!(
            heard.number == ordered.order.number,
            "each client hears of each order once"
        );
        taken.push(nanos(heard.at.saturating_duration_since(started)));
    }
    let [first, middle, last] = [0, 500, 1_000].map(|permille| quantile(&mut taken, permille));
    loop {
        let delivered = blocks::delivery(&chain.hub, chain.programme, ordered.order.number).await?;
        if delivered.iter().all(|delivered| delivered.has_it) {
            return Ok([first, middle, last, nanos(started.elapsed())]);
        }
        tokio::time::sleep(POLL).await;
    }
}
