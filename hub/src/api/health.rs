//! Whether the process lives, whether it can work, and the description of the interface.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use kopilka_shell::problem::Problem;

use super::ApiState;

/// `/healthz`, `/readyz` and `/openapi.json`, open to all.
pub fn routes(state: ApiState) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/openapi.json", get(async || Json(super::openapi())))
        .with_state(state)
}

async fn ready(State(state): State<ApiState>) -> Result<&'static str, Problem> {
    state.hub.store.ping().await?;
    Ok("ready\n")
}
