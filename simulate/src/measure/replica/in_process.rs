//! What the same answers take without HTTP, beside a bare read of the store.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use kopilka_crdt::identifier::Identifier;
use kopilka_node::app::{App, Basket};
use kopilka_node::identity;
use kopilka_node::store::{self, CACHE_BYTES_DEFAULT, Engine, EngineKind, Table};
use kopilka_rules::pricing::Wish;
use kopilka_rules::promotion::Rewards;
use kopilka_shell::{clock, key_file};

use super::Stage;
use crate::measure::figures::{Figure, nanos, quantile, time, times};
use crate::measure::people::{self, basket, card, drawn};
use crate::measure::{Bench, progress};

const QUOTE_NANOS_MAX: u64 = 50_000;

const IN_PROCESS: &str =
    "A member is read from a tree of which the cache holds a part, and decoded.";

impl Stage {
    pub(super) async fn in_process(
        &self,
        bench: &Bench,
        folder: &Path,
        figures: &mut Vec<Figure>,
    ) -> anyhow::Result<()> {
        progress::part("the same store, asked in process");
        let engine = store::open(EngineKind::Redb, folder, CACHE_BYTES_DEFAULT)?;
        let key = key_file::load(&identity::key_path(folder))?;
        let app = App::open(Arc::clone(&engine), key, clock::now_ms)?;
        let mut samples = [Vec::new(), Vec::new(), Vec::new()];
        for number in 0..bench.scale.reads {
            let taken = self.read_once(&app, engine.as_ref(), number).await?;
            for (samples, taken) in samples.iter_mut().zip(taken) {
                samples.push(taken);
            }
        }
        let both = |samples: &mut Vec<u64>| (quantile(samples, 500), quantile(samples, 990));
        let [raw, identify, quote] = &mut samples;
        let (raw, identify, quote) = (both(raw), both(identify), both(quote));
        let limit = format!(
            "the member's row read alone: p50 {}, p99 {}",
            time(raw.0),
            time(raw.1)
        );
        for (name, seen) in [("identify", identify), ("quote", quote)] {
            let measured = format!("p50 {}, p99 {}", time(seen.0), time(seen.1));
            let figure = Figure::new(format!("{name} in process"), measured)
                .limit(&limit, times(seen.0, raw.0));
            figures.push(if name == "quote" {
                self.judged(figure, "p99 ≤ 50 µs", seen.1 <= QUOTE_NANOS_MAX, IN_PROCESS)
            } else {
                figure
            });
        }
        tokio::task::spawn_blocking(move || app.stop()).await??;
        Ok(())
    }

    /// Nanoseconds of a bare read, an identification, and a quote, each of another member.
    async fn read_once(
        &self,
        app: &App,
        engine: &dyn Engine,
        number: u64,
    ) -> anyhow::Result<[u64; 3]> {
        let draw = |place: u64| drawn(number * 3 + place, self.members);
        let key = people::id(draw(0)).0.to_be_bytes();
        let started = Instant::now();
        let row = engine.read(Table::Members, &key)?;
        let raw = nanos(started.elapsed());
        anyhow::ensure!(row.is_some(), "the replica holds every member");
        let identifier = Identifier::card(&card(draw(1)));
        let started = Instant::now();
        let identified = app.identify(&identifier).await?;
        app.member(identified.member)?;
        let identify = nanos(started.elapsed());
        let member = people::id(draw(2));
        let basket = Basket {
            card: None,
            lines: basket(number),
            tenders: Vec::new(),
            codes: Vec::new(),
            coupons: Vec::new(),
            rewards: Rewards::new(),
            wishes: Wish::Most.into(),
        };
        let started = Instant::now();
        app.check_card(member, None)?;
        app.quote(member, &basket)?;
        Ok([raw, identify, nanos(started.elapsed())])
    }
}
