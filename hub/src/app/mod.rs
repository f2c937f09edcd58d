//! What the hub does: load, ask `rules`, store, notify. Nothing here knows HTTP or QUIC.

pub mod action;
pub mod blocks;
pub mod catalogue;
pub mod directory;
pub mod enrolment;
pub mod entities;
pub mod feed;
pub mod hub_log;
pub mod import;
pub mod intake;
pub mod kept;
pub mod members;
pub mod nodes;
mod purchases;
pub mod resources;
pub mod rights;
pub mod rulebook;
pub mod staff;

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use ed25519_dalek::SigningKey;
use kopilka_crdt::ids::ProgrammeId;
use kopilka_protocol::key::PublicKey;
use kopilka_protocol::signed::SignedPublication;
use kopilka_rules::{Moment, Programme};
use tokio::sync::watch;

use crate::store::{Heads, Store, StoreError};
use entities::{Kept, PublicationEntity, unhex};

/// Publications that a process keeps compiled.
const PROGRAMMES_CACHED_MAX: usize = 256;

/// Publications made ready to decide with.
type Compiled = BTreeMap<(ProgrammeId, u32), Arc<Programme>>;

/// One hub process: the store, the hub's key, and caches that any other process could build.
#[derive(Clone)]
pub struct Hub {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The hub's key; all processes of one hub share it.
    pub key: Arc<SigningKey>,
    /// Wall clock, milliseconds since 1970.
    pub clock: fn() -> u64,
    programmes: Arc<RwLock<Compiled>>,
    news: watch::Sender<Heads>,
}

impl Hub {
    /// A hub over a store.
    pub fn new(store: Arc<dyn Store>, key: SigningKey, clock: fn() -> u64) -> Self {
        Self {
            store,
            key: Arc::new(key),
            clock,
            programmes: Arc::default(),
            news: watch::Sender::new(Heads::default()),
        }
    }

    /// Its public key.
    pub fn public_key(&self) -> PublicKey {
        PublicKey::of(&self.key)
    }

    /// Follows what is newest in the store.
    pub fn news(&self) -> watch::Receiver<Heads> {
        self.news.subscribe()
    }

    /// Looks for news in the store and tells those who follow. Called after each change here, and now and then for
    /// changes by other processes.
    pub async fn look_for_news(&self) -> Result<(), StoreError> {
        let heads = self.store.heads().await?;
        self.news.send_if_modified(|known| {
            let newer = *known != heads;
            if newer {
                *known = heads;
            }
            newer
        });
        Ok(())
    }

    /// A signed publication.
    pub async fn publication(
        &self,
        programme: ProgrammeId,
        number: u32,
    ) -> Result<Option<SignedPublication>, StoreError> {
        let key = format!("{programme}/{number:010}");
        let Some(entity) = self.store.entity(PublicationEntity::KIND, &key).await? else {
            return Ok(None);
        };
        let stored = PublicationEntity::from_body(&entity.body)?;
        let bytes = unhex(&stored.signed).ok_or(StoreError::Damaged("publication"))?;
        postcard::from_bytes(&bytes)
            .map(Some)
            .map_err(|_| StoreError::Damaged("publication"))
    }

    /// A publication, compiled.
    pub async fn rules(
        &self,
        programme: ProgrammeId,
        number: u32,
    ) -> Result<Option<Arc<Programme>>, StoreError> {
        let cached = self
            .programmes
            .read()
            .expect("no panic while holding it")
            .get(&(programme, number))
            .cloned();
        if cached.is_some() {
            return Ok(cached);
        }
        let Some(signed) = self.publication(programme, number).await? else {
            return Ok(None);
        };
        let compiled = Programme::compile(&signed.publication)
            .map_err(|_| StoreError::Damaged("publication"))?;
        let compiled = Arc::new(compiled);
        let mut cache = self.programmes.write().expect("no panic while holding it");
        if cache.len() >= PROGRAMMES_CACHED_MAX {
            cache.pop_first();
        }
        cache.insert((programme, number), Arc::clone(&compiled));
        Ok(Some(compiled))
    }

    /// The rules in force.
    pub async fn current_rules(
        &self,
        programme: ProgrammeId,
    ) -> Result<Option<Arc<Programme>>, StoreError> {
        let Some(entity) = self
            .store
            .entity(entities::Programme::KIND, &programme.to_string())
            .await?
        else {
            return Ok(None);
        };
        let number = entities::Programme::from_body(&entity.body)?.publication;
        self.rules(programme, number).await
    }

    /// Now, in the programme's calendar.
    pub fn moment(&self, programme: &Programme) -> Moment {
        moment_at(programme, (self.clock)())
    }
}

/// A wall time in the programme's calendar; a zone that this machine does not know counts as UTC.
pub fn moment_at(programme: &Programme, now_ms: u64) -> Moment {
    let zone = jiff::tz::TimeZone::get(&programme.rules().time_zone);
    let instant = i64::try_from(now_ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let offset_seconds = match (zone, instant) {
        (Ok(zone), Some(instant)) => zone.to_offset(instant).seconds(),
        _ => 0,
    };
    Moment {
        now_ms,
        offset_seconds,
    }
}
