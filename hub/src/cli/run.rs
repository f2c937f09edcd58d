//! The serving process: nodes over QUIC, staff over HTTP, and a look now and then at what other processes changed.

use std::time::Duration;

use kopilka_shell::serve::HttpServer;
use kopilka_shell::shutdown::{self, Shutdown};
use kopilka_shell::telemetry::Telemetry;

use super::failure::Failure;
use crate::api::{self, ApiState};
use crate::app::Hub;
use crate::config::HubSettings;
use crate::sync::SyncServer;

/// How often changes by other processes are looked for.
const NEWS_INTERVAL: Duration = Duration::from_millis(200);

/// Serves until SIGTERM or SIGINT, then lets what is under way finish.
pub async fn run(hub: Hub, settings: &HubSettings) -> Result<(), Failure> {
    let shutdown = shutdown::on_signals().map_err(Failure::Signals)?;
    let telemetry = Telemetry::start()?;
    let http = HttpServer::bind(settings.http_listen, None).await?;
    let sync = SyncServer::bind(hub.clone(), settings.quic_listen)?;
    let quic_address = sync.address().map_err(Failure::QuicAddress)?;
    tracing::info!(
        http = %http.address(),
        quic = %quic_address,
        store = hub.store.engine(),
        "the hub is serving"
    );
    let state = ApiState {
        hub: hub.clone(),
        public_address: settings.public_address().into(),
    };
    let router = api::router(state).merge(telemetry.routes());
    let nodes = async {
        sync.serve(shutdown.clone()).await;
        Ok(())
    };
    let news = async {
        follow_news(&hub, &shutdown).await;
        Ok(())
    };
    let staff = async {
        http.serve(router, shutdown.clone())
            .await
            .map_err(Failure::Http)
    };
    tokio::try_join!(staff, nodes, news)?;
    tracing::info!("the hub has stopped");
    Ok(())
}

async fn follow_news(hub: &Hub, shutdown: &Shutdown) {
    let mut ticks = tokio::time::interval(NEWS_INTERVAL);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shutdown.requested() => return,
        }
        if let Err(error) = hub.look_for_news().await {
            tracing::warn!(%error, "cannot look for news");
        }
    }
}
