//! `demo`: a hub and its stores as real processes on this machine, with real receipts, an outage and a blocked card.

mod block;
mod compare;
mod farewell;
mod http;
mod judge;
mod office;
mod outage;
mod receipts;
mod recount;
mod relay;
mod replay;
mod report;
mod screen;
mod till;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, value_parser};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use outage::Seen;
use receipts::Sample;
use replay::Tally;
use report::Report;
use screen::{Language, Screen, millis, money};
use world::World;

use crate::programs::{Programs, workspace};

/// Share of the visits that are served before the outage, in hundredths.
const BEFORE_OUTAGE_PERCENT: usize = 85;

/// How the demo runs.
#[derive(Debug, Args)]
pub struct Options {
    /// Leave at the end, instead of staying up for a look around
    #[arg(long)]
    exit: bool,
    /// Receipts to replay
    #[arg(long, default_value_t = 3_000, value_parser = value_parser!(u32).range(200..=11_000))]
    receipts: u32,
    /// Stores, each with a node; half of them are cut off
    #[arg(long, default_value_t = 4, value_parser = value_parser!(u8).range(2..=16))]
    nodes: u8,
    /// Keep the data and logs of all processes in this folder, which must be new or empty
    #[arg(long, value_name = "FOLDER")]
    keep_data: Option<PathBuf>,
    /// Receipts to use, in the format of tests/data/SOURCE.md
    #[arg(long, value_name = "FILE")]
    sample: Option<PathBuf>,
    /// Language of the output; the environment's when not given
    #[arg(long, value_enum)]
    lang: Option<Language>,
}

/// Where the processes keep their data: removed at the end unless it is to be kept.
enum Folder {
    Kept(PathBuf),
    Passing(tempfile::TempDir),
}

impl Folder {
    fn open(keep: Option<PathBuf>) -> anyhow::Result<Self> {
        let Some(path) = keep else {
            return Ok(Self::Passing(tempfile::tempdir()?));
        };
        std::fs::create_dir_all(&path)?;
        let is_empty = std::fs::read_dir(&path)?.next().is_none();
        anyhow::ensure!(is_empty, "{} is not empty", path.display());
        Ok(Self::Kept(path.canonicalize()?))
    }

    fn path(&self) -> &std::path::Path {
        match self {
            Self::Kept(path) => path,
            Self::Passing(folder) => folder.path(),
        }
    }
}

/// Runs the demo until its end, or until somebody interrupts it. Every process ends with it.
pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let screen = Screen::new(options.lang.unwrap_or_else(Language::of_environment));
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    // Dropping the demo drops its processes, and a dropped process is killed.
    tokio::select! {
        ended = demo(screen, options) => ended,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            Ok(ExitCode::from(130))
        }
        _ = terminate.recv() => Ok(ExitCode::from(143)),
        _ = hang_up.recv() => Ok(ExitCode::from(129)),
    }
}

