//! Whether the process lives, whether it can work, and the description of the interface.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use kopilka_shell::problem::Problem;

use super::ApiState;

/// `/healthz`, `/readyz` and `/openapi.json`, open to all.
pub fn routes(state: ApiState) -> Router {
    Router::new()
        .route("/healthz", get(async || StatusCode::NO_CONTENT))
        .route("/readyz", get(ready))
        .route("/openapi.json", get(async || Json(super::openapi())))
        .with_state(state)
}

async fn ready(State(state): State<ApiState>) -> Result<StatusCode, Problem> {
    state.hub.store.ping().await?;
    Ok(StatusCode::NO_CONTENT)
}