async fn demo(screen: Screen, options: Options) -> anyhow::Result<ExitCode> {
    let building = || {
        screen.say(
            "Собираю kopilka-hub и kopilka-node, если они устарели (cargo build).",
            "Building kopilka-hub and kopilka-node where they are out of date (cargo build).",
        );
    };
    let programs = Programs::locate(building).await?;
    let started = Instant::now();
    let folder = Folder::open(options.keep_data)?;
    let file = options
        .sample
        .unwrap_or_else(|| workspace().join("tests/data/online_retail_sample.csv.gz"));
    let stores = usize::from(options.nodes);
    let receipts = usize::try_from(options.receipts)?;
    let sample = receipts::read(&file, receipts, stores)?;
    let split = sample.visits.len() * BEFORE_OUTAGE_PERCENT / 100;
    let mut report = Report::new(screen);
    let mut tally = Tally::default();

    screen.step(
        1,
        "Хаб и магазины: настоящие процессы",
        "Hub and stores: real processes",
    );
    let joins = replay::newcomers(&sample, 0..split);
    let world = World::open(
        &programs,
        folder.path(),
        stores,
        &sample,
        joins,
        &mut tally.recount,
    )
    .await
    .context("the chain could not be opened")?;
    introduce(screen, &world, &sample, started);
    trade(screen, &world, &sample, 0..split, &mut tally).await?;
    let seen = cut_off(
        screen,
        &world,
        &sample,
        split..sample.visits.len(),
        &mut tally,
        &mut report,
    )
    .await?;
    reconnect(screen, &world, &mut report).await?;
    judge::judge(screen, &world, &tally, &seen, &mut report).await?;
    let blocked = block_card(screen, &world, &sample, &mut report).await?;

    screen.step(7, "Итог", "Summary");
    let holds = report.finish();
    let seconds = started.elapsed().as_secs();
    screen.say(
        format!("   {seconds} с без сборки"),
        format!("   {seconds} s without the build"),
    );
    if !options.exit {
        farewell::print(screen, &world, &sample, blocked, folder.path());
        std::future::pending::<()>().await;
    }
    world.close().await;
    Ok(if holds {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn introduce(screen: Screen, world: &World, sample: &Sample, started: Instant) {
    let (members, ready) = (sample.customers().len(), millis(started.elapsed()));
    screen.line(&format!("   hub      {}", world.office.http.base()));
    for store in &world.chain.stores {
        let (base, relay) = (store.tills[0].http.base(), store.relay.address);
        screen.line(&format!(
            "   {:8} {base}   UDP {relay}  ({})",
            store.id, store.name
        ));
    }
    screen.say(
        format!("   Готово за {ready} мс; участников: {members}"),
        format!("   Ready after {ready} ms; members: {members}"),
    );
}

async fn trade(
    screen: Screen,
    world: &World,
    sample: &Sample,
    run: std::ops::Range<usize>,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    screen.step(
        2,
        "Настоящие чеки через кассы всех магазинов",
        "Real receipts through the tills of all stores",
    );
    let (sales, returns, passed) = (sample.sales, sample.returns, sample.lines_passed_over);
    screen.say(
        format!("   Всего в выборке: чеков {sales}, возвратов {returns}; строк пропущено {passed} (без клиента, без цены, без своей продажи)"),
        format!("   In the sample: {sales} receipts, {returns} returns; {passed} lines passed over (no customer, no price, no sale to return)"),
    );
    let started = Instant::now();
    let progress = screen.progress(u64::try_from(run.len())?);
    replay::replay(&world.chain, sample, run, tally, Some(progress)).await?;
    let (sold, back, took) = (tally.sold, tally.taken_back, millis(started.elapsed()));
    let (earned, redeemed) = (money(tally.recount.earned), money(tally.recount.redeemed));
    let joined = tally.joined;
    screen.say(
        format!("   Продано {sold}, возвратов {back}, вступило на кассе {joined}; начислено {earned}, списано {redeemed}; {took} мс"),
        format!("   {sold} sold, {back} taken back, {joined} joined at a till; {earned} points earned, {redeemed} redeemed; {took} ms"),
    );
    let caught_up = millis(world.caught_up().await?);
    screen.say(
        format!("   Все реплики догнали за {caught_up} мс"),
        format!("   All replicas caught up within {caught_up} ms"),
    );
    Ok(())
}

async fn cut_off(
    screen: Screen,
    world: &World,
    sample: &Sample,
    run: std::ops::Range<usize>,
    tally: &mut Tally,
    report: &mut Report,
) -> anyhow::Result<Seen> {
    screen.step(
        3,
        "Обрыв связи у половины магазинов",
        "Half of the stores lose their line",
    );
    let seen = outage::outage(screen, world, sample, run, tally).await?;
    let mut dropped = 0;
    let mut waiting = 0;
    let mut without = Vec::new();
    for store in &world.chain.stores[outage::cut_stores(&world.chain)] {
        let standing = store.tills[0].standing().await?;
        dropped += store.relay.dropped();
        waiting += standing.pending;
        if store.relay.dropped() == 0 || standing.pending == 0 {
            without.push(format!("{}: {standing:?}", store.name));
        }
    }
    screen.say(
        format!("   Отброшено пакетов: {dropped}; операций ждёт связи: {waiting}"),
        format!("   Packets dropped: {dropped}; operations waiting for the line: {waiting}"),
    );
    report.check_none(
        &without,
        format!("отрезанные магазины продавали без связи ({waiting} операций)"),
        format!("the stores that were cut off went on selling ({waiting} operations)"),
    );
    Ok(seen)
}

async fn reconnect(screen: Screen, world: &World, report: &mut Report) -> anyhow::Result<()> {
    screen.step(4, "Связь восстановлена", "The line is back");
    for store in &world.chain.stores {
        store.relay.set_cut(false);
    }
    let caught_up = world.caught_up().await;
    let (wrong, took) = match &caught_up {
        Ok(took) => (Vec::new(), millis(*took)),
        Err(error) => (vec![error.to_string()], "∞".to_owned()),
    };
    screen.say(
        format!("   Журналы переданы, реплики догнали: {took} мс"),
        format!("   Logs are handed over, replicas have caught up: {took} ms"),
    );
    report.check_none(
        &wrong,
        format!("после восстановления связи всё сошлось за {took} мс"),
        format!("everything converged {took} ms after the line was back"),
    );
    Ok(())
}

/// Blocks the card of the sample's last customer; gives who it was.
async fn block_card(
    screen: Screen,
    world: &World,
    sample: &Sample,
    report: &mut Report,
) -> anyhow::Result<u32> {
    screen.step(6, "Блокировка карты", "A card is blocked");
    let last = sample.visits.last().context("the sample is empty")?;
    let reason = screen.pick("утеряна", "lost");
    let blocked = block::block(world, last.customer, reason).await?;
    let times = blocked.refused_after.iter();
    let times: Vec<_> = world.chain.stores.iter().zip(times).collect();
    for (store, after) in &times {
        let (name, ms) = (&store.name, millis(**after));
        screen.say(
            format!("   {name}: отказ через {ms} мс"),
            format!("   {name}: refused after {ms} ms"),
        );
    }
    screen.line(&format!(
        "   «{}»",
        outage::own_language(screen, &blocked.words)
    ));
    let slowest = millis(
        blocked
            .refused_after
            .iter()
            .max()
            .copied()
            .unwrap_or_default(),
    );
    let (have, nodes) = blocked.delivered;
    report.check(
        have == nodes,
        format!("карту не принимает ни один магазин, последний отказал через {slowest} мс; хаб знает о {have} из {nodes}"),
        format!("no store takes the card, the last refused after {slowest} ms; the hub knows of {have} of {nodes}"),
        &[],
    );
    Ok(last.customer)
}
